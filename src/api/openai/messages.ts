// The messages of a conversation in OpenAI's form, and what they become inside. May import zod, core/ and the engine's
// types.
import { z } from "zod";
import { invalidRequest } from "../../core/errors.ts";
import type { ChatMessage, ToolCall } from "../../engine/engine.ts";
import { checked, describe, isJsonObject, refuseArray, refuseHugeJson, type Refusal } from "../common/validation.ts";
import { unsupportedContent } from "../common/unsupported.ts";

const maxMessages = 4096;
const maxCalls = 128;
const contentAllowed = "a string or an array of text parts";
const partAllowed = 'a part such as {"type": "text", "text": "…"}';
const argumentsAllowed = "a JSON object, written as a string";
const callAllowed = 'a call such as {"id": "…", "type": "function", "function": {"name": "…", "arguments": "{…}"}}';
const callsAllowed = `an array of at most ${maxCalls} calls`;

const contentPart = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("text"), text: z.string() }),
    z.object({ type: z.literal("refusal"), refusal: z.string() }),
    z.object({ type: z.literal("image_url"), image_url: z.unknown() }),
    z.object({ type: z.literal("input_audio"), input_audio: z.unknown() }),
    z.object({ type: z.literal("file"), file: z.unknown() }),
  ],
  // Of a union by `type`, this code means that the type is none of those above.
  { error: (issue) => (issue.code === "invalid_union" ? '"text"' : partAllowed) },
);

function refuseContent(content: unknown): Refusal | null {
  if (typeof content === "string") return null;
  if (!Array.isArray(content)) return { path: [], code: "invalid_value", allowed: contentAllowed };
  return refuseArray(content, contentPart, { min: 0, max: Infinity, allowed: contentAllowed });
}

const calledFunction = z.object({
  name: z.string(),
  // Some clients send the object itself.
  arguments: checked(z.union([z.string(), z.record(z.string(), z.unknown())]), (given) => {
    if (typeof given === "string") return null;
    return isJsonObject(given) ? refuseHugeJson(given) : { path: [], code: "invalid_type", allowed: argumentsAllowed };
  }).nullish(),
});

const call = z.object(
  { id: z.string().nullish(), type: z.literal("function").nullish(), function: calledFunction },
  callAllowed,
);

const message = z.object(
  {
    role: z
      .enum(["system", "developer", "user", "assistant", "tool", "function"])
      .describe("`developer` is read as `system`; `function` is the older `tool`, and names the function."),
    content: checked(z.union([z.string(), z.array(contentPart)]), refuseContent)
      .nullish()
      .describe("Text parts are joined by line breaks. Null only from the assistant."),
    name: z.string().nullish(),
    refusal: z.string().nullish().describe("The assistant's, where it has no content."),
    reasoning_content: z.string().nullish().describe("What the assistant thought. Also read as `reasoning`."),
    reasoning: z.string().nullish(),
    tool_calls: checked(z.array(call).max(maxCalls), (calls) =>
      refuseArray(calls, call, { min: 0, max: maxCalls, allowed: callsAllowed }),
    ).nullish(),
    function_call: calledFunction.nullish().describe("The older form of `tool_calls`."),
    tool_call_id: z.string().nullish(),
  },
  "a message object",
);

const messageBounds = { min: 1, max: maxMessages, allowed: `an array of 1 to ${maxMessages} messages` };

export const messageParameters = {
  messages: checked(z.array(message).min(1).max(maxMessages), (value) =>
    refuseArray(value, message, messageBounds),
  ).describe("A last message of the assistant is the beginning of the answer: the model continues it."),
  add_generation_prompt: z.boolean().nullish().describe("As the last message's role says; anything else is refused."),
  continue_final_message: z.boolean().nullish().describe("As `add_generation_prompt`, the other way round."),
} as const;

export type MessageParameters = z.output<z.ZodObject<typeof messageParameters>>;
type BodyMessage = z.output<typeof message>;
type BodyFunction = z.output<typeof calledFunction>;
type ContentPart = z.output<typeof contentPart>;

/** Throws a PublicError (400) for messages that say nothing, or what this server cannot read. */
export function toMessages(body: MessageParameters): readonly ChatMessage[] {
  // The older form has no ids: a function's message answers the last call of its name.
  const idsByName = new Map<string, string>();
  const messages = body.messages.map((each, index) => toMessage(each, index, idsByName));
  refuseContinuation(body, messages);
  return messages;
}

