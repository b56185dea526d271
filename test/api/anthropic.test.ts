// POST /v1/messages and /v1/messages/count_tokens over a scripted chat service: what goes in, what comes out, and what is
// refused how.
import { describe, expect, it } from "vitest";
import { messageAnswer, messageEvent } from "../../src/api/anthropic/bodies.ts";
import { anthropicDialect } from "../../src/api/anthropic/dialect.ts";
import { defaultScheduling } from "../../src/chat/contract.ts";
import { invalidRequest, PublicError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import type { ChatMessage } from "../../src/engine/engine.ts";
import { createHttpApp } from "../../src/http/app.ts";
import { post } from "../support/fake-http.ts";
import { calling, ending, failing, fakeServices, saying, telling } from "../support/fake-services.ts";

const path = "/v1/messages";
const user = { role: "user", content: "Hi" };
const hello = { model: "phi4_fast", max_tokens: 50, messages: [user] };
const weatherSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { name: "get_weather", description: "The weather", input_schema: weatherSchema };

function setUp(apiKeys: readonly string[] = [], dropsParameters = false) {
  const services = fakeServices({ dropsParameters });
  const app = createHttpApp({
    dialects: [anthropicDialect(services)],
    server: { apiKeys, corsOrigins: [], heartbeatMs: 0, stallTimeoutMs: 60_000, maxBodyBytes: 30_000_000 },
    clock: services.clock,
    log: silentLogger,
  });
  return { app, chat: services.chat };
}

/** The events' data in their order; each is named by its type. */
async function streamOf(app: ReturnType<typeof setUp>["app"], body: unknown) {
  const response = await app.request(path, { method: "POST", body: JSON.stringify(body) });
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  const blocks = (await response.text()).split("\n\n").filter((block) => block !== "");
  return blocks.map((block) => {
    const [, name = "", data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
    // oxlint-disable-next-line typescript/no-explicit-any -- tests look into events of every shape
    const json: any = JSON.parse(data);
    expect(json.type).toBe(name);
    return json;
  });
}

async function conversationOf(body: object): Promise<readonly ChatMessage[]> {
  const { app, chat } = setUp();
  const { status, body: answer } = await post(app, path, { ...hello, ...body });
  expect(answer).toMatchObject({ type: "message" });
  expect(status).toBe(200);
  return chat.chats[0]?.messages ?? [];
}

describe("a message that is not streamed", () => {
  it("has Anthropic's form", async () => {
    const { status, headers, body } = await post(setUp().app, path, hello);
    expect(status).toBe(200);
    expect(headers.get("x-expert")).toBe("phi4_fast");
    expect(messageAnswer.strict().parse(body)).toEqual(body);
    expect(body).toEqual({
      id: expect.stringMatching(/^msg_[0-9a-f]{32}$/) as string,
      type: "message",
      role: "assistant",
      model: "phi4_fast",
      content: [{ type: "text", text: "Hello there" }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: {
        input_tokens: 6,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 4,
        output_tokens: 6,
      },
    });
  });

  it("holds thinking, text and calls as blocks, in their order", async () => {
    const { app, chat } = setUp();
    chat.script = telling(
      { type: "reasoning", text: "Let me " },
      { type: "reasoning", text: "look." },
      { type: "text", text: "I ask." },
      ...calling(0, "call_1", "get_weather", '{"city":', '"Paris"}'),
      ...calling(1, "call_2", "now"),
      ending({ reason: "tool_calls" }),
    );
    const { body } = await post(app, path, hello);
    expect(messageAnswer.strict().parse(body)).toEqual(body);
    expect(body.content).toEqual([
      { type: "thinking", thinking: "Let me look.", signature: "unsigned" },
      { type: "text", text: "I ask." },
      { type: "tool_use", id: "call_1", name: "get_weather", input: { city: "Paris" } },
      { type: "tool_use", id: "call_2", name: "now", input: {} },
    ]);
    expect(body.stop_reason).toBe("tool_use");
  });

  it("leaves out the text of thinking where that is asked for", async () => {
    const { app, chat } = setUp();
    chat.script = telling({ type: "reasoning", text: "Hm." }, { type: "text", text: "Yes." }, ending());
    const { body } = await post(app, path, { ...hello, thinking: { type: "adaptive", display: "omitted" } });
    expect(body.content[0]).toEqual({ type: "thinking", thinking: "", signature: "unsigned" });
  });

  it("leaves out a call that was cut in its input", async () => {
    const { app, chat } = setUp();
    chat.script = telling(...calling(0, "call_1", "get_weather", '{"city": "Par'), ending({ reason: "length" }));
    const { body } = await post(app, path, { ...hello, max_tokens: 6 });
    expect(body).toMatchObject({ content: [], stop_reason: "max_tokens" });
  });

  it.each([
    [{ reason: "stop" }, 50, "end_turn", null],
    [{ reason: "stop", stopSequence: "END" }, 50, "stop_sequence", "END"],
    [{ reason: "length" }, 6, "max_tokens", null],
    [{ reason: "length" }, 50, "model_context_window_exceeded", null],
    [{ reason: "length", isCompleted: true }, 50, "max_tokens", null],
    [{ reason: "tool_calls" }, 50, "tool_use", null],
  ] as const)("%j with max_tokens %j ends with %j", async (end, maxTokens, reason, sequence) => {
    const { app, chat } = setUp();
    chat.script = telling(ending(end));
    const { body } = await post(app, path, { ...hello, max_tokens: maxTokens });
    expect(body).toMatchObject({ stop_reason: reason, stop_sequence: sequence, content: [] });
  });

  it("names the expert that answered after a fallback", async () => {
    const { app, chat } = setUp();
    chat.script = async function* (request, signal) {
      const routing = { expertId: "mistral_balanced", confidence: 1, source: "default", reason: "It failed." } as const;
      yield { type: "routing", routing };
      yield* saying("ok")(request, signal);
    };
    const { body, headers } = await post(app, path, hello);
    expect(body.model).toBe("mistral_balanced");
    expect(headers.get("x-expert")).toBe("mistral_balanced");
  });
});

describe("a streamed message", () => {
  it("comes in Anthropic's order, block after block", async () => {
    const { app, chat } = setUp();
    chat.script = telling(
      { type: "reasoning", text: "Hm" },
      { type: "reasoning", text: "." },
      { type: "text", text: "I " },
      { type: "text", text: "" },
      { type: "text", text: 'ask "it".' },
      ...calling(0, "call_1", "get_weather", '{"city":', '"Paris"}'),
      ...calling(1, "call_2", "now"),
      ending({ reason: "tool_calls" }),
    );
    const events = await streamOf(app, { ...hello, stream: true });
    for (const event of events) expect(messageEvent.parse(event)).toEqual(event);
    const [start, ...rest] = events;
    expect(start.message).toMatchObject({ content: [], stop_reason: null, model: "phi4_fast" });
    expect(start.message.usage).toMatchObject({ input_tokens: 10, output_tokens: 0 });
    expect(rest).toEqual([
      { type: "ping" },
      {
        type: "content_block_start",
        index: 0,
        content_block: { type: "thinking", thinking: "", signature: "" },
      },
      { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "Hm" } },
      { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "." } },
      { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "unsigned" } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "I " } },
      { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: 'ask "it".' } },
      { type: "content_block_stop", index: 1 },
      {
        type: "content_block_start",
        index: 2,
        content_block: { type: "tool_use", id: "call_1", name: "get_weather", input: {} },
      },
      { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '{"city":' } },
      { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '"Paris"}' } },
      { type: "content_block_stop", index: 2 },
      {
        type: "content_block_start",
        index: 3,
        content_block: { type: "tool_use", id: "call_2", name: "now", input: {} },
      },
      { type: "content_block_stop", index: 3 },
      {
        type: "message_delta",
        delta: { stop_reason: "tool_use", stop_sequence: null },
        usage: {
          input_tokens: 6,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 4,
          output_tokens: 6,
        },
      },
      { type: "message_stop" },
    ]);
  });

  it("signs thinking whose text is left out", async () => {
    const { app, chat } = setUp();
    chat.script = telling({ type: "reasoning", text: "Hm." }, ending());
    const thinking = { type: "enabled", budget_tokens: 20, display: "omitted" };
    const events = await streamOf(app, { ...hello, thinking, stream: true });
    const deltas = events.filter(({ type }) => type === "content_block_delta").map(({ delta }) => delta);
    expect(deltas).toEqual([{ type: "signature_delta", signature: "unsigned" }]);
  });

  it("starts once although the answer begins anew", async () => {
    const { app, chat } = setUp();
    chat.script = async function* (request, signal) {
      yield { type: "started", promptTokens: 3, cachedTokens: 0 };
      yield* saying("ok")(request, signal);
    };
    const events = await streamOf(app, { ...hello, stream: true });
    expect(events.filter(({ type }) => type === "message_start")).toHaveLength(1);
  });

  it("without any text has no block", async () => {
    const { app, chat } = setUp();
    chat.script = saying();
    const events = await streamOf(app, { ...hello, stream: true });
    expect(events.map(({ type }) => type as string)).toEqual([
      "message_start",
      "ping",
      "message_delta",
      "message_stop",
    ]);
  });

  it("ends a failure on the way with an error event", async () => {
    const { app, chat } = setUp();
    chat.script = failing(
      new PublicError("The deadline passed.", { status: 504, type: "timeout_error", code: "deadline" }),
      { type: "started", promptTokens: 3, cachedTokens: 0 },
      { type: "text", text: "Half" },
    );
    const events = await streamOf(app, { ...hello, stream: true });
    expect(events.at(-1)).toEqual({
      type: "error",
      error: { type: "timeout_error", message: "The deadline passed." },
    });
    expect(events.some(({ type }) => type === "message_stop")).toBe(false);
  });

  it("does not pass off an answer without an end as a whole one", async () => {
    const { app, chat } = setUp();
    chat.script = async function* () {
      yield { type: "started", promptTokens: 3, cachedTokens: 0 };
      yield { type: "text", text: "Half" };
    };
    const events = await streamOf(app, { ...hello, stream: true });
    expect(events.at(-1).error.type).toBe("api_error");
    const { status, body } = await post(app, path, hello);
    expect(status).toBe(500);
    expect(body.error.type).toBe("api_error");
  });
});

