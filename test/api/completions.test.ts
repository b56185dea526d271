// POST /v1/completions over a scripted chat service.
import { describe, expect, it } from "vitest";
import type { TextModel } from "../../src/engine/engine.ts";
import { completion, completionChunk } from "../../src/api/openai/responses.ts";
import { fakeHttp, post, postForEvents } from "../support/fake-http.ts";
import { type AnswerScript, ending, fakeServices, saying, telling } from "../support/fake-services.ts";

const path = "/v1/completions";

/** Answers each prompt with itself in brackets. */
const echoing: AnswerScript = (request, signal) =>
  saying(`[${"prompt" in request ? String(request.prompt) : "chat"}]`)(request, signal);

function setUp() {
  const services = fakeServices();
  services.chat.script = echoing;
  return { chat: services.chat, app: fakeHttp(services) };
}

describe("the prompt", () => {
  it.each([
    ["Once upon", ["Once upon"]],
    [["Once upon"], ["Once upon"]],
    [[1, 2, 3], [[1, 2, 3]]],
    [
      [[1, 2], [3]],
      [[1, 2], [3]],
    ],
    [
      ["a", [5]],
      ["a", [5]],
    ],
    ["", [""]],
  ])("%j becomes one request for each of %j", async (prompt, prompts) => {
    const { app, chat } = setUp();
    const { status, body } = await post(app, path, { model: "qwen_coder", prompt });
    expect(status).toBe(200);
    expect(chat.completions.map((request) => request.prompt)).toEqual(prompts);
    expect(completion.strict().parse(body)).toEqual(body);
    expect(body.choices).toEqual(
      prompts.map((one, index) => ({ index, text: `[${String(one)}]`, logprobs: null, finish_reason: "stop" })),
    );
    expect(body.usage.total_tokens).toBe(16 * prompts.length);
    expect(body.timings.predicted_n).toBe(6 * prompts.length);
  });

  it("keeps several prompts on the expert that took the first", async () => {
    const { app, chat } = setUp();
    const { body, headers } = await post(app, path, { prompt: ["a", "b", "c"] });
    expect(chat.completions.map((request) => request.model)).toEqual([null, "qwen_coder", "qwen_coder"]);
    expect(body.model).toBe("qwen_coder");
    expect(body.routing.source).toBe("keywords");
    expect(headers.get("x-expert")).toBe("qwen_coder");
  });

  it.each([
    [undefined, "prompt", "missing_required_parameter"],
    [5, "prompt", "invalid_value"],
    [[], "prompt", "invalid_value"],
    [[-1], "prompt[0]", "invalid_value"],
    [[1, 2.5], "prompt[1]", "invalid_type"],
    [[1, "a"], "prompt[1]", "invalid_type"],
    [["a", 1], "prompt[1]", "invalid_value"],
    [[[1], []], "prompt[1]", "invalid_value"],
    [[[1, "a"]], "prompt[0][1]", "invalid_type"],
    [[2 ** 31], "prompt[0]", "invalid_value"],
    [[null], "prompt[0]", "invalid_value"],
    [["a", [1, -1]], "prompt[1][1]", "invalid_value"],
  ])("%j is refused at %s", async (prompt, param, code) => {
    const { app, chat } = setUp();
    const { status, body } = await post(app, path, { prompt });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param, code });
    expect(chat.completions).toEqual([]);
  });
});

it.each([
  ["a", ["prompt"]],
  [[1, 2], ["prompt"]],
  [
    ["a", [5]],
    ["prompt[0]", "prompt[1]"],
  ],
])("tells the service where in %j each prompt stood", async (prompt, fields) => {
  const { app, chat } = setUp();
  await post(app, path, { prompt });
  expect(chat.completions.map(({ promptField }) => promptField)).toEqual(fields);
});

it("takes at most 128 prompts", async () => {
  const { app } = setUp();
  expect((await post(app, path, { prompt: Array.from({ length: 128 }, () => "a") })).status).toBe(200);
  const { status, body } = await post(app, path, { prompt: Array.from({ length: 129 }, () => "a") });
  expect(status).toBe(400);
  expect(body.error.param).toBe("prompt");
  expect(body.error.message).toMatch(/an array of 1 to 128 strings .* received an array of 129\.$/);
});

