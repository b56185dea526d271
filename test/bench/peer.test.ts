// The peer: how it is found, started, and how its own benchmarks are read.
import { chmod, mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { engineThreads } from "../../bench/engine-threads.ts";
import { batchedBenchRate, llamaBenchRate } from "../../bench/peer/benchmarks.ts";
import { hasSameKernels, replaceKernels } from "../../bench/peer/kernels.ts";
import { serverArguments } from "../../bench/peer/llama-server.ts";
import { locatePeer } from "../../bench/peer/locate.ts";
import { testFolder } from "../support/temporary-folder.ts";

const silent = { write: () => true };
const never = new AbortController().signal;

async function fakePeer(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const name of ["llama-server", "llama-bench", "llama-batched-bench"]) {
    const path = join(folder, name);
    await writeFile(path, '#!/bin/sh\necho "version: 0.5.0 (build 1)" >&2\n');
    await chmod(path, 0o755);
  }
  return folder;
}

describe("finding", () => {
  it("a named folder with all programs is taken, with its version and whether its kernels are the engine's", async () => {
    const folder = await fakePeer(testFolder());
    expect(await locatePeer(folder, "/nowhere", silent, never)).toEqual({
      folder,
      version: "0.5.0 (build 1)",
      hasSameKernels: false,
    });
    await writeFile(join(folder, "libggml-cpu.so"), "built here");
    await replaceKernels(folder);
    expect(await hasSameKernels(folder)).toBe(true);
  });

  it("the environment names one; one that was built before is taken again", async () => {
    const named = await fakePeer(testFolder());
    vi.stubEnv("LLAMA_CPP_BIN", named);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await locatePeer(null, "/nowhere", silent, never)).folder).toBe(named);
    vi.stubEnv("LLAMA_CPP_BIN", "");
    const cache = testFolder();
    const built = await fakePeer(join(cache, "peer", "build", "bin"));
    expect((await locatePeer(null, cache, silent, never)).folder).toBe(built);
  });

  it("a named folder that lacks a program is refused in a line", async () => {
    const folder = testFolder();
    await expect(locatePeer(folder, folder, silent, never)).rejects.toThrow(
      `--peer is ${folder}, but there is no program llama-server in it`,
    );
  });
});

describe("starting", () => {
  const model = { expertId: "a", path: "/m/a.gguf" };

  it("one model: the context of all slots together", () => {
    const args = serverArguments({ models: [model], contextTokens: 512, parallel: 4 }, 2, "/p.ini").join(" ");
    expect(args).toContain("--model /m/a.gguf --alias a --ctx-size 2048 --parallel 4 --threads 2");
    expect(args).not.toContain("--models-");
  });

  it("two models that exclude each other: router mode", () => {
    const models = [model, { expertId: "b", path: "/m/b.gguf" }];
    const args = serverArguments({ models, contextTokens: 512, parallel: 1, maxLoaded: 1 }, 2, "/p.ini").join(" ");
    expect(args).toContain("--models-preset /p.ini --models-max 1 --ctx-size 512");
    expect(args).not.toContain("--model ");
  });
});

describe("threads", () => {
  it("are one for a tiny file, as in this project's engine, else the machine's", async () => {
    const folder = testFolder();
    const [tiny, other] = [join(folder, "tiny.gguf"), join(folder, "other.gguf")];
    for (const [path, bytes] of [
      [tiny, 2 ** 25 - 1],
      [other, 2 ** 25],
    ] as const) {
      await writeFile(path, "");
      await truncate(path, bytes);
    }
    expect(await engineThreads(tiny, 4)).toBe(1);
    expect(await engineThreads(other, 4)).toBe(4);
  });
});

describe("its benchmarks", () => {
  it("tell tokens per second", () => {
    expect(llamaBenchRate('[{"n_gen": 128, "n_depth": 256, "avg_ts": 47.5}]')).toBe(47.5);
    expect(batchedBenchRate('log line\n{"pl": 4, "speed_pp": 500.5, "speed_tg": 110.25, "speed": 1}\n')).toBe(110.25);
  });

  it("that print something else are an error, no number", () => {
    expect(() => llamaBenchRate("[]")).toThrow(/no avg_ts/);
    expect(() => batchedBenchRate("oops")).toThrow(/no speed_tg/);
  });
});