describe("what becomes of the parameters", () => {
  it("passes every one on in the words of the inside", async () => {
    const { app, chat } = setUp();
    const schema = { type: "object" };
    await post(app, path, {
      ...hello,
      model: "phi",
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      stop_sequences: ["\n", "END"],
      tools: [{ ...weather, type: "custom", cache_control: { type: "ephemeral" } }],
      tool_choice: { type: "tool", name: "get_weather", disable_parallel_tool_use: true },
      thinking: { type: "enabled", budget_tokens: 30 },
      output_config: { effort: "max", format: { type: "json_schema", schema } },
      metadata: { user_id: "u" },
      keep_alive: "5m",
      priority: 3,
    });
    expect(chat.chats).toEqual([
      {
        model: "phi",
        forceRouting: false,
        messages: [{ role: "user", content: "Hi" }],
        maxTokens: 50,
        stop: ["\n", "END"],
        sampling: { temperature: 0.5, topP: 0.9, topK: 40 },
        topLogprobs: null,
        tools: {
          tools: [{ name: "get_weather", description: "The weather", parameters: weatherSchema }],
          choice: { name: "get_weather" },
          parallel: false,
          field: "tools",
        },
        reasoning: { thinks: true, effort: "high", budgetTokens: 30 },
        output: { type: "json_schema", schema, field: "output_config.format.schema" },
        scheduling: { priority: 3, keepAliveMs: 300_000 },
      },
    ]);
  });

  it("asks for nothing that was not asked for", async () => {
    const { app, chat } = setUp();
    const { headers } = await post(app, path, { max_tokens: 0, messages: [user], tools: [], service_tier: "auto" });
    expect(headers.get("x-ignored-parameters")).toBe(null);
    expect(chat.chats).toEqual([
      {
        model: null,
        forceRouting: false,
        messages: [{ role: "user", content: "Hi" }],
        maxTokens: 0,
        stop: [],
        sampling: {},
        topLogprobs: null,
        tools: null,
        reasoning: { thinks: false, effort: null, budgetTokens: null },
        output: null,
        scheduling: defaultScheduling,
      },
    ]);
  });

  it.each([
    [undefined, "auto", true],
    [{ type: "auto" }, "auto", true],
    [{ type: "auto", disable_parallel_tool_use: true }, "auto", false],
    [{ type: "any" }, "required", true],
    [{ type: "none" }, "none", true],
    [{ type: "tool", name: "get_weather" }, { name: "get_weather" }, true],
  ])("tool_choice %j is %j, parallel %j", async (choice, inside, parallel) => {
    const { app, chat } = setUp();
    await post(app, path, { ...hello, tools: [weather], tool_choice: choice });
    expect(chat.chats[0]?.tools).toMatchObject({ choice: inside, parallel });
  });

  it.each([
    [undefined, { thinks: false, budgetTokens: null }],
    [{ type: "disabled" }, { thinks: false, budgetTokens: null }],
    [{ type: "adaptive" }, { thinks: true, budgetTokens: null }],
    [
      { type: "enabled", budget_tokens: 1024 },
      { thinks: true, budgetTokens: 1024 },
    ],
  ])("thinking %j is %j", async (thinking, inside) => {
    const { app, chat } = setUp();
    await post(app, path, { ...hello, thinking });
    expect(chat.chats[0]?.reasoning).toMatchObject(inside);
  });

  it("takes the older output_format", async () => {
    const { app, chat } = setUp();
    await post(app, path, { ...hello, output_format: { type: "json_schema", schema: {} } });
    expect(chat.chats[0]?.output).toEqual({ type: "json_schema", schema: {}, field: "output_format.schema" });
  });

  it("says what it passed over", async () => {
    const { headers } = await post(setUp().app, path, {
      ...hello,
      cache_control: { type: "ephemeral" },
      context_management: { edits: [{}] },
      speed: "fast",
      top_secret: 1,
    });
    expect(headers.get("x-ignored-parameters")).toBe("context_management, speed, top_secret");
  });
});

