// The body of POST /v1/completions and its way into a CompletionRequest for each prompt. May import zod, core/ and
// the chat contract.
import { z } from "zod";
import type { CompletionRequest } from "../../chat/contract.ts";
import { is, isEmpty, never, refuseUnsupported, unsupportedFields } from "../unsupported.ts";
import { optionalInteger } from "../validation.ts";
import { generationParameters, modelParameter, toLimits, toModel, unsupportedInGeneration } from "./parameters.ts";
import { schedulingParameters, toScheduling } from "./scheduling.ts";
import { inputField, textOrTokens, type TextOrTokens } from "./text-or-tokens.ts";

/** OpenAI's default for this endpoint. */
const defaultMaxTokens = 16;

const unsupported = {
  ...unsupportedInGeneration,
  echo: is(false),
  suffix: isEmpty,
  // A number here: even 0 asks for the chosen token's own.
  logprobs: never,
  response_format: (value: unknown) => (value as { type?: unknown }).type === "text",
} as const;

export const completionBody = z.object({
  model: modelParameter,
  prompt: textOrTokens(128).describe("Text as it stands, no chat template. Several prompts give one choice each."),
  ...generationParameters,
  ...schedulingParameters,
  max_tokens: optionalInteger(1).describe(`Absent: ${defaultMaxTokens}.`),
  ...unsupportedFields(unsupported),
});

export type CompletionBody = z.output<typeof completionBody>;

/** One for each prompt of the body. Throws a PublicError (400) for parameters that are not known yet. */
export function toCompletionRequests(body: CompletionBody): readonly [CompletionRequest, ...CompletionRequest[]] {
  refuseUnsupported(body, unsupported);
  const common = {
    model: body.use_semantic_router === true ? null : toModel(body.model),
    ...toLimits(body, body.max_tokens ?? defaultMaxTokens),
  };
  const scheduling = toScheduling(body);
  const [first, ...others] = body.prompt;
  const request = (prompt: TextOrTokens, index: number): CompletionRequest => ({
    ...common,
    prompt,
    promptField: inputField("prompt", index, body.prompt.length),
    // What follows the last prompt: between two of them the expert must not be unloaded.
    scheduling: index === others.length ? scheduling : { ...scheduling, keepAliveMs: null },
  });
  return [request(first, 0), ...others.map((prompt, index) => request(prompt, index + 1))];
}
