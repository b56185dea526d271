// Bodies that are wrong, huge or hostile, at Ollama's endpoints: one sentence that names the field, and no work begun.
import { describe, expect, it } from "vitest";
import type { ZodType } from "zod";
import { z } from "zod";
import { chatBody } from "../../src/api/ollama/chat-request.ts";
import { embedBody, embeddingsBody } from "../../src/api/ollama/embed-endpoints.ts";
import { generateBody } from "../../src/api/ollama/generate-request.ts";
import { post } from "../support/fake-http.ts";
import { fakeServices } from "../support/fake-services.ts";
import { ollamaHttp } from "./ollama-http.ts";

const user = { role: "user", content: "Hi" };
const hello = { model: "phi", messages: [user] };

// No refused body leaves anything behind: one application serves them all.
const services = fakeServices();
const app = ollamaHttp(services);

async function refusal(path: string, body: unknown) {
  const answer = await post(app, path, body);
  expect([services.chat.chats, services.chat.completions, services.chat.embeddings]).toEqual([[], [], []]);
  expect(Object.keys(answer.body as object)).toEqual(["error"]);
  expect((answer.body as { error: string }).error.length).toBeLessThan(600);
  return { status: answer.status, error: (answer.body as { error: string }).error };
}

describe("a wrong field is named, with what arrived and what is allowed", () => {
  const call = (called: unknown) => ({ messages: [{ role: "assistant", tool_calls: [called] }] });
  it.each([
    [{ model: 5 }, "model must be a string; received 5."],
    [{ messages: "Hi" }, 'messages must be an array of at most 4096 messages; received the string "Hi".'],
    [{ messages: {} }, "messages must be an array of at most 4096 messages; received an object."],
    [{ messages: ["Hi"] }, 'messages[0] must be a message object; received the string "Hi".'],
    [{ messages: [user, null] }, "messages[1] must be a message object; received null."],
    [
      { messages: [{ content: "x" }] },
      'messages[0].role is missing; it must be one of "system", "user", "assistant", "tool".',
    ],
    [
      { messages: [{ role: "boss", content: "x" }] },
      'messages[0].role must be one of "system", "user", "assistant", "tool"; received the string "boss".',
    ],
    [{ messages: [{ role: "user", content: [] }] }, "messages[0].content must be a string; received an empty array."],
    [{ messages: [{ ...user, images: "aGk=" }] }, 'messages[0].images must be an array; received the string "aGk=".'],
    [{ messages: [{ ...user, thinking: 1 }] }, "messages[0].thinking must be a string; received 1."],
    [
      call(1),
      'messages[0].tool_calls[0] must be a call such as {"function": {"name": "…", "arguments": {…}}}; received 1.',
    ],
    [
      call({ function: { name: "f", arguments: "{}" } }),
      'messages[0].tool_calls[0].function.arguments must be an object; received the string "{}".',
    ],
    [call({ function: { arguments: {} } }), "messages[0].tool_calls[0].function.name is missing; it must be a string."],
    [{ stream: "no" }, 'stream must be true or false; received the string "no".'],
    [{ format: "xml" }, 'format must be "json" or a JSON schema (an object); received the string "xml".'],
    [{ format: ["json"] }, 'format must be "json" or a JSON schema (an object); received an array of 1.'],
    [{ think: "much" }, 'think must be true, false, "low", "medium" or "high"; received the string "much".'],
    [{ think: 1 }, 'think must be true, false, "low", "medium" or "high"; received 1.'],
    [{ options: 5 }, "options must be an object; received 5."],
    [{ options: [] }, "options must be an object; received an empty array."],
    [{ options: { num_predict: -3 } }, "options.num_predict must be an integer of at least -2; received -3."],
    [{ options: { num_predict: 1.5 } }, "options.num_predict must be an integer of at least -2; received 1.5."],
    [
      { options: { temperature: "hot" } },
      'options.temperature must be a number from 0 to 10; received the string "hot".',
    ],
    [{ options: { top_p: 1.1 } }, "options.top_p must be a number from 0 to 1; received 1.1."],
    [{ options: { seed: 0.5 } }, "options.seed must be an integer; -1 draws one at random; received 0.5."],
    [{ options: { stop: [""] } }, 'options.stop[0] must be a non-empty string; received the string "".'],
    [{ options: { mirostat: "x" } }, /^options\.mirostat is not supported/],
    [{ logprobs: 1 }, "logprobs must be true or false; received 1."],
    [{ top_logprobs: 21 }, "top_logprobs must be an integer from 0 to 20; received 21."],
    [{ keep_alive: "soon" }, /^keep_alive must be a number of seconds .*received the string "soon"\.$/],
    [{ template: "x" }, /^template is not supported by this server/],
    [{ messages: [{ ...user, images: ["aGk="] }] }, /^messages\[0\]\.images is not supported/],
  ])("%j", async (body, message) => {
    const { status, error } = await refusal("/api/chat", { ...hello, ...body });
    expect(status).toBe(400);
    expect(error).toSatisfy((text: string) => (typeof message === "string" ? text === message : message.test(text)));
  });

  it.each([
    [{ prompt: 5 }, "prompt must be a string; received 5."],
    [{ prompt: ["x"] }, "prompt must be a string; received an array of 1."],
    [{ prompt: "x", raw: 1 }, "raw must be true or false; received 1."],
    [{ prompt: "x", suffix: {} }, "suffix must be a string; received an object."],
  ])("/api/generate: %j", async (body, message) => {
    expect(await refusal("/api/generate", body)).toEqual({ status: 400, error: message });
  });

  it.each(["/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show", "/api/pull"])(
    "%s wants a JSON object",
    async (path) => {
      for (const body of ["", "{", "[]", "5", "null", '"x"', "\u0000"]) {
        const { status, error } = await refusal(path, body);
        expect(status).toBe(400);
        expect(error).toMatch(/JSON/);
      }
    },
  );
});

