// What of tools is handed to a template, and what is told in words, because the template has no form for it. May import its
// neighbours, engine/ (types) and core/.
import { invalidRequest } from "../core/errors.ts";
import type { ChatMessage, TemplateFacts, ToolCall, ToolDefinition } from "../engine/engine.ts";
import type { ConversationPlan, ToolUse } from "./answer-format.ts";
import type { CallSyntax } from "./call-syntax.ts";
import { genericCalls, ownCalls } from "./families/registry.ts";
import { needsShortIds, shortened } from "./short-ids.ts";

/**
 * With the choice `none` the template gets the tools all the same: so the conversation's beginning stays what it was, and the
 * model knows what earlier calls meant. Throws a PublicError (400) for a call whose arguments are no JSON object.
 */
export function planConversation(
  template: TemplateFacts,
  messages: readonly ChatMessage[],
  tools: ToolUse | null,
): ConversationPlan {
  checkArguments(messages);
  const own = ownCalls(template);
  const isTaken = own !== null || tools === null;
  const called =
    isTaken && template.takesToolMessages ? taken(template, messages) : told(messages, own ?? genericCalls);
  if (tools === null) return { messages: called, tools: [] };
  if (own !== null) return { messages: called, tools: tools.tools };
  return { messages: withInstructions(called, tools), tools: [] };
}

// Templates parse them.
function checkArguments(messages: readonly ChatMessage[]): void {
  messages.forEach(({ toolCalls = [] }, index) => {
    toolCalls.forEach(({ arguments: written }, position) => {
      if (isJsonObject(written)) return;
      const field = `messages[${index}].tool_calls[${position}].function.arguments`;
      throw invalidRequest(`${field} must be a JSON object, written as a string.`, field);
    });
  });
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function taken(template: TemplateFacts, messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const single = template.source?.includes("only supports single tool-calls") === true ? oneByOne(messages) : messages;
  if (!needsShortIds(template)) return single;
  return single.map((message) => ({
    ...message,
    ...(message.toolCallId === undefined ? {} : { toolCallId: shortened(message.toolCallId) }),
    ...(message.toolCalls === undefined
      ? {}
      : { toolCalls: message.toolCalls.map((call) => ({ ...call, id: shortened(call.id) })) }),
  }));
}

// A message with several calls becomes several messages, each followed by its result.
function oneByOne(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const split: ChatMessage[] = [];
  let index = 0;
  while (index < messages.length) {
    const message = messages[index] as ChatMessage;
    index += 1;
    const { toolCalls = [], ...said } = message;
    if (toolCalls.length < 2) {
      split.push(message);
      continue;
    }
    const results: ChatMessage[] = [];
    while (messages[index]?.role === "tool") results.push(messages[index++] as ChatMessage);
    toolCalls.forEach((call, position) => {
      const answered = results.findIndex(({ toolCallId }) => toolCallId === call.id);
      split.push({ ...(position === 0 ? said : { role: "assistant", content: "" }), toolCalls: [call] });
      if (answered !== -1) split.push(...results.splice(answered, 1));
    });
    split.push(...results);
  }
  return split;
}

// Calls and results as text. Results are the user's messages, and one with what the user says next: many templates want user
// and assistant to take turns.
function told(messages: readonly ChatMessage[], syntax: CallSyntax): readonly ChatMessage[] {
  if (!messages.some(({ role, toolCalls = [] }) => role === "tool" || toolCalls.length > 0)) return messages;
  const names = new Map<string, string>();
  const written: ChatMessage[] = [];
  let isAfterResult = false;
  for (const message of messages) {
    const { toolCalls = [], ...said } = message;
    for (const { id, name } of toolCalls) names.set(id, name);
    const last = written.at(-1);
    if (message.role === "tool" || (message.role === "user" && isAfterResult)) {
      const text = message.role === "tool" ? resultText(message, names) : message.content;
      if (isAfterResult && last !== undefined) {
        written[written.length - 1] = { ...last, content: `${last.content}\n${text}` };
      } else written.push({ role: "user", content: text });
      isAfterResult = message.role === "tool";
      continue;
    }
    isAfterResult = false;
    if (toolCalls.length === 0) written.push(message);
    else
      written.push({
        ...said,
        content: [said.content, syntax.write(toolCalls)].filter((text) => text !== "").join("\n"),
      });
  }
  return written;
}

function resultText({ content, name, toolCallId }: ChatMessage, names: ReadonlyMap<string, string>): string {
  const called = name ?? (toolCallId === undefined ? undefined : names.get(toolCallId));
  return `<tool_response${called === undefined ? "" : ` name=${JSON.stringify(called)}`}>\n${content}\n</tool_response>`;
}

function withInstructions(messages: readonly ChatMessage[], { tools, choice, field }: ToolUse): readonly ChatMessage[] {
  const instructions = `${instructionsFor(tools, field)}${choice === "none" ? "\n\nDo not call a tool now." : ""}`;
  const [first, ...rest] = messages;
  if (first?.role === "system") return [{ ...first, content: `${first.content}\n\n${instructions}` }, ...rest];
  return [{ role: "system", content: instructions }, ...messages];
}

const exampleCall: ToolCall = { id: "", name: "name_of_the_tool", arguments: '{"name_of_an_argument": "its value"}' };

function instructionsFor(tools: readonly ToolDefinition[], field: string): string {
  const described = tools.map(({ name, description, parameters }) => {
    try {
      return JSON.stringify({ name, ...(description === null ? {} : { description }), parameters });
    } catch {
      throw invalidRequest(`The parameters of the tool ${JSON.stringify(name)} are nested too deeply.`, field);
    }
  });
  return [
    "You can use tools. These are their names, what they do, and JSON Schemas of their arguments:",
    described.join("\n"),
    `To use a tool, end your answer with a call of this form, and with one after the other for several calls:\n${genericCalls.write([exampleCall])}`,
    "You then get what the tool says, between <tool_response> and </tool_response>. Use tools only where they help; else answer in words.",
  ].join("\n\n");
}
