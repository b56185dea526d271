// llama.cpp's server test-suite, met with the model it uses: the built program, its real socket, the official clients. What
// llama-server answered to the same requests stands in golden/llama-scenarios.json; `npx tsx tools/golden-scenarios/main.ts
// path/to/llama-server` records it again.
import Anthropic from "@anthropic-ai/sdk";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, repositoryRoot, startServer } from "../support/server-process.ts";
import { fileFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";
import {
  ask,
  cacheScenarios,
  chatPath,
  completionPath,
  expertOptions,
  type Outcome,
  outcomeOf,
  type Scenario,
  scenarios,
} from "./llama-scenarios.ts";

const golden = JSON.parse(readFileSync(path.join(repositoryRoot, "test/golden/llama-scenarios.json"), "utf8")) as {
  readonly cached: readonly number[];
  readonly answers: Readonly<Record<string, Outcome>>;
};
const apiKey = "sk-this-is-the-secret-key";
const best = [
  { role: "system" as const, content: "Book" },
  { role: "user" as const, content: "What is the best book" },
];
const contextTokens = expertOptions.max_model_len;

const folder = fileFolder();
let server: RunningServer;
let openai: OpenAI;
let anthropic: Anthropic;

beforeAll(async () => {
  server = await start("all", {
    embedding_model: { model_path: await tinyModel("tiny-bert", { quant: "f16" }) },
    rerank_model: { model_path: await tinyModel("tiny-reranker", { quant: "f16" }) },
  });
  openai = new OpenAI({ baseURL: `${server.baseUrl}/v1`, apiKey: "none", maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: server.baseUrl, apiKey: "none", maxRetries: 0 });
}, 60_000);

afterAll(async () => {
  await server.stop();
});

async function start(name: string, more: object, env: Record<string, string> = {}): Promise<RunningServer> {
  const model_path = path.join(repositoryRoot, "test/data/stories260K.gguf");
  const expert = { domain: "general", model_path, ...expertOptions };
  const config = path.join(folder(), `${name}.json`);
  const experts = [
    { expert_id: "stories", ...expert },
    { expert_id: "one-slot", ...expert, parallel: 1 },
    { expert_id: "long", ...expert, max_model_len: 1024, parallel: 1 },
  ];
  writeFileSync(config, JSON.stringify({ experts, default_model: "stories", ...more }));
  // Nothing is remembered from another run: what comes from the cache differs in the last digits.
  return startServer({
    args: ["--config", config],
    env: { GGUF_EXPERTS_STATE_DIR: path.join(folder(), name), ...env },
  });
}

// oxlint-disable-next-line typescript/no-explicit-any
type AnyBody = any;

async function post(route: string, body: object, headers: Record<string, string> = {}) {
  const response = await fetch(server.baseUrl + route, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: response.status, headers: response.headers, body: (await response.json()) as AnyBody };
}

async function get(route: string): Promise<AnyBody> {
  const response = await fetch(server.baseUrl + route);
  expect(response.status).toBe(200);
  return response.json();
}

/** The events of a stream, without the last, which says that it is done. */
async function events(route: string, body: object): Promise<AnyBody[]> {
  const response = await fetch(server.baseUrl + route, {
    method: "POST",
    body: JSON.stringify({ ...body, stream: true }),
  });
  expect(response.status).toBe(200);
  const lines = (await response.text()).split("\n").filter((line) => line.startsWith("data: "));
  return lines.filter((line) => line !== "data: [DONE]").map((line) => JSON.parse(line.slice("data: ".length)));
}

/** The texts of the choices of a stream. */
function joined(chunks: readonly AnyBody[]): string[] {
  const texts: string[] = [];
  for (const { index, text, delta } of chunks.flatMap(({ choices }) => choices)) {
    texts[index] = (texts[index] ?? "") + (text ?? delta.content ?? "");
  }
  return texts;
}

/** What llama-server answered, where this server keeps to OpenAI's or Anthropic's API instead. */
function expected({ name, body }: Scenario): Outcome {
  const answer = golden.answers[name];
  if (answer === undefined) throw new Error(`nothing is recorded of ${name}`);
  const last = (body["messages"] as typeof best | undefined)?.at(-1);
  return {
    ...answer,
    // It repeats the beginning that was sent.
    ...((last?.role as string) === "assistant" && answer.finish !== undefined
      ? { texts: (answer.texts ?? []).map((text) => text.slice(last?.content.length)) }
      : {}),
    // It does not tell a stop sequence from the end.
    ...(body["stop_sequences"] === undefined ? {} : { finish: ["stop_sequence"] }),
  };
}

/** All but the text. */
function expectSame(ours: Outcome, scenario: Scenario): void {
  const theirs = expected(scenario);
  expect(ours.finish).toEqual(theirs.finish);
  expect(ours.promptTokens).toBe(theirs.promptTokens);
  expect(ours.tokens).toEqual(theirs.tokens);
  // It counts the token that ends the text, and white space behind JSON.
  const uncounted = (theirs.generatedTokens ?? 0) - (ours.generatedTokens ?? 0);
  expect(uncounted).toBeGreaterThanOrEqual(0);
  expect(uncounted).toBeLessThanOrEqual(theirs.finish?.[0] === "stop" ? 2 : 0);
  expectSameLogprobs(ours, theirs, scenario.body["top_logprobs"] !== undefined);
}

function expectSameLogprobs(ours: Outcome, theirs: Outcome, hasTop: boolean): void {
  if (theirs.logprobs === undefined) return;
  // It may give one for the end of the text too, which has none of its characters.
  const recorded = theirs.logprobs.slice(0, ours.logprobs?.length);
  expect(recorded.map(({ token }) => token).join("")).toBe(theirs.texts?.[0]);
  for (const [index, { token, logprob, top }] of recorded.entries()) {
    const own = ours.logprobs?.[index];
    expect(own?.token).toBe(token);
    expect(own?.logprob).toBeCloseTo(logprob, 3);
    // Without a number it gives twenty.
    expect(own?.top.map(([each]) => each)).toEqual(hasTop ? top.map(([each]) => each) : []);
    for (const [place, [, value]] of (own?.top ?? []).entries()) expect(value).toBeCloseTo(top[place]?.[1] ?? NaN, 3);
  }
}

const isGeneration = ({ path: route }: Scenario) => route === chatPath || route === completionPath;

describe("the same request gets the same answer as from llama-server", () => {
  it.each(scenarios)("$name", async (scenario) => {
    const ours = await outcomeOf(await ask(server.baseUrl, scenario, "stories"));
    expect(ours.texts).toEqual(expected(scenario).texts);
    expectSame(ours, scenario);
  });

  it("when several share the slots and what was read", async () => {
    const left = scenarios.filter(isGeneration).values();
    const client = async () => {
      for (const scenario of left) {
        const { texts } = await outcomeOf(await ask(server.baseUrl, scenario, "stories"));
        const { name } = scenario;
        expect({ name, texts }).toEqual({ name, texts: expected(scenario).texts });
      }
    };
    await Promise.all(Array.from({ length: 6 }, client));
  });

  it.each(scenarios.filter(isGeneration))("$name, streamed", async (scenario) => {
    const chunks = await events(scenario.path, { ...scenario.body, model: "stories" });
    const texts = expected(scenario).texts ?? [];
    expect(texts.map((_, index) => joined(chunks)[index] ?? "")).toEqual(texts);
    const ends = chunks.flatMap(({ choices }) => choices).filter(({ finish_reason: reason }) => reason !== null);
    expect(ends.toSorted((one, other) => one.index - other.index).map(({ finish_reason: reason }) => reason)).toEqual(
      expected(scenario).finish,
    );
    expectSameLogprobs(
      {
        texts,
        logprobs: chunks
          .flatMap(({ choices }) => choices[0]?.logprobs?.content ?? [])
          .map(({ token, logprob, top_logprobs: top }) => ({
            token,
            logprob,
            top: top.map((each: AnyBody) => [each.token, each.logprob]),
          })),
      },
      expected(scenario),
      scenario.body["top_logprobs"] !== undefined,
    );
  });
});

describe("without the addon", () => {
  let plain: RunningServer;
  beforeAll(async () => {
    plain = await start("plain", {}, { GGUF_EXPERTS_NATIVE: "off" });
  });
  afterAll(async () => {
    await plain.stop();
  });

  it("the answers are the same, or say what cannot be honoured", async () => {
    const refused = new Set<string>();
    for (const scenario of scenarios) {
      const response = await ask(plain.baseUrl, scenario, "stories");
      if (response.status === 501) {
        const { error } = (await response.json()) as { error: { message: string } };
        refused.add(error.message);
        continue;
      }
      const { name } = scenario;
      const { texts } = await outcomeOf(response);
      expect({ name, texts }).toEqual({ name, texts: expected(scenario).texts });
    }
    expect([...refused].toSorted()).toEqual(
      ["dry_multiplier", "top_n_sigma", "typical_p"].map(
        (name) => `${name} needs the native addon, which does not run on this machine.`,
      ),
    );
  });
});

describe("the prompt cache", () => {
  it("is counted as llama-server counts it", async () => {
    const cached: number[] = [];
    for (const scenario of cacheScenarios) {
      const response = await ask(server.baseUrl, scenario, "one-slot");
      const { usage, timings } = (await response.json()) as AnyBody;
      cached.push(usage.prompt_tokens_details.cached_tokens);
      expect(usage.prompt_tokens).toBe(77);
      expect(timings.cache_n + timings.prompt_n).toBe(77);
    }
    expect(cached).toEqual(golden.cached);
  });

  it("holds prompts of changing lengths that come in turns, and changes no answer", async () => {
    const prompts = [0, 1, 2, 3, 4].map((turn) => ` Hello ${turn}`.repeat(40 + turn));
    const answers = new Map<string, string>();
    for (let round = 0; round < 16; round++) {
      const prompt = prompts[(round * 7) % prompts.length] ?? "";
      const { body } = await post(completionPath, {
        model: "stories",
        prompt,
        max_tokens: 1 + (round % 3),
        temperature: 0,
      });
      expect(body.timings.prompt_n + body.timings.cache_n).toBe(body.usage.prompt_tokens);
      expect(body.timings.predicted_n).toBe(1 + (round % 3));
      const known = answers.get(prompt) ?? "";
      const text: string = body.choices[0].text;
      expect(known.startsWith(text) || text.startsWith(known)).toBe(true);
      answers.set(prompt, text.length > known.length ? text : known);
    }
  });
});

describe("seeds", () => {
  const request = { model: "stories", prompt: "I believe the meaning of life is", max_tokens: 32, temperature: 1 };
  const textOf = async (more: object) => (await post(completionPath, { ...request, ...more })).body.choices[0].text;

  it("the same gives the same, others give others", async () => {
    const texts = await Promise.all([7, 7, 7, 7].map(async (seed) => textOf({ seed })));
    expect(new Set(texts).size).toBe(1);
    const others = await Promise.all([0, 1, 2, 3].map(async (seed) => textOf({ seed })));
    expect(new Set(others).size).toBe(4);
  });

  it("-1 draws one, whatever the configuration says", async () => {
    const texts = await Promise.all(Array.from({ length: 6 }, async () => textOf({ seed: -1 })));
    expect(new Set(texts).size).toBeGreaterThan(1);
  });

  it("a request's n choices differ, where the configuration gives the seed too", async () => {
    const { body } = await post(completionPath, { ...request, n: 3 });
    expect(new Set(body.choices.map(({ text }: { text: string }) => text)).size).toBe(3);
  });
});

describe("the shape of answers", () => {
  it("a chat has an id, a fingerprint, usage and timings", async () => {
    const { body } = await post(chatPath, { model: "stories", max_tokens: 8, messages: best });
    expect(body).toMatchObject({
      id: expect.stringMatching(/cmpl/),
      object: "chat.completion",
      system_fingerprint: expect.stringMatching(/^b/),
      choices: [{ index: 0, finish_reason: "length", message: { role: "assistant" } }],
      usage: { prompt_tokens: 77, completion_tokens: 8, total_tokens: 85 },
      timings: { predicted_n: 8 },
    });
    const { timings } = body;
    expect(timings.cache_n + timings.prompt_n).toBe(77);
    expect(timings.predicted_per_second).toBeCloseTo((timings.predicted_n / timings.predicted_ms) * 1000, 3);
  });

  it("a streamed chat has one id, names the role once, and ends with usage and timings", async () => {
    const chunks = await events(chatPath, {
      model: "stories",
      max_tokens: 8,
      messages: best,
      stream_options: { include_usage: true },
    });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(new Set(chunks.map(({ created }) => created)).size).toBe(1);
    expect(chunks[0].choices[0].delta).toEqual({ role: "assistant", content: "" });
    const last = chunks.at(-1);
    expect(last).toMatchObject({ choices: [], usage: { prompt_tokens: 77, completion_tokens: 8 } });
    expect(last.timings).toMatchObject({ predicted_n: 8 });
    const [end, ...middle] = chunks.slice(1, -1).toReversed();
    expect(end.choices[0]).toMatchObject({ delta: {}, finish_reason: "length" });
    for (const { choices } of middle) {
      expect(choices[0].finish_reason).toBeNull();
      expect(choices[0].delta).not.toHaveProperty("role");
    }
  });

  it("usage counts every prompt and every choice", async () => {
    const prompt = ["Once upon a time", "I believe the meaning of life is"];
    const { body } = await post(completionPath, { model: "stories", prompt, n: 2, max_tokens: 4, seed: 1 });
    expect(body.choices.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2, 3]);
    expect(body.usage).toMatchObject({ prompt_tokens: 5 + 18, completion_tokens: 16 });
  });

  it("log probabilities of a completion have the older form", async () => {
    const chat = await post(completionPath, {
      model: "stories",
      prompt: "I believe the meaning of life is",
      max_tokens: 5,
      temperature: 0,
      logprobs: 10,
    });
    const [{ text, logprobs }] = chat.body.choices;
    expect(logprobs.tokens.join("")).toBe(text);
    expect(logprobs.token_logprobs).toHaveLength(5);
    for (const [index, top] of logprobs.top_logprobs.entries()) {
      expect(Object.keys(top)).toHaveLength(10);
      expect(Math.max(...Object.values<number>(top))).toBe(logprobs.token_logprobs[index]);
    }
  });

  it("what llama-server tells beside the answer is passed over, and a header says so", async () => {
    const { status, headers } = await post(chatPath, {
      model: "stories",
      max_tokens: 2,
      messages: best,
      id_slot: 0,
      cache_prompt: false,
      timings_per_token: true,
      return_tokens: true,
    });
    expect(status).toBe(200);
    const ignored = headers.get("x-ignored-parameters")?.split(", ").toSorted();
    expect(ignored).toEqual(["id_slot", "return_tokens", "timings_per_token"]);
  });

  it("words that are banned do not come", async () => {
    const words = [
      "i",
      "I",
      "the",
      "The",
      "to",
      "a",
      "an",
      "be",
      "is",
      "was",
      "but",
      "and",
      "so",
      "you",
      "he",
      "she",
      "it",
    ];
    const { body } = await post("/tokenize", { content: ` ${words.join(" ")} ` });
    const bias = Object.fromEntries(body.tokens.map((token: number) => [token, -100]));
    const answer = await openai.chat.completions.create({
      model: "stories",
      temperature: 0,
      max_tokens: 64,
      messages: best,
      logit_bias: bias,
    });
    const text = answer.choices[0]?.message.content ?? "";
    expect(text).not.toBe("");
    expect(words.filter((word) => text.includes(` ${word} `))).toEqual([]);
  });

  it("is what the OpenAI library reads, whole and streamed", async () => {
    const asked = { model: "stories", messages: best, max_tokens: 5, temperature: 0, logprobs: true, top_logprobs: 10 };
    const whole = await openai.chat.completions.create(asked);
    let text = "";
    let tokens = "";
    for await (const { choices } of await openai.chat.completions.create({ ...asked, stream: true })) {
      text += choices[0]?.delta.content ?? "";
      for (const each of choices[0]?.logprobs?.content ?? []) {
        tokens += each.token;
        expect(each.logprob).toBeLessThanOrEqual(0);
        expect(each.top_logprobs).toHaveLength(10);
        expect(Buffer.from(each.bytes ?? []).toString()).toBe(each.token);
      }
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(tokens).toBe(text);
  });
});

describe("formats", () => {
  it.each([
    [{ type: "json_object" }, /^\{.*\}$/s],
    [{ type: "json_object", schema: { const: "42" } }, /^"42"$/],
    [{ type: "json_object", schema: { type: "array", items: { type: "integer" }, maxItems: 3 } }, /^\s*\[.*\]$/s],
    [{ type: "json_schema", json_schema: { name: "o", schema: { const: "foooooo" } } }, /^"foooooo"$/],
  ])("%j is kept, however few tokens there are", async (response_format, form) => {
    for (const max_tokens of [1, 2, 3, 6, 10, 40]) {
      const { status, body } = await post(chatPath, {
        model: "stories",
        max_tokens,
        messages: best,
        response_format,
      });
      expect(status).toBe(200);
      const { content } = body.choices[0].message;
      expect(content).toMatch(form);
      expect(() => JSON.parse(content)).not.toThrow();
    }
  });
});

describe("limits", () => {
  const completion = async (more: object) => (await post(completionPath, { model: "stories", ...more })).body;

  it("an answer ends with the context", async () => {
    const body = await completion({ prompt: "Hi how are you", max_tokens: -1, temperature: 0 });
    expect(body.usage.prompt_tokens + body.usage.completion_tokens).toBe(contextTokens);
    expect(body.choices[0].finish_reason).toBe("length");
  });

  it("a limit beyond the context is as good as none", async () => {
    const body = await completion({ prompt: "Hi how are you", max_tokens: 100_000, temperature: 0 });
    expect(body.usage.completion_tokens).toBe(contextTokens - body.usage.prompt_tokens);
  });

  it.each([1, 2, 7])("%i tokens are not exceeded", async (max_tokens) => {
    const body = await completion({ prompt: "Once upon a time", max_tokens });
    expect(body.usage.completion_tokens).toBe(max_tokens);
    expect(body.timings.predicted_n).toBe(max_tokens);
  });

  it("requests that share the slots keep their own limits", async () => {
    const limits = [80, 40, 75, 20, 60, 5];
    const bodies = await Promise.all(
      limits.map(async (max_tokens) => completion({ prompt: "A", max_tokens, ignore_eos: true, seed: 1 })),
    );
    expect(bodies.map(({ usage }) => usage.completion_tokens)).toEqual(limits);
  });

  it.each([false, true])(
    "a prompt longer than the context is refused with both numbers (stream: %s)",
    async (stream) => {
      const messages = Array.from({ length: 100 }, () => best).flat();
      const { status, body } = await post(chatPath, { model: "stories", messages, stream });
      expect(status).toBe(400);
      expect(body.error).toMatchObject({ type: "exceed_context_size_error", code: "context_length_exceeded" });
      expect(body.error.message).toMatch(new RegExp(`\\b5\\d{3} tokens.*\\b${contextTokens}\\b`));
    },
  );
});

describe("what is wrong is refused with one line that names the field", () => {
  const asked = { messages: best, max_tokens: 4 };
  const once = "Once upon a time";
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } };
  const turns = [...best, { role: "assistant", content: "Hello" }];

  const wrong: readonly (readonly [route: string, body: object, param: string])[] = [
    ...[null, "string", []].map((messages): [string, object, string] => [chatPath, { messages }, "messages"]),
    [chatPath, { messages: [123] }, "messages[0]"],
    [chatPath, { messages: [{}] }, "messages[0].role"],
    [chatPath, { messages: [{ role: 123 }] }, "messages[0].role"],
    [chatPath, { messages: [{ role: "system", content: 123 }] }, "messages[0].content"],
    [chatPath, { messages: [{ role: "system", content: "test" }, {}] }, "messages[1].role"],
    [chatPath, { messages: [...turns, { role: "assistant", content: "test" }] }, "messages[3]"],
    [chatPath, { ...asked, response_format: { type: "sound" } }, "response_format.type"],
    [chatPath, { ...asked, response_format: { type: "json_object", schema: 123 } }, "response_format.schema"],
    [chatPath, { ...asked, response_format: { type: "json_object", schema: { type: 123 } } }, "response_format.schema"],
    [
      chatPath,
      { ...asked, response_format: { type: "json_object", schema: { type: "hiccup" } } },
      "response_format.schema",
    ],
    [chatPath, { ...asked, grammar: "root ::= this is (not valid GBNF" }, "grammar"],
    [chatPath, { messages: turns, add_generation_prompt: true, continue_final_message: true }, "add_generation_prompt"],
    [
      chatPath,
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "file:///etc/passwd" } }] }] },
      "messages[0].content[0]",
    ],
    [chatPath, { ...asked, top_logprobs: 3 }, "top_logprobs"],
    [completionPath, { prompt: "I believe the meaning of life is".repeat(32) }, "prompt"],
    [completionPath, { max_tokens: 4 }, "prompt"],
    [completionPath, { prompt: [1, 100_000] }, "prompt[1]"],
    [completionPath, { prompt: [1, 2, "three"] }, "prompt[2]"],
    [completionPath, { prompt: { prompt_string: once, multimodal_data: "iVBORw0KGgo=" } }, "prompt"],
    [completionPath, { prompt: once, temperature: "hot" }, "temperature"],
    [completionPath, { prompt: once, logit_bias: { 99999: 1 } }, "logit_bias"],
    [completionPath, { prompt: once, logit_bias: [[" the", -100]] }, "logit_bias[0]"],
    [completionPath, { prompt: once, post_sampling_probs: true }, "post_sampling_probs"],
    [completionPath, { prompt: once, suffix: "The end." }, "suffix"],
    ["/v1/embeddings", { input: "" }, "input"],
    ["/v1/embeddings", { input: "This is a test ".repeat(1024) }, "input"],
    ...[[], null, 123].map((documents): [string, object, string] => [
      "/v1/rerank",
      { query: "q", documents },
      "documents",
    ]),
    ["/v1/rerank", { query: "q", documents: [1, 2, 3] }, "documents[0]"],
    ["/tokenize", { content: 3 }, "content"],
    ["/detokenize", { tokens: ["a"] }, "tokens[0]"],
    ["/detokenize", { tokens: [100_000] }, "tokens[0]"],
    ["/v1/responses", { input: 3 }, "input"],
  ];
  const titled = wrong.map(([route, body, param]) => ({
    title: `${route} ${JSON.stringify(body).slice(0, 100)}`,
    route,
    body,
    param,
  }));

  it.each(titled)("$title", async ({ route, body, param }) => {
    const answer = await post(route, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.param).toBe(param);
    expect(answer.body.error.message).not.toMatch(/\n|at .*\.js/);
  });

  it.each([{}, { messages: [] }, { messages: [{ role: "user", content: [image] }] }])(
    "/v1/messages %j",
    async (more) => {
      const { status, body } = await post("/v1/messages", { max_tokens: 5, ...more });
      expect(status).toBe(400);
      expect(body).toMatchObject({ type: "error", error: { type: "invalid_request_error" } });
      expect(body.error.message).toMatch(/messages/);
    },
  );
});