describe("hostile bodies", () => {
  const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  const wrapped = (json: string) => ({
    format: `{"model":"phi","messages":[{"role":"user","content":"x"}],"format":${json}}`,
    arguments: `{"model":"phi","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":${json}}}]}]}`,
    parameters: `{"model":"phi","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":${json}}}]}`,
  });

  it.each([
    ["format", "format"],
    ["arguments", "messages[0].tool_calls[0].function.arguments"],
    ["parameters", "tools"],
  ] as const)("%s that is nested 100,000 levels deep", async (field, named) => {
    const { status, error } = await refusal("/api/chat", wrapped(deep(100_000))[field]);
    expect(status).toBe(400);
    expect(error.startsWith(`${named} must be JSON that is nested at most`)).toBe(true);
  });

  it.each(["options", "message", "nobody_knows"])("%s that is nested as deep does no harm", async (field) => {
    const body = `{"model":"phi","stream":false,"messages":[{"role":"user","content":"x"}],"${field}":${deep(100_000)}}`;
    expect((await post(ollamaHttp(), "/api/chat", body)).status).toBe(200);
  });

  it("texts of 10 MB are quoted in part, or pass as they are", async () => {
    const text = "x".repeat(10_000_000);
    expect((await refusal("/api/chat", { ...hello, model: text })).status).toBe(404);
    expect((await refusal("/api/chat", { ...hello, format: text })).status).toBe(400);
    expect((await refusal("/api/chat", { ...hello, messages: text })).status).toBe(400);
    expect((await refusal("/api/show", { model: `${text}:${text.slice(0, 10)}` })).status).toBe(404);
    expect((await refusal("/api/show", { model: ":".repeat(1_000_000) })).status).toBe(404);
    const served = fakeServices();
    const answer = await post(ollamaHttp(served), "/api/chat", {
      ...hello,
      stream: false,
      messages: [{ role: "user", content: text }],
    });
    expect(answer.status).toBe(200);
    expect(served.chat.chats[0]?.messages[0]?.content.length).toBe(text.length);
  });

  it("NUL bytes and lone surrogates arrive as they are", async () => {
    const served = fakeServices();
    const text = "a\u0000b\ud800c";
    await post(ollamaHttp(served), "/api/chat", {
      ...hello,
      stream: false,
      messages: [{ role: "user", content: text }],
    });
    await post(ollamaHttp(served), "/api/generate", { prompt: text, raw: true, stream: false });
    expect(served.chat.chats[0]?.messages[0]?.content).toBe(text);
    expect(served.chat.completions[0]?.prompt).toBe(text);
    expect((await refusal("/api/chat", { ...hello, model: text })).error).toContain("not found");
  });

  it("arrays of a million are refused by their length", async () => {
    const million = (element: unknown) => Array.from({ length: 1_000_000 }, () => element);
    expect((await refusal("/api/chat", { messages: million(0) })).error).toMatch(/an array of 1000000/);
    expect((await refusal("/api/chat", { ...hello, tools: million(0) })).error).toMatch(/an array of 1000000/);
    expect((await refusal("/api/embed", { input: million("a") })).error).toMatch(/an array of 1000000/);
    expect((await refusal("/api/generate", { prompt: "x", options: { stop: million("a") } })).error).toMatch(
      /an array of 1000000/,
    );
    expect((await refusal("/api/generate", { prompt: "x", images: million(0) })).error).toMatch(/an array of 1000000/);
  });
});

describe("what the checks by hand allow is what openapi.json says", () => {
  const calls = [[], [{ function: { name: "f" } }], [{ function: { name: "f", arguments: {} } }], [{}], 5, null];
  const cases: readonly (readonly [string, ZodType, object])[] = [
    ...["json", "", "x", {}, { type: "object" }, [], 5, null].map((format) => ["chat", chatBody, { format }] as const),
    ...[true, false, "low", "medium", "high", "x", 1, {}, null].map((think) => ["chat", chatBody, { think }] as const),
    ...calls.map((tool_calls) => ["chat", chatBody, { messages: [{ role: "assistant", tool_calls }] }] as const),
    ...[[], [user], [{}], [5], "x", null].map((messages) => ["chat", chatBody, { messages }] as const),
    ...[[], ["x"], {}, null].map((images) => ["generate", generateBody, { images }] as const),
    ...["x", "", [], ["a"], ["a", 1], 5, {}, null].map((input) => ["embed", embedBody, { input }] as const),
    ...[{}, { a: 1 }, [], 5, null].map((options) => ["embeddings", embeddingsBody, { options }] as const),
  ];

  it.each(cases)("%s", (_name, schema, body) => {
    const { $schema: _dialect, ...described } = z.toJSONSchema(schema, { io: "input" });
    const documented = z.fromJSONSchema(described).safeParse(body).success;
    expect({ body, isAllowed: schema.safeParse(body).success }).toEqual({ body, isAllowed: documented });
  });
});
