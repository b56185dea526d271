// POST /api/chat: what becomes of a body, of an answer's events, and of a body that only loads or unloads.
import { describe, expect, it } from "vitest";
import { chatAnswer } from "../../src/api/ollama/responses.ts";
import type { AnswerEvent } from "../../src/chat/contract.ts";
import { PublicError } from "../../src/core/errors.ts";
import { post } from "../support/fake-http.ts";
import { calling, ending, failing, fakeServices, saying, startedAtMs, telling } from "../support/fake-services.ts";
import { ollamaHttp, postForLines } from "./ollama-http.ts";

const path = "/api/chat";
const hello = { model: "phi4_fast", messages: [{ role: "user", content: "Hi" }] };
const now = new Date(startedAtMs + 5000).toISOString();

async function ask(body: object) {
  const services = fakeServices();
  const answer = await post(ollamaHttp(services), path, { stream: false, ...body });
  return { ...answer, services, request: services.chat.chats[0] };
}

async function answerTo(events: readonly AnswerEvent[]) {
  const services = fakeServices();
  services.chat.script = telling(...events);
  const { body } = await post(ollamaHttp(services), path, { ...hello, stream: false });
  const { lines } = await postForLines(ollamaHttp(services), path, hello);
  return { whole: chatAnswer.parse(body), lines: lines.map((line) => chatAnswer.parse(line)) };
}

