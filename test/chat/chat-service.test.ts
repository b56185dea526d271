// The use cases over the real pool and the fake engine: who is chosen, what is sent, what is accounted, what is given back.
import { afterEach, describe, expect, it } from "vitest";
import { createChatService } from "../../src/chat/chat-service.ts";
import { defaultScheduling, type AnswerEvent, type ChatRequest, type ChatService } from "../../src/chat/contract.ts";
import { AbandonedError } from "../../src/core/errors.ts";
import type { RequestRecord } from "../../src/core/request-record.ts";
import { ExpertCatalogue } from "../../src/experts/catalogue.ts";
import type { Embedder, Expert } from "../../src/experts/expert.ts";
import { EnginePool } from "../../src/pool/model-pool.ts";
import type { Router } from "../../src/routing/router.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { fakePoolOptions } from "../support/pool-options.ts";
import { expertOf } from "../support/experts.ts";
import { FakeEngine, type FakeEngineOptions } from "../support/fake-engine.ts";

const never = new AbortController().signal;

const expert = (id: string, changes: Partial<Expert> = {}) => expertOf(id, { contextTokens: 512, ...changes });

const embedder: Embedder = { id: "embedder", modelPath: "/models/embedder.gguf", contextTokens: 64, cacheSize: 2 };

interface Bench {
  readonly service: ChatService;
  readonly engine: FakeEngine;
  readonly pool: EnginePool;
  readonly records: RequestRecord[];
}

let engines: FakeEngine[] = [];
afterEach(() => {
  const violations = engines.flatMap((engine) => engine.violations);
  engines = [];
  if (violations.length > 0) throw new Error(violations.join("; "));
});

function bench(experts: readonly Expert[], engineOptions: FakeEngineOptions = {}): Bench {
  const engine = new FakeEngine(engineOptions);
  engines.push(engine);
  const clock = new ManualClock();
  const models = experts.map(({ id, modelPath, contextTokens, parallel, priority, keep }) => ({
    id,
    spec: { path: modelPath, purpose: "text" as const, contextTokens, slots: parallel },
    priority,
    keep,
    minContextTokens: null,
  }));
  const embedderModel = {
    id: embedder.id,
    spec: { path: embedder.modelPath, purpose: "embedding" as const, contextTokens: 64, slots: 1 },
    minContextTokens: null,
    priority: 1,
    keep: true,
  };
  const pool = new EnginePool(fakePoolOptions(engine, clock, [...models, embedderModel]));
  engine.trackLeases(pool);
  const records: RequestRecord[] = [];
  const router: Router = {
    route: ({ prompt }) => ({
      expertId: experts[0]?.id ?? "",
      confidence: 0.7,
      source: "keywords",
      reason: `about ${prompt}`,
      scores: Object.fromEntries(experts.map(({ id }, index) => [id, index === 0 ? 0.7 : 0.3 / index])),
    }),
  };
  const service = createChatService({
    catalogue: new ExpertCatalogue(experts),
    embedder,
    pool,
    files: engine.files,
    router,
    record: (record) => records.push(record),
    clock,
  });
  return { service, engine, pool, records };
}

function ask(content: string, changes: Partial<ChatRequest> = {}): ChatRequest {
  return {
    model: null,
    forceRouting: false,
    messages: [{ role: "user", content }],
    maxTokens: null,
    stop: [],
    sampling: {},
    scheduling: defaultScheduling,
    ...changes,
  };
}

