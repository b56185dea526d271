// The bodies that this dialect answers with, as schemas: for openapi.json, and for tests to hold the converters to.
// May import zod.
import { z } from "zod";

const count = z.int().min(0);
const duration = count.describe("Nanoseconds.");
const time = z.iso.datetime();

const logprob = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(count) });

const answerHead = {
  model: z.string().describe("As it was asked for, or else the expert that answered."),
  created_at: time,
  done: z.boolean().describe("False on all lines of a stream but the last."),
  done_reason: z.enum(["stop", "length", "load", "unload"]).optional(),
  logprobs: z.array(logprob.extend({ top_logprobs: z.array(logprob) })).optional(),
  total_duration: duration.optional(),
  load_duration: duration.optional(),
  prompt_eval_count: count.optional(),
  prompt_eval_duration: duration.optional(),
  eval_count: count.optional(),
  eval_duration: duration.optional(),
  routing: z
    .object({ expert_id: z.string(), confidence: z.number(), source: z.string(), reason: z.string() })
    .optional()
    .describe("Who answered and why, with the durations."),
} as const;

export const chatAnswer = z.strictObject({
  ...answerHead,
  message: z.strictObject({
    role: z.literal("assistant"),
    content: z.string(),
    thinking: z.string().optional(),
    tool_calls: z
      .array(
        z.strictObject({
          id: z.string(),
          function: z.strictObject({
            index: count,
            name: z.string(),
            arguments: z.record(z.string(), z.unknown()),
          }),
        }),
      )
      .optional(),
  }),
});

export const generateAnswer = z.strictObject({
  ...answerHead,
  response: z.string(),
  thinking: z.string().optional(),
});

export const embedAnswer = z.strictObject({
  model: z.string(),
  embeddings: z.array(z.array(z.number())),
  total_duration: duration,
  load_duration: duration,
  prompt_eval_count: count,
});

export const embeddingsAnswer = z.strictObject({ embedding: z.array(z.number()) });

const details = z.strictObject({
  parent_model: z.string(),
  format: z.string(),
  family: z.string().describe("The architecture."),
  families: z.array(z.string()),
  parameter_size: z.string(),
  quantization_level: z.string(),
});

const entry = {
  name: z.string(),
  model: z.string(),
  size: count.describe("Bytes."),
  digest: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe("Of the file's path, size and time, not of its content: another one where the file is replaced."),
  details,
} as const;

export const tagsAnswer = z.strictObject({ models: z.array(z.strictObject({ ...entry, modified_at: time })) });

export const psAnswer = z.strictObject({
  models: z.array(
    z.strictObject({
      ...entry,
      size: count.describe("Bytes in memory."),
      expires_at: time,
      size_vram: z.literal(0),
      context_length: count,
    }),
  ),
});

export const showAnswer = z.strictObject({
  license: z.literal(""),
  modelfile: z.string(),
  parameters: z.string(),
  template: z.string().describe("The file's own, in Jinja; empty while it was not loaded since the start."),
  system: z.string(),
  details,
  model_info: z.record(z.string(), z.union([z.string(), z.number()])),
  capabilities: z
    .array(z.enum(["completion", "tools", "thinking", "insert", "embedding"]))
    .describe("Whether it thinks and fills in is known once it was loaded."),
  modified_at: time,
});

export const versionAnswer = z.strictObject({
  version: z.string().describe("The version of Ollama whose API this is."),
  server: z.string(),
});

export const pullAnswer = z.strictObject({ status: z.literal("success") });
