// Headers that lie: each count and length is held against the file before anything is read or kept for it.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { walkGguf } from "../../src/core/gguf-walk.ts";
import { headerProblem } from "../../src/engine/llama/gguf-sanity.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { fileFolder } from "../support/temporary-folder.ts";

const demoPath = path.join(repositoryRoot, "models/demo/demo-phi4_fast.gguf");
const demo = readFileSync(demoPath);
const folder = fileFolder();
let files = 0;

function changed(change: (bytes: Buffer) => Buffer | void): string {
  const copy = Buffer.from(demo);
  const bytes = change(copy) ?? copy;
  const target = path.join(folder(), `${(files += 1)}.gguf`);
  writeFileSync(target, bytes);
  return target;
}

/** The first byte of a key's value; its type stands four bytes before. */
const valueOf = (key: string) => demo.indexOf(key) + key.length + 4;

describe("walkGguf", () => {
  it("reads what a header says, arrays as their length", async () => {
    const header = await walkGguf(demoPath);
    expect(header.sizeBytes).toBe(demo.length);
    expect(header.metadata.get("general.architecture")).toBe("qwen2");
    expect(header.metadata.get("qwen2.embedding_length")).toBe(256);
    expect(header.metadata.get("tokenizer.ggml.tokens")).toEqual({ length: 1517 });
    expect(header.tensors[0]).toEqual({ name: "token_embd.weight", dimensions: [256, 1517], type: 8, offset: 0 });
    expect(header.dataOffset % 32).toBe(0);
  });

  it.each([
    [
      "an array of 2^40 elements",
      (bytes: Buffer) => void bytes.writeBigUInt64LE(2n ** 40n, valueOf("tokenizer.ggml.token_type") + 4),
      /announces 1099511627776 elements in tokenizer\.ggml\.token_type/,
    ],
    [
      "a list of 2^50 strings",
      (bytes: Buffer) => void bytes.writeBigUInt64LE(2n ** 50n, valueOf("tokenizer.ggml.tokens") + 4),
      /announces \d+ elements in tokenizer\.ggml\.tokens/,
    ],
    [
      "a string beyond the end",
      (bytes: Buffer) => void bytes.writeBigUInt64LE(2n ** 33n, valueOf("general.name")),
      /announces 8589934592 bytes in general\.name/,
    ],
    ["2^62 tensors", (bytes: Buffer) => void bytes.writeBigUInt64LE(2n ** 62n, 8), /announces \d+ tensors/],
    ["2^62 keys", (bytes: Buffer) => void bytes.writeBigUInt64LE(2n ** 62n, 16), /announces \d+ keys/],
    [
      "an unknown value type",
      (bytes: Buffer) => void bytes.writeUInt32LE(77, valueOf("general.name") - 4),
      /general\.name the unknown type 77/,
    ],
    ["another version", (bytes: Buffer) => void bytes.writeUInt32LE(9, 4), /version 9; 2 and 3/],
    ["another magic", (bytes: Buffer) => void bytes.write("GGML"), /starts with "GGML/],
  ])("refuses %s in one line", async (_, change, reason) => {
    const target = changed(change);
    await expect(walkGguf(target)).rejects.toThrow(reason);
    await expect(walkGguf(target)).rejects.toThrow(target);
  });

  it("refuses a header that is cut anywhere", async () => {
    const { dataOffset } = await walkGguf(demoPath);
    for (let length = 0; length < dataOffset - 32; length += 997) {
      await expect(walkGguf(changed((bytes) => bytes.subarray(0, length))), `${length} bytes`).rejects.toThrow(
        /holds only|announces|cut short/,
      );
    }
  });

  it("refuses a folder and a file that is not there", async () => {
    await expect(walkGguf(folder())).rejects.toThrow(/is not a file/);
    await expect(walkGguf(path.join(folder(), "nobody.gguf"))).rejects.toThrow(/cannot be read/);
  });
});

describe("headerProblem", () => {
  async function problemWith(key: string, value: number | string | undefined): Promise<string | null> {
    const values = new Map((await walkGguf(demoPath)).metadata);
    if (value === undefined) values.delete(key);
    else values.set(key, value);
    return headerProblem(values);
  }

  it("finds nothing wrong with the models that come with the project", async () => {
    for (const file of [
      "models/demo/demo-qwen_coder.gguf",
      "models/router/router-embedder.gguf",
      "test/data/stories260K.gguf",
    ]) {
      expect(headerProblem((await walkGguf(path.join(repositoryRoot, file))).metadata)).toBeNull();
    }
  });

  it.each([
    ["general.architecture", undefined, /no model architecture/],
    ["qwen2.embedding_length", 0, /gives 0 for qwen2\.embedding_length/],
    ["qwen2.block_count", 2 ** 31 - 1, /gives 2147483647 for qwen2\.block_count/],
    ["qwen2.feed_forward_length", 0, /feed_forward_length/],
    ["qwen2.attention.head_count", 3, /3 heads, which do not divide the embedding's 256/],
    ["qwen2.attention.head_count_kv", 3, /3 key heads/],
    ["qwen2.attention.layer_norm_rms_epsilon", Number.NaN, /NaN/],
    ["qwen2.attention.layer_norm_rms_epsilon", -1, /gives -1/],
    ["tokenizer.ggml.bos_token_id", 2 ** 31 - 1, /its vocabulary has 1517 tokens/],
    ["tokenizer.chat_template", "(".repeat(200_000), /nested deeper than 500/],
    ["tokenizer.chat_template", "x".repeat(2 ** 21), /2097152 characters/],
  ])("refuses %s = %.20s", async (key, value, reason) => {
    expect(await problemWith(key, value)).toMatch(reason);
  });
});
