// Embedding models and rerankers on real files: what llama-server says of the same texts, many texts at once as one by one,
// callers that leave, and input that must not reach native code.
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AbandonedError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import type { EmbeddingModel, Engine, LoadedModel, LoadSpec, RankingModel } from "../../src/engine/engine.ts";
import { createLlamaEngine } from "../../src/engine/llama/llama-engine.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { type TinyPresetName, tinyModel } from "../support/tiny-models.ts";

interface RecordedEmbeddings {
  readonly texts: readonly string[];
  /** Of all texts together. */
  readonly tokens: number;
  /** In base64. */
  readonly vectors: readonly string[];
}

interface RecordedRanking {
  readonly query: string;
  readonly documents: readonly string[];
  readonly tokens: number;
  readonly scores: readonly number[];
}

const embedders = ["tiny-bert", "tiny-qwen3-embedder"] as const;
const rerankers = ["tiny-reranker", "tiny-qwen3-reranker"] as const;
const recorded = JSON.parse(readFileSync(path.join(repositoryRoot, "test/golden/reading.json"), "utf8")) as Readonly<
  Record<(typeof embedders)[number], RecordedEmbeddings> & Record<(typeof rerankers)[number], RecordedRanking>
>;
const never = new AbortController().signal;

describe.each(["with the addon", "without the addon"])("%s", (mode) => {
  let engine: Engine;
  const loaded: LoadedModel[] = [];

  beforeAll(async () => {
    if (mode === "without the addon") process.env["GGUF_EXPERTS_NATIVE"] = "off";
    engine = await createLlamaEngine({ threads: 1, log: silentLogger, promptCache: null });
    delete process.env["GGUF_EXPERTS_NATIVE"];
  });

  afterAll(async () => {
    for (const model of loaded) await model.dispose();
    await engine.dispose();
  });

  async function load(name: TinyPresetName, spec: Pick<LoadSpec, "purpose"> & Partial<LoadSpec>): Promise<LoadedModel> {
    const file = await tinyModel(name, { quant: "f16" });
    const options = { signal: never, onProgress: () => {} };
    const model = await engine.load({ path: file, contextTokens: null, slots: 1, ...spec }, options);
    loaded.push(model);
    return model;
  }

  async function loadEmbedder(name: TinyPresetName, contextTokens: number | null = null): Promise<EmbeddingModel> {
    const model = await load(name, { purpose: "embedding", contextTokens });
    if (model.kind !== "embedding") throw new Error("expected an embedding model");
    return model;
  }

  async function loadReranker(name: TinyPresetName): Promise<RankingModel> {
    const model = await load(name, { purpose: "ranking" });
    if (model.kind !== "ranking") throw new Error("expected a reranker");
    return model;
  }

  const tokensOf = (model: LoadedModel, text: string) =>
    model.tokenize(text, { parseSpecial: false, addSpecial: true });

  it.each(embedders)("%s gives llama-server's vectors, of a text longer than a batch too", async (name) => {
    const model = await loadEmbedder(name);
    const { texts, tokens, vectors } = recorded[name];
    const inputs = texts.map((text) => tokensOf(model, text));
    expect(inputs.flat()).toHaveLength(tokens);
    const answer = await model.embed(inputs, never);
    for (const [index, vector] of answer.entries()) {
      expect(vector).toHaveLength(model.dimensions);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
      expect(cosine(vector, fromBase64(vectors[index] ?? ""))).toBeGreaterThan(0.9999);
    }
  });

  it.each(rerankers)("%s gives llama-server's scores", async (name) => {
    const model = await loadReranker(name);
    const { query, documents, tokens, scores } = recorded[name];
    const pairs = documents.map((document) => model.pairTokens(query, document));
    expect(pairs.flat()).toHaveLength(tokens);
    const answer = await model.score(pairs, never);
    for (const [index, score] of answer.entries()) expect(score).toBeCloseTo(scores[index] ?? Number.NaN, 2);
  });

  it.each(embedders)("%s embeds many texts at once as it does one by one", async (name) => {
    const model = await loadEmbedder(name, 512);
    const inputs = Array.from({ length: 90 }, (_, index) =>
      Array.from({ length: 1 + ((index * 37) % 61) }, (_unused, at) => 200 + ((index * 7 + at * 13) % 1500)),
    );
    inputs[70] = Array.from({ length: 400 }, (_, at) => 200 + at);
    const together = await model.embed(inputs, never);
    expect(together).toHaveLength(inputs.length);
    for (const index of [0, 1, 70, 71, 89]) {
      const [alone] = await model.embed([inputs[index] ?? []], never);
      expect(cosine(together[index], alone)).toBeGreaterThan(0.9999);
    }
  });

  it("answers requests that come together each with its own, the small one before the large one ends", async () => {
    const model = await loadEmbedder("tiny-bert");
    const large = Array.from({ length: 20 }, (_, index) => Array.from({ length: 60 }, () => 200 + index));
    const order: string[] = [];
    const requests = [
      model.embed(large, never).finally(() => order.push("large")),
      model.embed([[300], [301]], never).finally(() => order.push("small")),
    ];
    const [vectors, few] = await Promise.all(requests);
    expect(order).toEqual(["small", "large"]);
    expect(vectors).toHaveLength(20);
    expect(cosine(few?.[1], (await model.embed([[301]], never))[0])).toBeGreaterThan(0.9999);
  });

  it("stops for a caller that leaves, and goes on with the others", async () => {
    const model = await loadEmbedder("tiny-qwen3-embedder");
    const leaving = new AbortController();
    const endless = Array.from({ length: 2000 }, () => Array.from({ length: 1000 }, (_, at) => 200 + at));
    const left = model.embed(endless, leaving.signal);
    const stayed = model.embed([[300]], never);
    await stayed;
    leaving.abort();
    await expect(left).rejects.toBeInstanceOf(AbandonedError);
    await expect(model.embed([[300]], leaving.signal)).rejects.toBeInstanceOf(AbandonedError);
    expect(cosine((await model.embed([[300]], never))[0], (await stayed)[0])).toBeGreaterThan(0.9999);
  });

  it.each([
    [[[1], [2, 2048]], "input[1][1]", /input\[1\]\[1\] is 2048; token ids .* 0 to 2047/],
    [[[-1]], "input[0]", /input\[0\] is -1/],
    [[[1], [Number.NaN]], "input[1][0]", /NaN/],
    [[[1], [1.5]], "input[1][0]", /1\.5/],
    [[[1], []], "input[1]", /input\[1\] holds no token/],
    [[Array.from({ length: 513 }, () => 1)], "input", /input has 513 tokens, but this model takes at most 512/],
  ])("refuses tokens that are none (%#)", async (inputs, param, message) => {
    const model = await loadEmbedder("tiny-bert");
    await expect(model.embed(inputs, never)).rejects.toMatchObject({
      status: 400,
      param,
      message: expect.stringMatching(message),
    });
    expect(await model.embed([Array.from({ length: 512 }, () => 1)], never)).toHaveLength(1);
  });

  it("leaves special tokens that stand in a query or a document text", async () => {
    const model = await loadReranker("tiny-qwen3-reranker");
    const special = model.tokenize("<|im_end|>", { parseSpecial: true, addSpecial: false });
    const count = (pair: readonly number[]) => pair.filter((token) => token === special[0]).length;
    expect(special).toHaveLength(1);
    expect(count(model.pairTokens("a<|im_end|>", "<|im_end|>b"))).toBe(count(model.pairTokens("a", "b")));
    expect(model.pairTokens("{document}", "x")).not.toEqual(model.pairTokens("x", "x"));
  });

  it.each([
    ["tiny-qwen3-embedder", "embedding", 2048],
    ["tiny-bert", "embedding", 512],
    ["tiny-reranker", "ranking", 256],
  ] as const)("predicts the memory of %s for %s with %d tokens", async (name, purpose, contextTokens) => {
    const spec = { purpose, contextTokens };
    const { residentBytes } = await load(name, spec);
    const predicted = await engine.predictBytes({ path: await tinyModel(name, { quant: "f16" }), slots: 1, ...spec });
    expect(predicted / residentBytes).toBeCloseTo(1, 2);
  });

  it("does not take a model for what it is not", async () => {
    await expect(load("tiny-bert", { purpose: "ranking" })).rejects.toThrow(/is no reranker: it has no classif/);
    await expect(load("tiny-qwen2", { purpose: "ranking" })).rejects.toThrow(/is no reranker/);
    await expect(load("tiny-reranker", { purpose: "embedding" })).rejects.toThrow(/is a reranker.*rerank_model/);
  });
});

function fromBase64(text: string): Float32Array {
  const bytes = Buffer.from(text, "base64");
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}

function cosine(one: Float32Array = new Float32Array(), other: Float32Array = new Float32Array()): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}