describe("the request", () => {
  it("is an ordinary chat where nothing special is asked", async () => {
    const { status, request } = await ask(hello);
    expect(status).toBe(200);
    expect(request).toEqual({
      model: "phi4_fast",
      forceRouting: false,
      messages: [{ role: "user", content: "Hi" }],
      maxTokens: null,
      stop: [],
      sampling: {},
      topLogprobs: null,
      output: null,
      tools: null,
      reasoning: { thinks: null, effort: null, budgetTokens: null },
      scheduling: { priority: 0, keepAliveMs: null },
    });
  });

  it.each([
    ["phi4_fast", "phi4_fast"],
    ["phi4_fast:latest", "phi4_fast"],
    ["phi4_fast:14b-q4_0", "phi4_fast"],
    ["phi", "phi4_fast"],
    ["vendor/phi-4:latest", "phi4_fast"],
    ["auto", null],
    ["auto:latest", null],
    ["", null],
    [null, null],
    [undefined, null],
  ])("model %j is %j", async (model, expected) => {
    const { status, request } = await ask({ ...hello, model });
    expect(status).toBe(200);
    expect(request?.model).toBe(expected);
  });

  it.each(["llama3.2", "llama3.2:latest", "phi4_fast:a:b", "phi4_fast/x", ":", ":latest"])(
    "model %j is not found",
    async (model) => {
      const { status, body, request } = await ask({ ...hello, model });
      expect(status).toBe(404);
      expect(body.error).toMatch(`model '${model}' not found; known models: phi4_fast, `);
      expect(request).toBeUndefined();
    },
  );

  it("takes every option", async () => {
    const { request, headers } = await ask({
      ...hello,
      options: {
        num_predict: 100,
        temperature: 0.7,
        top_k: 20,
        top_p: 0.9,
        min_p: 0.01,
        typical_p: 0.7,
        seed: 42,
        stop: ["\n", "user:"],
        repeat_last_n: 33,
        repeat_penalty: 1.2,
        presence_penalty: 1.5,
        frequency_penalty: 1,
        mirostat: 0,
        tfs_z: 1,
      },
    });
    expect(request).toMatchObject({ maxTokens: 100, stop: ["\n", "user:"] });
    expect(request?.sampling).toEqual({
      temperature: 0.7,
      topK: 20,
      topP: 0.9,
      minP: 0.01,
      typicalP: 0.7,
      seed: 42,
      repeatLastN: 33,
      repeatPenalty: 1.2,
      presencePenalty: 1.5,
      frequencyPenalty: 1,
    });
    expect(headers.get("x-ignored-parameters")).toBe(null);
  });

  it.each([
    [{ num_predict: -1 }, { maxTokens: null }],
    [{ num_predict: -2 }, { maxTokens: null }],
    [{ num_predict: 0 }, { maxTokens: null }],
    [{ num_predict: null }, { maxTokens: null }],
    [{ top_k: -1 }, { sampling: { topK: 0 } }],
    [{ top_k: 0 }, { sampling: { topK: 0 } }],
    [{ temperature: 0 }, { sampling: { temperature: 0 } }],
    [{ seed: -1 }, { sampling: {} }],
    [{ seed: 2 ** 32 + 5 }, { sampling: { seed: 5 } }],
    [{ stop: "END" }, { stop: ["END"] }],
    [{ stop: [] }, { stop: [] }],
    [{ somebody_elses: 1 }, { sampling: {} }],
  ])("options %j become %j", async (options, expected) => {
    expect((await ask({ ...hello, options })).request).toMatchObject(expected);
  });

  it("names what it passes over", async () => {
    const { status, headers } = await ask({
      ...hello,
      truncate: true,
      shift: false,
      of_no_protocol: 1,
      options: { num_ctx: 8192, num_gpu: 1, mirostat_tau: 5, of_nobody: 2 },
    });
    expect(status).toBe(200);
    expect(headers.get("x-ignored-parameters")).toBe(
      "truncate, options.num_ctx, options.num_gpu, options.mirostat_tau, options.of_nobody, of_no_protocol",
    );
  });

  it("refuses what would change the answer's meaning, or drops it where the configuration says so", async () => {
    const mirostat = { ...hello, options: { mirostat: 2 } };
    const { status, body } = await ask(mirostat);
    expect(status).toBe(400);
    expect(body.error).toMatch(/^options\.mirostat .*Received 2\.$/);
    const services = fakeServices({ dropsParameters: true });
    const dropped = await post(ollamaHttp(services), path, { ...mirostat, stream: false });
    expect(dropped.status).toBe(200);
    expect(dropped.headers.get("x-ignored-parameters")).toBe("options.mirostat");
  });

  it.each([
    [undefined, null],
    ["", null],
    [null, null],
    ["json", { type: "json_object" }],
    [{ type: "object" }, { type: "json_schema", schema: { type: "object" }, field: "format" }],
    [{}, { type: "json_schema", schema: {}, field: "format" }],
  ])("format %j", async (format, output) => {
    expect((await ask({ ...hello, format })).request?.output).toEqual(output);
  });

  it.each([
    [undefined, { thinks: null, effort: null }],
    [null, { thinks: null, effort: null }],
    [true, { thinks: true, effort: null }],
    [false, { thinks: false, effort: null }],
    ["low", { thinks: true, effort: "low" }],
    ["high", { thinks: true, effort: "high" }],
  ])("think %j", async (think, reasoning) => {
    expect((await ask({ ...hello, think })).request?.reasoning).toMatchObject(reasoning);
  });

  it.each([
    [{}, null],
    [{ logprobs: false, top_logprobs: 3 }, null],
    [{ logprobs: true }, 0],
    [{ logprobs: true, top_logprobs: 3 }, 3],
  ])("logprobs %j", async (fields, topLogprobs) => {
    expect((await ask({ ...hello, ...fields })).request?.topLogprobs).toBe(topLogprobs);
  });

  it("takes keep_alive", async () => {
    expect((await ask({ ...hello, keep_alive: "10m" })).request?.scheduling.keepAliveMs).toBe(600_000);
    expect((await ask({ ...hello, keep_alive: -1 })).request?.scheduling.keepAliveMs).toBe(Infinity);
    expect((await ask({ ...hello, keep_alive: 0 })).request?.scheduling.keepAliveMs).toBe(0);
  });

  it("takes tools", async () => {
    const parameters = { type: "object", properties: { city: { type: "string" } } };
    const { request } = await ask({
      ...hello,
      tools: [
        { type: "function", function: { name: "weather", description: "The weather.", parameters } },
        { type: "function", function: { name: "time" } },
      ],
    });
    expect(request?.tools).toEqual({
      tools: [
        { name: "weather", description: "The weather.", parameters },
        { name: "time", description: null, parameters: { type: "object", properties: {} } },
      ],
      choice: "auto",
      parallel: true,
      field: "tools",
    });
    expect((await ask({ ...hello, tools: [] })).request?.tools).toBe(null);
  });

  it("gives calls ids by their place, and finds the call that a tool's message answers", async () => {
    const call = (name: string, city: string) => ({ function: { name, arguments: { city } } });
    const { request } = await ask({
      ...hello,
      messages: [
        { role: "user", content: "Weather and time in Lugo, weather in Vigo?", images: [] },
        {
          role: "assistant",
          content: "",
          thinking: "Three calls.",
          tool_calls: [call("weather", "Lugo"), call("time", "Lugo"), call("weather", "Vigo")],
        },
        { role: "tool", tool_name: "time", content: "10:00" },
        { role: "tool", tool_name: "weather", content: "rain" },
        { role: "tool", content: "sun" },
        { role: "tool", content: "nobody asked" },
        { role: "assistant", content: "", tool_calls: [{ id: "mine", function: { name: "time" } }] },
        { role: "tool", tool_call_id: "mine", content: "10:01" },
      ],
    });
    expect(request?.messages).toEqual([
      { role: "user", content: "Weather and time in Lugo, weather in Vigo?" },
      {
        role: "assistant",
        content: "",
        reasoning: "Three calls.",
        toolCalls: [
          { id: "call00001", name: "weather", arguments: '{"city":"Lugo"}' },
          { id: "call00002", name: "time", arguments: '{"city":"Lugo"}' },
          { id: "call00003", name: "weather", arguments: '{"city":"Vigo"}' },
        ],
      },
      { role: "tool", content: "10:00", toolCallId: "call00002", name: "time" },
      { role: "tool", content: "rain", toolCallId: "call00001", name: "weather" },
      { role: "tool", content: "sun", toolCallId: "call00003", name: "weather" },
      { role: "tool", content: "nobody asked" },
      { role: "assistant", content: "", toolCalls: [{ id: "mine", name: "time", arguments: "{}" }] },
      { role: "tool", content: "10:01", toolCallId: "mine", name: "time" },
    ]);
  });
});

