// A conversation as the data that a chat template works on, in llama-server's form, with what a template needs otherwise.
// Pure.
import { clip, invalidRequest } from "../../core/errors.ts";
import type { ChatMessage, ToolCall, ToolDefinition } from "../engine.ts";
import type { TemplateFamily } from "./prompt-openings.ts";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** What a template is given, besides switches. Every string of a caller's is in here. */
export interface TemplateInput {
  readonly messages: readonly JsonObject[];
  /** Null: none. */
  readonly tools: readonly JsonObject[] | null;
  /** The assistant's message that is to be continued; it is not among `messages`. */
  readonly continued: { readonly content: string; readonly reasoning: string } | null;
}

export interface ConversationTraits {
  /** The template takes a message's content as a list of parts only. */
  readonly needsTypedContent: boolean;
  readonly supportsSystemRole: boolean;
  /** Message texts lose the white space around them (StepFun: it drives that model into loops). */
  readonly trims: boolean;
  /** A call's arguments as a value, not as JSON text. */
  readonly takesObjectArguments: boolean;
  /** The template looks for the tools in the system message, as JSON text (Phi-4-mini). */
  readonly takesToolsInSystem: boolean;
  /** The template refuses ids of calls but those of nine letters and digits (Mistral). */
  readonly needsShortIds: boolean;
  readonly family: TemplateFamily | null;
  /** The template looks for tools' results in the message that called (Gemma 4 before its templates were mended). */
  readonly needsResultsInCall: boolean;
}

/** Deeper values would end in the engine's refusal, or in a call stack that is too small. */
const maxDepth = 128;

/** Throws a PublicError (400) where a role is unknown or a call's arguments are no JSON. */
export function templateInput(
  messages: readonly ChatMessage[],
  tools: readonly ToolDefinition[] | undefined,
  continuesLast: boolean,
  traits: ConversationTraits,
): TemplateInput {
  const history = continuesLast ? messages.slice(0, -1) : messages;
  const last = continuesLast ? messages.at(-1) : undefined;
  const written = history.map((message, index) => messageOf(message, index, traits));
  const offered = tools === undefined || tools.length === 0 ? null : tools.map(toolOf);
  const inSystem = offered !== null && traits.takesToolsInSystem;
  return {
    messages: inFamilyForm(withSystemFolded(inSystem ? withTools(written, offered) : written, traits), traits),
    tools: inSystem ? null : offered,
    continued:
      last === undefined
        ? null
        : { content: trimmed(last.content, traits), reasoning: trimmed(last.reasoning ?? "", traits) },
  };
}

const roles: readonly string[] = ["system", "user", "assistant", "tool"] satisfies readonly ChatMessage["role"][];

function messageOf(message: ChatMessage, index: number, traits: ConversationTraits): JsonObject {
  const { role, name = "", reasoning = "", toolCallId = "", toolCalls = [] } = message;
  // Templates build control tokens from it (`<|user|>`), so it must be one of the known words.
  if (!roles.includes(role)) {
    throw invalidRequest(
      `messages[${index}].role is ${JSON.stringify(clip(role))}; allowed: ${roles.join(", ")}.`,
      `messages[${index}].role`,
    );
  }
  const content = trimmed(message.content, traits);
  return {
    role,
    content: traits.needsTypedContent ? [{ type: "text", text: content }] : content,
    ...(reasoning === "" ? {} : { reasoning_content: trimmed(reasoning, traits) }),
    ...(name === "" ? {} : { name: wellFormed(name) }),
    ...(toolCallId === "" ? {} : { tool_call_id: idOf(toolCallId, traits) }),
    ...(toolCalls.length === 0
      ? {}
      : {
          tool_calls: toolCalls.map((call, place) => callOf(call, `messages[${index}].tool_calls[${place}]`, traits)),
        }),
  };
}

function callOf({ id, name, arguments: written }: ToolCall, field: string, traits: ConversationTraits): JsonObject {
  return {
    type: "function",
    function: {
      name: wellFormed(name),
      arguments: traits.takesObjectArguments
        ? json(parsed(written, `${field}.function.arguments`), `${field}.function.arguments`)
        : wellFormed(written),
    },
    ...(id === "" ? {} : { id: idOf(id, traits) }),
  };
}

function toolOf({ name, description, parameters }: ToolDefinition, index: number): JsonObject {
  return {
    type: "function",
    function: {
      name: wellFormed(name),
      description: wellFormed(description ?? ""),
      parameters: json(parameters, `tools[${index}].function.parameters`),
    },
  };
}

