// What becomes of a model's text on its way to the caller: stop strings, thinking and calls, formats that must be whole, token
// limits and budgets, log probabilities.
import { afterEach, describe, expect, it } from "vitest";
import type { AnswerEvent, ChatRequest } from "../../src/chat/contract.ts";
import { plainChat } from "../../src/chat/contract.ts";
import { invalidRequest } from "../../src/core/errors.ts";
import type { TemplateFacts } from "../../src/engine/engine.ts";
import { ask, bench, checkEngines, collect, expert, never, textOf } from "../support/chat-bench.ts";
import type { FakeFile } from "../support/fake-engine.ts";

afterEach(checkEngines);

/** A template of the Hermes family that may think. */
const template: TemplateFacts = {
  source: '<tool_call>\n{"name": …}',
  takesTools: true,
  takesToolMessages: true,
  thinking: { start: "<think>", end: "</think>" },
  switchesThinking: true,
};

/** Answers with this text, however it is asked. */
function answering(reply: string | ((prompt: string) => string), file: Partial<FakeFile> = {}) {
  const said = typeof reply === "string" ? () => reply : reply;
  return bench([expert("first")], { files: { "/models/first.gguf": { reply: said, template, ...file } } });
}

const one = (service: ReturnType<typeof bench>["service"], changes: Partial<ChatRequest> = {}) =>
  collect(service.chat(ask("Go on.", changes), never));

const joined = (events: readonly AnswerEvent[], type: "reasoning" | "tool_arguments") =>
  events.map((event) => (event.type === type ? event.text : "")).join("");
const endOf = (events: readonly AnswerEvent[]) => events.at(-1);

