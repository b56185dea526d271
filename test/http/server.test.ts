// A real server on a free port: the official client, raw sockets that break off, limits of time, and closing in order.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import OpenAI, {
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../src/core/clock.ts";
import { type Deferred, deferred } from "../../src/core/deferred.ts";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import type { HttpOptions } from "../../src/http/app.ts";
import { createHttpApp } from "../../src/http/app.ts";
import { type HttpServer, type HttpServerOptions, startHttpServer } from "../../src/http/server.ts";
import { adminDialect } from "../../src/api/admin/dialect.ts";
import { openaiDialect } from "../../src/api/openai/dialect.ts";
import { failing, type FakeServices, fakeServices, poolModel, poolStatus, saying } from "../support/fake-services.ts";

const running: HttpServer[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(running.splice(0).map((server) => server.close(0)));
});

async function serve(
  services: FakeServices = fakeServices(),
  httpOptions: Partial<HttpOptions["server"]> = {},
  serverOptions: Partial<HttpServerOptions> = {},
  clock: Clock = systemClock,
): Promise<HttpServer> {
  const openai = openaiDialect(services);
  const app = createHttpApp({
    dialects: [openai, adminDialect(services, openai.endpoints)],
    server: {
      apiKeys: [],
      corsOrigins: [],
      heartbeatMs: 0,
      stallTimeoutMs: 60_000,
      maxBodyBytes: 1_000_000,
      ...httpOptions,
    },
    clock,
    log: silentLogger,
  });
  const server = await startHttpServer(app, {
    host: "127.0.0.1",
    port: 0,
    stallTimeoutMs: 60_000,
    log: silentLogger,
    ...serverOptions,
  });
  running.push(server);
  return server;
}

function clientOf(server: HttpServer, apiKey = "none"): OpenAI {
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
}

async function socketTo(server: HttpServer): Promise<Socket> {
  const socket = connect(server.port, "127.0.0.1");
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

function rawPost(path: string, body: string, length = Buffer.byteLength(body)): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

/** Everything that comes until the server closes. */
async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await once(socket, "close");
  return text;
}

/** An answer of which ever more comes, and how much of it was made. */
function endless(services: FakeServices) {
  const ended = deferred<number>();
  const made = { count: 0 };
  services.chat.script = async function* () {
    try {
      for (;;) {
        made.count += 1;
        yield { type: "text", text: "x".repeat(100_000) };
      }
    } finally {
      ended.resolve(made.count);
    }
  };
  return { made, ended: ended.promise };
}

/** Asks for a stream, reads nothing of it, and resolves when the answer stands still. */
async function stalledStream(server: HttpServer, made: { readonly count: number }): Promise<Socket> {
  const socket = await socketTo(server);
  socket.pause();
  socket.write(rawPost("/v1/chat/completions", JSON.stringify({ ...hello, stream: true })));
  // It stands still when rounds of another request find it where it was.
  let before = -1;
  while (made.count === 0 || made.count !== before) {
    before = made.count;
    for (let round = 0; round < 20; round += 1) await fetch(`${server.url}/health/live`);
  }
  return socket;
}

/** An answer that gives nothing but `first` and then waits until its signal fires. */
function waiting(services: FakeServices, ...first: readonly string[]) {
  const began = deferred<void>();
  const ended: Deferred<boolean> = deferred();
  services.chat.script = async function* (_, signal) {
    try {
      for (const text of first) yield { type: "text", text };
      began.resolve();
      await new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new AbandonedError()));
      });
    } finally {
      ended.resolve(signal.aborted);
    }
  };
  return { began: began.promise, ended: ended.promise };
}

const noApp = { fetch: () => new Response(), abortAll: () => {} };
const hello = { model: "auto", messages: [{ role: "user" as const, content: "Hi" }] };
const helloBody = JSON.stringify(hello);

