// Run by other-processes.test.ts: keeps four conversations and closes. Arguments: folder, first id, a state's bytes.
import { systemClock } from "../../../src/core/clock.ts";
import { conversation, keep, openCache } from "./cache-under-test.ts";

const [folder = "", firstId = "", stateBytes = ""] = process.argv.slice(2);
// Without a listener, a file that outgrows the process's limit ends it.
process.on("SIGXFSZ", () => {});
const sizeBytes = Number(stateBytes);
const { cache, warnings } = await openCache({
  folder,
  ramBytes: sizeBytes * 7,
  diskBytes: 1e8,
  clock: systemClock,
});
const ids = [0, 1, 2, 3].map((index) => Number(firstId) + index);
for (const id of ids) keep(cache, "m", conversation(id, 50), sizeBytes);
const found = ids.filter((id) => cache.find("m", conversation(id, 50)) !== null);
while (cache.status().spills === 0 && warnings.length === 0) await new Promise((resolve) => setImmediate(resolve));
for (const warning of warnings) console.log(`warning: ${warning}`);
console.log(`in memory: ${found.length}`);
await cache.close(1e6);
console.log("closed");
