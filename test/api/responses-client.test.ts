// OpenAI's own client at /v1/responses of a real server over a scripted chat service: whole and streamed responses,
// tools, JSON, leaving, errors and retries.
import OpenAI, { APIError, APIUserAbortError, BadRequestError, NotFoundError } from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { responsesDialect } from "../../src/api/responses/dialect.ts";
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

async function setUp(maxRetries = 0) {
  const services: FakeServices = fakeServices();
  const app = createHttpApp({
    dialects: [responsesDialect(services)],
    server: { apiKeys: [], corsOrigins: [], heartbeatMs: 0, stallTimeoutMs: 60_000, maxBodyBytes: 1_000_000 },
    clock: systemClock,
    log: silentLogger,
  });
  const server = await startHttpServer(app, { host: "127.0.0.1", port: 0, stallTimeoutMs: 60_000, log: silentLogger });
  running.push(server);
  return { client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries }), chat: services.chat };
}

const hello = { model: "phi4_fast", input: "Hi" };
const weather = zodResponsesFunction({ name: "get_weather", parameters: z.object({ city: z.string() }) });
const callsWeather = telling(
  { type: "reasoning", text: "Which city? " },
  { type: "reasoning", text: "Paris." },
  { type: "text", text: "I " },
  { type: "text", text: "ask." },
  ...calling(0, "call_1", "get_weather", '{"ci', 'ty":"Par', 'is"}'),
  ...calling(1, "call_2", "get_weather", '{"city":"Rome"}'),
  ending({ reason: "tool_calls" }),
);

describe("OpenAI's client", () => {
  it("gets a whole response", async () => {
    const { client, chat } = await setUp();
    const response = await client.responses.create({
      model: "phi4_fast",
      input: [
        { role: "system", content: "Book" },
        { role: "user", content: "What is the best book" },
      ],
      max_output_tokens: 8,
      temperature: 0.8,
    });
    expect(response.id).toMatch(/^resp_/);
    expect(response.output[0]?.id).toMatch(/^msg_/);
    expect(response.output_text).toBe("Hello there");
    expect(response.usage).toMatchObject({ input_tokens: 10, output_tokens: 6, total_tokens: 16 });
    expect(chat.chats[0]).toMatchObject({ maxTokens: 8, sampling: { temperature: 0.8 } });
  });

  it("gets the events of a stream, under the ids of the whole", async () => {
    const { client } = await setUp();
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    for await (const event of await client.responses.create({ ...hello, stream: true })) events.push(event);
    const added = events.filter((event) => event.type === "response.output_item.added");
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    const completed = events.filter((event) => event.type === "response.completed");
    const itemId = added[0]?.item.id;
    expect(deltas.map(({ delta, item_id: id }) => [delta, id])).toEqual([
      ["Hello", itemId],
      [" there", itemId],
    ]);
    expect(completed).toMatchObject([{ response: { output: [{ id: itemId, content: [{ text: "Hello there" }] }] } }]);
    expect(events.at(-1)?.type).toBe("response.completed");
  });

  it("puts a stream with reasoning, text and calls together, and can send it back", async () => {
    const { client, chat } = await setUp();
    chat.script = callsWeather;
    const snapshots: string[] = [];
    const stream = client.responses.stream({ ...hello, tools: [weather] });
    stream.on("response.output_text.delta", ({ snapshot }) => snapshots.push(snapshot));
    stream.on("response.function_call_arguments.delta", ({ snapshot }) => snapshots.push(snapshot));
    const response = await stream.finalResponse();
    expect(snapshots).toEqual(["I ", "I ask.", '{"ci', '{"city":"Par', '{"city":"Paris"}', '{"city":"Rome"}']);
    expect(response.output_text).toBe("I ask.");
    expect(response.output).toMatchObject([
      { type: "reasoning", content: [{ type: "reasoning_text", text: "Which city? Paris." }] },
      { type: "message", content: [{ type: "output_text", text: "I ask." }] },
      { type: "function_call", call_id: "call_1", name: "get_weather", parsed_arguments: { city: "Paris" } },
      { type: "function_call", call_id: "call_2", name: "get_weather", parsed_arguments: { city: "Rome" } },
    ]);

    chat.script = saying("Sunny.");
    const answer = await client.responses.create({
      model: "phi4_fast",
      tools: [weather],
      store: false,
      include: ["reasoning.encrypted_content"],
      input: [
        { role: "user", content: "Hi" },
        ...(response.output as OpenAI.Responses.ResponseInputItem[]),
        { type: "function_call_output", call_id: "call_1", output: "Sunny" },
        { type: "function_call_output", call_id: "call_2", output: [{ type: "input_text", text: "Rain" }] },
      ],
    });
    expect(answer.output_text).toBe("Sunny.");
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

  it("parses JSON of its schema, whole and streamed", async () => {
    const { client, chat } = await setUp();
    chat.script = saying('{"city":', '"Paris"}');
    const request = { ...hello, text: { format: zodTextFormat(z.object({ city: z.string() }), "place") } };
    const response = await client.responses.parse(request);
    expect(response.output_parsed).toEqual({ city: "Paris" });
    const streamed = await client.responses.stream(request).finalResponse();
    expect(streamed.output_parsed).toEqual({ city: "Paris" });
    expect(chat.chats[0]?.output).toMatchObject({
      type: "json_schema",
      schema: { type: "object", required: ["city"] },
      field: "text.format.schema",
    });
  });

  it("does not parse what was cut", async () => {
    const { client, chat } = await setUp();
    chat.script = telling({ type: "text", text: '{"city":' }, ending({ reason: "length" }));
    const text = { format: zodTextFormat(z.object({ city: z.string() }), "place") };
    const response = await client.responses.parse({ ...hello, text });
    expect(response).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } });
    expect(response.output_parsed).toBe(null);
    const streamed = await client.responses.stream({ ...hello, text }).finalResponse();
    expect(streamed.status).toBe("incomplete");
  });

  it("counts tokens", async () => {
    const { client } = await setUp();
    const { input_tokens: count } = await client.responses.inputTokens.count(hello);
    expect(count).toBe("user: Hi\n".length);
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
    const stream = client.responses.stream(hello);
    stream.on("response.output_text.delta", () => stream.abort());
    await expect(stream.finalResponse()).rejects.toBeInstanceOf(APIUserAbortError);
    await left.promise;
    const controller = new AbortController();
    const whole = client.responses.create(hello, { signal: controller.signal });
    await expect.poll(() => chat.chats.length).toBe(2);
    controller.abort();
    await expect(whole).rejects.toBeInstanceOf(APIUserAbortError);
    await expect.poll(() => chat.endedCount).toBe(2);
  });
});

