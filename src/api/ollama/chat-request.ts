// The body of POST /api/chat and its way into a ChatRequest. May import zod, core/ and the chat contract.
import { z } from "zod";
import type { ChatRequest } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import type { ChatMessage, ToolCall } from "../../engine/engine.ts";
import { toScheduling } from "../common/scheduling.ts";
import { toolParameters, toTools } from "../openai/tools.ts";
import {
  checked,
  describe,
  isJsonObject,
  refuseArray,
  refuseHugeJson,
  withUnknownNames,
} from "../common/validation.ts";
import { answerParameters, images, passedOver, refuseImages, toLimits, toReasoning } from "./parameters.ts";

const maxMessages = 4096;
const maxCalls = 1024;

const smallObject = checked(z.record(z.string(), z.unknown()), (value) =>
  isJsonObject(value) ? refuseHugeJson(value) : { path: [], code: "invalid_type", allowed: "an object" },
);

const toolCall = z.object(
  {
    id: z.string().nullish(),
    function: z.object({ name: z.string(), arguments: smallObject.nullish() }, "an object with a name and arguments"),
  },
  'a call such as {"function": {"name": "…", "arguments": {…}}}',
);
const callBounds = { min: 0, max: maxCalls, allowed: `an array of at most ${maxCalls} calls` };

const message = z.object(
  {
    role: z.enum(["system", "user", "assistant", "tool"]),
    content: z.string().nullish(),
    thinking: z.string().nullish().describe("What the assistant thought before it answered."),
    images,
    tool_calls: checked(z.array(toolCall).max(maxCalls), (value) => refuseArray(value, toolCall, callBounds)).nullish(),
    tool_name: z.string().nullish().describe("Of a tool's message: the tool that was called."),
    tool_call_id: z.string().nullish().describe("Absent: the first call of that tool that has no answer yet."),
  },
  "a message object",
);
const messageBounds = { min: 0, max: maxMessages, allowed: `an array of at most ${maxMessages} messages` };

const chatFields = z.object({
  messages: checked(z.array(message).max(maxMessages), (value) => refuseArray(value, message, messageBounds))
    .nullish()
    .describe("Empty or absent: the expert is loaded, or with keep_alive 0 unloaded."),
  message: z.unknown().optional().describe("Not supported yet: one text in place of messages."),
  tools: toolParameters.tools,
  ...answerParameters,
});

export const chatBody = withUnknownNames(chatFields);

export type ChatBody = z.output<typeof chatBody>;
type BodyMessage = z.output<typeof message>;

/** Whether the body asks for nothing but the model's loading or unloading. Throws a PublicError (400) for a form not known. */
export function isPreload({ messages, message: single }: Pick<ChatBody, "messages" | "message">): boolean {
  if (messages !== undefined && messages !== null) return messages.length === 0;
  if (single === undefined) return true;
  throw invalidRequest(
    `message is not supported by this server yet; send messages, an array such as ` +
      `[{"role": "user", "content": "…"}]. Received ${describe(single)}.`,
    "message",
    "unsupported_parameter",
  );
}

export interface ChatQuestion {
  readonly request: ChatRequest;
  /** The parameters that were passed over. */
  readonly ignored: readonly string[];
}

/**
 * `model`: as `modelIdOf` found it. Throws a PublicError (400) for what this server does not know, where it is not to be
 * dropped.
 */
export function toChatQuestion(body: ChatBody, model: string | null, drops: boolean): ChatQuestion {
  const tools = toTools({ tools: body.tools }, drops);
  return {
    request: {
      model,
      forceRouting: false,
      messages: toMessages(body.messages ?? []),
      ...toLimits(body),
      tools: tools.use,
      reasoning: toReasoning(body),
      scheduling: toScheduling(body),
    },
    ignored: [...tools.ignored, ...passedOver(body, drops)],
  };
}

/**
 * Ollama's messages name the tool that answers where others carry the id of the call: ids are made up, by the call's place,
 * so that the same conversation always gives the same prompt.
 */
function toMessages(messages: readonly BodyMessage[]): readonly ChatMessage[] {
  let callCount = 0;
  let unanswered: ToolCall[] = [];
  return messages.map((given, index): ChatMessage => {
    const path = `messages[${index}]`;
    refuseImages(given.images, `${path}.images`);
    const common = {
      role: given.role,
      content: given.content ?? "",
      ...(typeof given.thinking === "string" && given.thinking !== "" ? { reasoning: given.thinking } : {}),
    };
    if (given.role === "tool") {
      const call = answeredCall(given, unanswered);
      unanswered = unanswered.filter((other) => other !== call);
      const id = given.tool_call_id ?? call?.id;
      const name = given.tool_name ?? call?.name;
      return {
        ...common,
        ...(id === undefined ? {} : { toolCallId: id }),
        ...(name === undefined ? {} : { name }),
      };
    }
    if (given.tool_calls === undefined || given.tool_calls === null || given.tool_calls.length === 0) return common;
    const toolCalls = given.tool_calls.map(({ id, function: called }): ToolCall => {
      callCount += 1;
      return {
        // Nine letters and digits: templates of one family take no other.
        id: id ?? `call${String(callCount).padStart(5, "0")}`,
        name: called.name,
        arguments: JSON.stringify(called.arguments ?? {}),
      };
    });
    unanswered = [...toolCalls];
    return { ...common, toolCalls };
  });
}

function answeredCall(answer: BodyMessage, unanswered: readonly ToolCall[]): ToolCall | undefined {
  if (typeof answer.tool_call_id === "string") return unanswered.find(({ id }) => id === answer.tool_call_id);
  if (typeof answer.tool_name === "string") return unanswered.find(({ name }) => name === answer.tool_name);
  return unanswered[0];
}
