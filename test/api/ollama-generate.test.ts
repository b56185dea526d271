// POST /api/generate: a prompt through the template, as it stands, or around a middle; and one that only loads.
import { describe, expect, it } from "vitest";
import { generateAnswer } from "../../src/api/ollama/responses.ts";
import { post } from "../support/fake-http.ts";
import { ending, fakeServices, startedAtMs, telling } from "../support/fake-services.ts";
import { ollamaHttp, postForLines } from "./ollama-http.ts";

const path = "/api/generate";
const now = new Date(startedAtMs + 5000).toISOString();

async function ask(body: object) {
  const services = fakeServices();
  const answer = await post(ollamaHttp(services), path, { model: "phi", stream: false, ...body });
  const { chats, completions } = services.chat;
  return { ...answer, chats, completions };
}

describe("the request", () => {
  it("is a chat of one question", async () => {
    const { status, chats, completions } = await ask({
      prompt: "Why?",
      format: "json",
      think: "low",
      options: { num_predict: 5 },
      keep_alive: "1m",
    });
    expect(status).toBe(200);
    expect(completions).toEqual([]);
    expect(chats).toEqual([
      {
        model: "phi4_fast",
        forceRouting: false,
        messages: [{ role: "user", content: "Why?" }],
        maxTokens: 5,
        stop: [],
        sampling: {},
        topLogprobs: null,
        output: { type: "json_object" },
        tools: null,
        reasoning: { thinks: true, effort: "low", budgetTokens: null },
        scheduling: { priority: 0, keepAliveMs: 60_000 },
      },
    ]);
  });

  it("may have a system prompt", async () => {
    expect((await ask({ prompt: "Why?", system: "Be brief." })).chats[0]?.messages).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Why?" },
    ]);
    expect((await ask({ prompt: "Why?", system: "" })).chats[0]?.messages).toHaveLength(1);
  });

  it("is the text as it stands where it is raw", async () => {
    const { chats, completions } = await ask({ prompt: "[INST] Why? [/INST]", raw: true, options: { seed: 3 } });
    expect(chats).toEqual([]);
    expect(completions).toEqual([
      {
        model: "phi4_fast",
        prompt: "[INST] Why? [/INST]",
        promptField: "prompt",
        suffix: null,
        maxTokens: null,
        stop: [],
        sampling: { seed: 3 },
        topLogprobs: null,
        output: null,
        scheduling: { priority: 0, keepAliveMs: null },
      },
    ]);
  });

  it.each([
    [{ prompt: "def f(", suffix: "return x" }, "def f(", "return x"],
    [{ suffix: "return x" }, "", "return x"],
    [{ prompt: "def f(", suffix: "return x", raw: true }, "def f(", "return x"],
  ])("is filled in the middle: %j", async (body, prompt, suffix) => {
    expect((await ask(body)).completions).toMatchObject([{ prompt, suffix }]);
  });

  it.each([
    [{ template: "{{ .Prompt }}" }, /^template is not supported/],
    [{ images: ["aGk="] }, /^images is not supported by this server yet.*an array of 1\.$/],
    [{ raw: true, system: "x" }, /^system must be absent with raw/],
    [{ raw: true, think: true }, /^think must be absent with raw.*received true\.$/],
    [{ suffix: "x", system: "x" }, /^system must be absent with a suffix/],
  ])("is refused with %j", async (body, message) => {
    const { status, body: error, chats, completions } = await ask({ prompt: "x", ...body });
    expect(status).toBe(400);
    expect(error.error).toMatch(message);
    expect([chats, completions]).toEqual([[], []]);
  });

  it.each([
    [{ context: [1, 2, 3] }, "context"],
    [{ of_no_protocol: 1, options: { of_nobody: 2 } }, "options.of_nobody, of_no_protocol"],
    [{ context: [], template: "", images: [], raw: false, think: false, truncate: false }, null],
    [{ raw: true, think: false, system: "" }, null],
  ])("with %j passes over %j", async (body, names) => {
    const { status, headers } = await ask({ prompt: "x", ...body });
    expect(status).toBe(200);
    expect(headers.get("x-ignored-parameters")).toBe(names);
  });
});

describe("the answer", () => {
  it("is one object, or lines", async () => {
    const services = fakeServices();
    services.chat.script = telling(
      { type: "reasoning", text: "Hm." },
      { type: "text", text: "A" },
      { type: "text", text: "B" },
      ending({ reason: "length" }),
    );
    const app = ollamaHttp(services);
    const { body } = await post(app, path, { model: "phi:latest", prompt: "x", stream: false });
    const end = {
      done: true,
      done_reason: "length",
      total_duration: 0,
      load_duration: 2e6,
      prompt_eval_count: 10,
      prompt_eval_duration: 30e6,
      eval_count: 6,
      eval_duration: 200e6,
      routing: { expert_id: "phi4_fast", confidence: 1, source: "request", reason: "The request names it." },
    };
    const head = { model: "phi:latest", created_at: now };
    expect(generateAnswer.parse(body)).toEqual({ ...head, response: "AB", thinking: "Hm.", ...end });
    const { headers, lines } = await postForLines(app, path, { model: "phi:latest", prompt: "x" });
    expect(headers.get("content-type")).toBe("application/x-ndjson");
    expect(lines.map((line) => generateAnswer.parse(line))).toEqual([
      { ...head, response: "", thinking: "Hm.", done: false },
      { ...head, response: "A", done: false },
      { ...head, response: "B", done: false },
      { ...head, response: "", ...end },
    ]);
  });

  it.each([{}, { prompt: "" }, { prompt: null, system: "x" }])("tells of a load: %j", async (body) => {
    const { status, body: answer, chats } = await ask(body);
    expect(status).toBe(200);
    expect(answer).toEqual({ model: "phi", created_at: now, response: "", done: true, done_reason: "load" });
    expect(chats).toEqual([]);
  });

  it("tells of an unload", async () => {
    expect((await ask({ keep_alive: 0 })).body).toMatchObject({ response: "", done: true, done_reason: "unload" });
  });
});
