// What the kernel's files say of a process's memory: recorded texts, and this process itself.
import { describe, expect, it } from "vitest";
import {
  anonymousBytesOf,
  descendantsOf,
  mapsModels,
  modelPageBytesOf,
  readProcessMemory,
  readResidentMemory,
  residentMemoryOf,
} from "../../bench/processes/process-memory.ts";

const smaps = `7f0000000000-7f0080000000 r--s 00000000 fe:00 42    /models/phi 4 mini.gguf
Size:            2097152 kB
Rss:             1024000 kB
Pss:             1024000 kB
Anonymous:             0 kB
VmFlags: rd sh mr mw me ms sd
7f0080000000-7f0090000000 rw-p 00000000 00:00 0
Size:             262144 kB
Rss:              262144 kB
Anonymous:        262144 kB
7f0090000000-7f0090001000 rw-p 00000000 fe:00 42    /models/phi 4 mini.gguf
Size:                  4 kB
Rss:                   8 kB
Anonymous:             4 kB
00400000-00b6f000 r--p 00000000 fe:00 7    /usr/bin/node
Rss:                7000 kB
Anonymous:             0 kB
`;

describe("recorded texts", () => {
  it("smaps: the file pages of model files alone", () => {
    expect(modelPageBytesOf(smaps)).toBe((1_024_000 + 4) * 1024);
    expect(modelPageBytesOf("")).toBe(0);
  });

  it("maps: whether a model file is among them, also one that was deleted", () => {
    expect(mapsModels(smaps)).toBe(true);
    expect(mapsModels("7f00-7f01 r--s 00000000 fe:00 42 /m/a.GGUF (deleted)\n")).toBe(true);
    expect(mapsModels("00400000-00b6f000 r--p 00000000 fe:00 7 /usr/bin/node\n/models.gguf.d/lib.so\n")).toBe(false);
  });

  it("status: anonymous bytes; null for a zombie, which has none", () => {
    expect(anonymousBytesOf("VmRSS:\t  90 kB\nRssAnon:\t   37 kB\nRssFile:\t 42 kB\n")).toBe(37 * 1024);
    expect(anonymousBytesOf("State:\tZ (zombie)\n")).toBeNull();
  });
});

describe("smaps_rollup", () => {
  it("gives all resident pages and the proportional share; null where a line is missing", () => {
    const rollup = "00400000-7ffd r--p 00000000 00:00 0 [rollup]\nRss:   2000 kB\nPss:   1500 kB\nPss_Dirty:  7 kB\n";
    expect(residentMemoryOf(rollup)).toEqual({ rssBytes: 2000 * 1024, pssBytes: 1500 * 1024 });
    expect(residentMemoryOf("Rss:  2000 kB\nPss_Dirty:  7 kB\n")).toBeNull();
  });
});

describe("this process", () => {
  it("has resident pages, its proportional share among them", () => {
    const { rssBytes, pssBytes } = readResidentMemory(process.pid);
    expect(pssBytes).toBeGreaterThan(2 ** 20);
    expect(rssBytes).toBeGreaterThanOrEqual(pssBytes);
  });

  it("holds memory, and a process that is not there holds none", () => {
    expect(readProcessMemory(process.pid)?.anonymousBytes).toBeGreaterThan(2 ** 20);
    expect(readProcessMemory(2 ** 30)).toBeNull();
    expect(descendantsOf(2 ** 30)).toEqual([]);
  });
});