describe("the official client", () => {
  it("gets a whole answer", async () => {
    const { data, response } = await clientOf(await serve())
      .chat.completions.create(hello)
      .withResponse();
    expect(data.model).toBe("qwen_coder");
    expect(data.choices[0]?.message).toEqual({ role: "assistant", content: "Hello there", refusal: null });
    expect(data.usage?.prompt_tokens_details?.cached_tokens).toBe(4);
    expect(response.headers.get("x-expert")).toBe("qwen_coder");
  });

  it("gets a stream, and puts it together", async () => {
    const client = clientOf(await serve());
    const stream = client.chat.completions.stream({ ...hello, stream_options: { include_usage: true } });
    const answer = await stream.finalChatCompletion();
    expect(answer.choices[0]).toMatchObject({ finish_reason: "stop", message: { content: "Hello there" } });
    expect(answer.usage?.total_tokens).toBe(16);
  });

  it.each(["chat", "completions"] as const)("is not disturbed by what heartbeats tell it: %s", async (kind) => {
    const beats = deferred<void>();
    let told = 0;
    const services = fakeServices({
      poolStatus: () => {
        told += 1;
        if (told === 5) beats.resolve();
        return poolStatus([poolModel("qwen_coder", { state: "loading", loadProgress: 0.43, waiting: 1 })]);
      },
    });
    services.chat.script = async function* (request, signal) {
      await beats.promise;
      yield* saying("Hello", " there")(request, signal);
    };
    const client = clientOf(await serve(services, { heartbeatMs: 1 }));
    let text = "";
    if (kind === "chat") {
      const stream = await client.chat.completions.create({ ...hello, stream: true });
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    } else {
      const stream = await client.completions.create({ model: "qwen_coder", prompt: "Hi", stream: true });
      for await (const chunk of stream) text += chunk.choices[0]?.text ?? "";
    }
    expect(text).toBe("Hello there");
    expect(told).toBeGreaterThanOrEqual(5);
  });

  it("leaves in the middle of a stream, and the answer ends", async () => {
    const services = fakeServices();
    const { ended } = waiting(services, "one");
    const stream = await clientOf(await serve(services)).chat.completions.create({ ...hello, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === "one") break;
    expect(await ended).toBe(true);
  });

  it("gives up a whole answer, and it ends", async () => {
    const services = fakeServices();
    const { began, ended } = waiting(services);
    const leave = new AbortController();
    const answer = clientOf(await serve(services)).chat.completions.create(hello, { signal: leave.signal });
    await began;
    leave.abort();
    await expect(answer).rejects.toThrow(APIUserAbortError);
    expect(await ended).toBe(true);
  });

  it("gets each error as its own class", async () => {
    const services = fakeServices();
    const server = await serve(services, { apiKeys: ["key"] });
    const client = clientOf(server, "key");
    await expect(clientOf(server).models.list()).rejects.toThrow(AuthenticationError);
    await expect(client.chat.completions.create({ ...hello, model: "gpt-4o" })).rejects.toThrow(NotFoundError);
    const wrong = client.chat.completions.create({ ...hello, max_tokens: -2 });
    await expect(wrong).rejects.toThrow(BadRequestError);
    await expect(wrong).rejects.toMatchObject({ param: "max_tokens", code: "invalid_value", status: 400 });
    services.chat.script = failing(
      new PublicError("Full.", { status: 429, type: "rate_limit_error", code: "queue_full", retryAfterS: 1 }),
    );
    await expect(client.chat.completions.create(hello)).rejects.toThrow(RateLimitError);
    await expect(client.chat.completions.create({ ...hello, stream: true })).rejects.toThrow(RateLimitError);
  });

  it("is told not to retry what can never work", async () => {
    const services = fakeServices();
    services.chat.script = failing(
      new PublicError("Too large.", { status: 507, type: "insufficient_memory_error", code: "too_large" }),
    );
    const server = await serve(services);
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 5 });
    await expect(client.chat.completions.create(hello)).rejects.toMatchObject({ status: 507 });
    expect(services.chat.chats).toHaveLength(1);
  });

  it("meets a failure in the middle of a stream as an error", async () => {
    const services = fakeServices();
    services.chat.script = async function* () {
      yield { type: "text", text: "Half" };
      throw new PublicError("The deadline passed.", { status: 504, type: "timeout_error", code: "deadline" });
    };
    const stream = await clientOf(await serve(services)).chat.completions.create({ ...hello, stream: true });
    const read = async (): Promise<string> => {
      let text = "";
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
      return text;
    };
    const failure = read();
    await expect(failure).rejects.toThrow(APIError);
    await expect(failure).rejects.toMatchObject({ code: "deadline" });
  });

  it("gets embeddings, by its own choice in base64, and as numbers", async () => {
    const client = clientOf(await serve());
    const packed = await client.embeddings.create({ model: "embedder", input: ["a", "b"] });
    expect(packed.data.map(({ embedding }) => embedding)).toEqual([
      [0, 0.5, -0.25],
      [1, 0.5, -0.25],
    ]);
    const plain = await client.embeddings.create({ model: "embedder", input: "a", encoding_format: "float" });
    expect(plain.data[0]?.embedding).toEqual([0, 0.5, -0.25]);
    expect(plain.usage).toEqual({ prompt_tokens: 7, total_tokens: 7 });
  });

  it("gets completions, whole and streamed", async () => {
    const client = clientOf(await serve());
    const whole = await client.completions.create({ model: "phi4_fast", prompt: ["a", "b"] });
    expect(whole.choices.map(({ index, text }) => [index, text])).toEqual([
      [0, "Hello there"],
      [1, "Hello there"],
    ]);
    let text = "";
    const stream = await client.completions.create({ model: "phi4_fast", prompt: "a", stream: true });
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? "";
    expect(text).toBe("Hello there");
  });

  it("lists and finds models", async () => {
    const client = clientOf(await serve());
    const list = await client.models.list();
    expect(list.data.map(({ id }) => id)).toContain("auto");
    expect((await client.models.retrieve("vendor/phi-4")).id).toBe("vendor/phi-4");
    await expect(client.models.retrieve("gpt-4o")).rejects.toThrow(NotFoundError);
  });
});