describe("the answer", () => {
  it("is one object where it is not streamed", async () => {
    const { status, headers, body, services } = await ask(hello);
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("x-expert")).toBe("phi4_fast");
    expect(chatAnswer.parse(body)).toEqual({
      model: "phi4_fast",
      created_at: now,
      message: { role: "assistant", content: "Hello there" },
      done: true,
      done_reason: "stop",
      total_duration: 0,
      load_duration: 2e6,
      prompt_eval_count: 10,
      prompt_eval_duration: 30e6,
      eval_count: 6,
      eval_duration: 200e6,
      routing: { expert_id: "phi4_fast", confidence: 1, source: "request", reason: "The request names it." },
    });
    expect(services.chat.endedCount).toBe(1);
  });

  it.each([undefined, true, null])("is lines with stream %j", async (stream) => {
    const { status, headers, lines } = await postForLines(ollamaHttp(), path, { ...hello, stream });
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("application/x-ndjson");
    expect(headers.get("x-expert")).toBe("phi4_fast");
    const message = (content: string) => ({ role: "assistant", content });
    expect(lines.slice(0, -1)).toEqual([
      { model: "phi4_fast", created_at: now, message: message("Hello"), done: false },
      { model: "phi4_fast", created_at: now, message: message(" there"), done: false },
    ]);
    expect(lines.at(-1)).toMatchObject({ message: message(""), done: true, done_reason: "stop", eval_count: 6 });
    for (const line of lines) chatAnswer.parse(line);
  });

  it("takes all the time since the request came, in whole nanoseconds", async () => {
    const services = fakeServices();
    let nowMs = 0.0000004;
    services.clock.nowMs = () => nowMs;
    services.chat.script = async function* (request, signal) {
      nowMs = 1234.5678904;
      yield* saying("x")(request, signal);
    };
    const { body } = await post(ollamaHttp(services), path, { ...hello, stream: false });
    expect(body.total_duration).toBe(1_234_567_890);
  });

  it("has the name that the caller used, as long as that model answers", async () => {
    const named = async (model: string) => (await ask({ ...hello, model })).body.model as string;
    expect(await named("phi4_fast:latest")).toBe("phi4_fast:latest");
    expect(await named("vendor/phi-4")).toBe("vendor/phi-4");
    expect(await named("auto")).toBe("qwen_coder");
    const services = fakeServices();
    const fallback = { expertId: "aya_expanse_multilingual", confidence: 1, source: "request" as const, reason: "!" };
    services.chat.script = telling({ type: "routing", routing: fallback }, { type: "text", text: "x" }, ending());
    const { headers, body } = await post(ollamaHttp(services), path, { ...hello, stream: false });
    expect(body.model).toBe("aya_expanse_multilingual");
    expect(headers.get("x-expert")).toBe("aya_expanse_multilingual");
  });

  it.each([
    ["stop", "stop"],
    ["length", "length"],
    ["tool_calls", "stop"],
  ] as const)("ends by %s as %s", async (reason, doneReason) => {
    const { whole, lines } = await answerTo([ending({ reason })]);
    expect(whole.done_reason).toBe(doneReason);
    expect(lines.map((line) => line.done_reason)).toEqual([doneReason]);
  });

  it("tells thinking apart", async () => {
    const { whole, lines } = await answerTo([
      { type: "reasoning", text: "Well" },
      { type: "reasoning", text: "…" },
      { type: "text", text: "Yes." },
      ending(),
    ]);
    expect(whole.message).toEqual({ role: "assistant", content: "Yes.", thinking: "Well…" });
    expect(lines.map(({ message }) => message)).toEqual([
      { role: "assistant", content: "", thinking: "Well" },
      { role: "assistant", content: "", thinking: "…" },
      { role: "assistant", content: "Yes." },
      { role: "assistant", content: "" },
    ]);
  });

  it("tells calls of tools whole, with their arguments as an object", async () => {
    const { whole, lines } = await answerTo([
      { type: "text", text: "Let me see." },
      ...calling(0, "a", "weather", '{"ci', 'ty":"Lu', 'go"}'),
      ...calling(1, "b", "time"),
      ending({ reason: "tool_calls" }),
    ]);
    const calls = [
      { id: "a", function: { index: 0, name: "weather", arguments: { city: "Lugo" } } },
      { id: "b", function: { index: 1, name: "time", arguments: {} } },
    ];
    expect(whole.message).toEqual({ role: "assistant", content: "Let me see.", tool_calls: calls });
    expect(lines.map(({ message }) => message)).toEqual([
      { role: "assistant", content: "Let me see." },
      { role: "assistant", content: "", tool_calls: [calls[0]] },
      { role: "assistant", content: "", tool_calls: [calls[1]] },
      { role: "assistant", content: "" },
    ]);
  });

  it("tells no half call where the token limit cut it", async () => {
    const { whole, lines } = await answerTo([
      ...calling(0, "a", "weather", '{"city":"Lugo"}'),
      ...calling(1, "b", "weather", '{"city":"V'),
      ending({ reason: "length" }),
    ]);
    expect(whole.message.tool_calls?.map(({ id }) => id)).toEqual(["a"]);
    expect(lines.map(({ done_reason }) => done_reason)).toEqual([undefined, "length"]);
  });

  it("carries log probabilities", async () => {
    const named = (text: string, logprob: number) => ({ text, bytes: Buffer.from(text), token: 1, logprob });
    const entry = { ...named("é", -0.5), top: [named("é", -0.5), named("e", -1)] };
    const { whole, lines } = await answerTo([
      { type: "text", text: "é", logprobs: [entry] },
      { type: "text", text: "", logprobs: [entry] },
      ending(),
    ]);
    const body = {
      token: "é",
      logprob: -0.5,
      bytes: [195, 169],
      top_logprobs: [
        { token: "é", logprob: -0.5, bytes: [195, 169] },
        { token: "e", logprob: -1, bytes: [101] },
      ],
    };
    expect(whole.logprobs).toEqual([body, body]);
    expect(lines.map(({ logprobs }) => logprobs)).toEqual([[body], [body], undefined]);
  });
});