describe("with drop_params", () => {
  it("passes over what this server cannot do, and says so", async () => {
    const { app, chat } = setUp([], true);
    const { status, headers } = await post(app, path, {
      ...hello,
      mcp_servers: [{ url: "x" }],
      tools: [{ type: "web_search_20250305", name: "web_search" }, weather],
    });
    expect(status).toBe(200);
    expect(headers.get("x-ignored-parameters")).toBe("mcp_servers, tools[0]");
    expect(chat.chats[0]?.tools?.tools.map(({ name }) => name)).toEqual(["get_weather"]);
  });
});

describe("what becomes of the messages", () => {
  it("puts the system prompt first and joins blocks by line breaks", async () => {
    const messages = await conversationOf({
      system: [
        { type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } },
        { type: "text", text: "" },
        { type: "text", text: "Be kind." },
      ],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "What is" },
            { type: "text", text: "the answer?" },
          ],
        },
      ],
    });
    expect(messages).toEqual([
      { role: "system", content: "Be brief.\nBe kind." },
      { role: "user", content: "What is\nthe answer?" },
    ]);
  });

  it("keeps a system prompt in the middle, and a last message of the assistant", async () => {
    const messages = await conversationOf({
      messages: [user, { role: "system", content: "In French." }, { role: "assistant", content: "Bon" }],
    });
    expect(messages).toEqual([
      { role: "user", content: "Hi" },
      { role: "system", content: "In French." },
      { role: "assistant", content: "Bon" },
    ]);
  });

  it("takes turns of one role that follow each other as one", async () => {
    const messages = await conversationOf({
      messages: [user, { role: "user", content: [{ type: "text", text: "there" }] }],
    });
    expect(messages).toEqual([{ role: "user", content: "Hi\nthere" }]);
  });

  it("turns thinking and calls into the assistant's, and results into messages of tools, before what is said to them", async () => {
    const messages = await conversationOf({
      messages: [
        user,
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "Which city?", signature: "unsigned" },
            { type: "redacted_thinking", data: "x" },
            { type: "text", text: "I ask." },
            { type: "tool_use", id: "t1", name: "get_weather", input: { city: "Paris" } },
            { type: "tool_use", id: "t2", name: "now", input: {} },
          ],
        },
        {
          role: "user",
          content: [
            { type: "text", text: "Here:" },
            {
              type: "tool_result",
              tool_use_id: "t1",
              content: [
                { type: "text", text: "Sunny" },
                { type: "text", text: "25°C" },
              ],
            },
            { type: "tool_result", tool_use_id: "t2", content: "No clock", is_error: true },
            { type: "tool_result", tool_use_id: "t3" },
          ],
        },
      ],
    });
    expect(messages).toEqual([
      { role: "user", content: "Hi" },
      {
        role: "assistant",
        content: "I ask.",
        reasoning: "Which city?",
        toolCalls: [
          { id: "t1", name: "get_weather", arguments: '{"city":"Paris"}' },
          { id: "t2", name: "now", arguments: "{}" },
        ],
      },
      { role: "tool", toolCallId: "t1", name: "get_weather", content: "Sunny\n25°C" },
      { role: "tool", toolCallId: "t2", name: "now", content: "Error: No clock" },
      { role: "tool", toolCallId: "t3", content: "" },
      { role: "user", content: "Here:" },
    ]);
  });

  it("adds no empty message after results alone, and does not call an error one twice", async () => {
    const messages = await conversationOf({
      messages: [
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: "t1", content: "error: none", is_error: true }],
        },
      ],
    });
    expect(messages).toEqual([{ role: "tool", toolCallId: "t1", content: "error: none" }]);
  });

  it("reads documents of plain text", async () => {
    const messages = await conversationOf({
      messages: [
        {
          role: "user",
          content: [
            {
              type: "document",
              title: "Soil",
              source: { type: "text", media_type: "text/plain", data: "Clay." },
            },
          ],
        },
      ],
    });
    expect(messages).toEqual([{ role: "user", content: "Soil\nClay." }]);
  });

  it("drops the stamp that differs in every request", async () => {
    const stamp = "x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch=a5145;";
    expect(await conversationOf({ system: `${stamp}You are helpful.` })).toContainEqual({
      role: "system",
      content: "You are helpful.",
    });
    expect(await conversationOf({ system: [{ type: "text", text: stamp }] })).toHaveLength(1);
  });
});