describe("a socket", () => {
  it("that closes while its answer is made ends the answer", async () => {
    const services = fakeServices();
    const { began, ended } = waiting(services);
    const socket = await socketTo(await serve(services));
    socket.write(rawPost("/v1/chat/completions", helloBody));
    await began;
    socket.destroy();
    expect(await ended).toBe(true);
  });

  it("that closes while it streams ends the answer", async () => {
    const services = fakeServices();
    const { ended } = waiting(services, "one");
    const socket = await socketTo(await serve(services));
    socket.write(rawPost("/v1/chat/completions", JSON.stringify({ ...hello, stream: true })));
    socket.setEncoding("utf8");
    let text = "";
    while (!text.includes('"one"')) text += String((await once(socket, "data"))[0]);
    socket.resetAndDestroy();
    expect(await ended).toBe(true);
  });

  it("that closes before a stream's first item ends the answer", async () => {
    const services = fakeServices();
    const { began, ended } = waiting(services);
    const socket = await socketTo(await serve(services));
    socket.write(rawPost("/v1/chat/completions", JSON.stringify({ ...hello, stream: true })));
    await began;
    socket.destroy();
    expect(await ended).toBe(true);
  });

  it("gets a stream's headers and heartbeats before any text", async () => {
    const services = fakeServices();
    waiting(services);
    const socket = await socketTo(await serve(services, { heartbeatMs: 1 }));
    socket.write(rawPost("/v1/chat/completions", JSON.stringify({ ...hello, stream: true })));
    socket.setEncoding("utf8");
    let text = "";
    while (!/\r\n:\n\n\r\n/.test(text)) text += String((await once(socket, "data"))[0]);
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text).toMatch(/content-type: text\/event-stream/i);
    expect(text).toMatch(/x-expert: qwen_coder/i);
    expect(text).not.toContain("data:");
  });

  it("that does not read holds its answer back, and frees it when it closes", async () => {
    const services = fakeServices();
    const { made, ended } = endless(services);
    const socket = await stalledStream(await serve(services), made);
    socket.destroy();
    // Nothing but the kernel's buffers was filled.
    expect(await ended).toBeLessThan(1000);
  });

  it("that never reads its stream is cut off, which frees the answer although the client stays", async () => {
    const services = fakeServices();
    const { clock } = services;
    const { made, ended } = endless(services);
    const server = await serve(services, { stallTimeoutMs: 7000 }, {}, clock);
    const socket = await stalledStream(server, made);
    expect(services.chat.endedCount).toBe(0);
    clock.fire(7000);
    await ended;
    expect(socket.destroyed).toBe(false);
    // Nothing is left that a close would wait for.
    await server.close(3_600_000);
    expect(services.chat.endedCount).toBe(1);
    expect(clock.timers).toEqual([]);
  });

  it("that never reads its whole answer is cut off too", async () => {
    const services = fakeServices();
    services.chat.script = saying("x".repeat(50_000_000));
    const cut = deferred<void>();
    const log = { ...silentLogger, info: (_: object, message: string) => /cut/.test(message) && cut.resolve() };
    const server = await serve(services, {}, { stallTimeoutMs: 20, log });
    const socket = await socketTo(server);
    socket.pause();
    socket.write(rawPost("/v1/chat/completions", helloBody));
    await cut.promise;
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => (bytes += chunk.length)).resume();
    // What the kernel held comes, or nothing after a reset; then the connection is closed.
    socket.on("error", () => {});
    await once(socket, "close");
    expect(bytes).toBeLessThan(50_000_000);
  });

  it("that is quiet between two requests is not taken for one that reads nothing", async () => {
    const services = fakeServices();
    const began = deferred<void>();
    const goOn = deferred<void>();
    services.chat.script = async function* (request, signal) {
      began.resolve();
      await goOn.promise;
      yield* saying("late")(request, signal);
    };
    const server = await serve(services, {}, { stallTimeoutMs: 1 });
    const socket = await socketTo(server);
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const nudge = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    // Sent in one go: the second is under way when the answer to the first ends.
    socket.write(nudge + rawPost("/v1/chat/completions", helloBody));
    await began.promise;
    // Rounds of other requests take far longer than the millisecond.
    for (let round = 0; round < 50; round += 1) await fetch(`${server.url}/health/live`);
    goOn.resolve();
    while (!text.includes('"late"')) await once(socket, "data");
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });

  it("that brings half a body and breaks off disturbs nobody", async () => {
    const services = fakeServices();
    const server = await serve(services);
    const socket = await socketTo(server);
    socket.write(rawPost("/v1/chat/completions", helloBody.slice(0, 10), helloBody.length));
    await fetch(`${server.url}/health/live`);
    socket.destroy();
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect(services.chat.chats).toEqual([]);
  });

  it.each([
    ["half a body", rawPost("/v1/chat/completions", '{"mess', 500)],
    ["half its headers", "POST /v1/chat/completions HTTP/1.1\r\nHost: local"],
  ])("that brings %s and waits is cut off", async (_, text) => {
    const server = await serve(fakeServices(), {}, { headersTimeoutMs: 20, requestTimeoutMs: 20 });
    const socket = await socketTo(server);
    socket.write(text);
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("that announces too much is answered 413 without being read", async () => {
    const socket = await socketTo(await serve(fakeServices(), { maxBodyBytes: 100 }));
    socket.setEncoding("utf8");
    socket.write(rawPost("/v1/chat/completions", "{", 1_000_000));
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1\.1 413 .*body_too_large/s);
  });

  it.each([
    ["a host that is none", "GET /health HTTP/1.1\r\nHost: a b\r\n\r\n"],
    ["a backslash in its path", "GET /\\evil HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  ])("that asks with %s is told so in JSON", async (_, text) => {
    const socket = await socketTo(await serve());
    socket.setEncoding("utf8");
    socket.write(text);
    const answer = String((await once(socket, "data"))[0]);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"malformed_request"');
  });
});

