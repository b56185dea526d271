// POST /v1/chat/completions over a scripted chat service: what goes in, what comes out, and what is refused how.
import { describe, expect, it } from "vitest";
import { chatCompletion, chatCompletionChunk } from "../../src/api/openai/responses.ts";
import { defaultReasoning, defaultScheduling } from "../../src/chat/contract.ts";
import { invalidRequest, PublicError } from "../../src/core/errors.ts";
import { fakeHttp, post, postForEvents } from "../support/fake-http.ts";
import { calling, ending, failing, fakeServices, saying, telling, timings } from "../support/fake-services.ts";

const path = "/v1/chat/completions";
const hello = { messages: [{ role: "user", content: "Hi" }] };

function setUp() {
  const services = fakeServices();
  return { services, chat: services.chat, app: fakeHttp(services) };
}

describe("an answer that is not streamed", () => {
  it("has OpenAI's form, and says who answered and why", async () => {
    const { app } = setUp();
    const { status, headers, body } = await post(app, path, { ...hello, model: "phi4_fast" });
    expect(status).toBe(200);
    expect(headers.get("x-expert")).toBe("phi4_fast");
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(chatCompletion.strict().parse(body)).toEqual(body);
    expect(body).toEqual({
      id: expect.stringMatching(/^chatcmpl-/) as string,
      object: "chat.completion",
      created: 1_700_000_005,
      model: "phi4_fast",
      system_fingerprint: "b1.2.3",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello there", refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: {
        prompt_tokens: 10,
        completion_tokens: 6,
        total_tokens: 16,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
      routing: { expert_id: "phi4_fast", confidence: 1, source: "request", reason: "The request names it." },
      timings: {
        cache_n: 4,
        prompt_n: 6,
        prompt_ms: 30,
        prompt_per_second: 200,
        predicted_n: 6,
        predicted_ms: 200,
        predicted_per_second: 30,
        queue_ms: 1,
        load_ms: 2,
        ttft_ms: 40,
      },
      performance: { generation_time: 0.2, tokens_per_second: 30 },
    });
  });

  it.each([
    [{}, null],
    [{ model: "" }, null],
    [{ model: null }, null],
    [{ model: "auto" }, null],
    [{ model: "phi" }, "phi"],
  ])("%j asks the service for the model %j", async (fields, model) => {
    const { app, chat } = setUp();
    const { status } = await post(app, path, { ...hello, ...fields });
    expect(status).toBe(200);
    expect(chat.chats[0]).toMatchObject({ model, forceRouting: false });
  });

  it("answers under the expert's own id when an alias was asked for", async () => {
    const { body, headers } = await post(setUp().app, path, { ...hello, model: "phi" });
    expect(body.model).toBe("phi4_fast");
    expect(headers.get("x-expert")).toBe("phi4_fast");
  });

  it("routes although a model is named when use_semantic_router is true", async () => {
    const { app, chat } = setUp();
    const { body } = await post(app, path, { ...hello, model: "phi4_fast", use_semantic_router: true });
    expect(chat.chats[0]?.forceRouting).toBe(true);
    expect(body.model).toBe("qwen_coder");
    expect(body.routing.source).toBe("keywords");
  });

  it("reports the expert that answered after a fallback", async () => {
    const { app, chat } = setUp();
    chat.script = async function* () {
      yield {
        type: "routing",
        routing: { expertId: "mistral_balanced", confidence: 1, source: "default", reason: "The other failed." },
      };
      yield* saying("ok")(chat.chats[0]!, new AbortController().signal);
    };
    const { body, headers } = await post(app, path, { ...hello, model: "phi4_fast" });
    expect(body.model).toBe("mistral_balanced");
    expect(headers.get("x-expert")).toBe("mistral_balanced");
  });

  it("says nothing per second where nothing was measured", async () => {
    const { app, chat } = setUp();
    chat.script = async function* () {
      yield ending({ reason: "length", timings: { ...timings, generatedTokens: 0, generatedMs: 0, promptMs: 0 } });
    };
    const { body } = await post(app, path, hello);
    expect(body.choices[0]).toMatchObject({ message: { content: "" }, finish_reason: "length" });
    expect(body.timings).toMatchObject({ prompt_per_second: 0, predicted_per_second: 0 });
    expect(body.performance).toEqual({ generation_time: 0, tokens_per_second: 0 });
  });
});

