// A file is whole where the last of its tensors ends within it, whatever type that tensor has.
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { checkGgufIsWhole } from "../../src/core/gguf-extent.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { fileFolder } from "../support/temporary-folder.ts";

const folder = fileFolder();
const dataOffset = 64;

/** One tensor, `t`, of 512 elements, and so many bytes for it. */
function oneTensor(type: number, dataBytes: number): string {
  const bytes = Buffer.alloc(dataOffset + dataBytes);
  bytes.write("GGUF");
  bytes.writeUInt32LE(3, 4);
  bytes.writeBigUInt64LE(1n, 8);
  bytes.writeBigUInt64LE(1n, 24);
  bytes.write("t", 32);
  bytes.writeUInt32LE(1, 33);
  bytes.writeBigUInt64LE(512n, 37);
  bytes.writeUInt32LE(type, 45);
  const target = path.join(folder(), `${type}-${dataBytes}.gguf`);
  writeFileSync(target, bytes);
  return target;
}

describe("checkGgufIsWhole", () => {
  it.each([
    ["models/demo/demo-phi4_fast.gguf"],
    ["models/router/router-embedder.gguf"],
    ["test/data/stories260K.gguf"],
  ])("accepts %s, and not without its last bytes", async (name) => {
    const file = path.join(folder(), path.basename(name));
    copyFileSync(path.join(repositoryRoot, name), file);
    await expect(checkGgufIsWhole(file)).resolves.toBeUndefined();
    // The end may be padding, which is less than a block of 32 bytes.
    truncateSync(file, readFileSync(file).length - 32);
    await expect(checkGgufIsWhole(file)).rejects.toThrow(
      /^\S+ is truncated: tensor \S+ ends at byte \d+, but the file holds \d+ bytes$/,
    );
  });

  // Bytes for 512 elements, from the published bits per weight: bytes * 8 / 512.
  it.each([
    ["Q4_0", 2, 4.5],
    ["Q8_0", 8, 8.5],
    ["Q4_K", 12, 4.5],
    ["Q6_K", 14, 6.5625],
    ["IQ2_XXS", 16, 2.0625],
    ["IQ2_XS", 17, 2.3125],
    ["IQ3_XXS", 18, 3.0625],
    ["IQ1_S", 19, 1.5625],
    ["IQ3_S", 21, 3.4375],
    ["IQ2_S", 22, 2.5625],
    ["IQ4_XS", 23, 4.25],
    ["IQ1_M", 29, 1.75],
    ["TQ1_0", 34, 1.6875],
    ["TQ2_0", 35, 2.0625],
    ["MXFP4", 39, 4.25],
  ])("knows how long a tensor of %s is", async (_, type, bitsPerWeight) => {
    const bytes = (512 * bitsPerWeight) / 8;
    await expect(checkGgufIsWhole(oneTensor(type, bytes))).resolves.toBeUndefined();
    await expect(checkGgufIsWhole(oneTensor(type, bytes - 1))).rejects.toThrow(/tensor t ends at byte/);
  });

  it("accepts a type that it does not know, if its tensor begins within the file", async () => {
    await expect(checkGgufIsWhole(oneTensor(200, 1))).resolves.toBeUndefined();
  });
});