describe("counting tokens", () => {
  it("renders the prompt and says how long it is", async () => {
    const { app, chat } = setUp();
    const { status, headers, body } = await post(app, `${path}/count_tokens`, {
      model: "phi",
      system: "Be brief.",
      messages: [user],
      tools: [weather],
    });
    expect(status).toBe(200);
    expect(headers.get("x-expert")).toBe("phi4_fast");
    expect(body).toEqual({ input_tokens: "system: Be brief.\nuser: Hi\n".length });
    expect(chat.renderings[0]?.tools?.tools[0]?.name).toBe("get_weather");
    expect(chat.chats).toEqual([]);
  });
});

const block = (content: unknown, role = "user") => ({ ...hello, messages: [{ role, content: [content] }] });
const wrongBodies: readonly (readonly [body: unknown, message: string])[] = [
  [[], "The request body must be a JSON object; received an empty array."],
  [
    { model: "phi", messages: [user] },
    "max_tokens is missing; it must be an integer of at least 0; 0 reads the prompt and generates nothing.",
  ],
  [{ model: "phi", max_tokens: 5 }, "messages is missing; it must be an array of 1 to 100000 messages."],
  [{ ...hello, messages: [] }, "messages must be an array of 1 to 100000 messages; received an empty array."],
  [
    { ...hello, messages: ["x"] },
    'messages[0] must be a message such as {"role": "user", "content": "…"}; received the string "x".',
  ],
  [
    { ...hello, messages: [{ role: "tool", content: "x" }] },
    'messages[0].role must be one of "user", "assistant", "system"; received the string "tool".',
  ],
  [
    { ...hello, messages: [{ role: "user" }] },
    "messages[0].content is missing; it must be a string or an array of content blocks.",
  ],
  [
    { ...hello, messages: [{ role: "user", content: 5 }] },
    "messages[0].content must be a string or an array of content blocks; received 5.",
  ],
  [
    block("x"),
    'messages[0].content[0] must be a content block such as {"type": "text", "text": "…"}; received the string "x".',
  ],
  [
    block({ type: "server_tool_use" }),
    'messages[0].content[0].type must be one of "text", "image", "document", "thinking", "redacted_thinking", ' +
      '"tool_use", "tool_result"; received the string "server_tool_use".',
  ],
  [block({ type: "text" }), "messages[0].content[0].text is missing; it must be a string."],
  [
    block({ type: "image", source: { type: "base64", data: "" } }),
    "Images are not supported by the loaded build; messages[0].content[0] is of type image, only text is allowed.",
  ],
  [
    block({ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: "a" }, { type: "image" }] }),
    "Images are not supported by the loaded build; messages[0].content[0].content[1] is of type image, only text is allowed.",
  ],
  [
    block({ type: "tool_result", tool_use_id: "t", content: [{ type: "tool_use" }] }),
    'messages[0].content[0].content[0].type must be one of "text", "image", "document"; received the string "tool_use".',
  ],
  [
    block({ type: "document", source: { type: "base64", data: "JVBERi0" } }),
    "Documents other than plain text are not supported by the loaded build; messages[0].content[0] is of type " +
      "document with a source of type base64, only text is allowed.",
  ],
  [
    block({ type: "tool_use", id: "t", name: "n", input: {} }),
    "messages[0].content[0] is of type tool_use, which only the assistant can send; received it from the user.",
  ],
  [
    block({ type: "tool_result", tool_use_id: "t" }, "assistant"),
    "messages[0].content[0] is of type tool_result, which only the user can send; received it from the assistant.",
  ],
  [
    block({ type: "tool_use", id: "t", name: "n", input: "{}" }, "assistant"),
    'messages[0].content[0].input must be an object; received the string "{}".',
  ],
  [{ ...hello, system: 5 }, "system must be a string or an array of text blocks; received 5."],
  [{ ...hello, system: [{ type: "image" }] }, 'system[0].type must be "text"; received the string "image".'],
  [{ ...hello, temperature: 1.5 }, "temperature must be a number from 0 to 1; received 1.5."],
  [{ ...hello, stop_sequences: [""] }, 'stop_sequences[0] must be a non-empty string; received the string "".'],
  [
    { ...hello, tools: [{ type: "web_search_20250305", name: "web_search" }] },
    'Tools of type "web_search_20250305" are not supported: tools[0] must be a tool that the caller runs.',
  ],
  [{ ...hello, tools: [{ name: "n" }] }, "tools[0].input_schema is missing; it must be a JSON Schema of type object."],
  [
    { ...hello, tools: [{ name: "n", input_schema: { type: "string" } }] },
    'tools[0].input_schema.type must be "object"; received the string "string".',
  ],
  [
    { ...hello, tools: [{ ...weather, name: "a b" }] },
    'tools[0].name must be a name of 1 to 128 letters, digits and _ . : / -; received the string "a b".',
  ],
  [
    { ...hello, tools: [weather, weather] },
    'tools[1].name must be a name that no other tool has; received "get_weather" again.',
  ],
  [
    { ...hello, tools: [weather], tool_choice: { type: "tool", name: "x" } },
    'tool_choice.name names no tool of this request: it must be one of get_weather; received "x".',
  ],
  [{ ...hello, tool_choice: { type: "any" } }, "tool_choice demands a call, but there are no tools in this request."],
  [
    { ...hello, tool_choice: { type: "x" } },
    'tool_choice.type must be one of "auto", "any", "tool", "none"; received the string "x".',
  ],
  [
    { ...hello, tool_choice: "auto" },
    'tool_choice must be an object such as {"type": "auto"}; received the string "auto".',
  ],
  [
    { ...hello, thinking: { type: "enabled" } },
    "thinking.budget_tokens is missing; it must be an integer of at least 1.",
  ],
  [
    { ...hello, mcp_servers: [{ url: "x" }] },
    "mcp_servers is not supported by this server; leave it out or at its default. Received an array of 1.",
  ],
];