function toMessage(given: BodyMessage, index: number, idsByName: Map<string, string>): ChatMessage {
  const path = `messages[${index}]`;
  const common = {
    content: toText(given, path),
    ...(typeof given.name === "string" ? { name: given.name } : {}),
  };
  switch (given.role) {
    case "system":
    case "developer":
      return { role: "system", ...common };
    case "user":
      return { role: "user", ...common };
    case "assistant": {
      const reasoning = given.reasoning_content ?? given.reasoning ?? "";
      const toolCalls = toCalls(given, index, idsByName);
      return {
        role: "assistant",
        ...common,
        ...(reasoning === "" ? {} : { reasoning }),
        ...(toolCalls.length === 0 ? {} : { toolCalls }),
      };
    }
    case "tool":
    case "function": {
      const id = given.tool_call_id ?? idsByName.get(given.name ?? "") ?? "";
      return { role: "tool", ...common, ...(id === "" ? {} : { toolCallId: id }) };
    }
  }
}

function toCalls(given: BodyMessage, index: number, idsByName: Map<string, string>): readonly ToolCall[] {
  const calls = (given.tool_calls ?? []).map((each, callIndex): ToolCall => {
    const path = `messages[${index}].tool_calls[${callIndex}].function.arguments`;
    const id = each.id ?? "";
    return {
      id: id === "" ? `call_${index}_${callIndex}` : id,
      name: each.function.name,
      arguments: toArguments(each.function, path),
    };
  });
  if (calls.length > 0 || given.function_call === null || given.function_call === undefined) return calls;
  const { name } = given.function_call;
  const id = `call_${index}`;
  idsByName.set(name, id);
  const path = `messages[${index}].function_call.arguments`;
  return [{ id, name, arguments: toArguments(given.function_call, path) }];
}

/** Templates write the arguments as JSON, so JSON they must be. */
function toArguments({ arguments: given }: BodyFunction, path: string): string {
  if (given === undefined || given === null || given === "") return "{}";
  if (typeof given !== "string") return JSON.stringify(given);
  let parsed: unknown;
  try {
    parsed = JSON.parse(given);
  } catch {
    // As no object, refused below.
  }
  const refusal = refuseHugeJson(parsed);
  if (isJsonObject(parsed) && refusal === null) return given;
  const allowed = refusal?.allowed ?? argumentsAllowed;
  throw invalidRequest(`${path} must be ${allowed}; received ${describe(given)}.`, path);
}

/** Only the last message's role says whether the answer is a new message or goes on with it. */
function refuseContinuation(body: MessageParameters, messages: readonly ChatMessage[]): void {
  const last = messages.length - 1;
  const continues = messages[last]?.role === "assistant";
  if (continues && messages[last - 1]?.role === "assistant") {
    const field = `messages[${last}]`;
    throw invalidRequest(
      `${field} cannot follow another message of the assistant where it is the last: it would be unclear what to continue.`,
      field,
    );
  }
  const wishes = { add_generation_prompt: !continues, continue_final_message: continues } as const;
  for (const [name, allowed] of Object.entries(wishes) as [keyof typeof wishes, boolean][]) {
    const asked = body[name];
    // What both are by default, clients send with every request.
    if (asked === undefined || asked === null || asked === allowed) continue;
    if (name === "continue_final_message" && !asked) continue;
    if (name === "add_generation_prompt" && asked && body.continue_final_message !== true) continue;
    const role = messages[last]?.role ?? "";
    throw invalidRequest(
      `${name} must be ${allowed} where the last message is of the role ${role}; received ${asked}.`,
      name,
    );
  }
}

function toText(given: BodyMessage, path: string): string {
  const { content } = given;
  if (typeof content === "string") return content;
  if (Array.isArray(content)) {
    return content.map((part, index) => partText(part, `${path}.content[${index}]`)).join("\n");
  }
  if (given.role === "assistant") return given.refusal ?? "";
  if (content === undefined) {
    throw invalidRequest(
      `${path}.content is missing; it must be ${contentAllowed}.`,
      `${path}.content`,
      "missing_required_parameter",
    );
  }
  throw invalidRequest(`${path}.content must be ${contentAllowed}; received null.`, `${path}.content`, "invalid_type");
}

const mediaNames = { image_url: "Images", input_audio: "Audio parts", file: "Files" } as const;

function partText(part: ContentPart, path: string): string {
  switch (part.type) {
    case "text":
      return part.text;
    case "refusal":
      return part.refusal;
    case "image_url":
    case "input_audio":
    case "file":
      throw unsupportedContent(mediaNames[part.type], path, part.type, "text parts are");
  }
}
