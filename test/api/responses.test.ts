// POST /v1/responses over a scripted chat service: what goes in, what comes out, and what is refused how.
import { describe, expect, it } from "vitest";
import { response, responseEvent } from "../../src/api/responses/bodies.ts";
import { responsesDialect } from "../../src/api/responses/dialect.ts";
import { defaultReasoning, defaultScheduling } from "../../src/chat/contract.ts";
import { PublicError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import type { ChatMessage } from "../../src/engine/engine.ts";
import { createHttpApp } from "../../src/http/app.ts";
import { post } from "../support/fake-http.ts";
import { calling, ending, failing, fakeServices, saying, telling } from "../support/fake-services.ts";

const path = "/v1/responses";
const hello = { model: "phi4_fast", input: "Hi" };
const weatherSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { type: "function", name: "get_weather", description: "The weather", parameters: weatherSchema };

function setUp(dropsParameters = false) {
  const services = fakeServices({ dropsParameters });
  const app = createHttpApp({
    dialects: [responsesDialect(services)],
    server: { apiKeys: [], corsOrigins: [], heartbeatMs: 0, stallTimeoutMs: 60_000, maxBodyBytes: 30_000_000 },
    clock: services.clock,
    log: silentLogger,
  });
  return { app, chat: services.chat };
}

/** The events' data in their order; each is named by its type. */
async function streamOf(app: ReturnType<typeof setUp>["app"], body: unknown) {
  const answer = await app.request(path, { method: "POST", body: JSON.stringify(body) });
  expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  const blocks = (await answer.text()).split("\n\n").filter((block) => block !== "");
  return blocks.map((block) => {
    const [, name = "", data = ""] = /^event: ([\w.]+)\ndata: (.*)$/.exec(block) ?? [];
    // oxlint-disable-next-line typescript/no-explicit-any -- tests look into events of every shape
    const json: any = JSON.parse(data);
    expect(json.type).toBe(name);
    return json;
  });
}

async function conversationOf(input: unknown, instructions?: string): Promise<readonly ChatMessage[]> {
  const { app, chat } = setUp();
  const { status, body } = await post(app, path, { input, instructions });
  expect(body.error).toBe(null);
  expect(status).toBe(200);
  return chat.chats[0]?.messages ?? [];
}

describe("a response that is not streamed", () => {
  it("has OpenAI's form, and says who answered and why", async () => {
    const { status, headers, body } = await post(setUp().app, path, {
      ...hello,
      instructions: "Be brief.",
      metadata: { a: "b" },
      temperature: 0.5,
      tools: [weather],
    });
    expect(status).toBe(200);
    expect(headers.get("x-expert")).toBe("phi4_fast");
    expect(response.strict().parse(body)).toEqual(body);
    const id = (prefix: string) => expect.stringMatching(new RegExp(`^${prefix}_[0-9a-f]{32}$`)) as string;
    expect(body).toMatchObject({
      id: id("resp"),
      object: "response",
      created_at: 1_700_000_005,
      completed_at: 1_700_000_005,
      status: "completed",
      model: "phi4_fast",
      error: null,
      incomplete_details: null,
      instructions: "Be brief.",
      metadata: { a: "b" },
      temperature: 0.5,
      top_p: null,
      store: false,
      tools: [{ ...weather, strict: null }],
      tool_choice: "auto",
      text: { format: { type: "text" } },
      usage: {
        input_tokens: 10,
        input_tokens_details: { cached_tokens: 4 },
        output_tokens: 6,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 16,
      },
      routing: { expert_id: "phi4_fast", source: "request" },
      timings: { cache_n: 4, predicted_n: 6 },
      performance: { tokens_per_second: 30 },
    });
    expect(body.output).toEqual([
      {
        id: id("msg"),
        type: "message",
        status: "completed",
        role: "assistant",
        content: [{ type: "output_text", text: "Hello there", annotations: [], logprobs: [] }],
      },
    ]);
  });

  it("holds reasoning, text and calls as items, in their order", async () => {
    const { app, chat } = setUp();
    chat.script = telling(
      { type: "reasoning", text: "Hm." },
      { type: "text", text: "I ask." },
      ...calling(0, "call_1", "get_weather", '{"city":', '"Paris"}'),
      ...calling(1, "call_2", "now", "{}"),
      ending({ reason: "tool_calls" }),
    );
    const { body } = await post(app, path, hello);
    expect(response.strict().parse(body)).toEqual(body);
    expect(body.status).toBe("completed");
    expect(body.output).toMatchObject([
      { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "Hm." }] },
      { type: "message", content: [{ text: "I ask." }] },
      { type: "function_call", call_id: "call_1", name: "get_weather", arguments: '{"city":"Paris"}' },
      { type: "function_call", call_id: "call_2", name: "now", arguments: "{}" },
    ]);
  });

  it("is incomplete where the answer was cut, in its last item", async () => {
    const { app, chat } = setUp();
    chat.script = telling(
      { type: "reasoning", text: "Hm." },
      { type: "text", text: "I" },
      ending({ reason: "length" }),
    );
    const { body } = await post(app, path, { ...hello, max_output_tokens: 6 });
    expect(response.strict().parse(body)).toEqual(body);
    expect(body).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } });
    expect(body.output.map(({ status }: { status: string }) => status)).toEqual(["completed", "incomplete"]);
  });

  it("that says nothing is an empty message", async () => {
    const { app, chat } = setUp();
    chat.script = saying();
    const { body } = await post(app, path, hello);
    expect(body.output).toMatchObject([{ type: "message", content: [{ type: "output_text", text: "" }] }]);
  });

  it("comes with the logprobs of its text where they are asked for", async () => {
    const { app, chat } = setUp();
    const named = (text: string, logprob: number) => ({ text, bytes: Buffer.from(text), token: 1, logprob });
    chat.script = telling(
      { type: "text", text: "", logprobs: [{ ...named("é", -0.5), top: [named("é", -0.5), named("e", -1)] }] },
      { type: "text", text: "é", logprobs: [{ ...named("!", -2), top: [] }] },
      ending(),
    );
    const { body } = await post(app, path, { ...hello, include: ["message.output_text.logprobs"], top_logprobs: 2 });
    expect(response.strict().parse(body)).toEqual(body);
    expect(chat.chats[0]?.topLogprobs).toBe(2);
    expect(body.output[0].content[0].logprobs).toEqual([
      {
        token: "é",
        bytes: [195, 169],
        logprob: -0.5,
        top_logprobs: [
          { token: "é", bytes: [195, 169], logprob: -0.5 },
          { token: "e", bytes: [101], logprob: -1 },
        ],
      },
      { token: "!", bytes: [33], logprob: -2, top_logprobs: [] },
    ]);
  });
});