async function collect(events: AsyncGenerator<AnswerEvent, void, void>): Promise<AnswerEvent[]> {
  const all: AnswerEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const textOf = (events: readonly AnswerEvent[]) =>
  events.map((event) => (event.type === "text" ? event.text : "")).join("");
const leasesOf = (pool: EnginePool) => pool.status().models.reduce((sum, { leases }) => sum + leases, 0);

describe("who answers", () => {
  it("the router's choice where no model is named, with its reason", async () => {
    const { service } = bench([expert("first"), expert("second")]);
    for (const model of [null, "", "auto"]) {
      const [routing] = await collect(service.chat(ask("hello", { model }), never));
      expect(routing).toEqual({
        type: "routing",
        routing: { expertId: "first", confidence: 0.7, source: "keywords", reason: "about hello" },
      });
    }
  });

  it("the named expert, by id or alias, unless routing is forced", async () => {
    const { service } = bench([expert("first"), expert("second", { aliases: ["two"] })]);
    const named = async (model: string, forceRouting = false) => {
      const [event] = await collect(service.chat(ask("hello", { model, forceRouting }), never));
      return event?.type === "routing" ? `${event.routing.expertId} by ${event.routing.source}` : event;
    };
    expect(await named("second")).toBe("second by request");
    expect(await named("two")).toBe("second by request");
    expect(await named("second", true)).toBe("first by keywords");
  });

  it("the next best where the chosen one's file is missing, and says so", async () => {
    const { service, records } = bench([expert("first"), expert("second"), expert("third")], {
      files: { "/models/first.gguf": { file: "missing" }, "/models/second.gguf": { file: "invalid" } },
    });
    const [event] = await collect(service.chat(ask("hello"), never));
    expect(event).toMatchObject({
      routing: { expertId: "third", confidence: 0.15, reason: expect.stringMatching(/first.*third fits next best/) },
    });
    expect(records).toMatchObject([{ expertId: "third", routingSource: "keywords", outcome: "ok" }]);
  });

  it("nobody, where no file at all can be used: 503, and no retry", async () => {
    const { service } = bench([expert("first"), expert("second")], {
      files: { "/models/first.gguf": { file: "missing" }, "/models/second.gguf": { file: "invalid" } },
    });
    await expect(collect(service.chat(ask("hello"), never))).rejects.toMatchObject({
      status: 503,
      code: "no_expert_available",
      shouldRetry: false,
      message: expect.stringMatching(/first, second/),
    });
  });

  it("nobody, for a name that nobody bears", async () => {
    const { service, records } = bench([expert("first")]);
    await expect(collect(service.chat(ask("hello", { model: "gpt" }), never))).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
    });
    await expect(collect(service.chat(ask("hello", { model: "embedder" }), never))).rejects.toMatchObject({
      status: 400,
      code: "model_not_supported",
    });
    expect(records).toMatchObject([
      { expertId: null, outcome: "error", errorCode: "model_not_found" },
      { expertId: null, outcome: "error", errorCode: "model_not_supported" },
    ]);
  });
});

describe("what is asked of the engine", () => {
  it("the expert's sampling defaults, overridden by the request's", async () => {
    const { service, engine } = bench([expert("first", { sampling: { temperature: 0.3, topK: 5 } })]);
    await collect(service.chat(ask("hello", { sampling: { temperature: 0 } }), never));
    expect(engine.generationRequests[0]?.sampling).toEqual({ temperature: 0, topK: 5 });
  });

  it("the expert's system prompt, only where the request brings none", async () => {
    const seen: string[] = [];
    const reply = (prompt: string) => {
      seen.push(prompt);
      return "yes";
    };
    const { service } = bench([expert("first", { systemPrompt: "BE BRIEF" })], {
      files: { "/models/first.gguf": { reply } },
    });
    await collect(service.chat(ask("hello"), never));
    const own = { role: "system" as const, content: "BE LONG" };
    await collect(service.chat(ask("", { messages: [own, { role: "user", content: "hello" }] }), never));
    expect(seen[0]).toContain("BE BRIEF");
    expect(seen[1]).toContain("BE LONG");
    expect(seen[1]).not.toContain("BE BRIEF");
  });
});

describe("the answer", () => {
  it("comes in order: routing, started, prefill, text, end", async () => {
    const { service, records } = bench([expert("first")]);
    const events = await collect(service.chat(ask("one two three"), never));
    const kinds = events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]);
    expect(kinds).toEqual(["routing", "started", "prefill", "text", "end"]);
    expect(textOf(events)).toBe("one two three");
    expect(records).toMatchObject([{ kind: "chat", outcome: "ok", expertId: "first" }]);
    expect(records[0]?.generatedTokens).toBeGreaterThan(0);
  });

  it("ends before a stop string and gives the slot back", async () => {
    const { service, pool, records } = bench([expert("first")]);
    const events = await collect(service.chat(ask("one two three four", { stop: ["three"] }), never));
    expect(textOf(events)).toBe("one two ");
    expect(events.at(-1)).toMatchObject({ type: "end", reason: "stop" });
    expect(leasesOf(pool)).toBe(0);
    expect(records).toMatchObject([{ outcome: "ok" }]);
  });

  it("is a success also for a reader that stops at its last event", async () => {
    const { service, pool, records } = bench([expert("first")]);
    for await (const event of service.chat(ask("one two"), never)) if (event.type === "end") break;
    expect(records).toMatchObject([{ outcome: "ok" }]);
    expect(leasesOf(pool)).toBe(0);
  });

  it("of a completion is made from the prompt as it stands", async () => {
    const { service, engine, records } = bench([expert("first")]);
    const request = {
      model: "first",
      prompt: [5, 6, 7],
      promptField: "prompt[1]",
      maxTokens: 2,
      stop: [],
      sampling: {},
      scheduling: defaultScheduling,
    };
    await collect(service.complete(request, never));
    expect(engine.generationRequests[0]).toMatchObject({
      promptTokens: [5, 6, 7],
      promptField: "prompt[1]",
      maxTokens: 2,
    });
    expect(records).toMatchObject([{ kind: "completion", outcome: "ok" }]);
  });
});

