// /v1/embeddings and /v1/rerank from the socket's edge down to the engine: the real client, the real pool, tiny models.
import { readFileSync } from "node:fs";
import path from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type App, createApp } from "../../src/app.ts";
import { silentLogger } from "../../src/core/log.ts";
import { configOf } from "../support/config.ts";
import { fakeExpert } from "../support/fake-services.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { fileFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";

const silent = { ...silentLogger, setLevel: () => {} };
const texts = ["Hola mundo", "The quick brown fox jumps over the lazy dog.", "def suma(a, b): return a + b"];
const width = 256;

const folder = fileFolder();
let app: App;
let client: OpenAI;

beforeAll(async () => {
  process.env["GGUF_EXPERTS_STATE_DIR"] = folder();
  const expert = fakeExpert("first", "general", { modelPath: await tinyModel("tiny-qwen2") });
  const config = {
    ...configOf([expert], { maxBodyBytes: 20e6 }),
    embedder: {
      id: "embedder",
      modelPath: await tinyModel("tiny-bert", { quant: "f16" }),
      contextTokens: null,
      cacheSize: 0,
    },
    reranker: {
      id: "reranker",
      modelPath: await tinyModel("tiny-reranker", { quant: "f16" }),
      contextTokens: null,
    },
  };
  app = await createApp(config, silent);
  client = new OpenAI({
    apiKey: "none",
    baseURL: "http://localhost/v1",
    maxRetries: 0,
    fetch: async (url, init) => app.http.fetch(new Request(url, init)),
  });
});

afterAll(() => app.close(10_000));