describe("Anthropic's API", () => {
  const request = { model: "stories", max_tokens: 30, messages: [{ role: "user" as const, content: "Say hello" }] };

  it("streams what it answers whole, as the SDK puts it together", async () => {
    const whole = await anthropic.messages.create(request);
    const streamed = await anthropic.messages.stream(request).finalMessage();
    expect(streamed.content).toEqual(whole.content);
    expect(streamed).toMatchObject({ type: "message", role: "assistant", stop_reason: "max_tokens" });
    expect(streamed.usage.output_tokens).toBe(30);
    expect(whole).not.toHaveProperty("timings");
  });

  it("counts as many tokens as a message is charged", async () => {
    const { model, messages } = request;
    const counted = await anthropic.messages.countTokens({ model, messages });
    const { usage } = await anthropic.messages.create(request);
    expect(Object.keys(counted)).toEqual(["input_tokens"]);
    expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).toBe(counted.input_tokens);
  });

  it("reads parameters, and calls and results of tools", async () => {
    const { status, body } = await post("/v1/messages", {
      model: "long",
      max_tokens: 8,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      metadata: { user_id: "u1" },
      tools: [
        {
          name: "get_weather",
          input_schema: { type: "object" },
        },
      ],
      messages: [
        {
          role: "user",
          content: "Weather?",
        },
        {
          role: "assistant",
          content: [
            {
              type: "tool_use",
              id: "test123",
              name: "get_weather",
              input: { in: "Paris" },
            },
          ],
        },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: "test123",
              content: "Sunny, 25°C",
            },
            {
              type: "text",
              text: "So?",
            },
          ],
        },
      ],
    });
    expect(status).toBe(200);
    expect(body.content.length).toBeGreaterThan(0);
    expect(body.usage.output_tokens).toBeGreaterThan(0);
  });

  it("is told from OpenAI's by its path alone", async () => {
    const ours = await post("/v1/messages", request);
    const theirs = await post(chatPath, request);
    expect(ours.body.type).toBe("message");
    expect(theirs.body.object).toBe("chat.completion");
    expect(ours.body.content[0].text).toBe(theirs.body.choices[0].message.content);
  });
});

