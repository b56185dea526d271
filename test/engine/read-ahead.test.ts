// Reading a model's file into the page cache: how much, what stops it, that it never fails.
import { truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readAhead } from "../../src/engine/read-ahead.ts";
import { testFolder } from "../support/temporary-folder.ts";

const mib = 2 ** 20;
const none = new AbortController().signal;

/** Holes only: takes no space on the disk. */
function fileOf(bytes: number, name = "model.gguf", folder = testFolder()): string {
  const file = path.join(folder, name);
  writeFileSync(file, "");
  truncateSync(file, bytes);
  return file;
}

function roomOf(availableBytes: number | null, reserveBytes = 0) {
  let looks = 0;
  return {
    availableBytes: () => {
      looks += 1;
      return availableBytes;
    },
    reserveBytes,
    looks: () => looks,
  };
}

describe("readAhead", () => {
  it("reads the whole file, and looks at the memory on the way", async () => {
    const room = roomOf(1000 * mib);
    expect(await readAhead(fileOf(130 * mib + 5), room, none)).toBe(130 * mib + 5);
    expect(room.looks()).toBe(3);
  });

  it("reads the other parts of a model that was cut", async () => {
    const folder = testFolder();
    const first = fileOf(5 * mib, "m-00001-of-00002.gguf", folder);
    fileOf(7 * mib, "m-00002-of-00002.gguf", folder);
    expect(await readAhead(first, roomOf(1000 * mib), none)).toBe(12 * mib);
  });

  it("reads no more than the machine has to spare beyond its reserve", async () => {
    expect(await readAhead(fileOf(200 * mib), roomOf(228 * mib, 100 * mib), none)).toBe(128 * mib);
    expect(await readAhead(fileOf(200 * mib), roomOf(150 * mib, 100 * mib), none)).toBe(0);
    expect(await readAhead(fileOf(200 * mib), roomOf(null), none)).toBe(0);
  });

  it("stops when the machine runs short on the way", async () => {
    let availableBytes = 1000 * mib;
    const room = {
      availableBytes: () => (availableBytes -= 400 * mib),
      reserveBytes: 0,
    };
    // 600 MiB are left at the first look, 200 at the second, less than nothing at the third.
    expect(await readAhead(fileOf(500 * mib), room, none)).toBe(128 * mib);
  });

  it("stops at the signal", async () => {
    const abort = new AbortController();
    let looks = 0;
    const room = {
      availableBytes: () => {
        looks += 1;
        if (looks === 2) abort.abort();
        return 1000 * mib;
      },
      reserveBytes: 0,
    };
    expect(await readAhead(fileOf(500 * mib), room, abort.signal)).toBe(64 * mib);
    expect(await readAhead(fileOf(8 * mib), roomOf(1000 * mib), abort.signal)).toBe(0);
  });

  it("leaves it to the load to say what is wrong with the file", async () => {
    const folder = testFolder();
    expect(await readAhead(path.join(folder, "none.gguf"), roomOf(1000 * mib), none)).toBe(0);
    expect(await readAhead(folder, roomOf(1000 * mib), none)).toBe(0);
    const first = fileOf(5 * mib, "m-00001-of-00002.gguf", folder);
    expect(await readAhead(first, roomOf(1000 * mib), none)).toBe(5 * mib);
  });
});
