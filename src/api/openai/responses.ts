// The bodies that this dialect answers with, as schemas: for openapi.json, and for tests to hold the converters to.
// May import zod.
import { z } from "zod";
import { expertStatuses, placement } from "../common/expert-view.ts";

const count = z.int().min(0);
const completionFinishReason = z
  .enum(["stop", "length"])
  .describe("`length`: the answer was cut, though it may be whole in its form.");
const finishReason = z
  .enum(["stop", "length", "tool_calls", "function_call"])
  .describe("`length`: the answer was cut, though it may be whole in its form.");
const fingerprint = z.string().describe("The version of what answers.");

const tokenLogprob = {
  token: z.string(),
  logprob: z.number().describe("Of the model's raw distribution, before any sampler."),
  bytes: z.array(z.int().min(0).max(255)),
};
const logprobs = z
  .object({
    content: z.array(z.object({ ...tokenLogprob, top_logprobs: z.array(z.object(tokenLogprob)) })),
    refusal: z.null(),
  })
  .nullable();
const completionLogprobs = z
  .object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number()),
    top_logprobs: z.array(z.record(z.string(), z.number())),
    text_offset: z.array(count).describe("Where the tokens begin in the choice's text."),
  })
  .nullable();

const calledFunction = z.object({
  name: z.string(),
  arguments: z.string().describe("A JSON object, written."),
});
const functionPiece = z.object({
  name: z.string().optional().describe("On the call's first chunk."),
  arguments: z.string(),
});

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
  completion_tokens_details: z.object({ reasoning_tokens: count.describe("Of the completion, what was thought.") }),
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

const head = {
  id: z.string(),
  created: z.int(),
  model: z.string().describe("The expert that answered."),
  system_fingerprint: fingerprint,
};

export const chatCompletion = z.object({
  ...head,
  object: z.literal("chat.completion"),
  choices: z.array(
    z.object({
      index: count,
      message: z.object({
        role: z.literal("assistant"),
        content: z.string().nullable().describe("Null where the answer is calls alone."),
        refusal: z.null(),
        reasoning_content: z.string().optional().describe("What the model thought before it answered."),
        tool_calls: z
          .array(z.object({ id: z.string(), type: z.literal("function"), function: calledFunction }))
          .optional(),
        function_call: calledFunction.optional().describe("In place of tool_calls where `functions` was sent."),
      }),
      logprobs,
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
      delta: z.object({
        role: z.literal("assistant").optional().describe("On the choice's first chunk."),
        content: z.string().optional(),
        reasoning_content: z.string().optional(),
        tool_calls: z
          .array(
            z.object({
              index: count,
              id: z.string().optional().describe("On the call's first chunk."),
              type: z.literal("function").optional().describe("On the call's first chunk."),
              function: functionPiece,
            }),
          )
          .optional(),
        function_call: functionPiece.optional(),
      }),
      logprobs,
      finish_reason: finishReason.nullable(),
    }),
  ),
  routing: routing.optional().describe("On the first chunk."),
  timings: timings.optional().describe("On the chunks with finish_reason or usage."),
  usage: usage.optional().describe("On the last chunk, with stream_options.include_usage."),
  prompt_progress: z
    .object({ total: count, cache: count, processed: count, time_ms: z.number() })
    .optional()
    .describe("With return_progress, on chunks before the answer: tokens of the prompt, and how many are read."),
});

export const completion = z.object({
  ...head,
  object: z.literal("text_completion"),
  choices: z.array(
    z.object({
      index: count,
      text: z.string(),
      logprobs: completionLogprobs,
      finish_reason: completionFinishReason,
    }),
  ),
  usage,
  routing,
  timings,
  performance,
});

export const completionChunk = z.object({
  ...head,
  object: z.literal("text_completion"),
  choices: z.array(
    z.object({
      index: count,
      text: z.string(),
      logprobs: completionLogprobs,
      finish_reason: completionFinishReason.nullable(),
    }),
  ),
  routing: routing.optional().describe("On the first chunk."),
  timings: timings.optional().describe("On the chunks with finish_reason or usage."),
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

export const reranking = z.object({
  object: z.literal("list"),
  model: z.string(),
  results: z.array(
    z.object({
      index: count.describe("In the request's documents."),
      relevance_score: z
        .number()
        .describe("What the model's classification head gives, higher is better; on no scale of its own."),
      document: z.object({ text: z.string() }).optional().describe("With return_documents."),
    }),
  ),
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