describe("a streamed answer", () => {
  it("opens, speaks, closes and is done, under one id", async () => {
    const { app } = setUp();
    const { status, headers, events } = await postForEvents(app, path, { ...hello, stream: true });
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(headers.get("cache-control")).toContain("no-cache");
    expect(headers.get("x-expert")).toBe("qwen_coder");
    expect(events.pop()).toBe("[DONE]");
    for (const event of events) expect(chatCompletionChunk.strict().parse(event)).toEqual(event);
    expect(new Set(events.map((event) => event.id)).size).toBe(1);
    expect(new Set(events.map((event) => event.created)).size).toBe(1);
    expect(events.map((event) => event.choices[0])).toEqual([
      { index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null },
      { index: 0, delta: { content: "Hello" }, logprobs: null, finish_reason: null },
      { index: 0, delta: { content: " there" }, logprobs: null, finish_reason: null },
      { index: 0, delta: {}, logprobs: null, finish_reason: "stop" },
    ]);
    expect(events.map((event) => "routing" in event)).toEqual([true, false, false, false]);
    expect(events[0].routing).toEqual({
      expert_id: "qwen_coder",
      confidence: 0.9,
      source: "keywords",
      reason: "It asks for code.",
    });
    expect(events[3].timings.predicted_n).toBe(6);
    expect(events.some((event) => "usage" in event)).toBe(false);
  });

  it("ends with one more chunk for the usage when asked", async () => {
    const { events } = await postForEvents(setUp().app, path, {
      ...hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(events.at(-1)).toBe("[DONE]");
    expect(events.at(-2)).toMatchObject({ choices: [], usage: { total_tokens: 16 } });
    expect(events.at(-3).choices[0].finish_reason).toBe("stop");
  });

  it("keeps the status of a failure that comes before the first event", async () => {
    const { app, chat } = setUp();
    chat.script = failing(
      new PublicError("The queue is full.", {
        status: 429,
        type: "rate_limit_error",
        code: "queue_full",
        retryAfterS: 2.2,
      }),
    );
    const { status, headers, body } = await post(app, path, { ...hello, stream: true });
    expect(status).toBe(429);
    expect(headers.get("content-type")).toContain("application/json");
    expect(headers.get("retry-after")).toBe("3");
    expect(headers.get("x-should-retry")).toBe(null);
    expect(body).toEqual({
      error: { message: "The queue is full.", type: "rate_limit_error", param: null, code: "queue_full" },
    });
  });

  it("ends a failure on the way with an error event and without [DONE]", async () => {
    const { app, chat } = setUp();
    chat.script = async function* () {
      yield { type: "started", promptTokens: 3, cachedTokens: 0 };
      yield { type: "text", text: "Half" };
      throw new PublicError("The deadline passed.", { status: 504, type: "timeout_error", code: "deadline" });
    };
    const { status, events } = await postForEvents(app, path, { ...hello, stream: true });
    expect(status).toBe(200);
    expect(events.slice(2)).toEqual([
      { error: { message: "The deadline passed.", type: "timeout_error", param: null, code: "deadline" } },
    ]);
  });

  it("does not pass off a stream without an end as a whole answer", async () => {
    const { app, chat } = setUp();
    chat.script = async function* () {
      yield { type: "text", text: "Half" };
    };
    const { events } = await postForEvents(app, path, { ...hello, stream: true });
    expect(events.at(-1).error.code).toBe("internal_error");
    expect((await post(app, path, hello)).status).toBe(500);
  });
});

describe("an answer with more than text", () => {
  const script = telling(
    { type: "reasoning", text: "Hm" },
    { type: "reasoning", text: "" },
    { type: "text", text: "Well." },
    ...calling(0, "call_a", "f", '{"a', "", '":1}'),
    ...calling(1, "call_b", "g", "{}"),
    ending({ reason: "tool_calls" }),
  );
  const tools = [
    { type: "function", function: { name: "f" } },
    { type: "function", function: { name: "g" } },
  ];

  async function streamed(body: object, answer = script) {
    const { app, chat } = setUp();
    chat.script = answer;
    const { events } = await postForEvents(app, path, { ...hello, ...body, stream: true });
    expect(events.pop()).toBe("[DONE]");
    for (const event of events) expect(chatCompletionChunk.strict().parse(event)).toEqual(event);
    return events.map(({ choices: [choice] }) => [choice.index, choice.delta, choice.finish_reason]);
  }

  it("streams each call's id, type and name once, and its index always", async () => {
    expect(await streamed({ tools })).toEqual([
      [0, { role: "assistant", content: "" }, null],
      [0, { reasoning_content: "Hm" }, null],
      [0, { content: "Well." }, null],
      [0, { tool_calls: [{ index: 0, id: "call_a", type: "function", function: { name: "f", arguments: "" } }] }, null],
      [0, { tool_calls: [{ index: 0, function: { arguments: '{"a' } }] }, null],
      [0, { tool_calls: [{ index: 0, function: { arguments: '":1}' } }] }, null],
      [0, { tool_calls: [{ index: 1, id: "call_b", type: "function", function: { name: "g", arguments: "" } }] }, null],
      [0, { tool_calls: [{ index: 1, function: { arguments: "{}" } }] }, null],
      [0, {}, "tool_calls"],
    ]);
  });

  it("speaks of functions to those who do", async () => {
    const functions = [{ name: "f" }];
    const legacy = telling(...calling(0, "call_a", "f", '{"a', '":1}'), ending({ reason: "tool_calls" }));
    expect(await streamed({ functions }, legacy)).toEqual([
      [0, { role: "assistant", content: "" }, null],
      [0, { function_call: { name: "f", arguments: "" } }, null],
      [0, { function_call: { arguments: '{"a' } }, null],
      [0, { function_call: { arguments: '":1}' } }, null],
      [0, {}, "function_call"],
    ]);
    const { app, chat } = setUp();
    chat.script = legacy;
    const { body } = await post(app, path, { ...hello, functions });
    expect(chatCompletion.strict().parse(body)).toEqual(body);
    expect(body.choices[0]).toMatchObject({
      finish_reason: "function_call",
      message: { content: null, function_call: { name: "f", arguments: '{"a":1}' } },
    });
    expect(body.choices[0].message).not.toHaveProperty("tool_calls");
  });

  it("keeps text, reasoning and calls apart where it is whole", async () => {
    const { app, chat } = setUp();
    chat.script = script;
    const { body } = await post(app, path, { ...hello, tools });
    expect(chatCompletion.strict().parse(body)).toEqual(body);
    expect(body.choices[0].message).toMatchObject({ content: "Well.", reasoning_content: "Hm", tool_calls: [{}, {}] });
  });

  it("gives every choice its index, its own opening and its own end", async () => {
    const events = await streamed({ n: 3 }, saying("x"));
    for (const index of [0, 1, 2]) {
      expect(events.filter(([own]) => own === index)).toEqual([
        [index, { role: "assistant", content: "" }, null],
        [index, { content: "x" }, null],
        [index, {}, "stop"],
      ]);
    }
  });

  it("counts the prompt of several choices once", async () => {
    const { app } = setUp();
    const usage = { prompt_tokens: 10, completion_tokens: 18, total_tokens: 28 };
    const { body } = await post(app, path, { ...hello, n: 3 });
    expect(body.usage).toMatchObject(usage);
    const { events } = await postForEvents(app, path, {
      ...hello,
      n: 3,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(events.at(-2)).toMatchObject({ choices: [], usage });
  });

  it("tells how far its prompt is read, where that is asked for", async () => {
    const { app, chat } = setUp();
    chat.script = async function* () {
      yield { type: "started", promptTokens: 8, cachedTokens: 2 };
      yield { type: "prefill", readTokens: 5, promptTokens: 8 };
      yield { type: "prefill", readTokens: 8, promptTokens: 8 };
      yield ending();
    };
    const { events } = await postForEvents(app, path, { ...hello, stream: true, return_progress: true });
    for (const event of events.slice(0, -1)) expect(chatCompletionChunk.strict().parse(event)).toEqual(event);
    expect(events.slice(1, 4).map((event) => event.prompt_progress)).toEqual([
      { total: 8, cache: 2, processed: 2, time_ms: 0 },
      { total: 8, cache: 2, processed: 5, time_ms: 0 },
      { total: 8, cache: 2, processed: 8, time_ms: 0 },
    ]);
    const plain = await postForEvents(app, path, { ...hello, stream: true });
    expect(plain.events.some((event) => typeof event === "object" && "prompt_progress" in event)).toBe(false);
  });

  it("is cut where it thought to the end of its tokens", async () => {
    const { app, chat } = setUp();
    chat.script = telling({ type: "reasoning", text: "Hm" }, ending({ reason: "length" }));
    const { body } = await post(app, path, hello);
    expect(body.choices[0]).toMatchObject({
      finish_reason: "length",
      message: { content: "", reasoning_content: "Hm" },
    });
  });

  it("tells log probabilities of tokens that brought no text", async () => {
    const { app, chat } = setUp();
    const token = { text: "a", token: 1, logprob: -1, bytes: Buffer.from("a") };
    chat.script = telling({ type: "text", text: "", logprobs: [{ ...token, top: [] }] }, ending());
    const { events } = await postForEvents(app, path, { ...hello, logprobs: true, stream: true });
    expect(events[1].choices[0]).toMatchObject({
      delta: { content: "" },
      logprobs: { content: [{ token: "a", logprob: -1, bytes: [97], top_logprobs: [] }] },
    });
    expect(events[2].choices[0]).toMatchObject({ logprobs: null, finish_reason: "stop" });
  });
});

describe("what becomes of the parameters", () => {
  it("passes every one on in the words of the inside", async () => {
    const { app, chat } = setUp();
    await post(app, path, {
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" },
          ],
          name: "Ana",
        },
        { role: "assistant", content: null },
        { role: "assistant", content: [{ type: "refusal", refusal: "no" }], tool_calls: [] },
        { role: "tool", content: "42", tool_call_id: "x" },
      ],
      temperature: 0,
      top_p: 0.5,
      top_k: -1,
      min_p: 0.1,
      seed: 2 ** 32 + 7,
      frequency_penalty: -2,
      presence_penalty: 2,
      repetition_penalty: 1.1,
      stop: "END",
      max_tokens: 5,
      user: "u",
      metadata: { a: { b: [1] } },
      unheard_of: { deeply: ["ignored"] },
    });
    expect(chat.chats[0]).toEqual({
      model: null,
      forceRouting: false,
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "a\nb", name: "Ana" },
        { role: "assistant", content: "" },
        { role: "assistant", content: "no" },
        { role: "tool", content: "42", toolCallId: "x" },
      ],
      tools: null,
      output: null,
      reasoning: defaultReasoning,
      choice: 0,
      topLogprobs: null,
      maxTokens: 5,
      stop: ["END"],
      sampling: {
        temperature: 0,
        topP: 0.5,
        topK: 0,
        minP: 0.1,
        seed: 7,
        frequencyPenalty: -2,
        presencePenalty: 2,
        repeatPenalty: 1.1,
      },
      scheduling: defaultScheduling,
    });
  });

  it("takes null for absent, and -1 for a seed drawn at random", async () => {
    const { app, chat } = setUp();
    const nulls = ["temperature", "top_p", "top_k", "min_p", "stop", "max_tokens", "max_completion_tokens", "stream"];
    const { status } = await post(app, path, {
      ...hello,
      ...Object.fromEntries(nulls.map((name) => [name, null])),
      stream_options: null,
      tools: null,
      response_format: null,
      seed: -1,
    });
    expect(status).toBe(200);
    expect(chat.chats[0]).toMatchObject({ maxTokens: null, stop: [] });
    // Drawn here, so that no seed of the expert's configuration takes its place.
    expect(chat.chats[0]?.sampling).toEqual({ seed: expect.any(Number) });
    await post(app, path, { ...hello, seed: -1 });
    expect(chat.chats[1]?.sampling.seed).not.toBe(chat.chats[0]?.sampling.seed);
  });

  it("lets max_completion_tokens win, and takes up to 16 stops", async () => {
    const { app, chat } = setUp();
    const stop = Array.from({ length: 16 }, (_, index) => `s${index}`);
    await post(app, path, { ...hello, max_tokens: 5, max_completion_tokens: 6, stop });
    expect(chat.chats[0]).toMatchObject({ maxTokens: 6, stop });
  });

  it("passes lone surrogates and NUL on as they are", async () => {
    const { app, chat } = setUp();
    chat.script = saying("\uD800\u0000");
    const { body } = await post(app, path, '{"messages":[{"role":"user","content":"a\\ud800\\u0000b"}]}');
    expect(chat.chats[0]?.messages[0]?.content).toBe("a\uD800\u0000b");
    expect(body.choices[0].message.content).toBe("\uD800\u0000");
  });

  it.each([
    ["n", 1],
    ["tools", []],
    ["tool_choice", "none"],
    ["tool_choice", "auto"],
    ["response_format", { type: "text" }],
    ["logprobs", false],
    ["top_logprobs", 0],
    ["logit_bias", {}],
    ["modalities", ["text"]],
    ["mirostat", 0],
    ["parallel_tool_calls", true],
    ["store", true],
  ])("accepts %s = %j, which asks for nothing", async (name, value) => {
    expect((await post(setUp().app, path, { ...hello, [name]: value })).status).toBe(200);
  });

  it.each([
    ["modalities", ["text", "audio"]],
    ["mirostat", 2],
    ["audio", {}],
    ["web_search_options", {}],
    ["min_tokens", 5],
    ["guided_regex", "a+"],
    ["stop_token_ids", [5]],
    ["chat_template", "{{ messages }}"],
  ])("refuses %s = %j by its name", async (name, value) => {
    const { app, chat } = setUp();
    const { status, headers, body } = await post(app, path, { ...hello, [name]: value });
    expect(status).toBe(400);
    expect(headers.get("x-should-retry")).toBe("false");
    expect(body.error).toMatchObject({ param: name, code: "unsupported_parameter", type: "invalid_request_error" });
    expect(body.error.message).toContain(`${name} is not supported`);
    expect(chat.chats).toEqual([]);
  });
});