describe("a body that is wrong", () => {
  it.each(wrongBodies)("%j is refused", async (body, message) => {
    const { app, chat } = setUp();
    const answer = await post(app, path, body);
    expect(answer.body).toEqual({ type: "error", error: { type: "invalid_request_error", message } });
    expect(answer.status).toBe(400);
    expect(chat.chats).toEqual([]);
  });

  it("may hold anything deep where nobody looks, and nothing deep where somebody does", async () => {
    const deep = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
    const { app } = setUp();
    const body = (fields: string) => `{"max_tokens":5,"messages":[{"role":"user","content":"x"}],${fields}}`;
    expect((await post(app, path, body(`"other":${deep}`))).status).toBe(200);
    for (const fields of [
      `"tools":[{"name":"n","input_schema":${deep}}]`,
      `"output_config":{"format":{"type":"json_schema","schema":${deep}}}`,
      `"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"i","name":"n","input":${deep}}]}]`,
      `"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"i","content":[${deep}]}]}]`,
    ]) {
      const { status, body: answer } = await post(app, path, body(fields));
      expect(status).toBe(400);
      expect(answer.error.type).toBe("invalid_request_error");
    }
  });

  it("may hold any text, and blocks without number", async () => {
    const text = `\0\ud800${"x".repeat(10_000_000)}`;
    const [message] = await conversationOf({ messages: [{ role: "user", content: text }] });
    expect(message?.content === text).toBe(true);
    const content = Array.from({ length: 200_000 }, () => ({ type: "text", text: "" }));
    expect(await conversationOf({ messages: [{ role: "user", content }] })).toEqual([{ role: "user", content: "" }]);
    const wrong = content.map(() => 1);
    const { status } = await post(setUp().app, path, { ...hello, messages: [{ role: "user", content: wrong }] });
    expect(status).toBe(400);
  });
});

