// The parameters that /v1/chat/completions and /v1/completions share, and what they become inside. May import zod, core/
// and the chat contract.
import { z } from "zod";
import type { GenerationLimits } from "../../chat/contract.ts";
import { is, isEmpty, never } from "../unsupported.ts";
import { anyObject, checked, optionalInteger, optionalNumber, refuseArray, type Refusal } from "../validation.ts";

const maxStops = 16;
const stopAllowed = `a non-empty string or an array of at most ${maxStops} of them`;
const stopTextAllowed = "a non-empty string";
const stopText = z.string(stopTextAllowed).min(1, stopTextAllowed);
const seedAllowed = "an integer; -1 draws one at random";
const topKAllowed = "an integer of at least -1; 0 and -1 consider the whole vocabulary";

export const modelParameter = z
  .string()
  .nullish()
  .describe('An expert\'s id or alias. Absent, "" or "auto": the router picks the expert.');

export const generationParameters = {
  temperature: optionalNumber(0, 2).describe("0 always takes the likeliest token."),
  top_p: optionalNumber(0, 1),
  top_k: z.int(topKAllowed).min(-1, topKAllowed).nullish(),
  min_p: optionalNumber(0, 1),
  seed: z.int(seedAllowed).nullish().describe("Taken modulo 2^32; -1 draws one at random."),
  frequency_penalty: optionalNumber(-2, 2),
  presence_penalty: optionalNumber(-2, 2),
  repeat_penalty: optionalNumber(0.01, 10).describe("1 is off. Also read as `repetition_penalty`."),
  repetition_penalty: optionalNumber(0.01, 10),
  stop: checked(z.union([stopText, z.array(stopText).max(maxStops)]), refuseStop)
    .nullish()
    .describe("The answer ends before the first of these."),
  max_tokens: optionalInteger(1),
  stream: z.boolean().nullish(),
  stream_options: z
    .object({ include_usage: z.boolean().nullish() })
    .nullish()
    .describe("include_usage adds a last chunk with `usage`."),
  use_semantic_router: z.boolean().nullish().describe("Route although a model is named."),
  user: z.string().nullish().describe("Ignored."),
  metadata: anyObject().nullish().describe("Ignored."),
} as const;

export type GenerationParameters = z.output<z.ZodObject<typeof generationParameters>>;

function refuseStop(stop: unknown): Refusal | null {
  if (Array.isArray(stop)) return refuseArray(stop, stopText, { min: 0, max: maxStops, allowed: stopAllowed });
  if (typeof stop === "string" && stop !== "") return null;
  return { path: [], code: "invalid_value", allowed: stop === "" ? stopTextAllowed : stopAllowed };
}

/** Null: `max_tokens` says nothing. */
export function toLimits(body: GenerationParameters, maxTokens: number | null): GenerationLimits {
  const repeatPenalty = body.repeat_penalty ?? body.repetition_penalty;
  return {
    maxTokens,
    stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    sampling: {
      ...present("temperature", body.temperature),
      ...present("topP", body.top_p),
      ...present("topK", body.top_k === -1 ? 0 : body.top_k),
      ...present("minP", body.min_p),
      // ToUint32: exactly the residue modulo 2^32 for every safe integer.
      ...present("seed", body.seed === null || body.seed === undefined || body.seed === -1 ? null : body.seed >>> 0),
      ...present("frequencyPenalty", body.frequency_penalty),
      ...present("presencePenalty", body.presence_penalty),
      ...present("repeatPenalty", repeatPenalty),
    },
  };
}

/** The model to ask the chat service for: null lets the router decide. */
export function toModel(model: string | null | undefined): string | null {
  return model === undefined || model === "" || model === "auto" ? null : model;
}

function present<Name extends string>(name: Name, value: number | null | undefined): { readonly [K in Name]?: number } {
  return value === null || value === undefined ? {} : ({ [name]: value } as { readonly [K in Name]?: number });
}

/** Those that no kind of generation knows yet. */
export const unsupportedInGeneration = {
  n: is(1),
  best_of: is(1),
  logit_bias: isEmpty,
  grammar: isEmpty,
  json_schema: isEmpty,
  min_tokens: is(0),
  ignore_eos: is(false),
  mirostat: is(0),
  typical_p: is(1),
  xtc_probability: is(0),
  dry_multiplier: is(0),
  dynatemp_range: is(0),
  n_probs: is(0),
  guided_json: never,
  guided_regex: isEmpty,
  guided_choice: isEmpty,
  guided_grammar: isEmpty,
} as const;