describe("the Responses API", () => {
  const request = { model: "stories", input: best, max_output_tokens: 8, temperature: 0.8 };

  it("streams what it answers whole, under one id", async () => {
    const whole = await openai.responses.create(request);
    expect(whole.id).toMatch(/^resp_/);
    expect(whole.output[0]?.id).toMatch(/^msg_/);
    let text = "";
    const ids = new Set<string>();
    const items = new Set<string>();
    for await (const event of await openai.responses.create({ ...request, stream: true })) {
      if ("response" in event) ids.add(event.response.id);
      if ("item_id" in event) items.add(event.item_id);
      if (event.type === "response.output_item.added") items.add(event.item.id ?? "");
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    expect(text).toBe(whole.output_text);
    expect(text).toMatch(/Suddenly/);
    expect([ids.size, items.size]).toEqual([1, 1]);
  });
});

describe("tokens and properties", () => {
  it("a text comes back from its tokens", async () => {
    for (const content of ["What is the capital of France ?", "媽 🤗 é\n", "  two  spaces "]) {
      const { body } = await post("/tokenize", { content });
      expect((await post("/detokenize", { tokens: body.tokens })).body.content.trim()).toBe(content.trim());
    }
  });

  it("with_pieces gives the text or the bytes of each", async () => {
    const content = "unicode 媽 and emoji 🤗";
    const { body } = await post("/tokenize", { content, with_pieces: true });
    const bytes = body.tokens.flatMap(({ piece }: { piece: string | number[] }) =>
      typeof piece === "string" ? [...Buffer.from(piece)] : piece,
    );
    expect(Buffer.from(bytes).toString().trim()).toBe(content);
  });

  it("/props and /slots tell the model, its slots and its defaults", async () => {
    const props = await get("/props?model=stories");
    expect(props).toMatchObject({ total_slots: 2, model_path: expect.stringMatching(/\.gguf$/) });
    expect(props.default_generation_settings).toMatchObject({ n_ctx: contextTokens, params: { seed: 42, top_k: 40 } });
    const slots = await get("/slots?model=stories");
    expect(slots).toHaveLength(2);
    expect(slots[0]).toMatchObject({ id: 0, n_ctx: contextTokens, is_processing: false });
  });

  it("/v1/models lists what is served", async () => {
    const { data } = await get("/v1/models");
    expect(data.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining(["stories", "one-slot"]));
  });

  it("a client that leaves frees its slot", async () => {
    const leaving = new AbortController();
    const stream = await openai.completions.create(
      { model: "one-slot", prompt: "Once upon a time", max_tokens: 200, stream: true },
      { signal: leaving.signal },
    );
    for await (const _ of stream) break;
    leaving.abort();
    const { body } = await post(completionPath, { model: "one-slot", prompt: "Once", max_tokens: 4, temperature: 0 });
    expect(body.choices[0].text).toBe(" upon a time,");
    expect((await get("/slots?model=one-slot")).map((slot: AnyBody) => slot.is_processing)).toEqual([false]);
  });
});

describe("embeddings and reranking", () => {
  const texts = ["I believe the meaning of life is", "Write a joke about AI", "This is a test", "This is another test"];

  it("every form of input gets one vector of length 1 a text", async () => {
    for (const [input, count] of [
      ["string", 1],
      [[12, 34, 56], 1],
      [texts, 4],
      [["string1", [12, 34, 56]], 2],
      [
        [
          [12, 34, 56],
          [12, 34, 56],
        ],
        2,
      ],
    ] as const) {
      const { status, body } = await post("/v1/embeddings", { input });
      expect(status).toBe(200);
      expect(body.data).toHaveLength(count);
      for (const { embedding } of body.data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 3);
    }
  });

  it("the same text gets the same vector, alone and among others", async () => {
    const { data } = await openai.embeddings.create({ model: "", input: [...texts, texts[0] ?? ""] });
    const alone = await openai.embeddings.create({ model: "", input: texts[0] ?? "" });
    for (const [index, value] of (alone.data[0]?.embedding ?? []).entries()) {
      expect(data[0]?.embedding[index]).toBeCloseTo(value, 3);
      expect(data[4]?.embedding[index]).toBeCloseTo(value, 3);
    }
  });

  it("usage counts every text", async () => {
    const count = async (input: unknown) => (await post("/v1/embeddings", { input })).body.usage;
    const [one, two] = [await count(texts[0]), await count([texts[0], texts[0]])];
    expect(one.prompt_tokens).toBe(one.total_tokens);
    expect(two.prompt_tokens).toBe(2 * one.prompt_tokens);
  });

  it("base64 holds the same numbers", async () => {
    const [floats, base64] = await Promise.all(
      ["float", "base64"].map(async (encoding_format) => post("/v1/embeddings", { input: texts[0], encoding_format })),
    );
    const bytes = Buffer.from(base64?.body.data[0].embedding, "base64");
    const numbers = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(4 * index));
    expect(numbers).toHaveLength(floats?.body.data[0].embedding.length);
    for (const [index, number] of numbers.entries())
      expect(number).toBeCloseTo(floats?.body.data[0].embedding[index], 5);
  });

  it.each([
    [undefined, 4],
    [2, 2],
    [4, 4],
    [99, 4],
  ])("top_n %s of four documents gives %i, the best first", async (top_n, count) => {
    const { status, body } = await post("/rerank", { query: "Machine learning is", documents: texts, top_n });
    expect(status).toBe(200);
    const scores: number[] = body.results.map((result: { relevance_score: number }) => result.relevance_score);
    expect(scores).toHaveLength(count);
    expect(scores).toEqual(scores.toSorted((one, other) => other - one));
    expect(body.usage.prompt_tokens).toBe(body.usage.total_tokens);
  });
});

