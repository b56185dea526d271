// The AI SDK with its OpenAI-compatible provider against a listening server.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { PublicError } from "../../src/core/errors.ts";
import { type AnswerScript, calling, ending, failing, saying, telling } from "../support/fake-services.ts";
import { listen, sayingUntilAborted } from "./listening-services.ts";

const prompt = "Hi";
const callScript = telling(
  { type: "reasoning", text: "Let me " },
  { type: "reasoning", text: "look." },
  ...calling(0, "call_a", "weather", '{"ci', 'ty":"Lima"}'),
  ending({ reason: "tool_calls" }),
);
const weather = tool({
  description: "The weather.",
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) => Promise.resolve({ sky: `sunny in ${city}` }),
});

async function setUp(script: AnswerScript) {
  const { services, url } = await listen();
  services.chat.script = script;
  const provider = createOpenAICompatible({
    name: "experts",
    baseURL: `${url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
  return { chat: services.chat, model: provider("phi4_fast"), completions: provider.completionModel("phi4_fast") };
}

/** Calls the tool first, and speaks once its result is there. */
function callingOnce(): AnswerScript {
  return (request, signal) => {
    const hasResult = "messages" in request && request.messages.some(({ role }) => role === "tool");
    return (hasResult ? saying("Sunny ", "there.") : callScript)(request, signal);
  };
}

describe("generateText", () => {
  it("reads text, usage and the reason of the end", async () => {
    const { model } = await setUp(saying("Hello", " there"));
    const { text, usage, finishReason } = await generateText({ model, prompt });
    expect(text).toBe("Hello there");
    expect(usage).toMatchObject({ inputTokens: 10, outputTokens: 6, cachedInputTokens: 4 });
    expect(finishReason).toBe("stop");
  });

  it("runs tools, hands their results and the reasoning back, and reads what follows", async () => {
    const { model, chat } = await setUp(callingOnce());
    const answer = await generateText({ model, prompt, tools: { weather }, stopWhen: stepCountIs(3) });
    expect(answer.text).toBe("Sunny there.");
    expect(answer.steps[0]?.reasoningText).toBe("Let me look.");
    expect(answer.steps[0]?.toolCalls).toMatchObject([{ toolCallId: "call_a", input: { city: "Lima" } }]);
    expect(chat.chats[0]?.tools).toMatchObject({
      choice: "auto",
      tools: [{ name: "weather", description: "The weather." }],
    });
    expect(chat.chats[1]?.messages.slice(1)).toEqual([
      {
        role: "assistant",
        content: "",
        reasoning: "Let me look.",
        toolCalls: [{ id: "call_a", name: "weather", arguments: '{"city":"Lima"}' }],
      },
      { role: "tool", content: '{"sky":"sunny in Lima"}', toolCallId: "call_a" },
    ]);
  });

  it("continues a text by the completion endpoint", async () => {
    const { completions, chat } = await setUp(saying("a time"));
    const { text } = await generateText({ model: completions, prompt: "Once upon", maxOutputTokens: 4 });
    expect(text).toBe("a time");
    expect(chat.completions[0]?.maxTokens).toBe(4);
  });
});

describe("structured output", () => {
  it("is asked for by a schema, and parsed", async () => {
    const { model, chat } = await setUp(saying('{"city":"Lima"}'));
    const { output } = await generateText({
      model,
      prompt,
      output: Output.object({ schema: z.object({ city: z.string() }) }),
    });
    expect(output).toEqual({ city: "Lima" });
    expect(chat.chats[0]?.output).toMatchObject({ type: "json_schema", schema: { required: ["city"] } });
  });

  it("comes in parts", async () => {
    const { model } = await setUp(saying('{"city":', '"Lima","people"', ":10}"));
    const { partialOutputStream, output } = streamText({
      model,
      prompt,
      output: Output.object({ schema: z.object({ city: z.string(), people: z.number() }) }),
    });
    const parts = [];
    for await (const part of partialOutputStream) parts.push(part);
    expect(parts.at(-1)).toEqual({ city: "Lima", people: 10 });
    expect(await output).toEqual({ city: "Lima", people: 10 });
  });
});

describe("streamText", () => {
  it("reads text, usage and the reason of the end", async () => {
    const { model } = await setUp(saying("Hello", " there"));
    const result = streamText({ model, prompt });
    const texts = [];
    for await (const text of result.textStream) texts.push(text);
    expect(texts.join("")).toBe("Hello there");
    expect(await result.usage).toMatchObject({ inputTokens: 10, outputTokens: 6 });
    expect(await result.finishReason).toBe("stop");
  });

  it("runs tools, and tells reasoning, arguments and text as they come", async () => {
    const { model } = await setUp(callingOnce());
    const result = streamText({ model, prompt, tools: { weather }, stopWhen: stepCountIs(3) });
    const told: string[] = [];
    for await (const part of result.fullStream) {
      if (part.type === "reasoning-delta" || part.type === "text-delta") told.push(part.text);
      if (part.type === "tool-input-delta") told.push(part.delta);
      if (part.type === "tool-result") told.push(JSON.stringify(part.output));
    }
    expect(told.join("|")).toBe('Let me |look.|{"ci|ty":"Lima"}|{"sky":"sunny in Lima"}|Sunny |there.');
  });

  it("ends the answer behind it when it is aborted", async () => {
    const { model, chat } = await setUp(sayingUntilAborted("Hello"));
    const abort = new AbortController();
    const { textStream } = streamText({ model, prompt, abortSignal: abort.signal });
    for await (const text of textStream) if (text === "Hello") abort.abort();
    await expect.poll(() => chat.endedCount).toBe(1);
  });
});

describe("errors", () => {
  it("carry the status and the message, and are tried again where that helps", async () => {
    const { model, chat } = await setUp(
      failing(new PublicError("Broken.", { status: 507, type: "insufficient_memory_error", code: "too_large" })),
    );
    const failed = generateText({ model, prompt, maxRetries: 0 });
    await expect(failed).rejects.toThrow("Broken.");
    await expect(failed).rejects.toBeInstanceOf(APICallError);
    chat.script = (request, signal) =>
      (chat.chats.length === 2
        ? failing(
            new PublicError("Full.", { status: 429, type: "rate_limit_error", code: "queue_full", retryAfterS: 1 }),
          )
        : saying("at last"))(request, signal);
    expect((await generateText({ model, prompt, maxRetries: 1 })).text).toBe("at last");
  });
});
