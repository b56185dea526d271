// The parameters that /api/chat and /api/generate share, and what they become inside. May import zod, core/ and the chat
// contract.
import { z } from "zod";
import { defaultReasoning, type GenerationLimits, type ReasoningOptions } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import type { Sampling } from "../../experts/expert.ts";
import type { OutputFormat } from "../../formats/answer-format.ts";
import { generationParameters } from "../openai/parameters.ts";
import { schedulingParameters } from "../common/scheduling.ts";
import { is, isEmpty, never, passOver, unsupportedFields } from "../common/unsupported.ts";
import {
  anyArray,
  checked,
  describe,
  isJsonObject,
  optionalInteger,
  optionalNumber,
  type Refusal,
  refuseHugeJson,
  type UnknownNames,
  withUnknownNames,
} from "../common/validation.ts";

const formatAllowed = '"json" or a JSON schema (an object)';
const thinkLevels = ["low", "medium", "high"] as const;
const thinkAllowed = 'true, false, "low", "medium" or "high"';
const seedAllowed = "an integer; -1 draws one at random";

/** What says how a model is loaded is the configuration's business. */
const optionsPolicy = {
  refused: { mirostat: is(0), tfs_z: is(1) },
  ignored: {
    num_ctx: never,
    num_keep: never,
    num_batch: never,
    num_gpu: never,
    main_gpu: never,
    low_vram: never,
    f16_kv: never,
    logits_all: never,
    vocab_only: never,
    use_mmap: never,
    use_mlock: never,
    numa: never,
    num_thread: never,
    penalize_newline: is(true),
    mirostat_tau: never,
    mirostat_eta: never,
  },
} as const;

const optionFields = z.object({
  num_predict: optionalInteger(-2).describe("Tokens of the answer; 0, -1 and -2: up to the end of the context."),
  temperature: optionalNumber(0, 10).describe("0 always takes the likeliest token."),
  top_k: optionalInteger(-1).describe("0 and -1 consider the whole vocabulary."),
  top_p: optionalNumber(0, 1),
  min_p: optionalNumber(0, 1),
  typical_p: optionalNumber(0, 1).describe("1 is off."),
  seed: z.int(seedAllowed).nullish().describe("Taken modulo 2^32; -1 draws one at random."),
  stop: generationParameters.stop,
  repeat_last_n: optionalInteger(-1).describe("0 is off; -1 looks back on the whole context."),
  repeat_penalty: optionalNumber(0.01, 10).describe("1 is off."),
  presence_penalty: optionalNumber(-2, 2),
  frequency_penalty: optionalNumber(-2, 2),
  ...unsupportedFields(optionsPolicy),
});

const options = withUnknownNames(optionFields)
  .nullish()
  .describe(
    "Absent ones are the expert's own. How a model is loaded, its context too, is what the configuration says.",
  );

const bodyPolicy = {
  // A prompt that does not fit the context is refused, and an answer ends with the context: false asks for just that.
  ignored: { truncate: is(false), shift: is(false), context: isEmpty },
  refused: { template: isEmpty },
} as const;

export const answerParameters = {
  model: z
    .string()
    .nullish()
    .describe('An expert\'s id or alias, with or without a tag. Absent, "" or "auto": the router picks the expert.'),
  stream: z.boolean().nullish().describe("Absent: true, an object a line."),
  format: checked(z.union([z.enum(["", "json"]), z.record(z.string(), z.unknown())]), refuseFormat)
    .nullish()
    .describe("What the answer must be: any JSON object, or what a JSON schema allows."),
  think: checked(z.union([z.boolean(), z.enum(thinkLevels)]), refuseThink)
    .nullish()
    .describe("Absent: as the model does by itself."),
  options,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int("an integer from 0 to 20").min(0).max(20, "an integer from 0 to 20").nullish(),
  ...unsupportedFields(bodyPolicy),
  ...schedulingParameters,
} as const;

export type AnswerParameters = z.output<z.ZodObject<typeof answerParameters>> & UnknownNames;

type Options = NonNullable<AnswerParameters["options"]>;
const noOptions: Options = { unknownNames: [] };

function refuseFormat(value: unknown): Refusal | null {
  if (value === "" || value === "json") return null;
  if (isJsonObject(value)) return refuseHugeJson(value);
  return { path: [], code: typeof value === "string" ? "invalid_value" : "invalid_type", allowed: formatAllowed };
}

function refuseThink(value: unknown): Refusal | null {
  if (typeof value === "boolean" || thinkLevels.some((level) => level === value)) return null;
  return { path: [], code: "invalid_value", allowed: thinkAllowed };
}

/** Base64 images of a message or a prompt: nothing but an absent or empty list is taken. */
export const images = anyArray().nullish().describe("Not supported yet unless empty.");

/** Throws a PublicError (400) where there are any. */
export function refuseImages(value: readonly unknown[] | null | undefined, field: string): void {
  if (value === undefined || value === null || value.length === 0) return;
  throw invalidRequest(
    `${field} is not supported by this server yet, which reads text only; leave it out or empty. Received ${describe(value)}.`,
    field,
    "unsupported_content",
  );
}

/**
 * The names of the parameters that ask for something and are passed over. Throws a PublicError (400) for one that would
 * change what the answer means, where `drops` is false.
 */
export function passedOver(body: AnswerParameters, drops: boolean): readonly string[] {
  const named = <T>(values: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`options.${name}`, value]));
  const policy = { refused: named(optionsPolicy.refused), ignored: named(optionsPolicy.ignored) };
  const { unknownNames, ...given } = body.options ?? noOptions;
  return [
    ...passOver(body, bodyPolicy, drops),
    ...passOver(named<unknown>(given), policy, drops),
    ...unknownNames.map((name) => `options.${name}`),
    ...body.unknownNames,
  ];
}

export function toLimits(body: AnswerParameters): GenerationLimits {
  const given = body.options ?? noOptions;
  const numPredict = given.num_predict ?? 0;
  return {
    maxTokens: numPredict > 0 ? numPredict : null,
    stop: typeof given.stop === "string" ? [given.stop] : (given.stop ?? []),
    sampling: samplingOf(given),
    topLogprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : null,
    output: outputOf(body.format),
  };
}

export function toReasoning({ think }: Pick<AnswerParameters, "think">): ReasoningOptions {
  if (think === undefined || think === null) return defaultReasoning;
  if (typeof think === "boolean") return { ...defaultReasoning, thinks: think };
  return { ...defaultReasoning, thinks: true, effort: think };
}

function samplingOf(given: Options): Sampling {
  const sampling = {
    temperature: given.temperature,
    topP: given.top_p,
    topK: given.top_k === -1 ? 0 : given.top_k,
    minP: given.min_p,
    typicalP: given.typical_p,
    // ToUint32: exactly the residue modulo 2^32 for every safe integer.
    seed: given.seed === null || given.seed === undefined || given.seed === -1 ? null : given.seed >>> 0,
    repeatLastN: given.repeat_last_n,
    repeatPenalty: given.repeat_penalty,
    presencePenalty: given.presence_penalty,
    frequencyPenalty: given.frequency_penalty,
  };
  const isGiven = ([, value]: readonly [string, number | null | undefined]) => value !== null && value !== undefined;
  return Object.fromEntries(Object.entries(sampling).filter(isGiven));
}

function outputOf(format: AnswerParameters["format"]): OutputFormat | null {
  if (format === undefined || format === null || format === "") return null;
  return format === "json" ? { type: "json_object" } : { type: "json_schema", schema: format, field: "format" };
}
