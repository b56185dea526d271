// The bodies that this dialect answers with, as schemas: for openapi.json, and for tests to hold the converters to.
// May import zod.
import { z } from "zod";
import { expertStatuses, placement } from "../expert-view.ts";

const count = z.int().min(0);
const finishReason = z.enum(["stop", "length"]);

const routing = z.object({
  expert_id: z.string(),
  confidence: z.number().min(0).max(1),
  source: z.enum(["request", "keywords", "default"]).describe("`request`: the caller named the expert."),
  reason: z.string(),
});

const usage = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count.describe("Taken from the prompt cache.") }),
});

const timings = z.object({
  cache_n: count,
  prompt_n: count.describe("Prompt tokens read; the cached ones are not among them."),
  prompt_ms: z.number(),
  prompt_per_second: z.number(),
  predicted_n: count,
  predicted_ms: z.number(),
  predicted_per_second: z.number(),
  queue_ms: z.number(),
  load_ms: z.number(),
  ttft_ms: z.number().nullable(),
});

const performance = z.object({
  generation_time: z.number().describe("Seconds of decoding."),
  tokens_per_second: z.number(),
});

/** Statuses of the endpoints that put a model to work. */
export const modelErrors = {
  404: "No such model; the message lists the known ones",
  429: "The queue is full; Retry-After says when to come back",
  503: "Loading failed or the server is shutting down; Retry-After says when to come back, where that helps",
  507: "The model is larger than the memory budget, or the machine lacks the memory",
} as const;

/** Headers of a generated answer. */
export const answerHeaders = { "x-expert": "The expert that answered" } as const;

const head = { id: z.string(), created: z.int(), model: z.string().describe("The expert that answered.") };

export const chatCompletion = z.object({
  ...head,
  object: z.literal("chat.completion"),
  choices: z.array(
    z.object({
      index: count,
      message: z.object({ role: z.literal("assistant"), content: z.string() }),
      logprobs: z.null(),
      finish_reason: finishReason,
    }),
  ),
  usage,
  routing,
  timings,
  performance,
});

export const chatCompletionChunk = z.object({
  ...head,
  object: z.literal("chat.completion.chunk"),
  choices: z.array(
    z.object({
      index: count,
      delta: z.object({ role: z.literal("assistant").optional(), content: z.string().optional() }),
      logprobs: z.null(),
      finish_reason: finishReason.nullable(),
    }),
  ),
  routing: routing.optional().describe("On the first chunk."),
  timings: timings.optional().describe("On the chunk with finish_reason."),
  usage: usage.optional().describe("On the last chunk, with stream_options.include_usage."),
});

export const completion = z.object({
  ...head,
  object: z.literal("text_completion"),
  choices: z.array(z.object({ index: count, text: z.string(), logprobs: z.null(), finish_reason: finishReason })),
  usage,
  routing,
  timings,
  performance,
});

export const completionChunk = z.object({
  ...head,
  object: z.literal("text_completion"),
  choices: z.array(
    z.object({ index: count, text: z.string(), logprobs: z.null(), finish_reason: finishReason.nullable() }),
  ),
  routing: routing.optional().describe("On the first chunk."),
  timings: timings.optional().describe("On the chunks with finish_reason."),
  usage: usage.optional().describe("On the last chunk, with stream_options.include_usage."),
});

export const embeddings = z.object({
  object: z.literal("list"),
  data: z.array(
    z.object({
      object: z.literal("embedding"),
      index: count,
      embedding: z.union([z.array(z.number()), z.string()]).describe("A string with encoding_format base64."),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: count, total_tokens: count }),
});

export const model = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
  domain: z.string(),
  description: z.string(),
  status: z.enum(expertStatuses),
  aliases: z.array(z.string()).optional(),
  alias_of: z.string().optional().describe("The expert that this alias stands for."),
  meta: z
    .object({ n_ctx_train: count, n_params: count, size: count.describe("Bytes of the file.") })
    .nullable()
    .describe("Null where the file is missing or invalid."),
  // Absent from `auto`.
  ...z.object(placement).partial().shape,
});

export const models = z.object({ object: z.literal("list"), data: z.array(model) });
