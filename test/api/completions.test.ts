// POST /v1/completions over a scripted chat service.
import { describe, expect, it } from "vitest";
import { completion, completionChunk } from "../../src/api/openai/responses.ts";
import { fakeHttp, post, postForEvents } from "../support/fake-http.ts";
import { type AnswerScript, fakeServices, saying } from "../support/fake-services.ts";

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
    ["echo", true],
    ["suffix", "end"],
    ["logprobs", 0],
    ["best_of", 2],
    ["n", 2],
    ["response_format", { type: "json_object" }],
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
    expect(events.map((event) => event.choices.map((choice: object) => Object.values(choice)))).toEqual([
      [[0, "", null, null]],
      [[0, "[a]", null, null]],
      [[0, "", null, "stop"]],
      [[1, "[b]", null, null]],
      [[1, "", null, "stop"]],
      [],
    ]);
    expect(new Set(events.map((event) => event.id)).size).toBe(1);
    expect(events.filter((event) => "routing" in event)).toEqual([events[0]]);
    expect(events.at(-1).usage.completion_tokens).toBe(12);
  });

  it("ends with an error event when a later prompt fails", async () => {
    const { app, chat } = setUp();
    chat.script = (request, signal) =>
      "prompt" in request && request.prompt === "b" ? (async function* () {})() : echoing(request, signal);
    const { events } = await postForEvents(app, path, { prompt: ["a", "b"], stream: true });
    expect(events.at(-1).error.code).toBe("internal_error");
  });
});
