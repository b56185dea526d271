// What the use cases hand to the pool of a request's scheduling.
import { describe, expect, it } from "vitest";
import { createChatService } from "../../src/chat/chat-service.ts";
import { defaultScheduling, type Scheduling } from "../../src/chat/contract.ts";
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
      status: unused,
      events: unused,
      unload: unused,
      lift: unused,
      close: unused,
    },
    files: { look: unused },
    router: { route: unused },
    record: () => {},
    clock: systemClock,
  });
  const limits = { model: "first", maxTokens: 1, stop: [], sampling: {}, scheduling };
  const answers = [
    service.chat({ ...limits, forceRouting: false, messages: [{ role: "user", content: "Hi" }] }, signal),
    service.complete({ ...limits, prompt: "Hi", promptField: "prompt" }, signal),
  ];
  for (const answer of answers) {
    expect(await answer.next()).toMatchObject({ value: { type: "routing" } });
    await expect(answer.next()).rejects.toThrow(AbandonedError);
  }
  const embedding = service.embed({ model: null, inputs: ["Hi"], scheduling }, signal);
  await expect(embedding).rejects.toThrow(AbandonedError);
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
  ])("by chat, completion and embedding alike: %j", async (scheduling, options) => {
    expect(await acquired(scheduling)).toEqual(
      ["first", "first", "embedder"].map((modelId) => [modelId, { ...options, signal }]),
    );
  });
});
