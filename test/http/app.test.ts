// What every route shares: keys, CORS, request ids, bodies that are no JSON, paths that do not exist, errors.
import { describe, expect, it } from "vitest";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import { deferred } from "../../src/core/deferred.ts";
import type { Logger } from "../../src/core/log.ts";
import { createHttpApp } from "../../src/http/app.ts";
import { fakeHttp, get, post } from "../support/fake-http.ts";
import { failing, fakeServices, fiveExperts, poolStatus, SteppedClock } from "../support/fake-services.ts";

const chatPath = "/v1/chat/completions";
const hello = { messages: [{ role: "user", content: "Hi" }] };

interface Line {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

function memoryLog() {
  const lines: Line[] = [];
  const at = (level: string) => (fields: Line["fields"], message: string) => lines.push({ level, fields, message });
  const log: Logger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  return { lines, log };
}

describe("API keys", () => {
  const app = fakeHttp(fakeServices(), { apiKeys: ["first-key", "second-key"] });

  it.each(["/health", "/health/live", "/health/ready"])("are not asked for at %s", async (path) => {
    expect((await get(app, path)).status).toBe(200);
  });

  it("leave open what this service is, and no more", async () => {
    expect(Object.keys((await get(app, "/")).body)).toEqual(["service", "version", "endpoints"]);
    const { body } = await get(app, "/", { "x-api-key": "first-key" });
    expect(body).toMatchObject({ engine: expect.any(String), experts: expect.arrayContaining(["phi4_fast"]) });
  });

  it.each([
    "/experts",
    "/stats",
    "/metrics",
    "/debug/models",
    "/openapi.json",
    "/v1/models",
    "/health/experts/phi4_fast",
    "/nowhere",
    chatPath,
  ])("close the door at %s", async (path) => {
    const { status, headers, body } = await get(app, path);
    expect(status).toBe(401);
    expect(headers.get("www-authenticate")).toBe("Bearer");
    expect(headers.get("x-should-retry")).toBe("false");
    expect(body.error).toMatchObject({ type: "authentication_error", code: "invalid_api_key", param: null });
  });

  it.each<Record<string, string>>([
    { authorization: "Bearer first-key" },
    { authorization: "bearer  second-key" },
    { "x-api-key": "second-key" },
  ])("open with %j", async (headers) => {
    expect((await get(app, "/v1/models", headers)).status).toBe(200);
  });

  it.each<Record<string, string>>([
    { authorization: "Bearer wrong" },
    { authorization: "Bearer first-ke" },
    { authorization: "Bearer first-key2" },
    { authorization: "Bearer " },
    { authorization: "Basic first-key" },
    { authorization: "first-key" },
    { "x-api-key": "" },
    { authorization: "Bearer wrong", "x-api-key": "first-key" },
  ])("stay closed with %j", async (headers) => {
    const { status, body } = await get(app, "/v1/models", headers);
    expect(status).toBe(401);
    expect(body.error.message).not.toContain("first-key");
  });

  it.each(["/health", "/health/ready"])("hide at %s what a stranger need not know", async (path) => {
    const services = fakeServices({
      fileState: () => Promise.resolve({ state: "invalid", reason: '/srv/secret.gguf begins with "PK"' }),
      poolStatus: () => poolStatus([]),
    });
    const closed = fakeHttp(services, { apiKeys: ["key"] });
    const stranger = await get(closed, path);
    expect(stranger.body.problems).toEqual(fiveExperts.map(({ id }) => `${id}: failed`));
    expect((await get(closed, path, { "x-api-key": "wrong" })).body).toEqual(stranger.body);
    for (const trusted of [await get(closed, path, { "x-api-key": "key" }), await get(fakeHttp(services), path)]) {
      expect(trusted.body.problems[0]).toBe('phi4_fast is failed: /srv/secret.gguf begins with "PK"');
    }
  });

  it("are asked for before the body is looked at", async () => {
    expect((await post(app, chatPath, "not JSON")).status).toBe(401);
  });
});

describe("CORS", () => {
  const app = fakeHttp(fakeServices(), { corsOrigins: ["https://front.example"], apiKeys: ["key"] });
  const preflight = {
    method: "OPTIONS",
    headers: { origin: "https://front.example", "access-control-request-method": "POST" },
  };

  it("answers the preflight of an allowed origin, which never carries a key", async () => {
    const response = await app.request(chatPath, {
      ...preflight,
      headers: { ...preflight.headers, "access-control-request-headers": "authorization, content-type" },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://front.example");
    expect(response.headers.get("access-control-allow-headers")).toBe("authorization,content-type");
    expect(response.headers.get("access-control-allow-methods")).toBe("GET,POST,HEAD,DELETE");
  });

  it("marks answers and errors alike, for allowed origins alone", async () => {
    for (const path of ["/health", "/v1/models"]) {
      const { headers } = await get(app, path, { origin: "https://front.example" });
      expect(headers.get("access-control-allow-origin")).toBe("https://front.example");
      expect(headers.get("access-control-expose-headers")).toContain("x-expert");
    }
    const stranger = await get(app, "/health", { origin: "https://evil.example" });
    expect(stranger.headers.get("access-control-allow-origin")).toBe(null);
  });

  it("is off where no origin is configured", async () => {
    const response = await fakeHttp().request(chatPath, preflight);
    expect(response.status).toBe(405);
    expect(response.headers.get("access-control-allow-origin")).toBe(null);
  });
});

describe("the request id", () => {
  it.each(["abc-1.2:3_X", "x".repeat(128)])("%j is kept", async (sent) => {
    expect((await get(fakeHttp(), "/health", { "x-request-id": sent })).headers.get("x-request-id")).toBe(sent);
  });

  it.each(["x".repeat(129), "has space", ""])("%j is replaced", async (sent) => {
    const { headers } = await get(fakeHttp(), "/health", { "x-request-id": sent });
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });

  it("is on errors too", async () => {
    expect((await get(fakeHttp(), "/nowhere", { "x-request-id": "r1" })).headers.get("x-request-id")).toBe("r1");
  });
});

describe("paths", () => {
  it.each([
    ["/v1/chat/completion", "/v1/chat/completions"],
    ["/v2/chat/completions", "/v1/chat/completions"],
    ["/v1/v1/models", "/v1/models"],
    ["/V1/Models", "/v1/models"],
    ["/heatlh", "/health"],
    ["/metric", "/metrics"],
  ])("%s is told of %s", async (path, closest) => {
    const { status, body } = await get(fakeHttp(), path);
    expect(status).toBe(404);
    expect(body.error).toMatchObject({ type: "not_found_error", code: "unknown_path", param: null });
    expect(body.error.message).toMatch(new RegExp(`Did you mean ${closest}[ ?]`));
  });

  it("says where the list is when nothing comes near", async () => {
    const { status, body } = await get(fakeHttp(), "/wp-admin/setup-config.php");
    expect(status).toBe(404);
    expect(body.error.message).toBe('There is nothing at "/wp-admin/setup-config.php". GET / lists the endpoints.');
  });

  it("quotes a long path only in part", async () => {
    const { body } = await get(fakeHttp(), `/${"x".repeat(5000)}`);
    expect(body.error.message.length).toBeLessThan(250);
  });

  it.each([
    ["GET", chatPath, "POST"],
    ["DELETE", "/v1/models/phi", "GET, HEAD"],
    ["POST", "/health", "GET, HEAD"],
    ["PUT", "/", "GET, HEAD"],
  ])("%s %s is not a method of it", async (method, path, allow) => {
    const response = await fakeHttp().request(path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe(allow);
    const { error } = (await response.json()) as { error: { message: string; code: string } };
    expect(error.code).toBe("method_not_allowed");
    expect(error.message).toBe(`${path} does not take ${method}; allowed: ${allow}.`);
  });

  it("takes a slash at the end, and HEAD for GET", async () => {
    expect((await get(fakeHttp(), "/health/")).status).toBe(200);
    const head = await fakeHttp().request("/v1/models", { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe("");
  });
});

describe("bodies", () => {
  it.each([
    ["", "empty_body", "The request has no body; it must be a JSON object."],
    ["{", "invalid_json", "The request body is not valid JSON at line 1, column 2, near the end."],
    ["hello", "invalid_json", 'The request body is not valid JSON at line 1, column 1, near "hello".'],
    ['{\n  "a": 1,\n}', "invalid_json", 'The request body is not valid JSON at line 3, column 1, near "}".'],
    ["{'a': 1}", "invalid_json", "The request body is not valid JSON at line 1, column 2, near \"'a': 1}\"."],
    ['{"a": 1} x', "invalid_json", 'The request body is not valid JSON at line 1, column 10, near "x".'],
    ["// c\n{}", "invalid_json", 'The request body is not valid JSON at line 1, column 1, near "// c\\n{}".'],
    [
      `{"a" "b"${" x".repeat(300_000)}`,
      "invalid_json",
      'The request body is not valid JSON at line 1, column 6, near "\\"b\\" x x x x x x x x ".',
    ],
    ["[".repeat(300_000), "invalid_json", "The request body is not valid JSON."],
  ])("%# that are no JSON get 400 with the place", async (text, code, message) => {
    const { status, body } = await post(fakeHttp(), chatPath, text);
    expect(status).toBe(400);
    expect(body.error).toEqual({ message, type: "invalid_request_error", param: null, code });
  });

  it("that are compressed get 415, whatever they hold", async () => {
    const ask = async (encoding: string) =>
      fakeHttp().request(chatPath, { method: "POST", headers: { "content-encoding": encoding }, body: "{}" });
    const response = await ask("gzip");
    expect(response.status).toBe(415);
    expect(await response.text()).toContain("Content-Encoding must be absent or identity");
    expect((await ask("identity")).status).toBe(400);
  });

  it("that are not UTF-8 get 400", async () => {
    const response = await fakeHttp().request(chatPath, {
      method: "POST",
      body: Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("not valid UTF-8");
  });

  it.each(["application/json", "text/plain", "application/x-www-form-urlencoded", ""])(
    "are read as JSON whatever the content type %j says",
    async (type) => {
      const response = await fakeHttp().request(chatPath, {
        method: "POST",
        headers: { "content-type": type },
        body: Buffer.from(JSON.stringify(hello)),
      });
      expect(response.status).toBe(200);
    },
  );

  it("that are announced too large get 413 unread", async () => {
    let pulled = 0;
    const body = new ReadableStream(
      {
        pull: (controller) => {
          pulled += 1;
          controller.enqueue(new Uint8Array(10));
        },
      },
      { highWaterMark: 0 },
    );
    const response = await fakeHttp(fakeServices(), { maxBodyBytes: 100 }).request(chatPath, {
      method: "POST",
      headers: { "content-length": "101" },
      body,
      duplex: "half",
    });
    expect(response.status).toBe(413);
    expect(pulled).toBe(0);
    expect(await response.json()).toEqual({
      error: {
        message: "The request body is larger than the 100 bytes that this server accepts; received at least 101.",
        type: "invalid_request_error",
        param: null,
        code: "body_too_large",
      },
    });
  });

  it("that turn out too large get 413, read no further than that", async () => {
    let pulled = 0;
    const body = new ReadableStream(
      {
        pull: (controller) => {
          pulled += 1;
          controller.enqueue(new Uint8Array(40));
        },
      },
      { highWaterMark: 0 },
    );
    const app = fakeHttp(fakeServices(), { maxBodyBytes: 100 });
    const response = await app.request(chatPath, { method: "POST", body, duplex: "half" });
    expect(response.status).toBe(413);
    expect(pulled).toBe(3);
  });

  it("of just the size that is allowed are taken", async () => {
    const text = JSON.stringify(hello);
    expect((await post(fakeHttp(fakeServices(), { maxBodyBytes: text.length }), chatPath, text)).status).toBe(200);
    expect((await post(fakeHttp(fakeServices(), { maxBodyBytes: text.length - 1 }), chatPath, text)).status).toBe(413);
  });
});

describe("requests that the server aborts", () => {
  const shutDown = new PublicError("Down.", { status: 503, type: "unavailable_error", code: "draining" });

  it("are answered at once, although their work takes no notice", async () => {
    for (const stream of [false, true]) {
      const services = fakeServices();
      const began = deferred<AbortSignal>();
      services.chat.script = async function* (_, signal) {
        began.resolve(signal);
        await new Promise(() => {});
        yield { type: "text", text: "never" };
      };
      const app = fakeHttp(services);
      const answer = post(app, chatPath, { ...hello, stream });
      const signal = await began.promise;
      app.abortAll(shutDown);
      expect(await answer).toMatchObject({ status: 503, body: { error: { code: "draining" } } });
      expect(signal.aborted).toBe(true);
    }
  });

  it("are those under way alone", async () => {
    const app = fakeHttp();
    await post(app, chatPath, hello);
    app.abortAll(shutDown);
    expect((await post(app, chatPath, hello)).status).toBe(200);
  });
});

describe("errors", () => {
  it("that are bugs keep their text for the log", async () => {
    const services = fakeServices();
    const { lines, log } = memoryLog();
    services.chat.script = failing(new TypeError("secret of the inside"));
    const { status, headers, body } = await post(fakeHttp(services, {}, log), chatPath, hello);
    const id = headers.get("x-request-id");
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain("secret");
    expect(body.error).toEqual({
      message: `Internal error. The server's log has the details under the request id ${id}.`,
      type: "server_error",
      param: null,
      code: "internal_error",
    });
    const logged = lines.find(({ level }) => level === "error");
    expect(logged?.fields["requestId"]).toBe(id);
    expect(logged?.fields["err"]).toMatchObject({ message: "secret of the inside" });
  });

  it.each([
    [503, undefined, 0.2, "1", null],
    [429, undefined, 7, "7", null],
    [507, undefined, undefined, null, "false"],
    [503, false, undefined, null, "false"],
  ])("with status %i say whether and when to come back", async (status, shouldRetry, retryAfterS, after, retry) => {
    const services = fakeServices();
    services.chat.script = failing(
      new PublicError("x", {
        status,
        type: "unavailable_error",
        code: "x",
        ...(shouldRetry === undefined ? {} : { shouldRetry }),
        ...(retryAfterS === undefined ? {} : { retryAfterS }),
      }),
    );
    const answer = await post(fakeHttp(services), chatPath, hello);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("retry-after")).toBe(after);
    expect(answer.headers.get("x-should-retry")).toBe(retry);
  });

  it("of work that the server withdrew are 503 where the client still waits", async () => {
    const services = fakeServices();
    services.chat.script = failing(new AbandonedError());
    const { status, body } = await post(fakeHttp(services), chatPath, hello);
    expect(status).toBe(503);
    expect(body.error.code).toBe("request_withdrawn");
  });

  it("of work whose client left are not written", async () => {
    const services = fakeServices();
    const { lines, log } = memoryLog();
    const leave = new AbortController();
    services.chat.script = (request, signal) => {
      leave.abort();
      expect(signal.aborted).toBe(true);
      return failing(new AbandonedError())(request, signal);
    };
    const response = await fakeHttp(services, {}, log).request(chatPath, {
      method: "POST",
      body: JSON.stringify(hello),
      signal: leave.signal,
    });
    expect(response.status).toBe(499);
    expect(await response.text()).toBe("");
    expect(lines.filter(({ level }) => level === "error")).toEqual([]);
    expect(lines.at(-1)?.fields).toMatchObject({ outcome: "left", path: chatPath });
  });

  it("are the same at every path of an endpoint", async () => {
    const app = fakeHttp();
    for (const path of ["/v1/chat/completions", "/chat/completions", "/v1/rerank", "/reranking"]) {
      expect([path, (await post(app, path, {})).status]).toEqual([path, 400]);
    }
  });

  it("are written in the dialect's own form", async () => {
    const app = createHttpApp({
      dialects: [
        {
          name: "own",
          endpoints: [
            {
              method: "get",
              path: "/own/{id}/x",
              summary: "",
              tag: "",
              handle: ({ params, query }) => {
                throw new PublicError(`${params["id"]} ${query["q"]}`, {
                  status: 404,
                  type: "not_found_error",
                  code: "c",
                });
              },
            },
          ],
          errors: { body: (error) => ({ details: error.message }) },
          requestIdHeader: "request-id",
        },
      ],
      server: { apiKeys: [], corsOrigins: [], heartbeatMs: 0, stallTimeoutMs: 60_000, maxBodyBytes: 10 },
      clock: new SteppedClock(),
      log: memoryLog().log,
    });
    const answer = await get(app, "/own/a%20b/x?q=1&r=2");
    expect(answer).toMatchObject({ status: 404, body: { details: "a b 1" } });
    expect(answer.headers.get("request-id")).toBe(answer.headers.get("x-request-id"));
    expect((await get(app, "/own/a/b/x")).body.error.code).toBe("unknown_path");
  });
});
