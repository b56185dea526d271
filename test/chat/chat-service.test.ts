// The use cases over the real pool and the fake engine: who is chosen, what is sent, what is accounted, what is given back.
import { afterEach, describe, expect, it } from "vitest";
import { defaultScheduling, plainChat } from "../../src/chat/contract.ts";
import { AbandonedError } from "../../src/core/errors.ts";
import { ask, bench, checkEngines, collect, expert, leasesOf, never, textOf } from "../support/chat-bench.ts";

afterEach(checkEngines);

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

  it("another seed for each of several answers, whoever gave the seed", async () => {
    const { service, engine } = bench([expert("first", { sampling: { seed: 2 ** 32 - 1 } })]);
    for (const changes of [{}, { choice: 0 }, { choice: 1 }, { choice: 2, sampling: { seed: 5 } }]) {
      await collect(service.chat(ask("hello", changes), never));
    }
    const without = bench([expert("first")]);
    await collect(without.service.chat(ask("hello", { choice: 3 }), never));
    const seeds = [...engine.generationRequests, ...without.engine.generationRequests].map(
      ({ sampling }) => sampling.seed,
    );
    expect(seeds).toEqual([2 ** 32 - 1, 2 ** 32 - 1, 0, 7, undefined]);
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
      suffix: null,
      maxTokens: 2,
      ...plainChat,
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
      service.embed({ model: null, inputs, truncates: false, scheduling: defaultScheduling }, never);
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
      service.embed({ model, inputs, truncates: false, scheduling: defaultScheduling }, never);
    await expect(embed("first", "x")).rejects.toMatchObject({ status: 400 });
    await expect(embed("who", "x")).rejects.toMatchObject({ status: 404 });
    await expect(embed(null, "x", "word ".repeat(100))).rejects.toMatchObject({
      status: 400,
      param: "input[1]",
    });
  });
});

describe("documents", () => {
  const rank = (model: string | null, query: string, ...documents: string[]) => ({
    model,
    query,
    documents,
    scheduling: defaultScheduling,
  });

  it("are scored in their order, and accounted", async () => {
    const { service, records } = bench([expert("first")]);
    const answer = await service.rank(rank(null, "red apple", "blue sky", "red apple pie"), never);
    expect(answer.model).toBe("reranker");
    expect(answer.scores).toEqual([0, 2]);
    expect(records).toMatchObject([{ kind: "ranking", expertId: "reranker", outcome: "ok", promptTokens: 9 }]);
    expect(records[0]?.isEmpty).toBe(false);
  });

  it("are refused by an expert, where one is too long, and where nobody ranks", async () => {
    const { service } = bench([expert("first")]);
    await expect(service.rank(rank("first", "a", "b"), never)).rejects.toMatchObject({ status: 400, param: "model" });
    const long = "word ".repeat(100);
    await expect(service.rank(rank(null, "a", "b", long), never)).rejects.toMatchObject({
      status: 400,
      param: "documents[1]",
    });
    const without = bench([expert("first")], {}, { reranker: null });
    await expect(without.service.rank(rank(null, "a", "b"), never)).rejects.toMatchObject({
      status: 501,
      code: "reranking_not_configured",
    });
  });
});

describe("a model that is asked for no answer", () => {
  it("is asked at once where it is in memory, though all its slots are taken", async () => {
    const { service, pool } = bench([expert("first")]);
    const lease = await pool.acquire("first", { signal: never });
    const counted = await service.withModel(null, (model, id) => [id, model.contextTokens], never);
    expect(counted).toEqual(["first", 512]);
    lease.release();
  });

  it("is loaded first where it is not, and given back, also when it throws", async () => {
    const { service, pool } = bench([expert("first"), expert("second")]);
    const asked = service.withModel(
      "second",
      () => {
        throw new Error("no such token");
      },
      never,
    );
    await expect(asked).rejects.toThrow("no such token");
    expect(leasesOf(pool)).toBe(0);
    await expect(service.withModel("nobody", () => 1, never)).rejects.toMatchObject({ status: 404 });
  });

  it("renders a conversation as it would be answered, without answering it", async () => {
    const { service, engine } = bench([expert("first", { systemPrompt: "BE BRIEF" })]);
    const { expertId, text, tokens } = await service.render(ask("hello"), never);
    expect(expertId).toBe("first");
    expect(text).toBe(
      "<|im_start|>system\nBE BRIEF<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n",
    );
    await collect(service.chat(ask("hello"), never));
    expect(engine.generationRequests.map(({ promptTokens }) => promptTokens)).toEqual([tokens]);
  });
});