describe("a request that is none or an old one", () => {
  it("of HTTP/1.0 without a host is served, as health checkers send it", async () => {
    const socket = await socketTo(await serve());
    socket.write("GET /health HTTP/1.0\r\n\r\n");
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 .*"status":"healthy"/s);
  });

  it.each([
    [400, "malformed_request", "garbage", "GET nonsense\r\n\r\n"],
    [400, "malformed_request", "no host", "GET /health HTTP/1.1\r\n\r\n"],
    [431, "headers_too_large", "large headers", `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${"x".repeat(20_000)}\r\n\r\n`],
  ])("gets %i %s in JSON for %s", async (status, code, _, text) => {
    const socket = await socketTo(await serve());
    socket.write(text);
    const [head = "", body = ""] = (await readAll(socket)).split("\r\n\r\n");
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*content-type: application/json`, "is"));
    const json = head.toLowerCase().includes("chunked") ? (body.split("\r\n")[1] ?? "") : body;
    expect(JSON.parse(json)).toMatchObject({ error: { type: "invalid_request_error", param: null, code } });
  });

  it("writes no second answer into one that is under way", async () => {
    const services = fakeServices();
    const { ended } = waiting(services, "one");
    const socket = await socketTo(await serve(services));
    socket.write(rawPost("/v1/chat/completions", JSON.stringify({ ...hello, stream: true })));
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    while (!text.includes('"one"')) await once(socket, "data");
    const closed = once(socket, "close");
    socket.write("garbage\r\n\r\n");
    await closed;
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(await ended).toBe(true);
  });
});

describe("the server", () => {
  it("names a port that is in use, and how to take another", async () => {
    const { port } = await serve();
    const second = startHttpServer(noApp, { host: "127.0.0.1", port, stallTimeoutMs: 60_000, log: silentLogger });
    await expect(second).rejects.toThrow(PublicError);
    await expect(second).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is already in use by another program; stop it, or choose another with --port or server_config.port.`,
    );
  });

  it("names an address that this machine has not", async () => {
    const server = startHttpServer(noApp, { host: "192.0.2.1", port: 0, stallTimeoutMs: 60_000, log: silentLogger });
    await expect(server).rejects.toThrow("This machine has no address 192.0.2.1");
  });

  it("leaves the process's own fetch and Response as they were", async () => {
    const before = [globalThis.Request, globalThis.Response];
    await serve();
    expect([globalThis.Request, globalThis.Response]).toEqual(before);
  });

  it("closes in order: running answers end, new connections are refused", async () => {
    const services = fakeServices();
    const began = deferred<void>();
    const goOn = deferred<void>();
    services.chat.script = async function* (request, signal) {
      began.resolve();
      await goOn.promise;
      yield* saying("done")(request, signal);
    };
    const server = await serve(services);
    const answer = clientOf(server).chat.completions.create(hello);
    await began.promise;
    let closed = false;
    const closing = server.close(60_000).then(() => (closed = true));
    await expect(fetch(`${server.url}/health`)).rejects.toThrow("fetch failed");
    expect(closed).toBe(false);
    goOn.resolve();
    expect((await answer).choices[0]?.message.content).toBe("done");
    // The client keeps its connection for the next request; the server must not wait for that.
    await closing;
  });

  it("lets a slow reader have the whole of an answer that is made", async () => {
    const services = fakeServices();
    services.chat.script = saying("x".repeat(50_000_000));
    const server = await serve(services);
    const socket = await socketTo(server);
    socket.pause();
    socket.write(rawPost("/v1/chat/completions", helloBody));
    while (services.chat.endedCount === 0) await fetch(`${server.url}/health/live`);
    // By then it is on its way: the reader's side is full.
    for (let round = 0; round < 20; round += 1) await fetch(`${server.url}/health/live`);
    const closing = server.close(3_600_000);
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => (bytes += chunk.length)).resume();
    await once(socket, "close");
    await closing;
    expect(bytes).toBeGreaterThan(50_000_000);
  });

  it("does not wait for a connection that never sent a request, nor for one between two", async () => {
    const server = await serve();
    const silent = await socketTo(server);
    const between = await socketTo(server);
    between.write("GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(between, "data");
    const ends = [once(silent, "close"), once(between, "close")];
    // The deadline is far beyond what a test may take.
    await server.close(3_600_000);
    await Promise.all(ends);
    expect([silent.destroyed, between.destroyed]).toEqual([true, true]);
  });

  it("ends a stream that still runs at the deadline with an error event", async () => {
    const services = fakeServices();
    const { ended } = waiting(services, "one");
    const server = await serve(services);
    const socket = await socketTo(server);
    socket.write(rawPost("/v1/chat/completions", JSON.stringify({ ...hello, stream: true })));
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    while (!text.includes('"one"')) await once(socket, "data");
    const closed = once(socket, "close");
    await server.close(0);
    await closed;
    expect(text).toMatch(/data: {"error":{"message":"The server is shutting down[^}]*"code":"draining"}}\n\n/);
    // The last chunk is there: the answer was ended, not cut.
    expect(text).toMatch(/\r\n0\r\n\r\n$/);
    expect(await ended).toBe(true);
  });

  it("cuts what does not even take its error", async () => {
    const services = fakeServices();
    services.chat.script = async function* () {
      for (;;) yield { type: "text", text: "x".repeat(1_000_000) };
    };
    const server = await serve(services);
    const socket = await socketTo(server);
    socket.pause();
    socket.write(rawPost("/v1/chat/completions", JSON.stringify({ ...hello, stream: true })));
    while (services.chat.chats.length === 0) await fetch(`${server.url}/health/live`);
    await server.close(0);
    expect(services.chat.endedCount).toBe(1);
  });

  it("answers 503 to what still runs at the deadline", async () => {
    const services = fakeServices();
    const { began, ended } = waiting(services);
    const server = await serve(services);
    const answer = clientOf(server).chat.completions.create(hello);
    // Handled at once: the failure comes while the server closes.
    const failure = answer.catch((error: unknown) => error);
    await began;
    await server.close(0);
    expect(await failure).toBeInstanceOf(InternalServerError);
    expect(await failure).toMatchObject({ status: 503, code: "draining" });
    expect(await ended).toBe(true);
  });
});
