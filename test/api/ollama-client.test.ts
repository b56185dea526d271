// Ollama's own client for JavaScript against a real server on a free port.
import { type ChatResponse, Ollama } from "ollama";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { deferred } from "../../src/core/deferred.ts";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import type { HttpOptions } from "../../src/http/app.ts";
import { type HttpServer, startHttpServer } from "../../src/http/server.ts";
import type { Embedder } from "../../src/experts/expert.ts";
import {
  calling,
  ending,
  failing,
  type FakeServices,
  fakeServices,
  poolStatus,
  telling,
} from "../support/fake-services.ts";
import { ollamaHttp } from "./ollama-http.ts";

const running: HttpServer[] = [];
const embedder: Embedder = { id: "embedder", modelPath: "/models/e.gguf", contextTokens: 512, cacheSize: 0 };
const model = "phi4_fast:latest";
const messages = [{ role: "user", content: "Hi" }];

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close(0)));
});

async function clientOf(
  services: FakeServices = fakeServices(),
  options: Partial<HttpOptions["server"]> = {},
  headers: Record<string, string> = {},
): Promise<Ollama> {
  const server = await startHttpServer(ollamaHttp(services, options, systemClock), {
    host: "127.0.0.1",
    port: 0,
    stallTimeoutMs: 60_000,
    log: silentLogger,
  });
  running.push(server);
  return new Ollama({ host: server.url, headers });
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const parts: T[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

/** An answer that says `first` and then waits until its signal fires. */
function waiting(services: FakeServices, first: string) {
  const ended = deferred<boolean>();
  services.chat.script = async function* (_, signal) {
    try {
      yield { type: "text", text: first };
      await new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new AbandonedError()));
      });
    } finally {
      ended.resolve(signal.aborted);
    }
  };
  return ended.promise;
}

describe("chat", () => {
  it("whole", async () => {
    const answer = await (await clientOf()).chat({ model, messages });
    expect(answer).toMatchObject({
      model,
      message: { role: "assistant", content: "Hello there" },
      done: true,
      done_reason: "stop",
      prompt_eval_count: 10,
      eval_count: 6,
      eval_duration: 200e6,
    });
    expect(Number.isNaN(new Date(answer.created_at).getTime())).toBe(false);
  });

  it("streamed", async () => {
    const parts = await collect(await (await clientOf()).chat({ model, messages, stream: true }));
    expect(parts.map(({ message }) => message.content)).toEqual(["Hello", " there", ""]);
    expect(parts.map(({ done }) => done)).toEqual([false, false, true]);
  });

  it("with a large answer that comes in many pieces of bytes", async () => {
    const services = fakeServices();
    const text = "ñ€𝄞".repeat(50_000);
    services.chat.script = telling({ type: "text", text }, { type: "text", text: "\u0000\n\ud800" }, ending());
    const parts = await collect(await (await clientOf(services)).chat({ model, messages, stream: true }));
    expect(parts.map(({ message }) => message.content)).toEqual([text, "\u0000\n\ud800", ""]);
  });

  it("routed", async () => {
    expect((await (await clientOf()).chat({ model: "auto", messages })).model).toBe("qwen_coder");
  });

  it("calls tools, and gets their answers back", async () => {
    const services = fakeServices();
    services.chat.script = telling(
      ...calling(0, "a", "weather", '{"city":', '"Lugo"}'),
      ending({ reason: "tool_calls" }),
    );
    const client = await clientOf(services);
    const tools = [
      {
        type: "function",
        function: {
          name: "weather",
          description: "The weather.",
          parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
        },
      },
    ];
    const called = await client.chat({ model, messages, tools });
    const [call] = called.message.tool_calls ?? [];
    expect(call?.function).toMatchObject({ name: "weather", arguments: { city: "Lugo" } });
    const streamed = await collect(await client.chat({ model, messages, tools, stream: true }));
    expect(streamed.flatMap(({ message }) => message.tool_calls ?? [])).toEqual(called.message.tool_calls);
    await client.chat({
      model,
      messages: [...messages, called.message, { role: "tool", tool_name: "weather", content: "rain" }],
      tools,
    });
    const [request] = services.chat.chats.slice(-1);
    expect(request?.tools?.tools.map(({ name }) => name)).toEqual(["weather"]);
    expect(request?.messages.slice(-2)).toEqual([
      {
        role: "assistant",
        content: "",
        toolCalls: [{ id: "a", name: "weather", arguments: '{"city":"Lugo"}' }],
      },
      { role: "tool", content: "rain", toolCallId: "a", name: "weather" },
    ]);
  });

  it("thinks", async () => {
    const services = fakeServices();
    services.chat.script = telling({ type: "reasoning", text: "Hm." }, { type: "text", text: "Yes." }, ending());
    const client = await clientOf(services);
    const { message } = await client.chat({ model, messages, think: "high" });
    expect(message).toMatchObject({ thinking: "Hm.", content: "Yes." });
    const parts = await collect(await client.chat({ model, messages, think: true, stream: true }));
    expect(parts.map((part) => part.message.thinking ?? "").join("")).toBe("Hm.");
    expect(services.chat.chats.map(({ reasoning }) => reasoning)).toMatchObject([
      { thinks: true, effort: "high" },
      { thinks: true, effort: null },
    ]);
  });

  it("answers in a format", async () => {
    const services = fakeServices();
    services.chat.script = telling({ type: "text", text: '{"age":22}' }, ending());
    const schema = { type: "object", properties: { age: { type: "integer" } }, required: ["age"] };
    const client = await clientOf(services);
    const { message } = await client.chat({ model, messages, format: schema });
    expect(JSON.parse(message.content)).toEqual({ age: 22 });
    await client.chat({ model, messages, format: "json" });
    expect(services.chat.chats.map(({ output }) => output)).toEqual([
      { type: "json_schema", schema, field: "format" },
      { type: "json_object" },
    ]);
  });

  it("aborts all that it has under way, or one answer", async () => {
    const services = fakeServices();
    const client = await clientOf(services);
    for (const abort of [(stream: { abort(): void }) => stream.abort(), () => client.abort()]) {
      const ended = waiting(services, "one");
      const stream = await client.chat({ model, messages, stream: true });
      const read = async () => {
        for await (const part of stream) if (part.message.content === "one") abort(stream);
      };
      await expect(read()).rejects.toThrow(/abort/i);
      expect(await ended).toBe(true);
    }
  });

  it("loads and unloads", async () => {
    const done: string[] = [];
    const services = fakeServices({
      loadExpert: (id) => Promise.resolve(void done.push(`load ${id}`)),
      unloadExpert: (id) => {
        done.push(`unload ${id}`);
        return "unloading";
      },
    });
    const client = await clientOf(services);
    expect((await client.chat({ model, messages: [] })).done_reason).toBe("load");
    const parts = await collect<ChatResponse>(await client.chat({ model, messages: [], keep_alive: 0, stream: true }));
    expect(parts.map(({ done_reason }) => done_reason)).toEqual(["unload"]);
    expect(done).toEqual(["load phi4_fast", "unload phi4_fast"]);
  });
});

