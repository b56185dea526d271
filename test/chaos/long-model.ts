// A tiny model that can write for a long time. May import test/support.
import { readFileSync, writeFileSync } from "node:fs";
import { tinyModel } from "../support/tiny-models.ts";

/** Writes a tiny llama that says it was trained for so many tokens; it never ends a text by itself. */
export async function longModel(file: string, contextTokens: number): Promise<void> {
  const bytes = readFileSync(await tinyModel("tiny-llama"));
  const key = "llama.context_length";
  const at = bytes.indexOf(key) + key.length;
  const uint32Type = 4;
  if (at < key.length || bytes.readUInt32LE(at) !== uint32Type) throw new Error(`no ${key} of 32 bits in the model`);
  bytes.writeUInt32LE(contextTokens, at + 4);
  writeFileSync(file, bytes);
}