describe("a streamed response", () => {
  it("comes in OpenAI's order, item after item", async () => {
    const { app, chat } = setUp();
    chat.script = telling(
      { type: "reasoning", text: "H" },
      { type: "reasoning", text: "m" },
      { type: "text", text: "I " },
      { type: "text", text: "ask." },
      ...calling(0, "call_1", "get_weather", '{"city":', '"Paris"}'),
      ending({ reason: "tool_calls" }),
    );
    const events = await streamOf(app, { ...hello, stream: true });
    for (const event of events) expect(responseEvent.parse(event)).toEqual(event);
    expect(events.map(({ sequence_number: number }) => number as number)).toEqual([...events.keys()]);
    expect(events.map(({ type, output_index: index }) => [type, index])).toEqual([
      ["response.created", undefined],
      ["response.in_progress", undefined],
      ["response.output_item.added", 0],
      ["response.content_part.added", 0],
      ["response.reasoning_text.delta", 0],
      ["response.reasoning_text.delta", 0],
      ["response.reasoning_text.done", 0],
      ["response.content_part.done", 0],
      ["response.output_item.done", 0],
      ["response.output_item.added", 1],
      ["response.content_part.added", 1],
      ["response.output_text.delta", 1],
      ["response.output_text.delta", 1],
      ["response.output_text.done", 1],
      ["response.content_part.done", 1],
      ["response.output_item.done", 1],
      ["response.output_item.added", 2],
      ["response.function_call_arguments.delta", 2],
      ["response.function_call_arguments.delta", 2],
      ["response.function_call_arguments.done", 2],
      ["response.output_item.done", 2],
      ["response.completed", undefined],
    ]);
    const [created] = events;
    const last = events.at(-1);
    expect(created.response).toMatchObject({ status: "in_progress", output: [], usage: null, model: "phi4_fast" });
    expect(last.response.id).toBe(created.response.id);
    expect(events[2].item).toMatchObject({ type: "reasoning", status: "in_progress", content: [] });
    expect(events[13]).toMatchObject({ text: "I ask.", item_id: last.response.output[1].id });
    expect(events[16].item).toMatchObject({ call_id: "call_1", arguments: "" });
    expect(events[19]).toMatchObject({ name: "get_weather", arguments: '{"city":"Paris"}' });
    const done = events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item as object);
    expect(last.response.output).toEqual(done);
    expect(last.response.usage.total_tokens).toBe(16);
  });

  it("ends as incomplete where it was cut", async () => {
    const { app, chat } = setUp();
    chat.script = telling({ type: "text", text: "I" }, ending({ reason: "length" }));
    const last = (await streamOf(app, { ...hello, stream: true })).at(-1);
    expect(last).toMatchObject({
      type: "response.incomplete",
      response: { status: "incomplete", output: [{ status: "incomplete" }] },
    });
  });

  it("begins once although the answer begins anew", async () => {
    const { app, chat } = setUp();
    chat.script = async function* (request, signal) {
      yield { type: "started", promptTokens: 3, cachedTokens: 0 };
      yield* saying("ok")(request, signal);
    };
    const events = await streamOf(app, { ...hello, stream: true });
    expect(events.filter(({ type }) => type === "response.created")).toHaveLength(1);
  });

  it.each([
    [new PublicError("No time.", { status: 504, type: "timeout_error", code: "deadline" }), "server_error", "No time."],
    [
      new PublicError("Too many.", { status: 429, type: "rate_limit_error", code: "queue_full" }),
      "rate_limit_exceeded",
      "Too many.",
    ],
    [new Error("secret"), "server_error", "The server failed while it answered."],
  ])("ends the failure %s as failed, and with an error event", async (error, code, message) => {
    const { app, chat } = setUp();
    chat.script = failing(error, { type: "started", promptTokens: 3, cachedTokens: 0 }, { type: "text", text: "Half" });
    const events = await streamOf(app, { ...hello, stream: true });
    const [failed, last] = events.slice(-2);
    expect(responseEvent.parse(failed)).toEqual(failed);
    expect(failed).toMatchObject({ type: "response.failed", response: { status: "failed", error: { code, message } } });
    expect(last).toMatchObject({ type: "error", error: { param: null } });
    expect(last.error.message).not.toContain("secret");
  });

  it("keeps the status of a failure that comes before the first event", async () => {
    const { app, chat } = setUp();
    chat.script = failing(
      new PublicError("Full.", { status: 429, type: "rate_limit_error", code: "queue_full", retryAfterS: 2 }),
    );
    const { status, headers, body } = await post(app, path, { ...hello, stream: true });
    expect(status).toBe(429);
    expect(headers.get("retry-after")).toBe("2");
    expect(body.error).toEqual({ message: "Full.", type: "rate_limit_error", param: null, code: "queue_full" });
  });

  it("does not pass off an answer without an end as a whole one", async () => {
    const { app, chat } = setUp();
    chat.script = async function* () {
      yield { type: "started", promptTokens: 3, cachedTokens: 0 };
      yield { type: "text", text: "Half" };
    };
    const events = await streamOf(app, { ...hello, stream: true });
    expect(events.at(-1).error.code).toBe("internal_error");
    expect((await post(app, path, hello)).status).toBe(500);
  });
});

