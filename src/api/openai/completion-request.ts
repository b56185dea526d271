// The body of POST /v1/completions and its way into a CompletionRequest for each prompt. May import zod, core/ and
// the chat contract.
import { z } from "zod";
import type { CompletionRequest } from "../../chat/contract.ts";
import { is, isEmpty, never, refuseUnsupported, type UnsupportedParameters } from "../unsupported.ts";
import { optionalInteger } from "../validation.ts";
import { generationParameters, modelParameter, toLimits, toModel, unsupportedInGeneration } from "./parameters.ts";
import { textOrTokens, type TextOrTokens } from "./text-or-tokens.ts";

/** OpenAI's default for this endpoint. */
const defaultMaxTokens = 16;

export const completionBody = z.looseObject({
  model: modelParameter,
  prompt: textOrTokens(128).describe("Text as it stands, no chat template. Several prompts give one choice each."),
  ...generationParameters,
  max_tokens: optionalInteger(1).describe(`Absent: ${defaultMaxTokens}.`),
});

export type CompletionBody = z.output<typeof completionBody>;

const unsupported: UnsupportedParameters = {
  ...unsupportedInGeneration,
  echo: is(false),
  suffix: isEmpty,
  // A number here: even 0 asks for the chosen token's own.
  logprobs: never,
  response_format: (value) => (value as { type?: unknown }).type === "text",
};

/** `prompt`: one of the body's. Throws a PublicError (400) for parameters that are not known yet. */
export function toCompletionRequest(body: CompletionBody, prompt: TextOrTokens): CompletionRequest {
  refuseUnsupported(body, unsupported);
  return {
    model: body.use_semantic_router === true ? null : toModel(body.model),
    prompt,
    ...toLimits(body, body.max_tokens ?? defaultMaxTokens),
  };
}