function withTools(messages: readonly JsonObject[], tools: readonly JsonObject[]): JsonObject[] {
  const [first, ...rest] = messages;
  const written = JSON.stringify(tools.map((tool) => tool["function"]));
  if (first?.["role"] === "system") return [{ ...first, tools: written }, ...rest];
  return [{ role: "system", content: "", tools: written }, ...messages];
}

function parsed(text: string, field: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidRequest(`${field} is ${JSON.stringify(clip(text))}; it must be JSON.`, field);
  }
}

// The same id gives the same short one, in the call and in its result.
function idOf(id: string, { needsShortIds }: ConversationTraits): string {
  if (!needsShortIds || /^[A-Za-z0-9]{9}$/u.test(id)) return wellFormed(id);
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let index = 0; index < id.length; index += 1) {
    low = Math.imul(low ^ id.charCodeAt(index), 0x01000193);
    high = Math.imul(high ^ id.charCodeAt(index), 0x85ebca6b);
  }
  return ((low >>> 0).toString(36) + (high >>> 0).toString(36)).padStart(9, "0").slice(-9);
}

function withSystemFolded(messages: JsonObject[], { supportsSystemRole }: ConversationTraits): JsonObject[] {
  const [first, second, ...rest] = messages;
  if (supportsSystemRole || first?.["role"] !== "system") return messages;
  if (second === undefined) return [];
  return [{ ...second, content: joined(first["content"] ?? "", second["content"] ?? "") }, ...rest];
}

function joined(one: Json, other: Json): Json {
  if (typeof one === "string" && typeof other === "string") return `${one}\n${other}`;
  return [one, other].flat();
}

function inFamilyForm(messages: readonly JsonObject[], traits: ConversationTraits): readonly JsonObject[] {
  switch (traits.family?.messages) {
    case "thinking-field":
      return messages.map((message) => withThinkingField(message));
    case "thinking-field-alone-with-calls":
      return messages.map((message) => {
        const changed = withThinkingField(message);
        if (!("thinking" in changed && "tool_calls" in changed)) return changed;
        const { content: _, ...rest } = changed;
        return rest;
      });
    case "thinking-parts":
      return messages.map(withThinkingParts);
    case "results-in-call-order":
      return withResultsInCallOrder(messages);
    case undefined:
      return traits.needsResultsInCall ? withResultsInCalls(messages) : messages;
  }
}

function withThinkingField(message: JsonObject): JsonObject {
  const { reasoning_content: thinking } = message;
  return thinking === undefined ? message : { ...message, thinking };
}

function withThinkingParts(message: JsonObject): JsonObject {
  const { role, content, reasoning_content: thinking, ...rest } = message;
  if (role !== "system" && role !== "assistant") return message;
  return {
    role,
    ...rest,
    content: [
      ...(thinking === undefined ? [] : [{ type: "thinking", thinking }]),
      ...(typeof content === "string" ? [{ type: "text", text: content }] : ((content as readonly Json[]) ?? [])),
    ],
  };
}

// Results that follow one another come in the order of the calls that they answer.
function withResultsInCallOrder(messages: readonly JsonObject[]): readonly JsonObject[] {
  const ordered = [...messages];
  let orderOf = new Map<Json, number>();
  for (let index = 0; index < ordered.length;) {
    const { role, tool_calls: calls } = ordered[index] ?? {};
    if (role === "assistant" && calls !== undefined)
      orderOf = new Map((calls as readonly JsonObject[]).map(({ id = "" }, place) => [id, place]));
    if (role !== "user" && role !== "tool") {
      index += 1;
      continue;
    }
    const places: number[] = [];
    for (; ordered[index]?.["role"] === "user" || ordered[index]?.["role"] === "tool"; index += 1)
      if (ordered[index]?.["role"] === "tool") places.push(index);
    if (orderOf.size === 0) continue;
    const placeOf = (message: JsonObject) => orderOf.get(message["tool_call_id"] ?? "") ?? 0;
    const results = places.map((place) => ordered[place] ?? {}).sort((one, other) => placeOf(one) - placeOf(other));
    for (const [nth, place] of places.entries()) ordered[place] = results[nth] ?? {};
  }
  return ordered;
}

