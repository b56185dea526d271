// The `openai` client against a listening server: whole and streamed answers, its helpers, tools, errors and retries.
import OpenAI, { AuthenticationError, NotFoundError, RateLimitError } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { invalidRequest, PublicError } from "../../src/core/errors.ts";
import { type AnswerScript, calling, ending, failing, saying, telling } from "../support/fake-services.ts";
import { listen, sayingUntilAborted } from "./listening-services.ts";

const model = "phi4_fast";
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "Hi" }];
const weather: OpenAI.ChatCompletionFunctionTool = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

async function setUp(
  script?: AnswerScript,
  options: { readonly maxRetries?: number; readonly apiKeys?: string[] } = {},
) {
  const { services, url } = await listen(undefined, { apiKeys: options.apiKeys ?? [] });
  if (script !== undefined) services.chat.script = script;
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "key", maxRetries: options.maxRetries ?? 0 });
  return { chat: services.chat, client };
}

const twoCalls = telling(
  { type: "reasoning", text: "The user " },
  { type: "reasoning", text: "asks." },
  ...calling(0, "call_a", "weather", '{"city"', ':"Lima"}'),
  ...calling(1, "call_b", "weather", '{"city":"Quito"}'),
  ending({ reason: "tool_calls" }),
);

describe("chat.completions.create", () => {
  it("reads a whole answer", async () => {
    const { client } = await setUp(saying("Hello", " there"));
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    expect(data.choices[0]?.message).toEqual({ role: "assistant", content: "Hello there", refusal: null });
    expect(data.usage?.total_tokens).toBe(16);
    expect(response.headers.get("x-expert")).toBe(model);
  });

  it("reads a streamed answer and its usage", async () => {
    const { client } = await setUp(saying("Hello", " there"));
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage;
    }
    expect(text).toBe("Hello there");
    expect(usage).toMatchObject({ prompt_tokens: 10, prompt_tokens_details: { cached_tokens: 4 } });
  });

  it("gives every parameter that its types know on to the service", async () => {
    const { client, chat } = await setUp();
    const { response } = await client.chat.completions
      .create({
        model,
        messages,
        temperature: 0.5,
        top_p: 0.9,
        frequency_penalty: 0.1,
        presence_penalty: 0.2,
        logit_bias: { "5": -100 },
        logprobs: true,
        top_logprobs: 2,
        max_completion_tokens: 30,
        n: 1,
        seed: 7,
        stop: ["a", "b"],
        reasoning_effort: "minimal",
        user: "u",
        metadata: { a: "b" },
        store: false,
        service_tier: "auto",
        prediction: { type: "content", content: "x" },
        prompt_cache_key: "k",
        safety_identifier: "s",
        verbosity: "low",
        modalities: ["text"],
      })
      .withResponse();
    expect(chat.chats[0]).toMatchObject({
      maxTokens: 30,
      stop: ["a", "b"],
      topLogprobs: 2,
      sampling: {
        temperature: 0.5,
        topP: 0.9,
        frequencyPenalty: 0.1,
        presencePenalty: 0.2,
        seed: 7,
        logitBias: [[5, -100]],
      },
      reasoning: { effort: "low" },
    });
    expect(response.headers.get("x-ignored-parameters")).toBe("prediction, verbosity");
  });

  it("reads log probabilities", async () => {
    const named = (text: string, logprob: number) => ({ text, token: 1, logprob, bytes: Buffer.from(text) });
    const script = telling(
      {
        type: "text",
        text: "Hé",
        logprobs: [{ ...named("Hé", -0.5), top: [named("Hé", -0.5), named("x", -Infinity)] }],
      },
      ending(),
    );
    const { client } = await setUp(script);
    const answer = await client.chat.completions.create({ model, messages, logprobs: true, top_logprobs: 2 });
    expect(answer.choices[0]?.logprobs).toEqual({
      content: [
        {
          token: "Hé",
          logprob: -0.5,
          bytes: [72, 195, 169],
          top_logprobs: [
            { token: "Hé", logprob: -0.5, bytes: [72, 195, 169] },
            { token: "x", logprob: -9999, bytes: [120] },
          ],
        },
      ],
      refusal: null,
    });
  });

  it("reads several choices, whole and streamed", async () => {
    let count = 0;
    const { client, chat } = await setUp((request, signal) => saying(`answer ${count++}`)(request, signal));
    const whole = await client.chat.completions.create({ model, messages, n: 3, seed: 5 });
    expect(whole.choices.map((choice) => [choice.index, choice.message.content])).toEqual([
      [0, "answer 0"],
      [1, "answer 1"],
      [2, "answer 2"],
    ]);
    expect(whole.usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 18 });
    expect(chat.chats.map(({ choice }) => choice)).toEqual([0, 1, 2]);
    count = 0;
    const final = await client.chat.completions.stream({ model, messages, n: 3 }).finalChatCompletion();
    expect(final.choices.map((choice) => choice.message.content)).toEqual(["answer 0", "answer 1", "answer 2"]);
    expect(chat.endedCount).toBe(6);
  });
});

