// Anthropic's own client against a real server over a scripted chat service: whole and streamed messages, tools,
// thinking, JSON, leaving, errors and retries.
import Anthropic, {
  APIConnectionError,
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
} from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { anthropicDialect } from "../../src/api/anthropic/dialect.ts";
import { systemClock } from "../../src/core/clock.ts";
import { deferred } from "../../src/core/deferred.ts";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import { createHttpApp } from "../../src/http/app.ts";
import { type HttpServer, startHttpServer } from "../../src/http/server.ts";
import {
  calling,
  ending,
  failing,
  type FakeServices,
  fakeServices,
  saying,
  telling,
} from "../support/fake-services.ts";

const running: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close(0)));
});

async function setUp(options: { readonly apiKeys?: readonly string[]; readonly maxRetries?: number } = {}) {
  const services: FakeServices = fakeServices();
  const app = createHttpApp({
    dialects: [anthropicDialect(services)],
    server: {
      apiKeys: options.apiKeys ?? [],
      corsOrigins: [],
      heartbeatMs: 0,
      stallTimeoutMs: 60_000,
      maxBodyBytes: 1_000_000,
    },
    clock: systemClock,
    log: silentLogger,
  });
  const server = await startHttpServer(app, { host: "127.0.0.1", port: 0, stallTimeoutMs: 60_000, log: silentLogger });
  running.push(server);
  const client = new Anthropic({ baseURL: server.url, apiKey: "secret", maxRetries: options.maxRetries ?? 0 });
  return { client, chat: services.chat };
}

const hello = {
  model: "phi4_fast",
  max_tokens: 50,
  messages: [{ role: "user" as const, content: "Hi" }],
};
const weather = {
  name: "get_weather",
  input_schema: { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"] },
};
const callsWeather = telling(
  { type: "reasoning", text: "Which city? " },
  { type: "reasoning", text: "Paris." },
  { type: "text", text: "I " },
  { type: "text", text: "ask." },
  ...calling(0, "call_1", "get_weather", '{"ci', 'ty":"Par', 'is"}'),
  ...calling(1, "call_2", "get_weather", '{"city":"Rome"}'),
  ending({ reason: "tool_calls" }),
);

describe("Anthropic's client", () => {
  it("gets a whole message", async () => {
    const { client, chat } = await setUp();
    const message = await client.messages.create({ ...hello, system: "Be brief.", stop_sequences: ["END"] });
    expect(message.content).toEqual([{ type: "text", text: "Hello there" }]);
    expect(message).toMatchObject({ role: "assistant", stop_reason: "end_turn", model: "phi4_fast" });
    expect(message.usage).toMatchObject({ input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 6 });
    expect(chat.chats[0]).toMatchObject({ stop: ["END"], maxTokens: 50 });
  });

  it("gets the events of a stream", async () => {
    const { client } = await setUp();
    const types: string[] = [];
    for await (const event of await client.messages.create({ ...hello, stream: true })) types.push(event.type);
    expect(types).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
  });

  it("puts a stream with thinking, text and calls together, and can send it back", async () => {
    const { client, chat } = await setUp();
    chat.script = callsWeather;
    const texts: string[] = [];
    const thoughts: string[] = [];
    const inputs: string[] = [];
    const stream = client.messages
      .stream({ ...hello, tools: [weather], thinking: { type: "enabled", budget_tokens: 1024 } })
      .on("text", (text) => texts.push(text))
      .on("thinking", (thought) => thoughts.push(thought))
      .on("inputJson", (piece) => inputs.push(piece));
    const message = await stream.finalMessage();
    expect(texts).toEqual(["I ", "ask."]);
    expect(thoughts).toEqual(["Which city? ", "Paris."]);
    expect(inputs.join("")).toBe('{"city":"Paris"}{"city":"Rome"}');
    expect(message.stop_reason).toBe("tool_use");
    expect(message.usage).toMatchObject({ input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 6 });
    const content = JSON.parse(JSON.stringify(message.content)) as unknown;
    expect(content).toEqual([
      { type: "thinking", thinking: "Which city? Paris.", signature: "unsigned" },
      { type: "text", text: "I ask." },
      { type: "tool_use", id: "call_1", name: "get_weather", input: { city: "Paris" } },
      { type: "tool_use", id: "call_2", name: "get_weather", input: { city: "Rome" } },
    ]);

    chat.script = saying("Sunny.");
    const answer = await client.messages.create({
      ...hello,
      tools: [weather],
      messages: [
        ...hello.messages,
        { role: "assistant", content: message.content },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "call_1", content: "Sunny" },
            { type: "tool_result", tool_use_id: "call_2", content: [{ type: "text", text: "Rain" }], is_error: false },
          ],
        },
      ],
    });
    expect(answer.content[0]).toEqual({ type: "text", text: "Sunny." });
    expect(chat.chats[1]?.messages.slice(1)).toEqual([
      {
        role: "assistant",
        content: "I ask.",
        reasoning: "Which city? Paris.",
        toolCalls: [
          { id: "call_1", name: "get_weather", arguments: '{"city":"Paris"}' },
          { id: "call_2", name: "get_weather", arguments: '{"city":"Rome"}' },
        ],
      },
      { role: "tool", toolCallId: "call_1", name: "get_weather", content: "Sunny" },
      { role: "tool", toolCallId: "call_2", name: "get_weather", content: "Rain" },
    ]);
  });

  it("parses JSON of its schema", async () => {
    const { client, chat } = await setUp();
    chat.script = saying('{"city":', '"Paris"}');
    const format = zodOutputFormat(z.object({ city: z.string() }));
    const message = await client.messages.parse({ ...hello, output_config: { format } });
    expect(message.parsed_output).toEqual({ city: "Paris" });
    expect(chat.chats[0]?.output).toMatchObject({
      type: "json_schema",
      schema: { type: "object", required: ["city"] },
      field: "output_config.format.schema",
    });
  });

  it("counts tokens", async () => {
    const { client } = await setUp();
    const { input_tokens: count } = await client.messages.countTokens({
      model: "phi4_fast",
      messages: hello.messages,
      tools: [weather],
    });
    expect(count).toBe("user: Hi\n".length);
  });

  it("works under its beta path too", async () => {
    const { client } = await setUp();
    const message = await client.beta.messages.create({ ...hello, betas: ["context-management-2025-06-27"] });
    expect(message.content[0]).toMatchObject({ type: "text", text: "Hello there" });
  });

  it("leaves, and the answer ends", async () => {
    const { client, chat } = await setUp();
    const left = deferred<void>();
    chat.script = async function* (_request, signal) {
      yield { type: "started", promptTokens: 3, cachedTokens: 0 };
      yield { type: "text", text: "Hello" };
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      left.resolve();
      throw new AbandonedError();
    };
    const stream = client.messages.stream(hello);
    stream.on("text", () => stream.abort());
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(APIUserAbortError);
    await left.promise;
    const controller = new AbortController();
    const whole = client.messages.create(hello, { signal: controller.signal });
    await expect.poll(() => chat.chats.length).toBe(2);
    controller.abort();
    await expect(whole).rejects.toBeInstanceOf(APIUserAbortError);
    await expect.poll(() => chat.endedCount).toBe(2);
  });
});