describe("the parameters", () => {
  it("default to OpenAI's 16 tokens", async () => {
    const { app, chat } = setUp();
    await post(app, path, { prompt: "a" });
    await post(app, path, { prompt: "a", max_tokens: 3, stop: ["x"], temperature: 0 });
    expect(chat.completions).toMatchObject([
      { maxTokens: 16, stop: [], sampling: {} },
      { maxTokens: 3, stop: ["x"], sampling: { temperature: 0 } },
    ]);
  });

  it("route although a model is named when use_semantic_router is true", async () => {
    const { app, chat } = setUp();
    await post(app, path, { prompt: "a", model: "phi4_fast", use_semantic_router: true });
    expect(chat.completions[0]?.model).toBe(null);
  });

  it.each([
    ["mirostat", 1],
    ["lora", [{ id: 0, scale: 1 }]],
    ["use_beam_search", true],
  ])("%s = %j is refused by name", async (name, value) => {
    const { status, body } = await post(setUp().app, path, { prompt: "a", [name]: value });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param: name, code: "unsupported_parameter" });
  });

  it("accept what asks for nothing", async () => {
    const neutral = { echo: false, suffix: "", logprobs: null, best_of: 1, n: 1 };
    expect((await post(setUp().app, path, { prompt: "a", ...neutral })).status).toBe(200);
  });
});

