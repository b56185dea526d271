// What the use cases hand to the pool of a request's scheduling.
import { describe, expect, it } from "vitest";
import { createChatService } from "../../src/chat/chat-service.ts";
import { defaultScheduling, plainChat, type Scheduling } from "../../src/chat/contract.ts";
import { systemClock } from "../../src/core/clock.ts";
import { AbandonedError } from "../../src/core/errors.ts";
import { ExpertCatalogue } from "../../src/experts/catalogue.ts";
import type { AcquireOptions } from "../../src/pool/pool.ts";
import { expertOf } from "../support/experts.ts";

const signal = new AbortController().signal;

/** Asks each use case, and gives what each asked the pool for. */
async function acquired(scheduling: Scheduling) {
  const asked: (readonly [modelId: string, options: AcquireOptions])[] = [];
  const unused = () => {
    throw new Error("not used here");
  };
  const service = createChatService({
    catalogue: new ExpertCatalogue([expertOf("first")]),
    embedder: { id: "embedder", modelPath: "/models/embedder.gguf", contextTokens: null, cacheSize: 0 },
    pool: {
      acquire: (modelId, options) => {
        asked.push([modelId, options]);
        return Promise.reject(new AbandonedError());
      },
      peek: unused,
      status: unused,
      events: unused,
      unload: unused,
      lift: unused,
      close: unused,
    },
    reranker: { id: "reranker", modelPath: "/models/reranker.gguf", contextTokens: null },
    defaultModel: "first",
    files: { look: unused },
    router: { route: unused },
    record: () => {},
    clock: systemClock,
  });
  const limits = { ...plainChat, model: "first", maxTokens: 1, scheduling };
  const answers = [
    service.chat({ ...limits, messages: [{ role: "user", content: "Hi" }] }, signal),
    service.complete({ ...limits, prompt: "Hi", promptField: "prompt", suffix: null }, signal),
  ];
  for (const answer of answers) {
    expect(await answer.next()).toMatchObject({ value: { type: "routing" } });
    await expect(answer.next()).rejects.toThrow(AbandonedError);
  }
  const embedding = service.embed({ model: null, inputs: ["Hi"], truncates: false, scheduling }, signal);
  await expect(embedding).rejects.toThrow(AbandonedError);
  const ranking = service.rank({ model: null, query: "Hi", documents: ["Ho"], scheduling }, signal);
  await expect(ranking).rejects.toThrow(AbandonedError);
  return asked;
}

describe("the pool is asked", () => {
  it.each([
    [defaultScheduling, { priority: 0, keepAliveMs: undefined }],
    [
      { priority: 7, keepAliveMs: 300 },
      { priority: 7, keepAliveMs: 300 },
    ],
    [
      { priority: -1, keepAliveMs: 0 },
      { priority: -1, keepAliveMs: 0 },
    ],
    [
      { priority: 0, keepAliveMs: Infinity },
      { priority: 0, keepAliveMs: Infinity },
    ],
  ])("by all use cases alike: %j", async (scheduling, options) => {
    expect(await acquired(scheduling)).toEqual(
      ["first", "first", "embedder", "reranker"].map((modelId) => [modelId, { ...options, signal }]),
    );
  });
});