describe("an error comes to Anthropic's client as what it is", () => {
  it("where the key is wrong", async () => {
    const { client } = await setUp({ apiKeys: ["other"] });
    const error = await client.messages.create(hello).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ type: "authentication_error" });
  });

  it("where the model is unknown", async () => {
    const { client } = await setUp({ maxRetries: 2 });
    const error = await client.messages.create({ ...hello, model: "claude-x" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ type: "not_found_error" });
    expect((error as APIError).apiMessage).toContain("phi4_fast");
  });

  it("where the body is wrong", async () => {
    const { client } = await setUp();
    const error = await client.messages.create({ ...hello, max_tokens: -1 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadRequestError);
    expect((error as APIError).apiMessage).toBe(
      "max_tokens must be an integer of at least 0; 0 reads the prompt and generates nothing; received -1.",
    );
  });

  it("where it comes in the middle of a stream", async () => {
    const { client, chat } = await setUp({ maxRetries: 2 });
    chat.script = failing(
      new PublicError("The deadline passed.", { status: 504, type: "timeout_error", code: "deadline" }),
      { type: "started", promptTokens: 3, cachedTokens: 0 },
      { type: "text", text: "Half" },
    );
    const stream = client.messages.stream(hello);
    const error = await stream.finalMessage().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(APIError);
    expect(error).not.toBeInstanceOf(APIConnectionError);
    expect(error).toMatchObject({ type: "timeout_error", apiMessage: "The deadline passed." });
    expect(chat.chats).toHaveLength(1);
  });

  it("and is retried when it may pass", async () => {
    const { client, chat } = await setUp({ maxRetries: 2 });
    chat.script = (request, signal) => {
      if (chat.chats.length > 1) return saying("ok")(request, signal);
      const options = { status: 429, type: "rate_limit_error", code: "queue_full", retryAfterS: 1 } as const;
      return failing(new PublicError("The queue is full.", options))(request, signal);
    };
    const message = await client.messages.create(hello);
    expect(message.content[0]).toMatchObject({ text: "ok" });
    expect(chat.chats).toHaveLength(2);
  });

  it("and is not retried when it cannot", async () => {
    const { client, chat } = await setUp({ maxRetries: 2 });
    chat.script = failing(
      new PublicError("Too large.", { status: 507, type: "insufficient_memory_error", code: "too_large" }),
    );
    await expect(client.messages.create(hello)).rejects.toMatchObject({ status: 507, type: "api_error" });
    expect(chat.chats).toHaveLength(1);
  });
});
