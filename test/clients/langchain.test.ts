// LangChain's ChatOpenAI against a listening server.
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { PublicError } from "../../src/core/errors.ts";
import { type AnswerScript, calling, ending, failing, saying, telling } from "../support/fake-services.ts";
import { listen, sayingUntilAborted } from "./listening-services.ts";

const weather = tool(({ city }) => `sunny in ${city}`, {
  name: "weather",
  description: "The weather.",
  schema: z.object({ city: z.string() }),
});
const callScript = telling(...calling(0, "call_a", "weather", '{"ci', 'ty":"Lima"}'), ending({ reason: "tool_calls" }));

async function setUp(script: AnswerScript) {
  const { services, url } = await listen();
  services.chat.script = script;
  const model = new ChatOpenAI({
    model: "phi4_fast",
    apiKey: "key",
    maxRetries: 1,
    configuration: { baseURL: `${url}/v1` },
  });
  return { chat: services.chat, model };
}

it("invokes", async () => {
  const { model } = await setUp(saying("Hello", " there"));
  const answer = await model.invoke("Hi");
  expect(answer.content).toBe("Hello there");
  expect(answer.usage_metadata).toMatchObject({ input_tokens: 10, output_tokens: 6, total_tokens: 16 });
  expect(answer.response_metadata).toMatchObject({ finish_reason: "stop", system_fingerprint: "b1.2.3" });
});

it("streams", async () => {
  const { model } = await setUp(saying("Hello", " there"));
  const texts = [];
  for await (const chunk of await model.stream("Hi")) texts.push(chunk.text);
  expect(texts.join("")).toBe("Hello there");
});

describe("tools", () => {
  it.each(["whole", "streamed"])("are called and answered, %s", async (form) => {
    const { model, chat } = await setUp(callScript);
    const bound = model.bindTools([weather]);
    let answer = form === "whole" ? await bound.invoke("Hi") : undefined;
    if (answer === undefined) {
      for await (const chunk of await bound.stream("Hi")) answer = answer === undefined ? chunk : answer.concat(chunk);
    }
    expect(answer?.tool_calls).toMatchObject([{ name: "weather", args: { city: "Lima" }, id: "call_a" }]);
    chat.script = saying("Sunny.");
    const result = new ToolMessage({ content: "sunny in Lima", tool_call_id: "call_a" });
    expect((await bound.invoke([new HumanMessage("Hi"), answer!, result])).content).toBe("Sunny.");
    expect(chat.chats[1]?.messages.slice(1)).toEqual([
      { role: "assistant", content: "", toolCalls: [{ id: "call_a", name: "weather", arguments: '{"city":"Lima"}' }] },
      { role: "tool", content: "sunny in Lima", toolCallId: "call_a" },
    ]);
  });

  it("can be forced", async () => {
    const { model, chat } = await setUp(callScript);
    await model.bindTools([weather], { tool_choice: "weather" }).invoke("Hi");
    expect(chat.chats[0]?.tools?.choice).toEqual({ name: "weather" });
  });
});

describe("withStructuredOutput", () => {
  const schema = z.object({ city: z.string(), people: z.number() });

  it.each(["jsonSchema", "jsonMode"] as const)("by %s", async (method) => {
    const { model, chat } = await setUp(saying('{"city":"Lima",', '"people":10}'));
    const structured = model.withStructuredOutput(schema, { method, name: "place" });
    expect(await structured.invoke("Answer in JSON.")).toEqual({ city: "Lima", people: 10 });
    expect(chat.chats[0]?.output?.type).toBe(method === "jsonMode" ? "json_object" : "json_schema");
  });

  it("by functionCalling", async () => {
    const written = '{"city":"Lima","people":10}';
    const { model, chat } = await setUp(
      telling(...calling(0, "a", "place", written), ending({ reason: "tool_calls" })),
    );
    const structured = model.withStructuredOutput(schema, { method: "functionCalling", name: "place" });
    expect(await structured.invoke("Hi")).toEqual({ city: "Lima", people: 10 });
    expect(chat.chats[0]?.tools?.choice).toEqual({ name: "place" });
  });
});

describe("errors", () => {
  it("say what went wrong, and are tried again where that helps", async () => {
    const { model, chat } = await setUp(saying(""));
    await expect(model.invoke([])).rejects.toThrow("messages must be an array of 1 to 4096 messages");
    chat.script = (request, signal) =>
      (chat.chats.length === 1
        ? failing(
            new PublicError("Full.", { status: 429, type: "rate_limit_error", code: "queue_full", retryAfterS: 1 }),
          )
        : saying("at last"))(request, signal);
    expect((await model.invoke("Hi")).content).toBe("at last");
  });

  it("ends the answer behind it when it is aborted", async () => {
    const { model, chat } = await setUp(sayingUntilAborted("Hello"));
    const abort = new AbortController();
    const read = async () => {
      for await (const chunk of await model.stream("Hi", { signal: abort.signal })) {
        if (chunk.content === "Hello") abort.abort();
      }
    };
    await expect(read()).rejects.toThrow(/abort/i);
    await expect.poll(() => chat.endedCount).toBe(1);
  });
});
