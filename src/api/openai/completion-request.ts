// The body of POST /v1/completions and its way into a CompletionRequest for each prompt. May import zod, core/ and
// the chat contract.
import { z } from "zod";
import type { CompletionRequest } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import { is, passOver, unsupportedFields } from "../common/unsupported.ts";
import { describe, optionalInteger, withUnknownNames } from "../common/validation.ts";
import { outputParameters, toOutputFormat } from "./output-format.ts";
import {
  generationParameters,
  ignoredInGeneration,
  maxChoices,
  maxTopLogprobs,
  modelParameter,
  refusedInGeneration,
  tokenLimit,
  toLimits,
  toModel,
} from "./parameters.ts";
import { schedulingParameters, toScheduling } from "../common/scheduling.ts";
import { inputField, textOrTokens, type TextOrTokens } from "./text-or-tokens.ts";

/** OpenAI's default for this endpoint. */
const defaultMaxTokens = 16;
const maxPrompts = 128;

const policy = {
  refused: refusedInGeneration,
  ignored: { ...ignoredInGeneration, return_progress: is(false) },
} as const;

export const completionFields = z.object({
  model: modelParameter,
  prompt: textOrTokens(maxPrompts).describe(
    "Text as it stands, no chat template. Several prompts give `n` choices each.",
  ),
  ...generationParameters,
  ...outputParameters,
  ...schedulingParameters,
  max_tokens: tokenLimit(0).describe(
    `Absent: ${defaultMaxTokens}; -1: up to the end of the context. Also read as \`n_predict\`.`,
  ),
  n_predict: tokenLimit(0),
  suffix: z
    .string()
    .nullish()
    .describe("What the text is to lead to: the model fills in what stands between, where it was trained for that."),
  echo: z.boolean().nullish().describe("The prompt stands before its answer."),
  logprobs: optionalInteger(0, maxTopLogprobs).describe(
    "The answer's tokens come with their log probabilities, and with those of so many of the likeliest tokens.",
  ),
  best_of: optionalInteger(1, maxChoices).describe(
    "So many answers to each prompt are generated, of which the `n` with the likeliest tokens are given.",
  ),
  ...unsupportedFields(policy),
});

export const completionBody = withUnknownNames(completionFields);

export type CompletionBody = z.output<typeof completionBody>;

export interface CompletionQuestion {
  /** One for each prompt. */
  readonly requests: readonly [CompletionRequest, ...CompletionRequest[]];
  /** Answers to each prompt that are given, at least 1. */
  readonly choices: number;
  /** Answers to each prompt that are generated, at least `choices`. */
  readonly candidates: number;
  /** The answers were asked for with log probabilities. */
  readonly givesLogprobs: boolean;
  readonly echoes: boolean;
  /** Parameters that were passed over. */
  readonly ignored: readonly string[];
}

/** Throws a PublicError (400) for what is wrong beyond a single field, and, unless it `drops` them, for parameters that are not known. */
export function toCompletionQuestion(body: CompletionBody, drops: boolean): CompletionQuestion {
  const ignored = passOver(body, policy, drops);
  const choices = body.n ?? 1;
  const candidates = body.best_of ?? choices;
  const topLogprobs = body.logprobs ?? (body.n_probs === 0 ? null : (body.n_probs ?? null));
  refuseContradictions(body, choices, candidates, topLogprobs);
  const common = {
    model: body.use_semantic_router === true ? null : toModel(body.model),
    ...toLimits(body, body.max_tokens ?? body.n_predict ?? defaultMaxTokens),
    // Candidates are compared by them.
    topLogprobs: topLogprobs ?? (candidates > choices ? 0 : null),
    output: toOutputFormat(body),
    suffix: body.suffix === "" ? null : (body.suffix ?? null),
    scheduling: toScheduling(body),
  };
  const [first, ...others] = body.prompt;
  const request = (prompt: TextOrTokens, index: number): CompletionRequest => ({
    ...common,
    prompt,
    promptField: inputField("prompt", index, body.prompt.length),
  });
  return {
    requests: [request(first, 0), ...others.map((prompt, index) => request(prompt, index + 1))],
    choices,
    candidates,
    givesLogprobs: topLogprobs !== null,
    echoes: body.echo === true,
    ignored: [...ignored, ...body.unknownNames],
  };
}

function refuseContradictions(
  body: CompletionBody,
  choices: number,
  candidates: number,
  topLogprobs: number | null,
): void {
  if (candidates < choices) {
    throw invalidRequest(`best_of must be at least n, which is ${choices}; received ${candidates}.`, "best_of");
  }
  if (candidates > choices && body.stream === true) {
    throw invalidRequest(
      "best_of must be n where the answer is streamed: only whole answers can be compared.",
      "best_of",
    );
  }
  if (candidates * body.prompt.length > maxPrompts) {
    const field = body.best_of === undefined || body.best_of === null ? "n" : "best_of";
    throw invalidRequest(
      `${field} must be such that all prompts together have at most ${maxPrompts} answers; received ${candidates} for ` +
        `each of ${body.prompt.length} prompts.`,
      field,
    );
  }
  if (body.echo !== true) return;
  if (topLogprobs !== null) {
    throw invalidRequest(
      "logprobs together with echo is not supported by this server: the prompt's tokens have none.",
      "logprobs",
      "unsupported_parameter",
    );
  }
  if (typeof body.suffix === "string" && body.suffix !== "") {
    throw invalidRequest(
      `echo cannot be given together with suffix; received ${describe(body.suffix)} as suffix.`,
      "echo",
    );
  }
}
