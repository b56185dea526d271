// The parameters that /v1/chat/completions and /v1/completions share, and what they become inside. May import zod, core/
// and the chat contract.
import { randomInt } from "node:crypto";
import { z } from "zod";
import type { GenerationLimits } from "../../chat/contract.ts";
import type { Sampling } from "../../experts/expert.ts";
import { is, isEmpty, never } from "../common/unsupported.ts";
import {
  anyObject,
  checked,
  optionalInteger,
  optionalNumber,
  refuseArray,
  type Refusal,
} from "../common/validation.ts";
import { logitBiasParameter, toLogitBias } from "./logit-bias.ts";

const maxInteger = 2_147_483_647;
const maxStops = 16;
const maxStopLength = 1000;
const stopAllowed = `a non-empty string or an array of at most ${maxStops} of them`;
const stopTextAllowed = "a non-empty string";
const stopText = z
  .string(stopTextAllowed)
  .min(1, stopTextAllowed)
  .max(maxStopLength, `a string of at most ${maxStopLength} characters`);
const seedAllowed = "an integer; -1 draws one at random";
const topKAllowed = "an integer of at least -1; 0 and -1 consider the whole vocabulary";
const lookBackAllowed = "an integer of at least -1; 0 is off, -1 looks back on the whole context";
const lookBack = () => z.int(lookBackAllowed).min(-1, lookBackAllowed).max(maxInteger, lookBackAllowed).nullish();
const flag = () => z.boolean().nullish();

const maxBreakers = 16;
const breakersAllowed = `an array of 1 to ${maxBreakers} non-empty strings`;
const breaker = z.string(stopTextAllowed).min(1, stopTextAllowed).max(100, "a string of at most 100 characters");

export const maxTopLogprobs = 20;
/** Answers to one prompt. */
export const maxChoices = 16;

export const modelParameter = z
  .string()
  .nullish()
  .describe('An expert\'s id or alias. Absent, "" or "auto": the router picks the expert.');

/** The most tokens of an answer, of at least `min`. */
export function tokenLimit(min: number) {
  const allowed = `an integer of at least ${min}, or -1 for no limit but the context`;
  return z
    .int(allowed)
    .min(-1, allowed)
    .refine((limit) => limit === -1 || limit >= min, { error: allowed })
    .nullish();
}

export const generationParameters = {
  temperature: optionalNumber(0, 2).describe("0 always takes the likeliest token."),
  top_p: optionalNumber(0, 1),
  top_k: z.int(topKAllowed).min(-1, topKAllowed).nullish(),
  min_p: optionalNumber(0, 1),
  typical_p: optionalNumber(0, 1).describe("Locally typical sampling; 1 is off."),
  top_n_sigma: optionalNumber(-1, 100).describe("Standard deviations of the logits; below 0 is off."),
  seed: z.int(seedAllowed).nullish().describe("Taken modulo 2^32; -1 draws one at random."),
  frequency_penalty: optionalNumber(-2, 2),
  presence_penalty: optionalNumber(-2, 2),
  repeat_penalty: optionalNumber(0.01, 10).describe("1 is off. Also read as `repetition_penalty`."),
  repetition_penalty: optionalNumber(0.01, 10),
  repeat_last_n: lookBack().describe("Tokens that the penalties look back on; 0 is off, -1 is the whole context."),
  xtc_probability: optionalNumber(0, 1).describe("0 is off."),
  xtc_threshold: optionalNumber(0, 1).describe("Above 0.5 is off."),
  dry_multiplier: optionalNumber(0, 100).describe("0 is off."),
  dry_base: optionalNumber(1, 100),
  dry_allowed_length: optionalInteger(0, maxInteger),
  dry_penalty_last_n: lookBack(),
  dry_sequence_breakers: checked(z.array(breaker).min(1).max(maxBreakers), (value) =>
    refuseArray(value, breaker, { min: 1, max: maxBreakers, allowed: breakersAllowed }),
  ).nullish(),
  logit_bias: logitBiasParameter,
  ignore_eos: flag().describe("The text goes on where the model would end it."),
  stop: checked(z.union([stopText, z.array(stopText).max(maxStops)]), refuseStop)
    .nullish()
    .describe("The answer ends before the first of these."),
  n: optionalInteger(1, maxChoices).describe("Answers to a prompt; with a seed, each further one adds 1 to it."),
  n_probs: optionalInteger(0, maxTopLogprobs).describe("llama-server's name of top_logprobs; 0 is off."),
  stream: flag(),
  stream_options: z
    .object({ include_usage: flag(), include_obfuscation: flag().describe("Ignored: nothing is added.") })
    .nullish()
    .describe("include_usage adds a last chunk with `usage`."),
  use_semantic_router: flag().describe("Route although a model is named."),
  user: z.string().nullish().describe("Ignored."),
  metadata: anyObject().nullish().describe("Ignored."),
  safety_identifier: z.unknown().optional().describe("Ignored."),
  prompt_cache_key: z.unknown().optional().describe("Ignored: what was read before is found without it."),
  cache_prompt: z.unknown().optional().describe("Ignored: what was read before is always used."),
} as const;

