// Run in a control group by available-memory.test.ts: takes memory as its orders say, a line each, and answers each with
// what is available then.
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { availableMemory } from "../../src/machine/available-memory.ts";

const mib = 2 ** 20;
const held: Buffer[] = [];

for await (const line of createInterface({ input: process.stdin })) {
  const [order, amount, file = ""] = line.split(" ");
  if (order === "take") held.push(Buffer.alloc(Number(amount) * mib, held.length + 1));
  if (order === "write") {
    const descriptor = openSync(file, "w");
    const block = Buffer.alloc(mib, 1);
    for (let index = 0; index < Number(amount); index += 1) writeSync(descriptor, block);
    // Until it is on the disk, the kernel cannot let go of it.
    fsyncSync(descriptor);
    closeSync(descriptor);
  }
  process.stdout.write(`${JSON.stringify(availableMemory())}\n`);
}