describe("what goes wrong", () => {
  it("a reader that breaks off gives its lease back and is recorded as abandoned", async () => {
    const { service, pool, records } = bench([expert("first")]);
    for await (const event of service.chat(ask("one two three"), never)) if (event.type === "text") break;
    expect(leasesOf(pool)).toBe(0);
    expect(records).toMatchObject([{ outcome: "abandoned", errorCode: null, generatedTokens: 1 }]);
    expect(records[0]?.promptTokens).toBeGreaterThan(0);
  });

  it("the lease stays out until the engine has really stopped", async () => {
    const { service, engine, pool } = bench([expert("first")], { manual: { generate: true } });
    const leaving = new AbortController();
    const answer = collect(service.chat(ask("one"), leaving.signal)).catch((error: unknown) => error);
    const generation = await engine.nextGeneration();
    generation.resistAbort();
    leaving.abort();
    expect(leasesOf(pool)).toBe(1);
    generation.stop();
    expect(await answer).toBeInstanceOf(AbandonedError);
    expect(leasesOf(pool)).toBe(0);
  });

  it("an engine that fails midway is an error of ours, and the next request is served", async () => {
    const { service, engine, pool, records } = bench([expert("first")], { manual: { generate: true } });
    const outcome = collect(service.chat(ask("one"), never)).catch((error: unknown) => error);
    const generation = await engine.nextGeneration();
    generation.text("some ");
    generation.fail(new Error("Eval has failed"));
    expect(await outcome).toMatchObject({ message: "Eval has failed" });
    expect(records).toMatchObject([{ outcome: "error", errorCode: "internal_error" }]);
    expect(leasesOf(pool)).toBe(0);
    const next = collect(service.chat(ask("two"), never));
    (await engine.nextGeneration()).end("stop");
    expect((await next).at(-1)).toMatchObject({ type: "end" });
  });

  it("a load that fails reaches the caller with its reason", async () => {
    const { service, records } = bench([expert("first")], {
      files: { "/models/first.gguf": { loadError: new Error("no such tensor") } },
    });
    await expect(collect(service.chat(ask("one"), never))).rejects.toMatchObject({
      status: 503,
      message: expect.stringContaining("no such tensor"),
    });
    expect(records).toMatchObject([{ expertId: "first", outcome: "error" }]);
  });
});

describe("embeddings", () => {
  it("are remembered by text, as many as the cache holds", async () => {
    const { service, records } = bench([expert("first")]);
    const embed = async (...inputs: string[]) =>
      service.embed({ model: null, inputs, scheduling: defaultScheduling }, never);
    const first = await embed("hola", "hello");
    expect(first.model).toBe("embedder");
    const again = await embed("hello", "hola");
    expect(again.vectors[1]).toBe(first.vectors[0]);
    await embed("a", "b", "c");
    expect((await embed("hola")).vectors[0]).not.toBe(first.vectors[0]);
    expect(records.every(({ kind, outcome }) => kind === "embedding" && outcome === "ok")).toBe(true);
  });

  it("are refused by an expert, and for a text that is too long, with its place", async () => {
    const { service } = bench([expert("first")]);
    const embed = (model: string | null, ...inputs: string[]) =>
      service.embed({ model, inputs, scheduling: defaultScheduling }, never);
    await expect(embed("first", "x")).rejects.toMatchObject({ status: 400 });
    await expect(embed("who", "x")).rejects.toMatchObject({ status: 404 });
    await expect(embed(null, "x", "word ".repeat(100))).rejects.toMatchObject({
      status: 400,
      param: "input[1]",
    });
  });
});
