// Writes the documents that derive from the configuration's schema: `npx tsx tools/config-schema/main.ts`.
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { configDocuments } from "./documents.ts";

const root = new URL("../../", import.meta.url);
for (const [path, content] of await configDocuments()) {
  await writeFile(fileURLToPath(new URL(path, root)), content);
  console.log(path);
}
