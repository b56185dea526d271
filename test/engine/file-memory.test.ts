// What is learnt of files lasts across restarts, holds for the same bytes alone, and no disk can hurt.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Logger } from "../../src/core/log.ts";
import { type FileIdentity, FileMemory } from "../../src/engine/file-memory.ts";
import { stateFolderOf } from "../../src/engine/state-folder.ts";
import { testFolder } from "../support/temporary-folder.ts";

const identity: FileIdentity = { path: "/models/a.gguf", sizeBytes: 1000, modifiedMs: 1_700_000_000_123.456 };
const other: FileIdentity = { ...identity, path: "/models/b.gguf" };
const bad = { ok: false, reason: "/models/a.gguf is broken" } as const;

function recorder(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const note = (_: unknown, message: string) => void lines.push(message);
  return { log: { debug: note, info: note, warn: note, error: note }, lines };
}

async function open(folder: string | null): Promise<{ memory: FileMemory; lines: string[] }> {
  const { log, lines } = recorder();
  return { memory: await FileMemory.open(folder, log), lines };
}

const fileIn = (folder: string) => path.join(folder, "model-files.json");

describe("FileMemory", () => {
  it("keeps verdicts and needs across a restart, in one file", async () => {
    const folder = path.join(testFolder(), "new", "state");
    const first = await open(folder);
    first.memory.rememberVerdict(identity, "engine 1", bad);
    first.memory.rememberVerdict(other, "engine 1", { ok: true });
    first.memory.rememberNeedBytes(identity, "4096x1", 123);
    expect(first.memory.verdict(identity, "engine 1")).toEqual(bad);
    await first.memory.saved();
    expect(readdirSync(folder)).toEqual(["model-files.json"]);
    const { memory, lines } = await open(folder);
    expect(memory.verdict(identity, "engine 1")).toEqual(bad);
    expect(memory.verdict(other, "engine 1")).toEqual({ ok: true });
    expect(memory.needBytes(identity, "4096x1")).toBe(123);
    expect(memory.needBytes(identity, "8192x1")).toBeNull();
    expect(lines).toEqual([]);
  });

  it("keeps how many threads are best, for each machine, also in a file that knew nothing of threads", async () => {
    const folder = testFolder();
    const { path: file, sizeBytes, modifiedMs } = identity;
    const old = { sizeBytes, modifiedMs, verdicts: {}, needBytes: { k: 5 } };
    writeFileSync(fileIn(folder), JSON.stringify({ version: 1, files: { [file]: old } }));
    const first = await open(folder);
    expect(first.memory.threads(identity, "2 cores")).toBeNull();
    first.memory.rememberThreads(identity, "2 cores", { decode: 1, prefill: 2 });
    first.memory.rememberThreads(identity, "8 cores", { decode: 6, prefill: 8 });
    first.memory.rememberThreads(identity, "2 cores", { decode: 2, prefill: 2 });
    await first.memory.saved();
    const { memory, lines } = await open(folder);
    expect(memory.threads(identity, "2 cores")).toEqual({ decode: 2, prefill: 2 });
    expect(memory.threads(identity, "8 cores")).toEqual({ decode: 6, prefill: 8 });
    expect(memory.threads(identity, "4 cores")).toBeNull();
    expect(memory.threads({ ...identity, modifiedMs: 1 }, "2 cores")).toBeNull();
    expect(memory.needBytes(identity, "k")).toBe(5);
    expect(lines).toEqual([]);
  });

  it("holds for the same path, size, time and judge alone", async () => {
    const { memory } = await open(testFolder());
    memory.rememberVerdict(identity, "engine 1", { ok: true });
    memory.rememberNeedBytes(identity, "k", 5);
    expect(memory.verdict(identity, "engine 2")).toBeNull();
    for (const change of [
      { path: "/models/c.gguf" },
      { sizeBytes: 1001 },
      { modifiedMs: identity.modifiedMs + 0.001 },
    ]) {
      const changed = { ...identity, ...change };
      expect(memory.verdict(changed, "engine 1")).toBeNull();
      expect(memory.needBytes(changed, "k")).toBeNull();
    }
    const newer = { ...identity, modifiedMs: identity.modifiedMs + 1 };
    memory.rememberNeedBytes(newer, "k", 6);
    expect(memory.verdict(identity, "engine 1"), "of the bytes that were there before").toBeNull();
    expect(memory.verdict(newer, "engine 1")).toBeNull();
  });

  it("forgets a verdict when told to, on disk too", async () => {
    const folder = testFolder();
    const { memory } = await open(folder);
    memory.rememberVerdict(identity, "engine 1", bad);
    await memory.saved();
    memory.rememberVerdict(identity, "engine 1", null);
    await memory.saved();
    expect(memory.verdict(identity, "engine 1")).toBeNull();
    expect((await open(folder)).memory.verdict(identity, "engine 1")).toBeNull();
  });

  it("adds to what another process wrote meanwhile, and learns it", async () => {
    const folder = testFolder();
    const [one, two] = [await open(folder), await open(folder)];
    one.memory.rememberVerdict(identity, "engine 1", bad);
    await one.memory.saved();
    two.memory.rememberNeedBytes(identity, "k", 7);
    two.memory.rememberNeedBytes(other, "k", 8);
    await two.memory.saved();
    expect(two.memory.verdict(identity, "engine 1")).toEqual(bad);
    const { memory } = await open(folder);
    expect(memory.verdict(identity, "engine 1")).toEqual(bad);
    expect([memory.needBytes(identity, "k"), memory.needBytes(other, "k")]).toEqual([7, 8]);
  });

  it.each([
    ["no JSON", "{oops"],
    ["nothing", ""],
    ["another program's JSON", '{"version":1,"files":[]}'],
    ["a newer version", '{"version":2,"files":{}}'],
    ["an entry of the wrong shape", '{"version":1,"files":{"/a":{"sizeBytes":"1"}}}'],
    [
      "no number of threads",
      '{"version":1,"files":{"/a":{"sizeBytes":1,"modifiedMs":1,"verdicts":{},"needBytes":{},"threads":{"m":{"decode":0,"prefill":1}}}}}',
    ],
  ])("starts empty with one warning where the file holds %s, and replaces it", async (_, content) => {
    const folder = testFolder();
    writeFileSync(fileIn(folder), content);
    const { memory, lines } = await open(folder);
    expect(lines).toEqual([expect.stringContaining(`${fileIn(folder)} is not used and will be replaced`)]);
    memory.rememberNeedBytes(identity, "k", 1);
    await memory.saved();
    expect((await open(folder)).memory.needBytes(identity, "k")).toBe(1);
  });

  it("works in memory alone without a folder and with one that cannot be made, and says so once", async () => {
    const blocker = path.join(testFolder(), "file");
    writeFileSync(blocker, "");
    for (const folder of [null, path.join(blocker, "below")]) {
      const { memory, lines } = await open(folder);
      memory.rememberNeedBytes(identity, "k", 1);
      await memory.saved();
      expect(memory.needBytes(identity, "k")).toBe(1);
      expect(lines).toHaveLength(1);
    }
  });

  it("goes on when the disk refuses, says so once, and saves it all when the disk takes it again", async () => {
    const folder = testFolder();
    const { memory, lines } = await open(folder);
    // Renaming a file onto a folder fails whoever runs the test.
    mkdirSync(fileIn(folder));
    memory.rememberNeedBytes(identity, "k", 1);
    await memory.saved();
    memory.rememberNeedBytes(other, "k", 2);
    await memory.saved();
    expect([memory.needBytes(identity, "k"), memory.needBytes(other, "k")]).toEqual([1, 2]);
    expect(lines).toEqual([expect.stringContaining("cannot be kept")]);
    expect(readdirSync(folder), "no part files are left").toEqual(["model-files.json"]);
    const elsewhere = await open(testFolder());
    expect(elsewhere.lines).toEqual([]);
  });

  it("keeps 500 files, those learnt of last", async () => {
    const folder = testFolder();
    const { memory } = await open(folder);
    const fileAt = (index: number) => ({ ...identity, path: `/models/${index}.gguf` });
    for (let index = 0; index < 500; index++) memory.rememberNeedBytes(fileAt(index), "k", index);
    memory.rememberVerdict(fileAt(0), "engine 1", { ok: true });
    memory.rememberNeedBytes(fileAt(500), "k", 500);
    await memory.saved();
    for (const known of [memory, (await open(folder)).memory]) {
      expect(known.needBytes(fileAt(0), "k"), "learnt of again").toBe(0);
      expect(known.needBytes(fileAt(1), "k"), "the oldest").toBeNull();
      expect(known.needBytes(fileAt(500), "k")).toBe(500);
    }
    for (let key = 0; key < 100; key++) memory.rememberNeedBytes(identity, `key ${key}`, key);
    await memory.saved();
    const saved = JSON.parse(readFileSync(fileIn(folder), "utf8")) as { files: Record<string, { needBytes: object }> };
    expect(Object.keys(saved.files[identity.path]?.needBytes ?? {})).toHaveLength(32);
  });
});

describe("stateFolderOf", () => {
  it.each([
    [{ GGUF_EXPERTS_STATE_DIR: "/a", STATE_DIRECTORY: "/b", HOME: "/h" }, "/a"],
    [{ STATE_DIRECTORY: "/b:/c", XDG_STATE_HOME: "/x", HOME: "/h" }, "/b"],
    [{ XDG_STATE_HOME: "/x", HOME: "/h" }, "/x/gguf-experts"],
    [{ XDG_STATE_HOME: "relative", HOME: "/h" }, "/h/.local/state/gguf-experts"],
    [{ GGUF_EXPERTS_STATE_DIR: "", HOME: "/h" }, "/h/.local/state/gguf-experts"],
    [{ HOME: "" }, null],
    [{}, null],
  ])("of %o is %s", (env, folder) => {
    expect(stateFolderOf(env)).toBe(folder);
  });
});