const person = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
const output = { type: "json_schema", schema: person, field: "response_format.json_schema.schema" } as const;
const tools = {
  tools: [
    {
      name: "weather",
      description: "The weather of a city.",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  ],
  choice: "auto",
  parallel: true,
  field: "tools",
} as const;

describe("the end of an answer", () => {
  it("names the stop string that was met", async () => {
    const { service } = answering("one two three");
    expect(endOf(await one(service, { stop: ["four", "three"] }))).toMatchObject({
      reason: "stop",
      stopSequence: "three",
      isCompleted: false,
    });
    expect(endOf(await one(service))).toMatchObject({ reason: "stop", stopSequence: null });
    expect(endOf(await one(service, { maxTokens: 2 }))).toMatchObject({ reason: "length", stopSequence: null });
  });

  it("comes with the prompt where no token is asked for", async () => {
    const { service, engine } = answering("one two three");
    const events = await one(service, { maxTokens: 0 });
    expect(textOf(events)).toBe("");
    expect(endOf(events)).toMatchObject({ reason: "length", isCompleted: false, timings: { generatedTokens: 0 } });
    expect(events.some(({ type }) => type === "prefill")).toBe(true);
    expect(engine.generationRequests).toHaveLength(1);
  });

  it("is recorded as empty where there is nothing to see", async () => {
    const { service, records } = answering("<think> so much to think");
    await one(service);
    await one(answering("").service);
    expect(records).toMatchObject([{ outcome: "ok", isEmpty: true }]);
    const spoken = answering("<think> much </think> yes");
    await one(spoken.service);
    expect(spoken.records).toMatchObject([{ isEmpty: false }]);
  });
});

describe("thinking", () => {
  it("is told apart from the answer", async () => {
    const { service } = answering("<think> One and one. </think> Two.");
    const events = await one(service);
    expect(joined(events, "reasoning")).toContain("One and one.");
    expect(textOf(events).trim()).toBe("Two.");
    expect(endOf(events)).toMatchObject({ timings: { generatedTokens: 6, reasoningTokens: 4 } });
  });

  it("is ended at its budget: the answer follows, within the limit of both", async () => {
    const long = `<think> ${"hmm ".repeat(50)}`;
    const { service, engine } = answering((prompt) => (prompt.includes("</think>") ? "Two, I say." : long));
    const budgetTokens = 5;
    const events = await one(service, { maxTokens: 8, reasoning: { ...plainChat.reasoning, budgetTokens } });
    expect(joined(events, "reasoning").match(/hmm/g)).toHaveLength(4);
    expect(textOf(events).trim()).toBe("Two, I say.");
    expect(endOf(events)).toMatchObject({ reason: "stop", timings: { generatedTokens: 8 } });
    expect(engine.generationRequests.map(({ maxTokens }) => maxTokens)).toEqual([8, 3]);
    // The second prompt is the first, and what was thought: none of it is read again.
    const [first, second] = engine.generationRequests.map(({ promptTokens }) => promptTokens);
    expect(second?.slice(0, first?.length)).toEqual(first);
    expect(events.filter(({ type }) => type === "started")).toHaveLength(1);
  });

  it("whose budget ends where the context does leaves no room for an answer", async () => {
    const reply = `<think> ${"hmm ".repeat(50)}`;
    const budgetTokens = 5;
    const asked = { reasoning: { ...plainChat.reasoning, budgetTokens } };
    const first = answering(reply);
    await one(first.service, asked);
    const promptTokens = first.engine.generationRequests[0]?.promptTokens.length ?? 0;
    const { service, engine } = answering(reply, { trainContextTokens: promptTokens + budgetTokens + 1 });
    const events = await one(service, asked);
    expect(endOf(events)).toMatchObject({ reason: "length", timings: { generatedTokens: budgetTokens } });
    expect(textOf(events)).toBe("");
    expect(engine.generationRequests).toHaveLength(1);
  });

  it("that takes all the tokens there are ends with the limit", async () => {
    const { service } = answering(`<think> ${"hmm ".repeat(50)}`);
    const events = await one(service, { maxTokens: 5, reasoning: { ...plainChat.reasoning, budgetTokens: 5 } });
    expect(endOf(events)).toMatchObject({ reason: "length", timings: { generatedTokens: 5 } });
    expect(textOf(events)).toBe("");
  });
});

describe("calls of tools", () => {
  const called = '<tool_call>\n{"name": "weather", "arguments": {"city": "Lima"}}\n</tool_call>';

  it("come as calls, and the answer ends with them", async () => {
    const { service, engine } = answering(`I look. ${called}`);
    const events = await one(service, { tools });
    expect(textOf(events).trim()).toBe("I look.");
    expect(events.find(({ type }) => type === "tool_call")).toMatchObject({ index: 0, name: "weather" });
    expect(JSON.parse(joined(events, "tool_arguments"))).toEqual({ city: "Lima" });
    expect(endOf(events)).toMatchObject({ reason: "tool_calls", isCompleted: false });
    expect(engine.generationRequests[0]?.grammar).not.toBeNull();
    expect(engine.generationRequests[0]?.preservedTokens).toContain("<tool_call>");
  });

  it("that the token limit cuts are completed, and the reason stays the limit", async () => {
    const { service, records } = answering(called);
    const events = await one(service, { tools, maxTokens: 5 });
    expect(JSON.parse(joined(events, "tool_arguments"))).toEqual({ city: expect.any(String) });
    expect(endOf(events)).toMatchObject({ reason: "length", isCompleted: true });
    expect(records).toMatchObject([{ isEmpty: false }]);
  });
});

describe("a format", () => {
  it("is whole where the token limit cuts it", async () => {
    const { service } = answering('{"name": "Ana María", "age": 31}');
    for (const maxTokens of [1, 2, 3, 4, 5]) {
      const events = await one(service, { output, maxTokens });
      const value = JSON.parse(textOf(events)) as { name: string; age: number };
      expect(value.name.startsWith(maxTokens > 2 ? "Ana María" : "")).toBe(true);
      expect(Number.isInteger(value.age)).toBe(true);
      expect(endOf(events)).toMatchObject({ reason: maxTokens === 5 ? "stop" : "length", isCompleted: maxTokens < 5 });
    }
  });

  it("is whole where a stop string cuts it", async () => {
    const { service } = answering('{"name": "Ana María", "age": 31}');
    const events = await one(service, { output, stop: ["María"] });
    expect(JSON.parse(textOf(events))).toMatchObject({ name: "Ana " });
    expect(endOf(events)).toMatchObject({ reason: "stop", stopSequence: "María", isCompleted: true });
  });

  it("that the model's text has left is no answer", async () => {
    const { service, records } = answering("I would rather not.");
    await expect(one(service, { output })).rejects.toMatchObject({ status: 500, code: "incomplete_output" });
    expect(records).toMatchObject([{ outcome: "error", errorCode: "incomplete_output" }]);
  });

  it("constrains what follows thinking that was ended", async () => {
    const { service, engine } = answering((prompt) =>
      prompt.includes("</think>") ? '{"name": "Ana", "age": 3}' : `<think> ${"hmm ".repeat(50)}`,
    );
    const events = await one(service, { output, reasoning: { ...plainChat.reasoning, budgetTokens: 3 } });
    expect(JSON.parse(textOf(events))).toEqual({ name: "Ana", age: 3 });
    const [whole, rest] = engine.generationRequests.map(({ grammar }) => grammar?.source);
    expect(whole).toContain("</think>");
    expect(rest).not.toContain("</think>");
  });

  it("that no token of the model fits is refused by the request's field", async () => {
    const { service, engine } = answering("", { manual: { generate: true } });
    const grammar = { type: "grammar", source: 'root ::= "\\uD800"', field: "grammar" } as const;
    const answer = one(service, { output: grammar });
    (await engine.nextGeneration()).fail(invalidRequest("No token can follow.", undefined, "invalid_grammar"));
    await expect(answer).rejects.toMatchObject({ status: 400, param: "grammar", code: "invalid_grammar" });
  });

  it("holds for no answer that is begun already", async () => {
    const messages = [
      { role: "user", content: "Go on." },
      { role: "assistant", content: '{"name":' },
    ] as const;
    await expect(one(answering("x").service, { output, messages })).rejects.toMatchObject({
      status: 400,
      param: "response_format.json_schema.schema",
    });
  });

  it("can be a completion's too", async () => {
    const { service } = answering('{"a": [1, 2');
    const request = { ...plainChat, model: null, prompt: "x", promptField: "prompt", suffix: null, maxTokens: 9 };
    const events = await collect(service.complete({ ...request, output: { type: "json_object" } }, never));
    expect(JSON.parse(textOf(events))).toEqual({ a: [1, 2] });
  });

  it("that cannot be had is refused by the request's field", async () => {
    const { service } = answering("x");
    const schema = { type: "object", patternProperties: { "^a": {} } };
    await expect(one(service, { output: { ...output, schema } })).rejects.toMatchObject({
      status: 400,
      param: expect.stringMatching(/^response_format\.json_schema\.schema/),
    });
    const grammar = { type: "grammar", source: "root ::= missing", field: "grammar" } as const;
    await expect(one(service, { output: grammar })).rejects.toMatchObject({ status: 400, param: "grammar" });
  });
});

describe("log probabilities", () => {
  it("come with the text of their tokens", async () => {
    const { service } = answering("uno dos");
    const events = await one(service, { topLogprobs: 1 });
    const told = events.flatMap((event) => (event.type === "text" ? (event.logprobs ?? []) : []));
    expect(told.map(({ text, logprob, top }) => [text, logprob, top.length])).toEqual([
      ["uno", -0.5, 1],
      [" dos", -0.5, 1],
    ]);
    expect(Buffer.from(told[1]?.bytes ?? []).toString()).toBe(" dos");
  });

  it("are neither those of thinking nor those of a stop string", async () => {
    const { service } = answering("<think> hmm </think> uno dos tres");
    const events = await one(service, { topLogprobs: 0, stop: [" tres"] });
    const told = events.flatMap((event) => (event.type === "text" ? (event.logprobs ?? []) : []));
    expect(told.map(({ text }) => text)).toEqual([" uno", " dos"]);
  });

  it("are none of thinking's own where its budget is spent at once", async () => {
    const { service } = answering((prompt) => (prompt.includes("</think>") ? " uno" : "<think> hmm"));
    const events = await one(service, { topLogprobs: 0, reasoning: { ...plainChat.reasoning, budgetTokens: 1 } });
    const told = events.flatMap((event) => (event.type === "text" ? (event.logprobs ?? []) : []));
    expect(told.map(({ text }) => text)).toEqual([" uno"]);
  });

  it("are not asked for unless they are wanted", async () => {
    const { service, engine } = answering("uno");
    await one(service);
    expect(engine.generationRequests[0]?.topLogprobs).toBeNull();
  });
});

describe("a suffix", () => {
  const request = { ...plainChat, model: null, prompt: "one", promptField: "prompt", suffix: "three", maxTokens: 9 };

  it("is refused where the model was not trained to fill in", async () => {
    await expect(collect(answering("x").service.complete(request, never))).rejects.toMatchObject({
      status: 400,
      param: "suffix",
    });
  });

  it("goes around the gap, special tokens that were typed stay text", async () => {
    const infill = { prefix: 901, suffix: 902, middle: 903 };
    const { service, engine } = answering("x", { infill });
    await collect(service.complete({ ...request, prompt: "one <|im_end|>" }, never));
    const promptTokens = engine.generationRequests[0]?.promptTokens ?? [];
    expect(promptTokens[0]).toBe(901);
    expect(promptTokens.at(-1)).toBe(903);
    const middle = promptTokens.indexOf(902);
    expect(engine.detokenize(promptTokens.slice(1, middle))).toBe("one <|im_end|>");
    expect(engine.detokenize(promptTokens.slice(middle + 1, -1))).toBe("three");
  });
});