describe("a stream", () => {
  it("gives each prompt its index, its text and its end", async () => {
    const { events, headers } = await postForEvents(setUp().app, path, {
      prompt: ["a", "b"],
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(headers.get("x-expert")).toBe("qwen_coder");
    expect(events.pop()).toBe("[DONE]");
    for (const event of events) expect(completionChunk.strict().parse(event)).toEqual(event);
    // Both are answered at the same time.
    const { usage, choices } = events.pop();
    expect(choices).toEqual([]);
    expect(usage.completion_tokens).toBe(12);
    for (const [index, text] of [
      [0, "[a]"],
      [1, "[b]"],
    ]) {
      const own = events.map(({ choices: [choice] }) => choice).filter((choice) => choice.index === index);
      expect(own).toEqual([
        { index, text: "", logprobs: null, finish_reason: null },
        { index, text, logprobs: null, finish_reason: null },
        { index, text: "", logprobs: null, finish_reason: "stop" },
      ]);
    }
    expect(new Set(events.map((event) => event.id)).size).toBe(1);
    expect(events.filter((event) => "routing" in event)).toEqual([events[0]]);
  });

  it("ends with an error event when a later prompt fails", async () => {
    const { app, chat } = setUp();
    chat.script = (request, signal) =>
      "prompt" in request && request.prompt === "b" ? (async function* () {})() : echoing(request, signal);
    const { events } = await postForEvents(app, path, { prompt: ["a", "b"], stream: true });
    expect(events.at(-1).error.code).toBe("internal_error");
  });
});

describe("several choices", () => {
  it("come in the order of their prompts, each with its own seed; a prompt is counted once", async () => {
    const { app, chat } = setUp();
    const { body } = await post(app, path, { prompt: ["a", "b"], n: 2, seed: 2 ** 32 - 1 });
    expect(body.choices.map(({ index, text }: { index: number; text: string }) => [index, text])).toEqual([
      [0, "[a]"],
      [1, "[a]"],
      [2, "[b]"],
      [3, "[b]"],
    ]);
    expect(chat.completions.map(({ prompt, sampling, choice }) => [prompt, sampling.seed, choice])).toEqual([
      ["a", 2 ** 32 - 1, 0],
      ["a", 2 ** 32 - 1, 1],
      ["b", 2 ** 32 - 1, 0],
      ["b", 2 ** 32 - 1, 1],
    ]);
    expect(body.usage).toMatchObject({ prompt_tokens: 20, completion_tokens: 24, total_tokens: 44 });
  });

  it("are the likeliest of best_of", async () => {
    const { app, chat } = setUp();
    const means = [-2, -0.5, -1];
    chat.script = (request, signal) => {
      const logprob = means[chat.completions.indexOf(request as never)] ?? -9;
      const token = (text: string) => ({ text, token: 1, logprob, bytes: Buffer.from(text), top: [] });
      const text = `${logprob}`;
      return telling({ type: "text", text, logprobs: [token(text), token("")] }, ending())(request, signal);
    };
    const { body } = await post(app, path, { prompt: "a", n: 2, best_of: 3 });
    expect(body.choices).toEqual([
      { index: 0, text: "-0.5", logprobs: null, finish_reason: "stop" },
      { index: 1, text: "-1", logprobs: null, finish_reason: "stop" },
    ]);
    expect(chat.completions.map(({ topLogprobs }) => topLogprobs)).toEqual([0, 0, 0]);
    expect(body.usage.completion_tokens).toBe(18);
  });

  it.each([
    [{ n: 3, best_of: 2 }, "best_of must be at least n, which is 3; received 2."],
    [{ best_of: 2, stream: true }, "best_of must be n where the answer is streamed"],
    [{ best_of: 17 }, "best_of must be an integer from 1 to 16; received 17."],
    [
      { prompt: Array.from({ length: 65 }, () => "a"), n: 2 },
      "n must be such that all prompts together have at most 128",
    ],
  ])("are refused for %#", async (fields, message) => {
    const { status, body } = await post(setUp().app, path, { prompt: "a", ...fields });
    expect(status).toBe(400);
    expect(body.error.message).toContain(message);
  });
});

describe("echo", () => {
  /** Knows the text of tokens 1 and 2. */
  const model = {
    detokenize: (tokens: readonly number[]) => tokens.map((token) => `<${token}>`).join(""),
  } as Partial<TextModel> as TextModel;

  it("puts each prompt before its answers", async () => {
    const { app, chat } = setUp();
    chat.model = model;
    const { body } = await post(app, path, { prompt: ["Once ", [1, 2]], n: 2, echo: true });
    const texts = body.choices.map(({ text }: { text: string }) => text);
    expect(texts).toEqual(["Once [Once ]", "Once [Once ]", "<1><2>[1,2]", "<1><2>[1,2]"]);
  });

  it("comes first in a stream", async () => {
    const { app, chat } = setUp();
    chat.model = model;
    const { events } = await postForEvents(app, path, { prompt: [1, 2], echo: true, stream: true });
    expect(events.slice(0, 2).map((event) => event.choices[0].text)).toEqual(["<1><2>", "[1,2]"]);
  });

  it("that fails ends the answer that has begun", async () => {
    const { app, chat } = setUp();
    const { status } = await post(app, path, { prompt: [1], echo: true });
    expect(status).toBe(500);
    expect(chat.endedCount).toBe(1);
  });

  it.each([
    [{ logprobs: 1 }, "logprobs together with echo is not supported"],
    [{ suffix: "x" }, "echo cannot be given together with suffix"],
  ])("is refused with %j", async (fields, message) => {
    const { body } = await post(setUp().app, path, { prompt: "a", echo: true, ...fields });
    expect(body.error.message).toContain(message);
  });
});

describe("log probabilities", () => {
  const named = (text: string, logprob: number) => ({ text, token: 1, logprob, bytes: Buffer.from(text) });
  const script = telling(
    { type: "text", text: "Hi", logprobs: [{ ...named("Hi", -0.5), top: [named("Hi", -0.5), named("Ho", -1)] }] },
    { type: "text", text: " you", logprobs: [{ ...named(" you", -Infinity), top: [named("x", -2), named("x", -3)] }] },
    ending(),
  );
  const [first, second] = [
    { tokens: ["Hi"], token_logprobs: [-0.5], top_logprobs: [{ Hi: -0.5, Ho: -1 }], text_offset: [0] },
    { tokens: [" you"], token_logprobs: [-9999], top_logprobs: [{ x: -2, " you": -9999 }], text_offset: [2] },
  ];

  it("have the older form", async () => {
    const { app, chat } = setUp();
    chat.script = script;
    const { body } = await post(app, path, { prompt: "a", logprobs: 2 });
    expect(chat.completions[0]?.topLogprobs).toBe(2);
    expect(completion.strict().parse(body)).toEqual(body);
    expect(body.choices[0].logprobs).toEqual({
      tokens: ["Hi", " you"],
      token_logprobs: [-0.5, -9999],
      top_logprobs: [
        { Hi: -0.5, Ho: -1 },
        { x: -2, " you": -9999 },
      ],
      text_offset: [0, 2],
    });
  });

  it("come with their text in a stream", async () => {
    const { app, chat } = setUp();
    chat.script = script;
    const { events } = await postForEvents(app, path, { prompt: "a", logprobs: 2, stream: true });
    expect(events.slice(1, 3).map((event) => event.choices[0].logprobs)).toEqual([first, second]);
  });

  it("of no token are still their form", async () => {
    const { app, chat } = setUp();
    chat.script = saying();
    const { body } = await post(app, path, { prompt: "a", logprobs: 0, max_tokens: 0 });
    expect(body.choices[0].logprobs).toEqual({ tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] });
  });
});

it("hands suffix and format on", async () => {
  const { app, chat } = setUp();
  await post(app, path, { prompt: "a", suffix: "z", grammar: 'root ::= "b"', n_predict: -1 });
  expect(chat.completions[0]).toMatchObject({
    suffix: "z",
    output: { type: "grammar", source: 'root ::= "b"', field: "grammar" },
    maxTokens: null,
  });
});

it("of a format that was cut and completed ends with length", async () => {
  const { app, chat } = setUp();
  chat.script = telling({ type: "text", text: "{}" }, ending({ isCompleted: true }));
  const { body } = await post(app, path, { prompt: "a", json_schema: {} });
  expect(body.choices[0].finish_reason).toBe("length");
});