export type GenerationParameters = z.output<z.ZodObject<typeof generationParameters>>;

function refuseStop(stop: unknown): Refusal | null {
  if (Array.isArray(stop)) return refuseArray(stop, stopText, { min: 0, max: maxStops, allowed: stopAllowed });
  if (typeof stop !== "string" || stop === "") {
    return { path: [], code: "invalid_value", allowed: stop === "" ? stopTextAllowed : stopAllowed };
  }
  const allowed = `a string of at most ${maxStopLength} characters`;
  return stop.length > maxStopLength ? { path: [], code: "invalid_value", allowed } : null;
}

/** `maxTokens`: null or -1 is up to the end of the context. */
export function toLimits(
  body: GenerationParameters,
  maxTokens: number | null,
): Pick<GenerationLimits, "maxTokens" | "stop" | "sampling"> {
  return {
    maxTokens: maxTokens === -1 ? null : maxTokens,
    stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    sampling: toSampling(body),
  };
}

function toSampling(body: GenerationParameters): Sampling {
  const bias = toLogitBias(body.logit_bias);
  return {
    ...present("temperature", body.temperature),
    ...present("topP", body.top_p),
    // More than any vocabulary holds is as good as all of it.
    ...present("topK", body.top_k === -1 ? 0 : body.top_k && Math.min(body.top_k, maxInteger)),
    ...present("minP", body.min_p),
    ...present("typicalP", body.typical_p),
    ...present("topNSigma", body.top_n_sigma),
    ...present("seed", toSeed(body.seed)),
    ...present("frequencyPenalty", body.frequency_penalty),
    ...present("presencePenalty", body.presence_penalty),
    ...present("repeatPenalty", body.repeat_penalty ?? body.repetition_penalty),
    ...present("repeatLastN", body.repeat_last_n),
    ...present("xtcProbability", body.xtc_probability),
    ...present("xtcThreshold", body.xtc_threshold),
    ...present("dryMultiplier", body.dry_multiplier),
    ...present("dryBase", body.dry_base),
    ...present("dryAllowedLength", body.dry_allowed_length),
    ...present("dryPenaltyLastN", body.dry_penalty_last_n),
    ...present("drySequenceBreakers", body.dry_sequence_breakers),
    ...present("logitBias", bias.length === 0 ? null : bias),
    ...present("ignoreEos", body.ignore_eos),
  };
}

/** Absent: as the expert's configuration says. */
function toSeed(seed: number | null | undefined): number | null {
  if (seed === null || seed === undefined) return null;
  // ToUint32: exactly the residue modulo 2^32 for every safe integer.
  return seed === -1 ? randomInt(2 ** 32) : seed >>> 0;
}

/** The model to ask the chat service for: null lets the router decide. */
export function toModel(model: string | null | undefined): string | null {
  return model === undefined || model === "" || model === "auto" ? null : model;
}

/** The property where it has a value: absent leaves what the expert's configuration says. */
function present<Name extends keyof Sampling>(name: Name, value: Sampling[Name] | null): Pick<Sampling, Name> | object {
  return value === null || value === undefined ? {} : { [name]: value };
}

/** What no kind of generation knows, and what would be another answer without it. */
export const refusedInGeneration = {
  min_tokens: is(0),
  mirostat: is(0),
  dynatemp_range: is(0),
  post_sampling_probs: is(false),
  guided_regex: isEmpty,
  guided_whitespace_pattern: isEmpty,
  stop_token_ids: isEmpty,
  bad_words: isEmpty,
  allowed_token_ids: isEmpty,
  include_stop_str_in_output: is(false),
  skip_special_tokens: is(true),
  truncate_prompt_tokens: never,
  prompt_logprobs: is(0, false),
  use_beam_search: is(false),
  lora: isEmpty,
} as const;

/** What changes how an answer comes about, or how it is told. */
export const ignoredInGeneration = {
  store: is(false),
  service_tier: is("auto", "default"),
  prompt_cache_retention: never,
  samplers: isEmpty,
  min_keep: is(0),
  n_keep: is(0),
  n_discard: is(0),
  n_indent: is(0),
  t_max_predict_ms: is(0, -1),
  id_slot: is(-1),
  return_tokens: is(false),
  timings_per_token: is(false),
  response_fields: isEmpty,
  length_penalty: is(1),
} as const;