const user = { role: "user", content: "x" };
const wrongBodies: readonly (readonly [body: unknown, param: string | null, code: string, message: string])[] = [
  [[], null, "invalid_type", "The request body must be a JSON object; received an empty array."],
  ["null", null, "invalid_type", "The request body must be a JSON object; received null."],
  ['"x"', null, "invalid_type", 'The request body must be a JSON object; received the string "x".'],
  [{}, "messages", "missing_required_parameter", "messages is missing; it must be an array of 1 to 4096 messages."],
  [{ messages: null }, "messages", "invalid_type", "messages must be an array of 1 to 4096 messages; received null."],
  [
    { messages: "x" },
    "messages",
    "invalid_type",
    'messages must be an array of 1 to 4096 messages; received the string "x".',
  ],
  [
    { messages: [] },
    "messages",
    "invalid_value",
    "messages must be an array of 1 to 4096 messages; received an empty array.",
  ],
  [
    { messages: ["x"] },
    "messages[0]",
    "invalid_type",
    'messages[0] must be a message object; received the string "x".',
  ],
  [
    { messages: [user, { content: "x" }] },
    "messages[1].role",
    "missing_required_parameter",
    'messages[1].role is missing; it must be one of "system", "developer", "user", "assistant", "tool", "function".',
  ],
  [
    { messages: [{ ...user, role: "robot" }] },
    "messages[0].role",
    "invalid_value",
    'messages[0].role must be one of "system", "developer", "user", "assistant", "tool", "function"; received the string "robot".',
  ],
  [
    { messages: [{ role: "user", content: 5 }] },
    "messages[0].content",
    "invalid_value",
    "messages[0].content must be a string or an array of text parts; received 5.",
  ],
  [
    { messages: [{ role: "user", content: null }] },
    "messages[0].content",
    "invalid_type",
    "messages[0].content must be a string or an array of text parts; received null.",
  ],
  [
    { messages: [{ role: "user" }] },
    "messages[0].content",
    "missing_required_parameter",
    "messages[0].content is missing; it must be a string or an array of text parts.",
  ],
  [
    { messages: [{ role: "user", content: [{ type: "text" }] }] },
    "messages[0].content[0].text",
    "missing_required_parameter",
    "messages[0].content[0].text is missing; it must be a string.",
  ],
  [
    { messages: [{ role: "user", content: ["x"] }] },
    "messages[0].content[0]",
    "invalid_type",
    'messages[0].content[0] must be a part such as {"type": "text", "text": "…"}; received the string "x".',
  ],
  [
    { messages: [{ role: "user", content: [{ type: "text", text: "x" }, { type: "video" }] }] },
    "messages[0].content[1].type",
    "invalid_value",
    'messages[0].content[1].type must be "text"; received the string "video".',
  ],
  [
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "x" },
            { type: "image_url", image_url: { url: "data:" } },
          ],
        },
      ],
    },
    "messages[0].content[1]",
    "unsupported_content",
    "Images are not supported by the loaded build; messages[0].content[1] is of type image_url, only text parts are allowed.",
  ],
  [
    { messages: [{ role: "assistant", content: null, tool_calls: [{}] }] },
    "messages[0].tool_calls[0].function",
    "missing_required_parameter",
    "messages[0].tool_calls[0].function is missing; it must be an object.",
  ],
  [{ messages: [user], model: 5 }, "model", "invalid_type", "model must be a string; received 5."],
  [
    { messages: [user], max_tokens: -5 },
    "max_tokens",
    "invalid_value",
    "max_tokens must be an integer of at least 1, or -1 for no limit but the context; received -5.",
  ],
  [
    { messages: [user], max_tokens: 0 },
    "max_tokens",
    "invalid_value",
    "max_tokens must be an integer of at least 1, or -1 for no limit but the context; received 0.",
  ],
  [
    { messages: [user], max_tokens: 1.5 },
    "max_tokens",
    "invalid_type",
    "max_tokens must be an integer of at least 1, or -1 for no limit but the context; received 1.5.",
  ],
  [
    { messages: [user], max_completion_tokens: "7" },
    "max_completion_tokens",
    "invalid_type",
    'max_completion_tokens must be an integer of at least 1, or -1 for no limit but the context; received the string "7".',
  ],
  [
    { messages: [user], temperature: 2.1 },
    "temperature",
    "invalid_value",
    "temperature must be a number from 0 to 2; received 2.1.",
  ],
  [
    { messages: [user], temperature: "hot" },
    "temperature",
    "invalid_type",
    'temperature must be a number from 0 to 2; received the string "hot".',
  ],
  [
    '{"messages":[{"role":"user","content":"x"}],"temperature":1e999}',
    "temperature",
    "invalid_type",
    "temperature must be a number from 0 to 2; received Infinity.",
  ],
  [{ messages: [user], top_p: -0.1 }, "top_p", "invalid_value", "top_p must be a number from 0 to 1; received -0.1."],
  [
    { messages: [user], top_k: -2 },
    "top_k",
    "invalid_value",
    "top_k must be an integer of at least -1; 0 and -1 consider the whole vocabulary; received -2.",
  ],
  [
    { messages: [user], stream: "true" },
    "stream",
    "invalid_type",
    'stream must be true or false; received the string "true".',
  ],
  [
    { messages: [user], stream_options: { include_usage: 1 } },
    "stream_options.include_usage",
    "invalid_type",
    "stream_options.include_usage must be true or false; received 1.",
  ],
  [
    { messages: [user], stop: 5 },
    "stop",
    "invalid_value",
    "stop must be a non-empty string or an array of at most 16 of them; received 5.",
  ],
  [{ messages: [user], stop: "" }, "stop", "invalid_value", 'stop must be a non-empty string; received the string "".'],
  [
    { messages: [user], stop: ["a", ""] },
    "stop[1]",
    "invalid_value",
    'stop[1] must be a non-empty string; received the string "".',
  ],
  [
    { messages: [user], stop: Array.from({ length: 17 }, () => "a") },
    "stop",
    "invalid_value",
    "stop must be a non-empty string or an array of at most 16 of them; received an array of 17.",
  ],
  [
    { messages: [user], metadata: [] },
    "metadata",
    "invalid_type",
    "metadata must be an object; received an empty array.",
  ],
];