describe("failures", () => {
  const full = new PublicError("Full.", { status: 429, type: "rate_limit_error", code: "queue_full", retryAfterS: 2 });

  it("have a status and the text alone, before anything was sent", async () => {
    const services = fakeServices();
    services.chat.script = failing(full);
    for (const stream of [true, false]) {
      const { status, headers, body } = await post(ollamaHttp(services), path, { ...hello, stream });
      expect(status).toBe(429);
      expect(body).toEqual({ error: "Full." });
      expect(headers.get("retry-after")).toBe("2");
    }
  });

  it("are the last line of what has begun", async () => {
    const services = fakeServices();
    services.chat.script = failing(full, { type: "text", text: "Half" });
    const { status, lines } = await postForLines(ollamaHttp(services), path, hello);
    expect(status).toBe(200);
    expect(lines).toMatchObject([{ message: { content: "Half" }, done: false }, { error: "Full." }]);
  });

  it("hide what is a bug", async () => {
    const services = fakeServices();
    services.chat.script = telling({ type: "text", text: "x" });
    const { status, body } = await post(ollamaHttp(services), path, { ...hello, stream: false });
    expect(status).toBe(500);
    expect(body.error).toMatch(/^Internal error\./);
    const { lines } = await postForLines(ollamaHttp(services), path, hello);
    expect(lines.at(-1)).toEqual({ error: expect.stringMatching(/^Internal error\./) as string });
  });
});