describe("structured output", () => {
  const schema = z.object({ city: z.string(), people: z.int() });

  it("is parsed by chat.completions.parse", async () => {
    const { client, chat } = await setUp(saying('{"city":"Lima",', '"people":10}'));
    const response_format = zodResponseFormat(schema, "place");
    const answer = await client.chat.completions.parse({ model, messages, response_format });
    expect(answer.choices[0]?.message.parsed).toEqual({ city: "Lima", people: 10 });
    expect(chat.chats[0]?.output).toMatchObject({
      type: "json_schema",
      schema: { type: "object", required: ["city", "people"], additionalProperties: false },
      field: "response_format.json_schema.schema",
    });
  });

  it("is parsed by the stream helper", async () => {
    const { client } = await setUp(saying('{"city":"Li', 'ma","people":10}'));
    const stream = client.chat.completions.stream({
      model,
      messages,
      response_format: zodResponseFormat(schema, "place"),
    });
    expect((await stream.finalChatCompletion()).choices[0]?.message.parsed).toEqual({ city: "Lima", people: 10 });
  });

  it("that was cut and completed has the finish reason length", async () => {
    const { client } = await setUp(telling({ type: "text", text: "{}" }, ending({ isCompleted: true })));
    const answer = await client.chat.completions.create({ model, messages, response_format: { type: "json_object" } });
    expect(answer.choices[0]).toMatchObject({ finish_reason: "length", message: { content: "{}" } });
  });
});