describe("what becomes of the parameters", () => {
  it("passes every one on in the words of the inside", async () => {
    const { app, chat } = setUp();
    const schema = { type: "object" };
    const { headers } = await post(app, path, {
      model: "phi",
      input: "Hi",
      instructions: "Be brief.",
      max_output_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      seed: 7,
      tools: [weather, { type: "function", name: "now", strict: true }],
      tool_choice: { type: "function", name: "get_weather" },
      parallel_tool_calls: false,
      text: { format: { type: "json_schema", name: "x", strict: true, schema }, verbosity: "low" },
      reasoning: { effort: "minimal", summary: "auto" },
      include: ["reasoning.encrypted_content"],
      keep_alive: "5m",
      priority: 3,
      use_semantic_router: true,
      store: true,
      truncation: "auto",
      user: "u",
      top_secret: 1,
    });
    expect(headers.get("x-ignored-parameters")).toBe("store, truncation, reasoning.summary, top_secret");
    expect(chat.chats).toEqual([
      {
        model: "phi",
        forceRouting: true,
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hi" },
        ],
        maxTokens: 50,
        stop: [],
        sampling: { temperature: 0.5, topP: 0.9, seed: 7 },
        topLogprobs: null,
        tools: {
          tools: [
            { name: "get_weather", description: "The weather", parameters: weatherSchema },
            { name: "now", description: null, parameters: { type: "object", properties: {} } },
          ],
          choice: { name: "get_weather" },
          parallel: false,
          field: "tools",
        },
        reasoning: { thinks: true, effort: "low", budgetTokens: null },
        output: { type: "json_schema", schema, field: "text.format.schema" },
        scheduling: { priority: 3, keepAliveMs: 300_000 },
      },
    ]);
  });

  it("asks for nothing that was not asked for", async () => {
    const { app, chat } = setUp();
    const { headers } = await post(app, path, { input: "Hi", store: false, previous_response_id: null, tools: [] });
    expect(headers.get("x-ignored-parameters")).toBe(null);
    expect(chat.chats).toEqual([
      {
        model: null,
        forceRouting: false,
        messages: [{ role: "user", content: "Hi" }],
        maxTokens: null,
        stop: [],
        sampling: {},
        topLogprobs: null,
        tools: null,
        reasoning: defaultReasoning,
        output: null,
        scheduling: defaultScheduling,
      },
    ]);
  });

  it.each([
    [undefined, "auto"],
    ["none", "none"],
    ["required", "required"],
    [{ type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "now" }] }, "required"],
  ])("tool_choice %j is %j", async (choice, inside) => {
    const { app, chat } = setUp();
    const tools = [weather, { type: "function", name: "now", parameters: null }];
    const { body } = await post(app, path, { ...hello, tools, tool_choice: choice });
    expect(chat.chats[0]?.tools?.choice).toEqual(inside);
    const names = chat.chats[0]?.tools?.tools.map(({ name }) => name);
    expect(names).toEqual(typeof choice === "object" ? ["now"] : ["get_weather", "now"]);
    expect(body.tool_choice).toEqual(choice ?? "auto");
    expect(body.tools).toHaveLength(2);
  });

  it("asks for JSON, and for no thinking", async () => {
    const { app, chat } = setUp();
    const { body } = await post(app, path, {
      ...hello,
      text: { format: { type: "json_object" } },
      reasoning: { effort: "none" },
    });
    expect(chat.chats[0]).toMatchObject({ output: { type: "json_object" }, reasoning: { thinks: false } });
    expect(body).toMatchObject({ text: { format: { type: "json_object" } }, reasoning: { effort: "none" } });
  });
});