describe("a body that is wrong", () => {
  it.each(wrongBodies)("%j is refused", async (body, param, code, message) => {
    const { app, chat } = setUp();
    const answer = await post(app, path, body);
    expect(answer.body).toEqual({ error: { message, type: "invalid_request_error", param, code } });
    expect(answer.status).toBe(400);
    expect(chat.chats).toEqual([]);
  });

  it("is quoted only in part", async () => {
    const { body } = await post(setUp().app, path, { ...hello, temperature: "x".repeat(100_000) });
    expect(body.error.message.length).toBeLessThan(250);
    expect(body.error.message).toContain("(100000 characters)");
  });

  it("may be nested as deep as it likes where nobody looks", async () => {
    const depth = 100_000;
    const deep = "[".repeat(depth) + "]".repeat(depth);
    const { status } = await post(setUp().app, path, `{"messages":[{"role":"user","content":"x"}],"other":${deep}}`);
    expect(status).toBe(200);
    const refused = await post(setUp().app, path, `{"messages":${deep}}`);
    expect(refused.body.error.param).toBe("messages[0]");
  });

  it("names the known models where the model is unknown", async () => {
    const { status, headers, body } = await post(setUp().app, path, { ...hello, model: "gpt-4o" });
    expect(status).toBe(404);
    expect(headers.get("x-should-retry")).toBe("false");
    expect(body.error).toMatchObject({ code: "model_not_found", param: "model" });
    expect(body.error.message).toContain("aya_expanse_multilingual");
  });

  it("passes on what the service refuses", async () => {
    const { app, chat } = setUp();
    chat.script = failing(
      invalidRequest("The prompt has 9 tokens; the context holds 8.", "messages", "context_length_exceeded"),
    );
    const { status, body } = await post(app, path, hello);
    expect(status).toBe(400);
    expect(body.error.message).toBe("The prompt has 9 tokens; the context holds 8.");
  });
});