describe("an error comes to OpenAI's client as what it is", () => {
  it("where the model is unknown", async () => {
    const { client } = await setUp(2);
    const error = await client.responses.create({ ...hello, model: "gpt-x" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found", param: "model" });
  });

  it("where a response is to be referred to", async () => {
    const { client } = await setUp();
    const error = await client.responses
      .create({ ...hello, previous_response_id: "resp_1" })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ param: "previous_response_id", code: "unsupported_parameter" });
  });

  it("where it comes in the middle of a stream", async () => {
    const { client, chat } = await setUp(2);
    chat.script = failing(
      new PublicError("The deadline passed.", { status: 504, type: "timeout_error", code: "deadline" }),
      { type: "started", promptTokens: 3, cachedTokens: 0 },
      { type: "text", text: "Half" },
    );
    const failures: unknown[] = [];
    const stream = client.responses.stream(hello);
    stream.on("response.failed", ({ response }) => failures.push(response.error));
    const error = await stream.finalResponse().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ code: "deadline", type: "timeout_error" });
    expect(failures).toEqual([{ code: "server_error", message: "The deadline passed." }]);
    expect(chat.chats).toHaveLength(1);
  });

  it("and is retried when it may pass", async () => {
    const { client, chat } = await setUp(2);
    chat.script = (request, signal) => {
      if (chat.chats.length > 1) return saying("ok")(request, signal);
      const options = { status: 503, type: "unavailable_error", code: "loading", retryAfterS: 1 } as const;
      return failing(new PublicError("Loading failed.", options))(request, signal);
    };
    const response = await client.responses.create(hello);
    expect(response.output_text).toBe("ok");
    expect(chat.chats).toHaveLength(2);
  });
});