describe("errors", () => {
  it.each([false, true])("have a text and a status, streamed: %j", async (stream) => {
    const services = fakeServices();
    const client = await clientOf(services, { apiKeys: ["key"] }, { authorization: "Bearer key" });
    const ask = (more: object) => client.chat({ model, messages, ...more, stream: stream as true });
    await expect(ask({ model: "llama3.2" })).rejects.toMatchObject({
      status_code: 404,
      message: expect.stringMatching(/^model 'llama3\.2' not found/) as string,
    });
    await expect(ask({ options: { temperature: -1 } })).rejects.toMatchObject({
      status_code: 400,
      message: "options.temperature must be a number from 0 to 10; received -1.",
    });
    services.chat.script = failing(
      new PublicError("Full.", { status: 429, type: "rate_limit_error", code: "queue_full", retryAfterS: 1 }),
    );
    await expect(ask({})).rejects.toMatchObject({ status_code: 429, message: "Full." });
    const stranger = await clientOf(services, { apiKeys: ["key"] });
    await expect(stranger.chat({ model, messages, stream: stream as true })).rejects.toMatchObject({
      status_code: 401,
      message: expect.stringMatching(/key/i) as string,
    });
  });

  it("in the middle of a stream end it", async () => {
    const services = fakeServices();
    services.chat.script = failing(
      new PublicError("The deadline passed.", { status: 504, type: "timeout_error", code: "deadline" }),
      { type: "text", text: "Half" },
    );
    const stream = await (await clientOf(services)).chat({ model, messages, stream: true });
    const read: string[] = [];
    const reading = async () => {
      for await (const part of stream) read.push(part.message.content);
    };
    await expect(reading()).rejects.toThrow("The deadline passed.");
    expect(read).toEqual(["Half"]);
  });
});

describe("the other calls", () => {
  it("generate, with a prompt, raw, with a suffix, and without a prompt", async () => {
    const services = fakeServices();
    const client = await clientOf(services);
    expect(await client.generate({ model, prompt: "Why?", system: "Be brief." })).toMatchObject({
      response: "Hello there",
      done_reason: "stop",
    });
    const parts = await collect(await client.generate({ model, prompt: "Why?", raw: true, stream: true }));
    expect(parts.map(({ response }) => response)).toEqual(["Hello", " there", ""]);
    await client.generate({ model, prompt: "def f(", suffix: "return x" });
    expect((await client.generate({ model, prompt: "" })).done_reason).toBe("load");
    expect(services.chat.chats).toHaveLength(1);
    expect(services.chat.completions).toMatchObject([
      { prompt: "Why?", suffix: null },
      { prompt: "def f(", suffix: "return x" },
    ]);
  });

  it("embed and embeddings", async () => {
    const client = await clientOf(fakeServices({ embedder: () => embedder }));
    const { embeddings } = await client.embed({ model: "embedder", input: ["a", "b"] });
    expect(embeddings).toEqual([
      [0, 0.5, -0.25],
      [1, 0.5, -0.25],
    ]);
    expect((await client.embeddings({ model: "embedder", prompt: "a" })).embedding).toEqual([0, 0.5, -0.25]);
  });

  it("list, and show and chat with each that it lists", async () => {
    const client = await clientOf(fakeServices({ poolStatus: () => poolStatus([]) }));
    const { models } = await client.list();
    expect(models).toHaveLength(6);
    for (const { name } of models) {
      expect((await client.show({ model: name })).capabilities).toContain("completion");
      expect((await client.chat({ model: name, messages })).done).toBe(true);
    }
  });

  it("ps and version", async () => {
    const client = await clientOf();
    expect((await client.ps()).models).toMatchObject([{ name: model, size: 1500 }]);
    expect((await client.version()).version).toMatch(/^0\./);
  });

  it("pull what is here; create, copy and push get a sentence", async () => {
    const client = await clientOf();
    expect(await client.pull({ model })).toEqual({ status: "success" });
    expect(await collect(await client.pull({ model, stream: true }))).toEqual([{ status: "success" }]);
    const refusal = { status_code: 501, message: expect.stringMatching(/experts\[\]\.model_path/) as string };
    await expect(client.create({ model: "x", from: model })).rejects.toMatchObject(refusal);
    await expect(client.copy({ source: model, destination: "x" })).rejects.toMatchObject(refusal);
    await expect(client.push({ model })).rejects.toMatchObject(refusal);
  });
});
