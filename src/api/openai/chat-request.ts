// The body of POST /v1/chat/completions and its way into a ChatRequest. May import zod, core/ and the chat contract.
import { z } from "zod";
import type { ChatRequest } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import type { ChatMessage } from "../../engine/engine.ts";
import { is, isEmpty, never, refuseUnsupported, unsupportedFields } from "../unsupported.ts";
import { anyArray, checked, describe, optionalInteger, refuseArray, type Refusal } from "../validation.ts";
import { generationParameters, modelParameter, toLimits, toModel, unsupportedInGeneration } from "./parameters.ts";
import { schedulingParameters, toScheduling } from "./scheduling.ts";

const maxMessages = 4096;
const contentAllowed = "a string or an array of text parts";
const partAllowed = 'a part such as {"type": "text", "text": "…"}';

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

const message = z.object(
  {
    role: z.enum(["system", "developer", "user", "assistant", "tool"]).describe("`developer` is read as `system`."),
    content: checked(z.union([z.string(), z.array(contentPart)]), refuseContent)
      .nullish()
      .describe("Text parts are joined by line breaks. Null only from the assistant."),
    name: z.string().nullish(),
    tool_calls: anyArray().nullish().describe("Not supported yet unless empty."),
    tool_call_id: z.string().nullish(),
    reasoning_content: z.string().nullish().describe("Ignored."),
  },
  "a message object",
);

const messageBounds = { min: 1, max: maxMessages, allowed: `an array of 1 to ${maxMessages} messages` };

const unsupported = {
  ...unsupportedInGeneration,
  logprobs: is(false),
  top_logprobs: is(0),
  tools: isEmpty,
  tool_choice: is("none", "auto"),
  functions: isEmpty,
  function_call: is("none", "auto"),
  response_format: (value: unknown) => (value as { type?: unknown }).type === "text",
  modalities: (value: unknown) => Array.isArray(value) && value.length === 1 && value[0] === "text",
  audio: never,
  web_search_options: never,
} as const;

export const chatBody = z.object({
  model: modelParameter,
  messages: checked(z.array(message).min(1).max(maxMessages), (value) => refuseArray(value, message, messageBounds)),
  ...generationParameters,
  ...schedulingParameters,
  max_tokens: optionalInteger(1).describe("Absent: up to the end of the context."),
  max_completion_tokens: optionalInteger(1).describe("The newer name of max_tokens; wins over it."),
  ...unsupportedFields(unsupported),
});

export type ChatBody = z.output<typeof chatBody>;
type BodyMessage = z.output<typeof message>;
type ContentPart = z.output<typeof contentPart>;

/** Throws a PublicError (400) for content and parameters that this server does not know yet. */
export function toChatRequest(body: ChatBody): ChatRequest {
  refuseUnsupported(body, unsupported);
  return {
    model: toModel(body.model),
    forceRouting: body.use_semantic_router === true,
    messages: body.messages.map(toMessage),
    ...toLimits(body, body.max_completion_tokens ?? body.max_tokens ?? null),
    scheduling: toScheduling(body),
  };
}

function toMessage(message: BodyMessage, index: number): ChatMessage {
  const path = `messages[${index}]`;
  if (message.tool_calls !== undefined && message.tool_calls !== null && message.tool_calls.length > 0) {
    throw invalidRequest(
      `${path}.tool_calls is not supported by this server yet; received ${describe(message.tool_calls)}.`,
      `${path}.tool_calls`,
      "unsupported_parameter",
    );
  }
  return {
    role: message.role === "developer" ? "system" : message.role,
    content: toText(message, path),
    ...(typeof message.name === "string" ? { name: message.name } : {}),
  };
}

function toText(message: BodyMessage, path: string): string {
  const { content } = message;
  if (typeof content === "string") return content;
  if (Array.isArray(content))
    return content.map((part, index) => partText(part, `${path}.content[${index}]`)).join("\n");
  if (message.role === "assistant") return "";
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
      throw invalidRequest(
        `${mediaNames[part.type]} are not supported by the loaded build; ${path} is of type ${part.type}, only text parts are allowed.`,
        path,
        "unsupported_content",
      );
  }
}
