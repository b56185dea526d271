// States in files: spilled, found again after a restart, bounded, and shared by two processes.
import {
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { chunkBytes } from "../../../src/engine/prompt-cache/state-file.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { conversation, entryFor, keep, loaded, openCache, stateFilesIn, stateOf, until } from "./cache-under-test.ts";

/** Below a test's folder; not there yet. */
const newFolder = () => path.join(testFolder(), "prompt-cache");

function giveAway(folder: string): void {
  if (process.getuid?.() === 0) {
    mkdirSync(folder, { mode: 0o755 });
    chownSync(folder, 65_534, 65_534);
  } else symlinkSync("/usr", folder);
}

describe("spilling", () => {
  it("writes what was used longest ago once half of the memory is in no file, and loses nothing", async () => {
    const folder = newFolder();
    const { cache, memory } = await openCache({ folder, ramBytes: 10_000 });
    for (const id of [1, 2, 3, 4, 5, 6]) {
      keep(cache, "m", conversation(id, 2), 3000);
      expect(cache.status().ramBytes).toBeLessThanOrEqual(10_000);
      await until(() => stateFilesIn(folder).length >= id - 1);
      await until(() => cache.status().spills >= id - 1);
    }
    expect(memory.mostBytes).toBe(9000);
    expect(stateFilesIn(folder)).toHaveLength(5);
    for (const id of [1, 2, 3, 4, 5, 6]) {
      expect(await loaded(cache, "m", conversation(id, 2))).toEqual(stateOf(conversation(id, 2), 3000));
    }
    expect(memory.mostBytes).toBe(9000);
    expect(cache.status()).toMatchObject({ hits: 6, misses: 0, spills: 5, entries: 6 });
    await cache.close(1e6);
  });

  it("drops what is in no file when states come faster than they can be written", async () => {
    const { cache, memory } = await openCache({ folder: newFolder(), ramBytes: 10_000 });
    for (const id of [1, 2, 3, 4, 5, 6]) keep(cache, "m", conversation(id, 2), 3000);
    expect(memory.mostBytes).toBe(9000);
    expect([1, 2, 3, 4, 5, 6].filter((id) => cache.find("m", conversation(id, 2)))).toEqual([4, 5, 6]);
    await cache.close(1e6);
    expect(memory.buffers).toBe(0);
  });

  it("keeps files and their folder from other users", async () => {
    const folder = newFolder();
    const { cache } = await openCache({ folder });
    keep(cache, "m", conversation(1, 2), 100);
    await cache.close(1e6);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const [file] = stateFilesIn(folder);
    expect(statSync(path.join(folder, file ?? "")).mode & 0o777).toBe(0o600);
  });

  it("writes and reads states of several chunks", async () => {
    const folder = newFolder();
    const limits = { ramBytes: 10 * chunkBytes, diskBytes: 10 * chunkBytes };
    const sizeBytes = 2 * chunkBytes + 17;
    const { cache } = await openCache({ folder, ...limits });
    keep(cache, "m", conversation(1, 9), sizeBytes);
    await cache.close(1e6);
    const again = await openCache({ folder, ...limits });
    const bytes = await loaded(again.cache, "m", conversation(1, 9));
    expect(Buffer.compare(bytes ?? Buffer.alloc(0), stateOf(conversation(1, 9), sizeBytes))).toBe(0);
    await again.cache.close(1e6);
  });

  it("gives up a file whose state is dropped while it is written", async () => {
    const folder = newFolder();
    const limits = { ramBytes: 8 * chunkBytes, diskBytes: 8 * chunkBytes };
    const { cache, memory } = await openCache({ folder, ...limits });
    keep(cache, "m", conversation(1, 2), 3 * chunkBytes);
    keep(cache, "n", conversation(2, 2), 3 * chunkBytes);
    const isWriting = () => readdirSync(folder).some((name) => name.endsWith(".part"));
    await until(isWriting);
    cache.forgetModel("m");
    expect(memory.bytes).toBe(3 * chunkBytes);
    await cache.close(1e6);
    expect(readdirSync(folder)).toHaveLength(1);
    const again = await openCache({ folder, ...limits });
    expect(again.cache.find("m", conversation(1, 2))).toBeNull();
    expect(again.cache.find("n", conversation(2, 2))?.prefixTokens).toBe(2);
    await again.cache.close(1e6);
  });

  it("shares one reading of a file among all who want it", async () => {
    const folder = newFolder();
    const first = await openCache({ folder });
    keep(first.cache, "m", conversation(1, 2), 5000);
    await first.cache.close(1e6);
    const { cache, memory } = await openCache({ folder });
    const entry = entryFor(cache, "m", conversation(1, 2));
    const leases = await Promise.all([cache.load(entry), cache.load(entry), cache.load(entry)]);
    expect(memory.mostBytes).toBe(5000);
    for (const lease of leases) expect(lease?.bytes).toEqual(stateOf(conversation(1, 2), 5000));
    for (const lease of leases) lease?.release();
    // It stays in memory, ready to go.
    expect(memory.bytes).toBe(5000);
    await cache.close(1e6);
    expect(memory.buffers).toBe(0);
  });

  it("hands out a state whose entry is dropped while it is read, and loads none without memory", async () => {
    const folder = newFolder();
    const first = await openCache({ folder });
    keep(first.cache, "m", conversation(1, 2), 5000);
    await first.cache.close(1e6);
    const { cache, memory } = await openCache({ folder, ramBytes: 10_000 });
    const room = cache.reserve("m", conversation(2, 2), 8000, 1);
    const entry = entryFor(cache, "m", conversation(1, 2));
    expect(await cache.load(entry)).toBeNull();
    room?.discard();
    const loading = cache.load(entry);
    const alsoLoading = cache.load(entry);
    cache.forgetModel("m");
    // Whether the file was already open when it was removed is up to the system.
    const leases = [await loading, await alsoLoading].filter((lease) => lease !== null);
    for (const lease of leases) {
      expect(lease.bytes).toEqual(stateOf(conversation(1, 2), 5000));
      lease.release();
    }
    expect(memory.buffers).toBe(0);
    await cache.close(1e6);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("the disk's limit", () => {
  it("holds, those used longest ago leaving first, also while a file is written", async () => {
    const folder = newFolder();
    const { cache } = await openCache({ folder, ramBytes: 10_000, diskBytes: 7000 });
    for (const id of [1, 2, 3, 4, 5]) {
      keep(cache, "m", conversation(id, 2), 3000);
      await until(() => {
        expect(cache.status().diskBytes).toBeLessThanOrEqual(7000);
        return cache.status().spills >= id - 1;
      });
    }
    expect(stateFilesIn(folder)).toHaveLength(2);
    await cache.close(1e6);
    expect(stateFilesIn(folder)).toHaveLength(2);
    const again = await openCache({ folder });
    expect([1, 2, 3, 4, 5].filter((id) => again.cache.find("m", conversation(id, 2)))).toEqual([4, 5]);
    await again.cache.close(1e6);
  });

  it("comes to rest where the disk is smaller than what memory holds", async () => {
    const folder = newFolder();
    const { cache } = await openCache({ folder, ramBytes: 20_000, diskBytes: 4000 });
    for (const id of [1, 2, 3, 4, 5, 6]) keep(cache, "m", conversation(id, 2), 3000);
    await cache.close(1e6);
    expect(cache.status().spills).toBeLessThanOrEqual(6);
    const again = await openCache({ folder });
    expect([1, 2, 3, 4, 5, 6].filter((id) => again.cache.find("m", conversation(id, 2)))).toEqual([6]);
    await again.cache.close(1e6);
  });

  it("can be lowered and raised", async () => {
    const folder = newFolder();
    const limits = { ramBytes: 10_000, diskBytes: 20_000, maxAgeMs: 1e9 };
    const first = await openCache({ folder });
    for (const id of [1, 2, 3]) {
      keep(first.cache, "m", conversation(id, 2), 3000);
      first.clock.advance(10);
    }
    await first.cache.close(1e6);
    const { cache } = await openCache({ folder, ...limits, clock: first.clock });
    expect(cache.status().entries).toBe(3);
    cache.setLimits({ ...limits, diskBytes: 4000 });
    await until(() => stateFilesIn(folder).length === 1);
    expect(cache.find("m", conversation(3, 2))).not.toBeNull();
    cache.setLimits({ ...limits, ramBytes: 2900 });
    expect(cache.find("m", conversation(3, 2))).toBeNull();
    cache.setLimits(limits);
    keep(cache, "m", conversation(5, 2), 6000);
    await until(() => cache.status().spills === 1);
    cache.setLimits({ ...limits, diskBytes: 0 });
    await until(() => stateFilesIn(folder).length === 0);
    expect(cache.status()).toMatchObject({ diskBytes: 0, entries: 1 });
    cache.forgetModel("m");
    cache.setLimits(limits);
    keep(cache, "m", conversation(4, 2), 3000);
    await cache.close(1e6);
    expect(stateFilesIn(folder)).toHaveLength(1);
  });

  it("at 0 leaves no files and makes no folder", async () => {
    const folder = newFolder();
    await openCache({ folder, ramBytes: 0 });
    const first = await openCache({ folder, diskBytes: 0 });
    keep(first.cache, "m", conversation(1, 2), 100);
    await first.cache.close(1e6);
    expect(readdirSync(path.dirname(folder))).toEqual([]);
    const second = await openCache({ folder });
    keep(second.cache, "m", conversation(1, 2), 100);
    await second.cache.close(1e6);
    expect(stateFilesIn(folder)).toHaveLength(1);
    // Without memory there is no cache, so that its files are of no use.
    const third = await openCache({ folder, ramBytes: 0 });
    expect(readdirSync(folder)).toEqual([]);
    expect(third.warnings).toEqual([]);
  });
});

describe("after a restart", () => {
  it("finds what was there, in the order of its use", async () => {
    const folder = newFolder();
    const clock = new ManualClock();
    const first = await openCache({ folder, clock });
    for (const id of [1, 2, 3]) {
      keep(first.cache, "m", conversation(id, 4), 3000, 2);
      clock.advance(1000);
    }
    await loaded(first.cache, "m", conversation(1, 4));
    await first.cache.close(1e6);
    const { cache, warnings } = await openCache({ folder, clock });
    expect(cache.status()).toMatchObject({ entries: 3, ramBytes: 3 * 16, damaged: 0 });
    expect(cache.find("m", [...conversation(2, 1), 7])).toBeNull();
    expect(cache.find("m", [...conversation(2, 2), 7])?.prefixTokens).toBe(2);
    cache.setLimits({ ramBytes: 10_000, diskBytes: 4000, maxAgeMs: 1e9 });
    expect(await loaded(cache, "m", conversation(1, 4))).toEqual(stateOf(conversation(1, 4), 3000));
    expect(cache.find("m", conversation(3, 4))).toBeNull();
    expect(warnings).toEqual([]);
    await cache.close(1e6);
  });

  it("counts loading from a file as use", async () => {
    const folder = newFolder();
    const clock = new ManualClock();
    const first = await openCache({ folder, clock });
    for (const id of [1, 2]) {
      keep(first.cache, "m", conversation(id, 2), 100);
      clock.advance(1000);
    }
    await first.cache.close(1e6);
    const second = await openCache({ folder, clock });
    await loaded(second.cache, "m", conversation(1, 2));
    await second.cache.close(1e6);
    clock.advance(500);
    const { cache } = await openCache({ folder, clock, maxAgeMs: 800 });
    expect(cache.find("m", conversation(1, 2))).not.toBeNull();
    expect(cache.find("m", conversation(2, 2))).toBeNull();
    expect(stateFilesIn(folder)).toHaveLength(1);
    await cache.close(1e6);
  });

  it("removes what is over the limits, the newest staying, before it reads it", async () => {
    const folder = newFolder();
    const clock = new ManualClock();
    const first = await openCache({ folder, clock });
    for (const id of [1, 2, 3]) {
      keep(first.cache, "m", conversation(id, 2), id * 1000);
      clock.advance(1000);
    }
    await first.cache.close(1e6);
    const byDisk = await openCache({ folder, clock, diskBytes: 5500 });
    expect([1, 2, 3].filter((id) => byDisk.cache.find("m", conversation(id, 2)))).toEqual([2, 3]);
    const byMemory = await openCache({ folder, clock, ramBytes: 2500 });
    expect([1, 2, 3].filter((id) => byMemory.cache.find("m", conversation(id, 2)))).toEqual([2]);
    expect(stateFilesIn(folder)).toHaveLength(1);
  });

  it("takes a bounded number of files", async () => {
    const folder = newFolder();
    const first = await openCache({ folder });
    keep(first.cache, "m", conversation(1, 1), 1);
    await first.cache.close(1e6);
    const [name = ""] = stateFilesIn(folder);
    for (let index = 0; index < 1030; index += 1) {
      copyFileSync(path.join(folder, name), path.join(folder, `${String(index).padStart(32, "0")}.state`));
    }
    const { cache } = await openCache({ folder });
    expect(cache.status().entries).toBe(1024);
    expect(stateFilesIn(folder)).toHaveLength(1024);
  });

  it("trusts no time from the future", async () => {
    const folder = newFolder();
    const first = await openCache({ folder });
    keep(first.cache, "m", conversation(1, 2), 100);
    await first.cache.close(1e6);
    const [name] = stateFilesIn(folder);
    utimesSync(path.join(folder, name ?? ""), 4e9, 4e9);
    const { cache, clock } = await openCache({ folder, maxAgeMs: 1000 });
    clock.advance(1001);
    expect(cache.find("m", conversation(1, 2))).toBeNull();
  });

  it("removes what an ended process left half-written, and nobody else's files", async () => {
    const folder = newFolder();
    mkdirSync(folder, { mode: 0o700 });
    const id = "0123456789abcdef0123456789abcdef";
    const now = new ManualClock().epochMs() / 1000;
    // Process 1 always runs; 4194304 is above the highest number that Linux gives.
    const files = {
      [`${id}.4194304.part`]: "ended",
      [`${id}.${process.pid}.part`]: "an earlier process with this one's number",
      [`${id}.1.part`]: "another one writes it",
      [`${id.replaceAll("0", "f")}.1.part`]: "given up long ago",
      "notes.txt": "the operator's",
      [`${id}.state.bak`]: "the operator's too",
    };
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(path.join(folder, name), content);
      const pausedS = content === "given up long ago" ? 601 : 0;
      utimesSync(path.join(folder, name), now - pausedS, now - pausedS);
    }
    const { warnings } = await openCache({ folder });
    expect(readdirSync(folder).sort()).toEqual([`${id}.1.part`, `${id}.state.bak`, "notes.txt"]);
    expect(warnings).toEqual([]);
  });
});

describe("close", () => {
  it("writes those used last first, and gives up at the deadline", async () => {
    const folder = newFolder();
    const limits = { ramBytes: 8 * chunkBytes, diskBytes: 8 * chunkBytes };
    const { cache, clock, memory } = await openCache({ folder, ...limits });
    keep(cache, "m", conversation(1, 2), 2 * chunkBytes);
    keep(cache, "m", conversation(2, 2), 100);
    const closing = cache.close(500);
    expect(cache.find("m", conversation(1, 2))).toBeNull();
    await until(() => readdirSync(folder).some((name) => name.endsWith(".state")));
    await until(() => readdirSync(folder).some((name) => name.endsWith(".part")));
    clock.advance(500);
    await closing;
    expect(memory.buffers).toBe(0);
    await until(() => !readdirSync(folder).some((name) => name.endsWith(".part")));
    const again = await openCache({ folder, ...limits });
    expect(again.cache.find("m", conversation(2, 2))).not.toBeNull();
    await again.cache.close(1e6);
  });

  it("takes no longer than the deadline although the disk does not answer", async () => {
    const { cache, clock, memory } = await openCache({ folder: newFolder() });
    keep(cache, "m", conversation(1, 2), 100);
    const closing = cache.close(0);
    clock.advance(0);
    await closing;
    expect(memory.buffers).toBe(0);
  });
});

describe("a folder that cannot be used", () => {
  it.each<[name: string, prepare: (folder: string) => void, reason: RegExp]>([
    ["a file in its place", (folder) => writeFileSync(folder, ""), /EEXIST|ENOTDIR/],
    ["one where others may write", (folder) => mkdirSync(folder), /other users may write into the folder/],
    // Who is not root cannot give a folder away, and gets one of root's.
    ["another user's", (folder) => giveAway(folder), /the folder belongs to another user/],
  ])("%s: one warning, and memory works", async (_, prepare, reason) => {
    const folder = newFolder();
    const before = process.umask(0);
    prepare(folder);
    process.umask(before);
    const { cache, warnings } = await openCache({ folder, ramBytes: 10_000 });
    for (const id of [1, 2, 3, 4]) keep(cache, "m", conversation(id, 2), 3000);
    expect(await loaded(cache, "m", conversation(4, 2))).toEqual(stateOf(conversation(4, 2), 3000));
    await cache.close(1e6);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(reason);
    expect(warnings[0]).toMatch(/^[^\n]*: no conversation is written there until the next start: [^\n]*$/);
  });

  it("writes no more once it is gone, and says so once; what is in memory stays", async () => {
    const folder = newFolder();
    const { cache, warnings, memory } = await openCache({ folder, ramBytes: 10_000 });
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "");
    for (const id of [1, 2, 3, 4, 5]) {
      keep(cache, "m", conversation(id, 2), 3000);
      if (id > 1) await until(() => warnings.length > 0);
    }
    expect([1, 2, 3, 4, 5].filter((id) => cache.find("m", conversation(id, 2)))).toEqual([3, 4, 5]);
    await cache.close(1e6);
    expect(warnings).toHaveLength(1);
    expect(cache.status()).toMatchObject({ spills: 0, diskBytes: 0 });
    expect(memory.buffers).toBe(0);
  });
});

describe("two processes with one folder", () => {
  it("each find the other's states at their start, and live with files that the other removed", async () => {
    const folder = newFolder();
    const clock = new ManualClock();
    const old = await openCache({ folder, clock });
    keep(old.cache, "m", conversation(1, 2), 3000);
    await old.cache.close(1e6);
    clock.advance(10);
    const [one, other] = await Promise.all([openCache({ folder, clock }), openCache({ folder, clock })]);
    keep(one.cache, "m", conversation(2, 2), 3000);
    keep(other.cache, "m", conversation(3, 2), 3000);
    await Promise.all([one.cache.close(1e6), other.cache.close(1e6)]);
    expect(stateFilesIn(folder)).toHaveLength(3);

    const reader = await openCache({ folder, clock });
    const entry = entryFor(reader.cache, "m", conversation(1, 2));
    const trimmer = await openCache({ folder, clock, diskBytes: 7000 });
    expect(stateFilesIn(folder)).toHaveLength(2);
    expect(await reader.cache.load(entry)).toBeNull();
    expect(reader.cache.find("m", conversation(1, 2))).toBeNull();
    expect(reader.warnings).toEqual([]);
    expect(reader.cache.status()).toMatchObject({ damaged: 0, entries: 2, ramBytes: 16 });
    for (const id of [2, 3]) {
      expect(await loaded(reader.cache, "m", conversation(id, 2))).toEqual(stateOf(conversation(id, 2), 3000));
      expect(await loaded(trimmer.cache, "m", conversation(id, 2))).toEqual(stateOf(conversation(id, 2), 3000));
    }
    await Promise.all([reader.cache.close(1e6), trimmer.cache.close(1e6)]);
  });

  it("notices a file that was put in the place of another", async () => {
    const folder = newFolder();
    const first = await openCache({ folder });
    keep(first.cache, "m", conversation(1, 2), 3000);
    await first.cache.close(1e6);
    const [name] = stateFilesIn(folder);
    const otherFolder = newFolder();
    const second = await openCache({ folder: otherFolder });
    keep(second.cache, "m", conversation(2, 2), 3000);
    await second.cache.close(1e6);
    const { cache, warnings } = await openCache({ folder });
    const [otherName] = stateFilesIn(otherFolder);
    renameSync(path.join(otherFolder, otherName ?? ""), path.join(folder, name ?? ""));
    expect(await loaded(cache, "m", conversation(1, 2))).toBeNull();
    expect(warnings).toEqual([
      `${folder}: a conversation is read anew (${name}: it holds another state than at the start)`,
    ]);
    expect(cache.status()).toMatchObject({ damaged: 1, entries: 0 });
    await cache.close(1e6);
    expect(stateFilesIn(folder)).toEqual([]);
  });
});
