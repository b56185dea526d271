import { describe, expect, it } from "vitest";
import type { ChatMessage } from "../../src/engine/engine.ts";
import { planConversation } from "../../src/formats/conversation-plan.ts";
import { template, templates, tools } from "./recordings.ts";

const call = (id: string, name: string, written = "{}") => ({ id, name, arguments: written });
const history: readonly ChatMessage[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Weather and time?" },
  {
    role: "assistant",
    content: "Let me look.",
    toolCalls: [call("call_a", "get_weather", '{"city": "Rome"}'), call("call_b", "get_time")],
  },
  { role: "tool", content: "12:00", toolCallId: "call_b" },
  { role: "tool", content: "sunny", toolCallId: "call_a" },
  { role: "user", content: "And tomorrow?" },
];

describe("a template with a form for tools", () => {
  it("gets tools and messages as they are, with the choice none, too", () => {
    expect(planConversation(templates.hermes, history, tools)).toEqual({ messages: history, tools: tools.tools });
    expect(planConversation(templates.hermes, history, { ...tools, choice: "none" }).tools).toEqual(tools.tools);
    expect(planConversation(templates.hermes, history, null)).toEqual({ messages: history, tools: [] });
  });

  it("gets ids of nine characters where it takes no others, the same in call and result", () => {
    const { messages } = planConversation(templates.mistral, history, tools);
    const ids = messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id }) => id));
    expect(ids).toHaveLength(2);
    for (const id of ids) expect(id).toMatch(/^[a-zA-Z0-9]{9}$/u);
    expect(messages.filter(({ role }) => role === "tool").map(({ toolCallId }) => toolCallId)).toEqual(
      ids.toReversed(),
    );
    const kept = [{ role: "assistant", content: "", toolCalls: [call("VvvODy9mT", "get_time")] }] as const;
    expect(planConversation(templates.mistral, kept, tools).messages).toEqual(kept);
  });

  it("gets calls one by one where it takes no more", () => {
    const llama = template(`${templates.llama.source} This model only supports single tool-calls at once!`);
    const { messages } = planConversation(llama, history, tools);
    expect(messages.map(({ role, toolCalls, toolCallId }) => toolCallId ?? toolCalls?.[0]?.id ?? role)).toEqual([
      "system",
      "user",
      "call_a",
      "call_a",
      "call_b",
      "call_b",
      "user",
    ]);
    expect(messages.map(({ content }) => content).slice(2, 6)).toEqual(["Let me look.", "sunny", "", "12:00"]);
  });

  it("gets earlier calls as text in its own form where it shows none", () => {
    const granite = { ...templates.granite, takesToolMessages: false };
    const { messages, tools: handed } = planConversation(granite, history, tools);
    expect(handed).toEqual(tools.tools);
    expect(messages[2]?.content).toBe(
      'Let me look.\n<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Rome"}}, {"name": "get_time", "arguments": {}}]',
    );
  });
});

describe("a template without one", () => {
  const { messages, tools: handed } = planConversation(templates.generic, history, tools);

  it("gets tools described in the system message", () => {
    expect(handed).toEqual([]);
    expect(messages[0]?.content).toMatch(/^Be brief\.\n\n.*"name":"get_weather".*<tool_call>/su);
    const without = planConversation(templates.generic, [{ role: "user", content: "Hi" }], tools).messages;
    expect(without.map(({ role }) => role)).toEqual(["system", "user"]);
  });

  it("gets calls and results as text, user and assistant in turn", () => {
    expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user"]);
    expect(messages.some((message) => message.toolCalls !== undefined)).toBe(false);
    expect(messages[2]?.content).toBe(
      'Let me look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>',
    );
    expect(messages[3]?.content).toBe(
      '<tool_response name="get_time">\n12:00\n</tool_response>\n<tool_response name="get_weather">\nsunny\n</tool_response>\nAnd tomorrow?',
    );
  });

  it("gets no tools where none were sent, and no change where there is nothing to tell", () => {
    const said = history.slice(0, 2);
    expect(planConversation(templates.generic, said, null)).toEqual({ messages: said, tools: [] });
    expect(planConversation(templates.generic, history, null).messages[0]?.content).toBe("Be brief.");
  });
});

it("refuses a call whose arguments are no JSON object", () => {
  for (const written of ["", "5", "{", "[1]"]) {
    const messages = [{ role: "assistant", content: "", toolCalls: [call("a", "get_time", written)] }] as const;
    expect(() => planConversation(templates.hermes, messages, null)).toThrow(
      expect.objectContaining({ status: 400, param: "messages[0].tool_calls[0].function.arguments" }),
    );
  }
});
