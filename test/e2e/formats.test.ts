// Formats and tools end to end: the built program, the real engine, models of random weights that never would write what is
// asked for, and the official clients. Whatever the token limit: what comes back parses and is what the schema says.
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { validatorOf } from "../support/json-judge.ts";
import { schemas } from "../support/json-schemas.ts";
import { type RunningServer, startServer } from "../support/server-process.ts";
import { fileFolder } from "../support/temporary-folder.ts";
import { tinyModel, type TinyPresetName } from "../support/tiny-models.ts";

/** Of different vocabularies and templates: two that take tools, one that takes none. */
const presets = ["tiny-qwen2", "tiny-command-r", "tiny-gemma3"] as const satisfies readonly TinyPresetName[];
const folder = fileFolder();

let server: RunningServer;
let openai: OpenAI;

beforeAll(async () => {
  const experts = await Promise.all(
    presets.map(async (preset) => ({
      expert_id: preset,
      model_path: await tinyModel(preset, { stable: false }),
      domain: "general",
      max_model_len: 4096,
      parallel: 2,
    })),
  );
  const config = path.join(folder(), "config.json");
  writeFileSync(config, JSON.stringify({ experts, default_model: presets[0] }));
  server = await startServer({ args: ["--config", config] });
  openai = new OpenAI({ baseURL: `${server.baseUrl}/v1`, apiKey: "none", maxRetries: 0 });
}, 60_000);

afterAll(async () => {
  await server.stop();
});

const person = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 2, maxLength: 20 },
    born: { type: "string", format: "date" },
    role: { enum: ["formulario", "consulta", "intervención"] },
    scores: { type: "array", items: { type: "number", minimum: 0, maximum: 10 }, minItems: 1, maxItems: 3 },
    boss: { anyOf: [{ $ref: "#" }, { type: "null" }] },
  },
  required: ["name", "born", "role", "scores", "boss"],
  additionalProperties: false,
} as const;

const weather = {
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string", enum: ["C", "F"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};
const tool = { type: "function" as const, function: { name: "get_weather", parameters: weather } };

function isValid(schema: object, text: string): boolean {
  return validatorOf(schema)(JSON.parse(text));
}

const question = (model: string, more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) => ({
  model,
  seed: 7,
  messages: [{ role: "user" as const, content: "Who is it?" }],
  ...more,
});
const schemaFormat = {
  type: "json_schema" as const,
  json_schema: { name: "person", strict: true, schema: person },
};

describe.each(presets)("%s", (model) => {
  it.each([1, 2, 3, 5, 9, 17, 33, 70, 140])("keeps to a schema in %i tokens", async (max_tokens) => {
    for (const temperature of [0, 1]) {
      const answer = await openai.chat.completions.create(
        question(model, { max_tokens, temperature, response_format: schemaFormat }),
      );
      const [choice] = answer.choices;
      expect(isValid(person, choice?.message.content ?? "")).toBe(true);
      expect(["stop", "length"]).toContain(choice?.finish_reason);
    }
  });

  it("streams the same as it answers whole", async () => {
    const asked = question(model, { max_tokens: 40, temperature: 0, response_format: schemaFormat });
    const whole = await openai.chat.completions.create(asked);
    let text = "";
    for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true }))
      text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe(whole.choices[0]?.message.content);
  });

  it.each([8, 200])("calls the tool that it must call, in %i tokens", async (max_tokens) => {
    const answer = await openai.chat.completions.create(
      question(model, { max_tokens, temperature: 1, tools: [tool], tool_choice: "required" }),
    );
    const calls = answer.choices[0]?.message.tool_calls ?? [];
    expect(calls.length).toBeGreaterThan(0);
    for (const call of calls) {
      if (call.type !== "function") throw new Error(`a call of type ${call.type}`);
      expect(call.function.name).toBe("get_weather");
      expect(isValid(weather, call.function.arguments)).toBe(true);
    }
  });

  it("takes what the tool says, and goes on", async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: "user", content: "How is the weather?" },
      {
        role: "assistant",
        tool_calls: [
          {
            id: "call00001",
            type: "function",
            function: { name: "get_weather", arguments: '{"city":"Lima","unit":"C"}' },
          },
        ],
      },
      { role: "tool", tool_call_id: "call00001", content: "20 degrees" },
    ];
    const answer = await openai.chat.completions.create({ model, messages, tools: [tool], max_tokens: 4, seed: 1 });
    expect(answer.usage?.completion_tokens).toBeGreaterThan(0);
  });

  it("keeps to a grammar", async () => {
    const grammar = 'root ::= ("sí" | "no") ", " [a-z]{3,5} "!"';
    const answer = await openai.chat.completions.create(
      Object.assign(question(model, { max_tokens: 30, temperature: 1 }), { grammar }),
    );
    expect(answer.choices[0]?.message.content).toMatch(/^(sí|no), [a-z]{3,5}!$/);
    expect(answer.choices[0]?.finish_reason).toBe("stop");
  });
});