describe("an error", () => {
  it.each([
    [400, "invalid_request_error"],
    [403, "permission_error"],
    [404, "not_found_error"],
    [413, "request_too_large"],
    [429, "rate_limit_error"],
    [500, "api_error"],
    [503, "overloaded_error"],
    [504, "timeout_error"],
    [507, "api_error"],
  ])("of status %j is of type %j", async (status, type) => {
    const { app, chat } = setUp();
    chat.script = failing(new PublicError("No.", { status, type: "server_error", code: "x", retryAfterS: 2 }));
    for (const stream of [false, true]) {
      const answer = await post(app, path, { ...hello, stream });
      expect(answer.status).toBe(status);
      expect(answer.headers.get("retry-after")).toBe("2");
      expect(answer.body).toEqual({ type: "error", error: { type, message: "No." } });
    }
  });

  it("names the known models where the model is unknown", async () => {
    for (const suffix of ["", "/count_tokens"]) {
      const { status, body } = await post(setUp().app, path + suffix, { ...hello, model: "claude-x" });
      expect(status).toBe(404);
      expect(body.error.type).toBe("not_found_error");
      expect(body.error.message).toContain("aya_expanse_multilingual");
    }
  });

  it("of a key that is missing or wrong has Anthropic's form, and x-api-key is a key", async () => {
    const { app } = setUp(["secret"]);
    const { status, body } = await post(app, path, hello);
    expect(status).toBe(401);
    expect(body).toMatchObject({ type: "error", error: { type: "authentication_error" } });
    const known = await app.request(path, {
      method: "POST",
      headers: { "x-api-key": "secret", "anthropic-version": "2023-06-01", "anthropic-beta": "some-beta" },
      body: JSON.stringify(hello),
    });
    expect(known.status).toBe(200);
  });

  it("of the service comes through", async () => {
    const { app, chat } = setUp();
    chat.script = failing(invalidRequest("The prompt has 9 tokens; the context holds 8.", "messages"));
    const { body } = await post(app, path, hello);
    expect(body.error.message).toBe("The prompt has 9 tokens; the context holds 8.");
  });
});
