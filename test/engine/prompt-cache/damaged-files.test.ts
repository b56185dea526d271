// Files that are not what the cache wrote: never loaded, never believed, removed, and told once.
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import { beforeEach, describe, expect, it } from "vitest";
import { readDescription } from "../../../src/engine/prompt-cache/state-file.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { conversation, entryFor, keep, loaded, openCache, stateFilesIn, stateOf } from "./cache-under-test.ts";

const tokens = conversation(1, 5);
const stateBytes = 300;
const key = "m|ctx=64";
const headBytes = 44 + key.length + 4 * tokens.length;

let folder: string;
let file: string;
let good: Buffer;

beforeEach(async () => {
  folder = path.join(testFolder(), "prompt-cache");
  const { cache } = await openCache({ folder });
  keep(cache, key, tokens, stateBytes, 2);
  await cache.close(1e6);
  file = path.join(folder, stateFilesIn(folder)[0] ?? "");
  good = readFileSync(file);
});

/** A header with other numbers and the right checksum, as somebody would write it who wants it believed. */
function forge(change: (header: Buffer) => void): Buffer {
  const forged = Buffer.from(good);
  change(forged);
  forged.writeUInt32LE(crc32(forged.subarray(44, 44 + key.length), crc32(forged.subarray(0, 40))), 40);
  return forged;
}

describe("at the start", () => {
  it.each<[name: string, content: () => Buffer, reason: RegExp]>([
    ["nothing in it", () => Buffer.alloc(0), /ends too early/],
    ["less than a header", () => good.subarray(0, 43), /ends too early/],
    ["a header alone", () => good.subarray(0, 44), /its size is not what its header says/],
    ["one byte less", () => good.subarray(0, -1), /its size is not what its header says/],
    ["one byte more", () => Buffer.concat([good, Buffer.of(0)]), /its size is not what its header says/],
    ["another format", () => Buffer.concat([Buffer.from("PNG!"), good.subarray(4)]), /does not begin like a state/],
    ["zeros, as after a power cut", () => Buffer.alloc(good.length), /does not begin like a state/],
    ["a newer version", () => forge((header) => header.writeUInt32LE(2, 8)), /it has format 2; allowed: 1/],
    ["tokens without end", () => forge((header) => header.writeUInt32LE(0xffffffff, 16)), /its size is not/],
    ["a state without end", () => forge((header) => header.writeBigUInt64LE(2n ** 64n - 1n, 24)), /its size is not/],
    ["a key without end", () => forge((header) => header.writeUInt32LE(0xffffffff, 12)), /its size is not/],
    [
      "more tokens than memory has place for",
      () => {
        const large = forge((header) => {
          header.writeUInt32LE(1_000_000, 16);
          header.writeBigUInt64LE(1n, 24);
        });
        return Buffer.concat([large.subarray(0, 44 + key.length), Buffer.alloc(4_000_001)]);
      },
      /1000000 tokens are more than allowed/,
    ],
    [
      "tokens that are taken for the state",
      () =>
        forge((header) => {
          header.writeUInt32LE(tokens.length + 1, 16);
          header.writeBigUInt64LE(BigInt(stateBytes - 4), 24);
        }),
      /its tokens' checksum is wrong/,
    ],
    [
      "no state",
      () => {
        const empty = forge((header) => header.writeBigUInt64LE(0n, 24));
        return empty.subarray(0, headBytes);
      },
      /numbers contradict each other/,
    ],
    ["a least prefix of 0", () => forge((header) => header.writeUInt32LE(0, 20)), /numbers contradict each other/],
    ["a least prefix of 6", () => forge((header) => header.writeUInt32LE(6, 20)), /numbers contradict each other/],
    [
      "a flipped bit in the model key",
      () => {
        const flipped = Buffer.from(good);
        flipped.writeUInt8(flipped.readUInt8(45) ^ 1, 45);
        return flipped;
      },
      /its header's checksum is wrong/,
    ],
  ])("removes a file with %s", async (_, content, reason) => {
    writeFileSync(file, content());
    // Large enough for the file alone, so that it is looked at.
    const { cache, warnings, memory } = await openCache({ folder, ramBytes: 5_000_000, diskBytes: 5_000_000 });
    expect(cache.status()).toMatchObject({ entries: 0, damaged: 1, diskBytes: 0, ramBytes: 0 });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(reason);
    expect(warnings[0]).toMatch(
      /^[^\n]*some conversations are read anew \([0-9a-f]{32}\.state: [^\n]*; 1 file removed\)$/,
    );
    expect(memory.mostBytes).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    // It keeps states there as before.
    keep(cache, key, tokens, stateBytes);
    await cache.close(1e6);
    expect(stateFilesIn(folder)).toHaveLength(1);
  });

  it("warns once of many, and finds the good ones", async () => {
    for (const letter of "abc") writeFileSync(path.join(folder, `${letter.repeat(32)}.state`), "x".repeat(100));
    const { cache, warnings } = await openCache({ folder });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("3 files removed");
    expect(cache.status()).toMatchObject({ entries: 1, damaged: 3 });
    expect(await loaded(cache, key, tokens)).toEqual(stateOf(tokens, stateBytes));
    await cache.close(1e6);
  });

  it("follows no links, opens no folders and waits for no pipes", async () => {
    const elsewhere = path.join(path.dirname(folder), "elsewhere");
    copyFileSync(file, elsewhere);
    rmSync(file);
    symlinkSync(elsewhere, file);
    mkdirSync(path.join(folder, `${"a".repeat(32)}.state`));
    expect(spawnSync("sh", ["-c", `mkfifo "$0"`, path.join(folder, `${"b".repeat(32)}.state`)]).status).toBe(0);
    const { cache, warnings } = await openCache({ folder });
    expect(cache.status().entries).toBe(0);
    expect(warnings).toHaveLength(1);
    expect(readFileSync(elsewhere)).toEqual(good);
  });
});