it("keeps to schemas of all kinds, wherever the token limit cuts", async () => {
  await fc.assert(
    fc.asyncProperty(
      schemas,
      fc.constantFrom(...presets),
      fc.integer({ min: 1, max: 120 }),
      fc.nat(1000),
      async (schema, model, max_tokens, seed) => {
        const answer = await openai.chat.completions.create(
          question(model, {
            max_tokens,
            seed,
            temperature: 1,
            response_format: { type: "json_schema", json_schema: { name: "any", schema: { ...schema } } },
          }),
        );
        const text = answer.choices[0]?.message.content ?? "";
        expect([text, isValid(schema, text)]).toEqual([text, true]);
      },
    ),
    { numRuns: Number(process.env["SCHEMA_RUNS"] ?? 100), seed: 20_261_121 },
  );
}, 600_000);

describe("other dialects", () => {
  const [model] = presets;

  it("Anthropic's tools are called as they must be", async () => {
    const anthropic = new Anthropic({ baseURL: server.baseUrl, apiKey: "none", maxRetries: 0 });
    const message = await anthropic.messages.create({
      model,
      max_tokens: 60,
      messages: [{ role: "user", content: "How is the weather?" }],
      tools: [{ name: "get_weather", input_schema: { ...weather, type: "object" } }],
      tool_choice: { type: "tool", name: "get_weather" },
    });
    const used = message.content.find(({ type }) => type === "tool_use");
    if (used?.type !== "tool_use") throw new Error("no tool was used");
    expect(isValid(weather, JSON.stringify(used.input))).toBe(true);
  });

  it("Ollama's format is kept", async () => {
    const ollama = new Ollama({ host: server.baseUrl });
    const answer = await ollama.chat({
      model,
      messages: [{ role: "user", content: "Who is it?" }],
      format: person,
      options: { num_predict: 12 },
    });
    expect(isValid(person, answer.message.content)).toBe(true);
  });

  it("the Responses API's format is kept", async () => {
    const response = await openai.responses.create({
      model,
      input: "Who is it?",
      max_output_tokens: 12,
      text: { format: { type: "json_schema", name: "person", schema: person, strict: true } },
    });
    expect(isValid(person, response.output_text)).toBe(true);
    expect(response.status).toBe("incomplete");
  });
});

describe("n answers and log probabilities", () => {
  const [model] = presets;

  it("come together, each with its own text", async () => {
    const answer = await openai.chat.completions.create(
      Object.assign(
        question(model, { n: 3, max_tokens: 8, temperature: 2, top_p: 1, logprobs: true, top_logprobs: 2 }),
        {
          top_k: 0,
          min_p: 0,
        },
      ),
    );
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(new Set(answer.choices.map(({ message }) => message.content)).size).toBeGreaterThan(1);
    for (const { logprobs, message } of answer.choices) {
      const tokens = logprobs?.content ?? [];
      expect(tokens.length).toBeGreaterThan(0);
      for (const { logprob, top_logprobs } of tokens) {
        expect(logprob).toBeLessThanOrEqual(0);
        expect(top_logprobs).toHaveLength(2);
        expect(top_logprobs[0]?.logprob).toBeGreaterThanOrEqual(logprob);
      }
      const bytes = tokens.flatMap((token) => token.bytes ?? []);
      expect(Buffer.from(bytes).toString()).toBe(message.content);
    }
  });
});