describe("with drop_params", () => {
  it("passes over what this server cannot do, and says so", async () => {
    const { app, chat } = setUp(true);
    const tools = [{ type: "web_search" }];
    const { status, headers, body } = await post(app, path, {
      ...hello,
      min_tokens: 5,
      tools,
      tool_choice: "required",
    });
    expect(status).toBe(200);
    expect(headers.get("x-ignored-parameters")).toBe("min_tokens, tools[0]");
    expect(chat.chats[0]?.tools).toBe(null);
    expect(response.strict().parse(body)).toEqual(body);
  });

  it("keeps nothing all the same", async () => {
    const { status } = await post(setUp(true).app, path, { ...hello, previous_response_id: "resp_1" });
    expect(status).toBe(400);
  });
});

describe("what becomes of the input", () => {
  it("is a conversation, in which an assistant's items are one turn", async () => {
    const messages = await conversationOf([
      { role: "user", content: "Weather?" },
      { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "Where?" }] },
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "I ask.", annotations: [] }],
      },
      { type: "function_call", id: "fc_1", call_id: "c1", name: "get_weather", arguments: '{"city":"Paris"}' },
      { type: "function_call", call_id: "c2", name: "now", arguments: "" },
      { type: "function_call_output", call_id: "c1", output: "Sunny" },
      { type: "function_call_output", call_id: "c2", output: [{ type: "input_text", text: "12:00" }] },
      { type: "reasoning", summary: [{ type: "summary_text", text: "Good." }] },
      { type: "message", role: "assistant", content: [{ type: "refusal", refusal: "No." }] },
      { type: "message", role: "assistant", content: "Yes." },
      {
        type: "message",
        role: "user",
        content: [
          { type: "input_text", text: "And" },
          { type: "input_text", text: "now?" },
        ],
      },
    ]);
    expect(messages).toEqual([
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: "I ask.",
        reasoning: "Where?",
        toolCalls: [
          { id: "c1", name: "get_weather", arguments: '{"city":"Paris"}' },
          { id: "c2", name: "now", arguments: "{}" },
        ],
      },
      { role: "tool", toolCallId: "c1", name: "get_weather", content: "Sunny" },
      { role: "tool", toolCallId: "c2", name: "now", content: "12:00" },
      { role: "assistant", content: "No.", reasoning: "Good." },
      { role: "assistant", content: "Yes." },
      { role: "user", content: "And\nnow?" },
    ]);
  });

  it("makes one of what the system says in a row", async () => {
    const messages = await conversationOf(
      [
        { role: "developer", content: "Be kind." },
        { role: "user", content: "Hi" },
        { role: "system", content: "In French." },
        { role: "assistant", content: "Bon" },
      ],
      "Be brief.",
    );
    expect(messages).toEqual([
      { role: "system", content: "Be brief.\nBe kind." },
      { role: "user", content: "Hi" },
      { role: "system", content: "In French." },
      { role: "assistant", content: "Bon" },
    ]);
  });
});