describe("a body without messages", () => {
  function loading() {
    const loaded: string[] = [];
    const unloaded: string[] = [];
    const services = fakeServices({
      loadExpert: (id) => {
        loaded.push(id);
        return Promise.resolve();
      },
      unloadExpert: (id) => {
        unloaded.push(id);
        return "unloading";
      },
    });
    return { loaded, unloaded, services };
  }

  it.each([
    [{ model: "phi:latest", messages: [] }, "phi4_fast", "phi:latest"],
    [{ model: "phi", messages: null }, "phi4_fast", "phi"],
    [{ model: "phi4_fast", keep_alive: -1 }, "phi4_fast", "phi4_fast"],
    [{ stream: false }, "mistral_balanced", "mistral_balanced:latest"],
  ])("loads: %j", async (body, id, model) => {
    const { loaded, unloaded, services } = loading();
    const answer = await post(ollamaHttp(services), path, body);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      model,
      created_at: now,
      message: { role: "assistant", content: "" },
      done: true,
      done_reason: "load",
    });
    expect([loaded, unloaded]).toEqual([[id], []]);
    expect(services.chat.chats).toEqual([]);
  });

  it.each([0, "0", "0s"])("unloads with keep_alive %j", async (keepAlive) => {
    const { loaded, unloaded, services } = loading();
    const { body } = await post(ollamaHttp(services), path, { model: "phi", messages: [], keep_alive: keepAlive });
    expect(body).toMatchObject({ model: "phi", done: true, done_reason: "unload" });
    expect([loaded, unloaded]).toEqual([[], ["phi4_fast"]]);
  });

  it("says that a busy model stays", async () => {
    const services = fakeServices({ unloadExpert: () => "busy" });
    const { status, body } = await post(ollamaHttp(services), path, { model: "phi", keep_alive: 0 });
    expect(status).toBe(409);
    expect(body.error).toMatch(/^phi4_fast was not unloaded: /);
  });

  it("but with `message` is another form, which is not known yet", async () => {
    const { status, body } = await ask({ message: "Hola" });
    expect(status).toBe(400);
    expect(body.error).toMatch(/^message is not supported by this server yet; send messages, .*the string "Hola"\.$/);
    expect((await ask({ ...hello, message: "Hola" })).status).toBe(200);
  });
});