// A call's message takes in the results that follow it, and the answer after them.
function withResultsInCalls(messages: readonly JsonObject[]): readonly JsonObject[] {
  const folded: JsonObject[] = [];
  for (let index = 0; index < messages.length; index += 1) {
    const message = messages[index] ?? {};
    const calls = message["tool_calls"] as readonly JsonObject[] | undefined;
    if (message["role"] !== "assistant" || calls === undefined) {
      folded.push(message);
      continue;
    }
    const results: JsonObject[] = [];
    while (messages[index + 1]?.["role"] === "tool") {
      index += 1;
      const { content = "", tool_call_id: id = "" } = messages[index] ?? {};
      const called = calls[results.length]?.["function"] as JsonObject | undefined;
      const { name = "" } = called ?? {};
      results.push({ name: name === "" ? id : name, response: valueIn(content) });
    }
    const next = messages[index + 1];
    const answers = next?.["role"] === "assistant" && next["tool_calls"] === undefined && next["content"] !== "";
    if (answers) index += 1;
    const { content: _, ...rest } = message;
    folded.push({
      ...rest,
      ...(results.length === 0 ? {} : { tool_responses: results }),
      ...(answers ? { content: next["content"] ?? "" } : {}),
    });
  }
  return folded;
}

function valueIn(content: Json): Json {
  if (typeof content !== "string") return content;
  try {
    return json(JSON.parse(content), "messages");
  } catch {
    return content;
  }
}

function trimmed(text: string, { trims }: ConversationTraits): string {
  return wellFormed(trims ? text.replace(/^[ \t-\r]+|[ \t-\r]+$/gu, "") : text);
}

/** A caller's value as the template engine takes it. Throws a PublicError (400) where it is nested too deeply. */
function json(value: unknown, field: string, depth = 0): Json {
  if (depth > maxDepth)
    throw invalidRequest(`${field} is nested more than ${maxDepth} levels deep; that is the most allowed.`, field);
  if (typeof value === "string") return wellFormed(value);
  if (typeof value === "number") return numberOf(value);
  if (typeof value === "boolean") return value;
  if (typeof value !== "object") return null;
  if (value === null) return null;
  if (Array.isArray(value)) return value.map((item) => json(item, field, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [wellFormed(key), json(item, field, depth + 1)]),
  );
}

// The template engine has 64-bit integers and no larger numbers, which JSON Schemas name as bounds now and then.
function numberOf(value: number): Json {
  if (Number.isFinite(value) && Math.abs(value) < 2 ** 63) return value;
  return Math.abs(value) < 1e21 ? BigInt(value).toString() : String(value);
}

/** Half of a surrogate pair has no UTF-8; the native side would replace it in the same way, but later. */
function wellFormed(text: string): string {
  return /\p{Cs}/u.test(text) ? text.replace(/\p{Cs}/gu, "\uFFFD") : text;
}

/**
 * The same input with each of the caller's texts changed, keys among them. What the form of a message needs stays as it
 * is: its keys, roles, and ids that are plain words.
 */
export function mapTexts(input: TemplateInput, change: (text: string) => string): TemplateInput {
  const { messages, tools, continued } = input;
  return {
    messages: messages.map((message) => mapForm(message, change)),
    tools: tools === null ? null : tools.map((tool) => mapForm(tool, change)),
    continued:
      continued === null ? null : { content: change(continued.content), reasoning: change(continued.reasoning) },
  };
}

function mapForm(form: JsonObject, change: (text: string) => string): JsonObject {
  const mapped: Record<string, Json> = {};
  for (const [key, value] of Object.entries(form)) mapped[key] = mapPart(key, value, change);
  return mapped;
}

function mapPart(key: string, value: Json, change: (text: string) => string): Json {
  switch (key) {
    case "role":
    case "type":
      return value;
    case "id":
    case "tool_call_id":
      return typeof value === "string" && /^[\w.:-]*$/u.test(value) ? value : mapValue(value, change);
    case "arguments":
    case "parameters":
    case "response":
      return mapValue(value, change);
    default:
      if (typeof value === "string") return change(value);
      if (isList(value)) return value.map((item) => mapPart(key, item, change));
      return typeof value === "object" && value !== null ? mapForm(value, change) : value;
  }
}

function mapValue(value: Json, change: (text: string) => string): Json {
  if (typeof value === "string") return change(value);
  if (typeof value !== "object" || value === null) return value;
  if (isList(value)) return value.map((item) => mapValue(item, change));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [change(key), mapValue(item, change)]));
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