describe("counting tokens", () => {
  it("renders the prompt and says how long it is", async () => {
    const { app, chat } = setUp();
    const { status, body } = await post(app, `${path}/input_tokens`, { ...hello, instructions: "Be brief." });
    expect(status).toBe(200);
    expect(body).toEqual({ object: "response.input_tokens", input_tokens: "system: Be brief.\nuser: Hi\n".length });
    expect(chat.chats).toEqual([]);
  });
});

const stateless = (field: string, received: string) =>
  `This server keeps no responses, so that nothing can be referred to: send the whole conversation as input in place ` +
  `of ${field}. Received ${received}.`;
const item = (given: unknown) => ({ ...hello, input: [given] });
const wrongBodies: readonly (readonly [body: unknown, param: string | null, message: string])[] = [
  [[], null, "The request body must be a JSON object; received an empty array."],
  [{}, "input", "input is missing; it must be a string or an array of 1 to 100000 items."],
  [{ input: [] }, "input", "input must be a string or an array of 1 to 100000 items; received an empty array."],
  [
    item("x"),
    "input[0]",
    'input[0] must be an item such as {"role": "user", "content": "…"}; received the string "x".',
  ],
  [
    item({ type: "web_search_call" }),
    "input[0].type",
    'input[0].type must be "message", "function_call", "function_call_output" or "reasoning"; received the string "web_search_call".',
  ],
  [
    item({ content: "x" }),
    "input[0].role",
    'input[0].role is missing; it must be one of "system", "developer", "user", "assistant".',
  ],
  [
    item({ role: "user" }),
    "input[0].content",
    "input[0].content is missing; it must be a string or an array of content parts.",
  ],
  [
    item({ role: "user", content: [{ type: "video" }] }),
    "input[0].content[0].type",
    'input[0].content[0].type must be one of "input_text", "output_text", "refusal"; received the string "video".',
  ],
  [
    item({ role: "user", content: [{ type: "input_image", image_url: "data:" }] }),
    "input[0].content[0]",
    "Images are not supported by the loaded build; input[0].content[0] is of type input_image, only text parts are allowed.",
  ],
  [
    item({ type: "function_call", call_id: "c", name: "n", arguments: "[1]" }),
    "input[0].arguments",
    'input[0].arguments must be the text of a JSON object; received the string "[1]".',
  ],
  [item({ type: "item_reference", id: "msg_1" }), "input[0]", stateless("input[0]", 'the string "msg_1"')],
  [
    { ...hello, previous_response_id: "resp_1" },
    "previous_response_id",
    stateless("previous_response_id", 'the string "resp_1"'),
  ],
  [{ ...hello, conversation: { id: "c" } }, "conversation", stateless("conversation", "an object")],
  [{ ...hello, prompt: { id: "p" } }, "prompt", stateless("prompt", "an object")],
  [{ ...hello, background: true }, "background", stateless("background", "true")],
  [
    { ...hello, tools: [{ type: "web_search" }] },
    "tools[0].type",
    'Tools of type "web_search" are not supported: tools[0] must be a tool that the caller runs.',
  ],
  [{ ...hello, tools: [{ type: "function" }] }, "tools[0].name", "tools[0].name is missing; it must be a string."],
  [
    { ...hello, tools: [{ ...weather, parameters: { type: "array" } }] },
    "tools[0].parameters.type",
    'tools[0].parameters.type must be "object"; received the string "array".',
  ],
  [
    { ...hello, tools: [weather], tool_choice: { type: "function", name: "x" } },
    "tool_choice.name",
    'tool_choice.name names no tool of this request: it must be one of get_weather; received "x".',
  ],
  [
    {
      ...hello,
      tools: [weather],
      tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "x" }] },
    },
    "tool_choice.tools[0].name",
    'tool_choice.tools[0].name names no tool of this request; received "x".',
  ],
  [
    { ...hello, tool_choice: { type: "web_search" } },
    "tool_choice",
    'tool_choice must be "auto", "none", "required", {"type": "function", "name": "…"} or {"type": "allowed_tools", …}; received an object.',
  ],
  [
    { ...hello, text: { format: { type: "grammar" } } },
    "text.format.type",
    'text.format.type must be one of "text", "json_object", "json_schema"; received the string "grammar".',
  ],
  [
    { ...hello, text: { format: { type: "json_schema", name: "x" } } },
    "text.format.schema",
    "text.format.schema is missing; it must be an object.",
  ],
  [
    { ...hello, max_output_tokens: 0 },
    "max_output_tokens",
    "max_output_tokens must be an integer of at least 1; received 0.",
  ],
  [{ ...hello, temperature: 2.1 }, "temperature", "temperature must be a number from 0 to 2; received 2.1."],
  [{ ...hello, metadata: { a: 1 } }, "metadata.a", "metadata.a must be a string; received 1."],
  [
    { ...hello, context_management: [{ type: "compaction" }] },
    "context_management",
    "context_management is not supported by this server; leave it out or at its default. Received an array of 1.",
  ],
];