describe("tools", () => {
  it("are called in a whole answer", async () => {
    const { client, chat } = await setUp(twoCalls);
    const answer = await client.chat.completions.create({ model, messages, tools: [weather], tool_choice: "required" });
    expect(answer.choices[0]).toEqual({
      index: 0,
      logprobs: null,
      finish_reason: "tool_calls",
      message: {
        role: "assistant",
        content: null,
        refusal: null,
        reasoning_content: "The user asks.",
        tool_calls: [
          { id: "call_a", type: "function", function: { name: "weather", arguments: '{"city":"Lima"}' } },
          { id: "call_b", type: "function", function: { name: "weather", arguments: '{"city":"Quito"}' } },
        ],
      },
    });
    expect(chat.chats[0]?.tools).toEqual({
      tools: [{ name: "weather", description: null, parameters: weather.function.parameters }],
      choice: "required",
      parallel: true,
      field: "tools",
    });
  });

  it("are called in a streamed answer, which the stream helper puts together", async () => {
    const { client } = await setUp(twoCalls);
    const stream = client.chat.completions.stream({ model, messages, tools: [weather] });
    const deltas: string[] = [];
    stream.on("tool_calls.function.arguments.delta", ({ arguments_delta }) => deltas.push(arguments_delta));
    const [choice] = (await stream.finalChatCompletion()).choices;
    expect(choice?.finish_reason).toBe("tool_calls");
    expect(choice?.message.tool_calls).toMatchObject([
      { id: "call_a", type: "function", function: { name: "weather", arguments: '{"city":"Lima"}' } },
      { id: "call_b", type: "function", function: { name: "weather", arguments: '{"city":"Quito"}' } },
    ]);
    expect(deltas.filter((delta) => delta !== "")).toEqual(['{"city"', ':"Lima"}', '{"city":"Quito"}']);
  });

  it("are run by runTools, and their results come back as messages", async () => {
    const { client, chat } = await setUp((request, signal) =>
      (chat.chats.length === 1 ? twoCalls : saying("Sunny."))(request, signal),
    );
    const runner = client.chat.completions.runTools({
      model,
      messages,
      stream: true,
      tools: [
        {
          type: "function",
          function: {
            name: "weather",
            description: "The weather.",
            parameters: { type: "object", properties: { city: { type: "string" } } },
            parse: JSON.parse,
            function: ({ city }: { city: string }) => `sunny in ${city}`,
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe("Sunny.");
    expect(chat.chats[1]?.messages.slice(1)).toEqual([
      {
        role: "assistant",
        content: "",
        toolCalls: [
          { id: "call_a", name: "weather", arguments: '{"city":"Lima"}' },
          { id: "call_b", name: "weather", arguments: '{"city":"Quito"}' },
        ],
      },
      { role: "tool", content: "sunny in Lima", toolCallId: "call_a" },
      { role: "tool", content: "sunny in Quito", toolCallId: "call_b" },
    ]);
  });
});

describe("completions.create", () => {
  it("reads whole and streamed answers to several prompts", async () => {
    const { client } = await setUp((request, signal) =>
      saying(`[${"prompt" in request ? String(request.prompt) : ""}]`)(request, signal),
    );
    const whole = await client.completions.create({ model, prompt: ["a", "b"], max_tokens: 5, echo: true });
    expect(whole.choices.map(({ text }) => text)).toEqual(["a[a]", "b[b]"]);
    const texts = ["", ""];
    for await (const chunk of await client.completions.create({ model, prompt: ["a", "b"], stream: true })) {
      for (const choice of chunk.choices) texts[choice.index] += choice.text;
    }
    expect(texts).toEqual(["[a]", "[b]"]);
  });
});

describe("an abort", () => {
  it("ends the answer behind it", async () => {
    const { client, chat } = await setUp(sayingUntilAborted("Hello"));
    const stream = await client.chat.completions.create({ model, messages, stream: true, n: 2 });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content === "Hello") stream.controller.abort();
    }
    await expect.poll(() => chat.endedCount).toBe(2);
  });
});

describe("errors and retries", () => {
  const busy = (retryAfterS: number) =>
    new PublicError("The queue is full.", { status: 429, type: "rate_limit_error", code: "queue_full", retryAfterS });

  it("turns statuses into the client's errors", async () => {
    const { client, chat } = await setUp();
    await expect(client.chat.completions.create({ model: "gpt-4o", messages })).rejects.toThrow(NotFoundError);
    await expect(client.chat.completions.create({ model, messages: [] })).rejects.toMatchObject({
      status: 400,
      param: "messages",
      code: "invalid_value",
      type: "invalid_request_error",
    });
    chat.script = failing(busy(1));
    await expect(client.chat.completions.create({ model, messages })).rejects.toThrow(RateLimitError);
    const guarded = await setUp(undefined, { apiKeys: ["another"] });
    await expect(guarded.client.models.list()).rejects.toThrow(AuthenticationError);
  });

  it("tries again after a 429, and not where a retry cannot help", async () => {
    const { client, chat } = await setUp(undefined, { maxRetries: 2 });
    chat.script = (request, signal) =>
      (chat.chats.length === 1 ? failing(busy(0.001)) : saying("at last"))(request, signal);
    const answer = await client.chat.completions.create({ model, messages });
    expect(answer.choices[0]?.message.content).toBe("at last");
    expect(chat.chats).toHaveLength(2);
    chat.script = failing(
      new PublicError("Broken.", { status: 503, type: "unavailable_error", code: "load_failed", shouldRetry: false }),
    );
    await expect(client.chat.completions.create({ model, messages })).rejects.toThrow("Broken.");
    expect(chat.chats).toHaveLength(3);
  });

  it("throws where a stream ends with an error", async () => {
    const script = failing(
      invalidRequest("Too long."),
      { type: "started", promptTokens: 1, cachedTokens: 0 },
      { type: "text", text: "a" },
    );
    const { client } = await setUp(script);
    const read = async () => {
      const texts: (string | null | undefined)[] = [];
      const stream = await client.chat.completions.create({ model, messages, stream: true });
      for await (const { choices } of stream) texts.push(choices[0]?.delta.content);
      return texts;
    };
    await expect(read()).rejects.toThrow("Too long.");
  });
});