describe("any flipped bit and any cut", () => {
  it("is noticed before the bytes are handed out", async () => {
    for (let at = 0; at < good.length; at += 1) {
      const flipped = Buffer.from(good);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at);
      writeFileSync(file, flipped);
      const { cache, warnings } = await openCache({ folder });
      expect(await loaded(cache, key, tokens), `byte ${at}`).toBeNull();
      expect(warnings.length, `byte ${at}`).toBe(1);
      expect(cache.status().damaged).toBe(1);
      await cache.close(1e6);
      expect(readdirSync(folder)).toEqual([]);
    }
    for (let size = 0; size < good.length; size += 1) {
      writeFileSync(file, good.subarray(0, size));
      await expect(readDescription(file, 1e6)).rejects.toThrow(/too early|its size/);
    }
  });
});

describe("while the cache runs", () => {
  it("forgets an entry once, although its file turns out damaged after that", async () => {
    const { cache, memory } = await openCache({ folder });
    writeFileSync(file, Buffer.alloc(good.length, 7));
    const loading = cache.load(entryFor(cache, key, tokens));
    cache.forgetModel(key);
    expect(await loading).toBeNull();
    expect(cache.status()).toMatchObject({ entries: 0, ramBytes: 0, diskBytes: 0 });
    expect(memory.buffers).toBe(0);
  });

  it.each<[name: string, damage: () => void, reason: RegExp]>([
    ["cut", () => truncateSync(file, good.length - 1), /its size is not/],
    ["emptied", () => truncateSync(file, 0), /ends too early/],
    ["overwritten", () => writeFileSync(file, Buffer.alloc(good.length, 7)), /does not begin like a state/],
    [
      "damaged in its last byte",
      () =>
        writeFileSync(file, Buffer.concat([good.subarray(0, -1), Buffer.of(good.readUInt8(good.length - 1) ^ 0x80)])),
      /its checksum is wrong/,
    ],
    [
      "given another state of the same size",
      () =>
        writeFileSync(
          file,
          forge((header) => header.writeUInt32LE(3, 20)),
        ),
      /another state/,
    ],
  ])("a file that is %s is not loaded, and removed", async (_, damage, reason) => {
    const { cache, warnings, memory } = await openCache({ folder });
    damage();
    expect(await loaded(cache, key, tokens)).toBeNull();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(reason);
    expect(cache.find(key, tokens)).toBeNull();
    expect(cache.status()).toMatchObject({ damaged: 1, hits: 0, misses: 2, entries: 0, ramBytes: 0, diskBytes: 0 });
    expect(memory.buffers).toBe(0);
    await cache.close(1e6);
    expect(readdirSync(folder)).toEqual([]);
  });
});