async function post(route: string, body: object) {
  const response = await app.http.request(route, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  // oxlint-disable-next-line typescript/no-explicit-any
  return { status: response.status, body: (await response.json()) as any };
}

describe("/v1/embeddings for OpenAI's client", () => {
  it("gives the same vectors as numbers and in base64, for one text and for several", async () => {
    const packed = await client.embeddings.create({ model: "embedder", input: texts });
    const plain = await client.embeddings.create({ model: "embedder", input: texts, encoding_format: "float" });
    expect(packed.data.map(({ embedding }) => embedding)).toEqual(plain.data.map(({ embedding }) => embedding));
    expect(plain.data.map(({ index }) => index)).toEqual([0, 1, 2]);
    for (const { embedding } of plain.data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
    const [single] = (await client.embeddings.create({ model: "", input: texts[1] ?? "" })).data;
    expect(cosine(single?.embedding, plain.data[1]?.embedding)).toBeGreaterThan(0.9999);
    expect(plain.usage.prompt_tokens).toBe(plain.usage.total_tokens);
    expect(plain.usage.prompt_tokens).toBe(44);
  });

  it("shortens vectors to the dimensions asked for, and counts a request for too many as failed", async () => {
    const [whole] = (await client.embeddings.create({ model: "embedder", input: "x", dimensions: width })).data;
    const [short] = (await client.embeddings.create({ model: "embedder", input: "x", dimensions: 32 })).data;
    expect(whole?.embedding).toHaveLength(width);
    expect(short?.embedding).toHaveLength(32);
    expect(Math.hypot(...(short?.embedding ?? []))).toBeCloseTo(1, 5);
    const head = whole?.embedding.slice(0, 32) ?? [];
    expect(cosine(short?.embedding, head) / Math.hypot(...head)).toBeCloseTo(1, 5);
    await expect(
      client.embeddings.create({ model: "embedder", input: "x", dimensions: width + 1 }),
    ).rejects.toMatchObject({ status: 400, param: "dimensions", message: expect.stringContaining(`1 to ${width}`) });
  });

  it("takes tokens, and texts and tokens mixed", async () => {
    const one = await client.embeddings.create({ model: "embedder", input: [101, 300, 301, 102] });
    const several = await client.embeddings.create({ model: "embedder", input: [[101, 300, 301, 102], [7]] });
    expect(cosine(one.data[0]?.embedding, several.data[0]?.embedding)).toBeGreaterThan(0.9999);
    const mixed = await post("/v1/embeddings", { input: ["a", [101, 300, 301, 102]] });
    expect(cosine(mixed.body.data[1].embedding, one.data[0]?.embedding)).toBeGreaterThan(0.9999);
  });

  it("embeds 2048 texts in one request", async () => {
    const input = Array.from({ length: 2048 }, (_, index) => `text ${index % 100}`);
    const { data } = await client.embeddings.create({ model: "embedder", input });
    expect(data).toHaveLength(2048);
    expect(cosine(data[5]?.embedding, data[2005]?.embedding)).toBeGreaterThan(0.9999);
    expect(cosine(data[5]?.embedding, data[6]?.embedding)).toBeLessThan(0.9999);
  });

  it("answers clients that come together", async () => {
    const answers = await Promise.all(
      texts.concat(texts, texts, texts).map((input) => client.embeddings.create({ model: "embedder", input })),
    );
    for (const [index, { data }] of answers.entries()) {
      expect(cosine(data[0]?.embedding, answers[index % 3]?.data[0]?.embedding)).toBeGreaterThan(0.9999);
    }
  });

  it("refuses a text that is too long by its place, and cuts it where that is asked for", async () => {
    const long = "palabra ".repeat(3000);
    const refused = await post("/v1/embeddings", { input: ["a", long] });
    expect(refused.status).toBe(400);
    expect(refused.body.error).toMatchObject({ param: "input[1]", code: "context_length_exceeded" });
    const cut = await post("/v1/embeddings", { input: long, truncate: true });
    expect(cut.status).toBe(200);
    expect(cut.body.usage.prompt_tokens).toBeGreaterThan(500);
    const huge = await post("/v1/embeddings", { input: "á".repeat(5_000_000) });
    expect(huge.body.error).toMatchObject({ param: expect.stringContaining("input") });
  });

  it("stops for a client that leaves", async () => {
    const leaving = new AbortController();
    const input = Array.from(
      { length: 2048 },
      (_, index) => "uno dos tres cuatro cinco seis siete ocho ".repeat(20) + index,
    );
    const left = client.embeddings.create({ model: "embedder", input }, { signal: leaving.signal });
    const failure = left.catch((error: unknown) => error);
    const leases = () => app.services.poolStatus().models.find(({ modelId }) => modelId === "embedder")?.leases;
    await vi.waitFor(() => expect(leases()).toBe(1));
    leaving.abort();
    expect(await failure).toMatchObject({ status: 499 });
    await vi.waitFor(() => expect(leases()).toBe(0));
    expect((await client.embeddings.create({ model: "embedder", input: "x" })).data).toHaveLength(1);
  });

  it.each([
    [{ input: [1e9] }, "input[0]"],
    [{ input: [[1], [5000]] }, "input[1][0]"],
    [{ input: "" }, "input"],
    [{ input: [""] }, "input"],
    [{ input: [[]] }, "input[0]"],
    [{ input: [[[1]]] }, "input[0][0]"],
    [{ input: ["a", null] }, "input[1]"],
    [{ input: "a", model: "nobody" }, "model"],
  ])("refuses %j", async (body, param) => {
    const answer = await post("/v1/embeddings", body);
    expect([400, 404]).toContain(answer.status);
    expect(answer.body.error.param).toBe(param);
  });

  it.each(["\u0000", "\ud800 lone", "\u200b", "a\u0000b\u0000".repeat(50)])(
    "survives odd texts (%#)",
    async (input) => {
      const answer = await post("/v1/embeddings", { input });
      expect(answer.status).toBe(200);
      expect(answer.body.data[0].embedding.every(Number.isFinite)).toBe(true);
    },
  );
});

describe("/v1/rerank", () => {
  const golden = JSON.parse(readFileSync(path.join(repositoryRoot, "test/golden/reading.json"), "utf8")) as {
    readonly "tiny-reranker": { query: string; documents: string[]; scores: number[]; tokens: number };
  };

  it("scores as llama-server does, the best first", async () => {
    const { query, documents, scores, tokens } = golden["tiny-reranker"];
    const { status, body } = await post("/v1/rerank", { query, documents });
    expect(status).toBe(200);
    expect(body.model).toBe("reranker");
    expect(body.usage.prompt_tokens).toBe(tokens);
    for (const { index, relevance_score } of body.results) expect(relevance_score).toBeCloseTo(scores[index] ?? 0, 2);
    const given = body.results.map((result: { relevance_score: number }) => result.relevance_score);
    expect(given).toEqual(given.toSorted((left: number, right: number) => right - left));
  });

  it("refuses a document that is too long by its place, and reads the beginning where that is asked for", async () => {
    const documents = ["short", "palabra ".repeat(3000)];
    const refused = await post("/v1/rerank", { query: "q", documents });
    expect(refused.status).toBe(400);
    expect(refused.body.error.param).toBe("documents[1]");
    const cut = await post("/v1/rerank", { query: "q", documents, max_tokens_per_doc: 100 });
    expect(cut.status).toBe(200);
    expect(cut.body.usage.prompt_tokens).toBeLessThan(130);
  });

  it("is not served by experts, nor embeddings by the reranker", async () => {
    expect((await post("/v1/rerank", { query: "q", documents: ["a"], model: "embedder" })).status).toBe(404);
    expect((await post("/v1/embeddings", { input: "q", model: "reranker" })).status).toBe(404);
  });
});

function cosine(one: readonly number[] = [], other: readonly number[] = []): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}
