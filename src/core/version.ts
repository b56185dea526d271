// This program's version, from package.json; found from src/ and from dist/ alike. Imports nothing of ours.
import { readFileSync } from "node:fs";

const packageFile = new URL("../../package.json", import.meta.url);
export const packageVersion = (JSON.parse(readFileSync(packageFile, "utf8")) as { version: string }).version;
