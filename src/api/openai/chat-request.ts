// The body of POST /v1/chat/completions and its way into a ChatRequest. May import zod, core/ and the chat contract.
import { z } from "zod";
import type { ChatRequest } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import { is, isEmpty, never, passOver, unsupportedFields } from "../common/unsupported.ts";
import { describe, optionalInteger, withUnknownNames } from "../common/validation.ts";
import { messageParameters, toMessages } from "./messages.ts";
import { outputParameters, toOutputFormat } from "./output-format.ts";
import {
  generationParameters,
  ignoredInGeneration,
  maxTopLogprobs,
  modelParameter,
  refusedInGeneration,
  tokenLimit,
  toLimits,
  toModel,
} from "./parameters.ts";
import { reasoningParameters, toReasoning } from "./reasoning.ts";
import { schedulingParameters, toScheduling } from "../common/scheduling.ts";
import { toolParameters, toTools } from "./tools.ts";

const policy = {
  refused: {
    ...refusedInGeneration,
    modalities: (value: unknown) => Array.isArray(value) && value.length === 1 && value[0] === "text",
    audio: never,
    web_search_options: never,
    chat_template: never,
    documents: isEmpty,
    plugins: isEmpty,
  },
  ignored: {
    ...ignoredInGeneration,
    prediction: never,
    verbosity: is("medium"),
    reasoning_format: is("auto", "deepseek"),
    include_reasoning: is(true),
    parse_tool_calls: is(true),
    add_special_tokens: is(false),
  },
} as const;

export const chatFields = z.object({
  model: modelParameter,
  ...messageParameters,
  ...generationParameters,
  ...toolParameters,
  ...outputParameters,
  ...reasoningParameters,
  ...schedulingParameters,
  max_tokens: tokenLimit(1).describe("Absent or -1: up to the end of the context. Also read as `n_predict`."),
  max_completion_tokens: tokenLimit(1).describe("The newer name of max_tokens; wins over it."),
  n_predict: tokenLimit(1),
  return_progress: z.boolean().nullish().describe("A stream tells how far the prompt is read, as llama-server's does."),
  logprobs: z.boolean().nullish().describe("The answer's tokens come with their log probabilities."),
  top_logprobs: optionalInteger(0, maxTopLogprobs).describe("And with those of so many of the likeliest tokens."),
  ...unsupportedFields(policy),
});

export const chatBody = withUnknownNames(chatFields);

export type ChatBody = z.output<typeof chatBody>;

export interface ChatQuestion {
  readonly request: ChatRequest;
  /** Answers that are asked for, at least 1. */
  readonly choices: number;
  /** Calls come as `function_call`, one at most. */
  readonly isLegacy: boolean;
  /** Parameters that were passed over. */
  readonly ignored: readonly string[];
}

/**
 * Throws a PublicError (400) for what is wrong beyond a single field, and for content and parameters that this server
 * does not know; `drops`: not for parameters.
 */
export function toChatQuestion(body: ChatBody, drops: boolean): ChatQuestion {
  const ignored = passOver(body, policy, drops);
  const tools = toTools(body, drops);
  return {
    request: {
      model: toModel(body.model),
      forceRouting: body.use_semantic_router === true,
      messages: toMessages(body),
      ...toLimits(body, body.max_completion_tokens ?? body.max_tokens ?? body.n_predict ?? null),
      topLogprobs: toTopLogprobs(body),
      output: toOutputFormat(body),
      tools: tools.use,
      reasoning: toReasoning(body),
      scheduling: toScheduling(body),
    },
    choices: body.n ?? 1,
    isLegacy: tools.isLegacy,
    ignored: [...ignored, ...tools.ignored, ...body.unknownNames],
  };
}

function toTopLogprobs({ logprobs, top_logprobs: top, n_probs: count }: ChatBody): number | null {
  if (logprobs === true) return top ?? count ?? 0;
  if (top !== undefined && top !== null && top > 0) {
    throw invalidRequest(`top_logprobs needs logprobs to be true; received ${describe(logprobs)}.`, "top_logprobs");
  }
  return count !== undefined && count !== null && count > 0 ? count : null;
}
