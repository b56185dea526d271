// Every way of damaging a file that gguf-mutations.ts knows, through what the server does with a file it has not seen:
// look at it, prove it in another process, load it, generate. Whatever passes the proof must do no harm in this process.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { messageOf } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import { plainGeneration, type Engine } from "../../src/engine/engine.ts";
import { FileMemory } from "../../src/engine/file-memory.ts";
import type { FileProver } from "../../src/engine/file-prover.ts";
import type * as FileProof from "../../src/engine/llama/file-proof.ts";
import { createLlamaEngine } from "../../src/engine/llama/llama-engine.ts";
import { ModelFiles } from "../../src/engine/model-files.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { fileFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";
import { type Mutation, mutationsOf } from "./gguf-mutations.ts";

/** As built: its processes start in a third of the time that those from source take. */
const proofModule = path.join(repositoryRoot, "dist/engine/llama/file-proof.js");

const never = new AbortController().signal;
const folder = fileFolder();

let mutations: Mutation[] = [];
let engine: Engine;
let prover: FileProver;
let files: ModelFiles;

beforeAll(async () => {
  mutations = mutationsOf(readFileSync(await tinyModel("tiny-qwen2")), readFileSync(await tinyModel("tiny-llama")));
  engine = await createLlamaEngine({ threads: 1, log: silentLogger, promptCache: null });
  const { createFileProver } = (await import(proofModule)) as typeof FileProof;
  prover = createFileProver({ engineName: engine.description.name, promptLimitMs: 1000 });
  files = new ModelFiles(engine, null, { prover, memory: await FileMemory.open(null, silentLogger) });
});

afterAll(async () => {
  await prover.dispose();
  await engine.dispose();
});

/** Null: the file passed, was loaded and generated. */
async function refusalOf(file: string): Promise<string | null> {
  const look = await files.look(file);
  if (look.state !== "present") return look.reason;
  try {
    await files.prove(file, "text", never);
  } catch (error) {
    return messageOf(error);
  }
  const spec = { path: file, purpose: "text", contextTokens: 64, slots: 1 } as const;
  expect(await engine.predictBytes(spec)).toBeGreaterThan(0);
  const model = await engine.load(spec, { signal: never, onProgress: () => {} });
  if (model.kind !== "text") throw new Error("expected a text model");
  const promptTokens = model
    .tokenize("Hello, 2 + 2 = ñ", { parseSpecial: true, addSpecial: true })
    .slice(0, model.contextTokens - 1);
  const request = { ...plainGeneration, promptTokens, promptField: "prompt", maxTokens: 4, sampling: { seed: 1 } };
  let end: string | null = null;
  for await (const event of model.generate(request, never)) if (event.type === "end") end = event.reason;
  expect(end).not.toBeNull();
  await model.dispose();
  return null;
}

describe("damaged and hostile files", () => {
  it("are refused in one line that names them, or do no harm", { timeout: 600_000 }, async () => {
    const counts = { refused: 0, passed: 0 };
    for (const mutation of mutations) {
      const { name } = mutation;
      // A path of its own each: nothing that is remembered of one may speak for another.
      const file = path.join(folder(), `${counts.refused + counts.passed}.gguf`);
      writeFileSync(file, mutation.bytes());
      const refusal = await refusalOf(file).catch((error: unknown) => {
        throw new Error(`${name}: it passed its proof, then: ${messageOf(error)}`, { cause: error });
      });
      writeFileSync(file, "");
      if (refusal === null) {
        counts.passed += 1;
        continue;
      }
      counts.refused += 1;
      expect(refusal, `mutation: ${name}`).toContain(file);
      expect(refusal, `mutation: ${name}`).not.toMatch(/\p{Cc}|\bat \S+:\d+|undefined|\[object/u);
      // Its name and a reason.
      expect(refusal.length, `mutation: ${name}`).toBeGreaterThan(file.length + 10);
      expect(refusal.length, `mutation: ${name}`).toBeLessThan(1000);
    }
    expect(counts.refused + counts.passed).toBeGreaterThanOrEqual(200);
    // Most damage shows; what does not shall pass.
    expect(counts.refused).toBeGreaterThan(200);
    expect(counts.passed).toBeGreaterThan(50);
  });
});