describe("keys and origins", () => {
  const origin = "http://web.mydomain.fr";
  let guarded: RunningServer;
  beforeAll(async () => {
    guarded = await start("guarded", { server_config: { api_keys: [apiKey], cors_origins: [origin] } });
  });
  afterAll(async () => {
    await guarded.stop();
  });
  const complete = async (headers: Record<string, string>, route = completionPath) =>
    fetch(guarded.baseUrl + route, {
      method: "POST",
      headers,
      body: JSON.stringify({ model: "stories", prompt: "Once", max_tokens: 2, temperature: 0 }),
    });

  it.each(["/health", "/health/live"])("%s needs no key", async (route) => {
    expect((await fetch(guarded.baseUrl + route)).status).toBe(200);
  });

  it.each([{}, { authorization: "Bearer invalid-key" }, { "x-api-key": "invalid-key" }, { authorization: apiKey }])(
    "%j is refused, also where there is nothing",
    async (headers: Record<string, string>) => {
      for (const route of [completionPath, "/tokenize", "/v1/messages", "/api/chat", "/nowhere"]) {
        const response = await complete(headers, route);
        expect(response.status).toBe(401);
        expect(await response.text()).not.toContain(apiKey);
      }
      const { error } = (await (await complete(headers)).json()) as { error: { type: string } };
      expect(error.type).toBe("authentication_error");
    },
  );

  it.each([{ authorization: `Bearer ${apiKey}` }, { "x-api-key": apiKey }])("%j is let in", async (headers) => {
    const response = await complete(headers);
    expect(response.status).toBe(200);
    expect(((await response.json()) as AnyBody).choices[0].text).toBe(" upon a");
  });

  it("the libraries' own headers are let in", async () => {
    const client = new OpenAI({ baseURL: `${guarded.baseUrl}/v1`, apiKey, maxRetries: 0 });
    const chat = await client.chat.completions.create({ model: "stories", messages: best, max_tokens: 2 });
    expect(chat.choices).toHaveLength(1);
    const other = new Anthropic({ baseURL: guarded.baseUrl, apiKey, maxRetries: 0 });
    const [, user] = best;
    const message = await other.messages.create({
      model: "stories",
      max_tokens: 2,
      messages: [
        {
          role: "user",
          content: user?.content ?? "",
        },
      ],
    });
    expect(message.type).toBe("message");
  });

  it.each([
    [origin, origin],
    ["http://evil.com", null],
    [`${origin}.evil.com`, null],
  ])("a browser's page from %s is told it may call: %s", async (from, allowed) => {
    const response = await fetch(guarded.baseUrl + completionPath, {
      method: "OPTIONS",
      headers: {
        origin: from,
        "access-control-request-method": "POST",
        "access-control-request-headers": "Authorization",
      },
    });
    expect(response.ok).toBe(true);
    expect(response.headers.get("access-control-allow-origin")).toBe(allowed);
    expect(response.headers.get("access-control-allow-methods")).toMatch(/GET.*POST/);
    expect(response.headers.get("access-control-allow-headers")).toMatch(/authorization|\*/i);
  });
});
