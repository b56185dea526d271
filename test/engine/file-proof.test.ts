// Files proven in a real process: good ones pass, and whatever the process meets with is told in one line; it leaves nothing
// behind.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { AbandonedError } from "../../src/core/errors.ts";
import type { FileProver } from "../../src/engine/file-prover.ts";
import { createFileProver } from "../../src/engine/llama/file-proof.ts";
import { defects } from "../support/model-defects.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";

const never = new AbortController().signal;
let prover: FileProver;

function open(promptLimitMs = 60_000): FileProver {
  prover = createFileProver({ engineName: "engine 1", promptLimitMs });
  return prover;
}

afterEach(async () => {
  await prover.dispose();
  if (provingProcesses().length > 0) throw new Error("a process is left behind");
});

/** Ids of this process's children that prove files. */
function provingProcesses(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((id) => {
      try {
        const parent = Number(readFileSync(`/proc/${id}/stat`, "latin1").split(") ").at(-1)?.split(" ")[1]);
        return parent === process.pid && readFileSync(`/proc/${id}/cmdline`, "latin1").includes("file-proof-child");
      } catch {
        return false;
      }
    });
}

async function defective(kind: keyof typeof defects): Promise<string> {
  const file = path.join(testFolder(), `${kind}.gguf`);
  writeFileSync(file, defects[kind](readFileSync(await tinyModel("tiny-qwen2"))));
  return file;
}

/** A proving process that has got as far as the engine's library. */
async function startedProcess(): Promise<number> {
  return vi.waitFor(
    () => {
      const started = provingProcesses().find((id) =>
        readFileSync(`/proc/${id}/maps`, "latin1").includes("llama-addon"),
      );
      if (started === undefined) throw new Error("no process has loaded the engine");
      return started;
    },
    { timeout: 50_000, interval: 20 },
  );
}

describe("a file prover", () => {
  it("passes good text, embedding and ranking models, one process after the other", async () => {
    open();
    expect(await prover.prove(await tinyModel("tiny-gemma3"), "text", never)).toEqual({ ok: true });
    const [kept] = provingProcesses();
    expect(await prover.prove(path.join(repositoryRoot, "test/data/stories260K.gguf"), "text", never)).toEqual({
      ok: true,
    });
    expect(await prover.prove(await tinyModel("tiny-bert"), "embedding", never)).toEqual({ ok: true });
    expect(await prover.prove(await tinyModel("tiny-reranker"), "ranking", never)).toEqual({ ok: true });
    expect(await prover.prove(await tinyModel("tiny-bert"), "ranking", never)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("is no reranker"),
    });
    expect(provingProcesses()).toEqual([kept]);
  });

  it("refuses what crashes and what holds no numbers", async () => {
    open();
    const crashing = await defective("crashing");
    expect(await prover.prove(crashing, "text", never)).toEqual({
      ok: false,
      reason: expect.stringMatching(
        new RegExp(`^a process that tried to load ${crashing} was ended by SIGABRT \\(GGML_ASSERT\\(.*\\) failed\\)$`),
      ),
    });
    const nan = await defective("fullOfNaN");
    expect(await prover.prove(nan, "text", never)).toEqual({
      ok: false,
      reason: `${nan} cannot be loaded: tensor output_norm.weight holds values that are no numbers (NaN or infinite)`,
    });
  });

  it("ends a chat template that comes to no end", async () => {
    const looping = await defective("looping");
    // No verdict where the machine was so busy that the template did not get to run for half of its time.
    const outcome = await open(1500)
      .prove(looping, "text", never)
      .then((verdict) => (verdict.ok ? "passed" : verdict.reason))
      .catch((error: Error) => error.message);
    expect(outcome).toMatch(new RegExp(`^a process that tried to render a prompt with ${looping} came to no end`));
  });

  it("gives no verdict when the caller leaves, and has ended the process by then", async () => {
    open();
    const leaving = new AbortController();
    const looping = await defective("looping");
    const proof = prover.prove(looping, "text", leaving.signal);
    await startedProcess();
    leaving.abort();
    await expect(proof).rejects.toBeInstanceOf(AbandonedError);
    expect(provingProcesses()).toEqual([]);
    await expect(prover.prove(looping, "text", leaving.signal)).rejects.toBeInstanceOf(AbandonedError);
  });

  it("gives no verdict when the process is killed from outside", async () => {
    open();
    const looping = await defective("looping");
    const proof = prover.prove(looping, "text", never);
    process.kill(await startedProcess(), "SIGKILL");
    await expect(proof).rejects.toThrow(`${looping} was ended by SIGKILL, perhaps for lack of memory`);
  });

  it("proves two files at the same time, each in a process of its own", async () => {
    open();
    const files = [await tinyModel("tiny-llama"), await defective("crashing"), await tinyModel("tiny-phi3")];
    const verdicts = await Promise.all(files.map((file) => prover.prove(file, "text", never)));
    expect(verdicts.map(({ ok }) => ok)).toEqual([true, false, true]);
  });
});