describe("a body that is wrong", () => {
  it.each(wrongBodies)("%j is refused", async (body, param, message) => {
    const { app, chat } = setUp();
    const answer = await post(app, path, body);
    expect(answer.body.error).toMatchObject({ message, param, type: "invalid_request_error" });
    expect(answer.status).toBe(400);
    expect(chat.chats).toEqual([]);
  });

  it("names the known models where the model is unknown", async () => {
    const { status, body } = await post(setUp().app, path, { ...hello, model: "gpt-5" });
    expect(status).toBe(404);
    expect(body.error).toMatchObject({ code: "model_not_found", param: "model" });
  });

  it("may hold anything deep where nobody looks, and nothing deep where somebody does", async () => {
    const deep = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
    const { app } = setUp();
    expect((await post(app, path, `{"input":"x","other":${deep}}`)).status).toBe(200);
    for (const fields of [
      `"tools":[{"type":"function","name":"n","parameters":${deep}}]`,
      `"text":{"format":{"type":"json_schema","name":"n","schema":${deep}}}`,
      `"metadata":${deep}`,
      `"tool_choice":${deep}`,
      `"input":[{"role":"user","content":[${deep}]}]`,
    ]) {
      const { status, body } = await post(app, path, `{"input":"x",${fields}}`);
      expect(status).toBe(400);
      expect(body.error.type).toBe("invalid_request_error");
    }
    const input = JSON.stringify([{ type: "function_call", call_id: "c", name: "n", arguments: deep }]);
    const { status, body } = await post(app, path, `{"input":${input}}`);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param: "input[0].arguments" });
  });

  it("may hold any text, and items without number", async () => {
    const text = `\0\ud800${"x".repeat(10_000_000)}`;
    const [message] = await conversationOf(text);
    expect(message?.content === text).toBe(true);
    const items = Array.from({ length: 100_000 }, () => ({ role: "user", content: "" }));
    expect(await conversationOf(items)).toHaveLength(100_000);
    const { status, body } = await post(setUp().app, path, { input: [...items, 1] });
    expect(status).toBe(400);
    expect(body.error.message).toContain("an array of 100001");
  });
});
