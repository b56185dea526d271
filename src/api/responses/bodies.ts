// The bodies that this dialect answers with, as schemas: for openapi.json, and for tests to hold the converters to.
// May import zod.
import { z } from "zod";
import { chatCompletion } from "../openai/responses.ts";

const count = z.int().min(0);
const itemStatus = z.enum(["in_progress", "completed", "incomplete"]);
const token = { token: z.string(), bytes: z.array(count), logprob: z.number() };
const logprob = z.object({ ...token, top_logprobs: z.array(z.object(token)) });

const outputText = z.object({
  type: z.literal("output_text"),
  text: z.string(),
  annotations: z.tuple([]),
  logprobs: z.array(logprob),
});
const reasoningText = z.object({ type: z.literal("reasoning_text"), text: z.string() });

const outputItem = z.discriminatedUnion("type", [
  z.object({
    id: z.string(),
    type: z.literal("message"),
    status: itemStatus,
    role: z.literal("assistant"),
    content: z.array(outputText),
  }),
  z.object({
    id: z.string(),
    type: z.literal("reasoning"),
    status: itemStatus,
    summary: z.tuple([]),
    content: z.array(reasoningText),
  }),
  z.object({
    id: z.string(),
    type: z.literal("function_call"),
    status: itemStatus,
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
]);

const { routing, timings, performance } = chatCompletion.shape;

export const response = z.object({
  id: z.string(),
  object: z.literal("response"),
  created_at: z.int(),
  status: z.enum(["in_progress", "completed", "incomplete", "failed"]),
  completed_at: z.int().nullable(),
  background: z.literal(false),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.literal("max_output_tokens") }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: count.nullable(),
  max_tool_calls: z.null(),
  metadata: z.record(z.string(), z.string()),
  model: z.string().describe("The expert that answered."),
  output: z.array(outputItem),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.null(),
  prompt_cache_key: z.null(),
  reasoning: z.object({ effort: z.string().nullable(), summary: z.null() }),
  safety_identifier: z.null(),
  service_tier: z.literal("default"),
  store: z.literal(false),
  temperature: z.number().nullable().describe("Null: the expert's own."),
  text: z.object({ format: z.looseObject({ type: z.string() }), verbosity: z.literal("medium") }),
  tool_choice: z.union([z.string(), z.looseObject({ type: z.string() })]),
  tools: z.array(z.looseObject({ type: z.literal("function"), name: z.string() })),
  top_logprobs: count,
  top_p: z.number().nullable().describe("Null: the expert's own."),
  presence_penalty: z.number().nullable(),
  frequency_penalty: z.number().nullable(),
  truncation: z.literal("disabled"),
  usage: z
    .object({
      input_tokens: count,
      input_tokens_details: z.object({ cached_tokens: count.describe("Taken from the prompt cache.") }),
      output_tokens: count,
      output_tokens_details: z.object({ reasoning_tokens: count.describe("Not counted apart: 0.") }),
      total_tokens: count,
    })
    .nullable(),
  user: z.string().nullable(),
  routing,
  timings: timings.optional().describe("Once it has ended."),
  performance: performance.optional().describe("Once it has ended."),
});

const place = { sequence_number: count, item_id: z.string(), output_index: count };
const partPlace = { ...place, content_index: z.literal(0) };
const whole = { sequence_number: count, response };
const itemEvent = { sequence_number: count, output_index: count, item: outputItem };
const partEvent = { ...partPlace, part: z.discriminatedUnion("type", [outputText, reasoningText]) };
const logprobs = z.array(logprob);

export const responseEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("response.created"), ...whole }),
  z.object({ type: z.literal("response.in_progress"), ...whole }),
  z.object({ type: z.literal("response.output_item.added"), ...itemEvent }),
  z.object({ type: z.literal("response.content_part.added"), ...partEvent }),
  z.object({ type: z.literal("response.output_text.delta"), ...partPlace, delta: z.string(), logprobs }),
  z.object({ type: z.literal("response.output_text.done"), ...partPlace, text: z.string(), logprobs }),
  z.object({ type: z.literal("response.reasoning_text.delta"), ...partPlace, delta: z.string() }),
  z.object({ type: z.literal("response.reasoning_text.done"), ...partPlace, text: z.string() }),
  z.object({ type: z.literal("response.function_call_arguments.delta"), ...place, delta: z.string() }),
  z.object({
    type: z.literal("response.function_call_arguments.done"),
    ...place,
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({ type: z.literal("response.content_part.done"), ...partEvent }),
  z.object({ type: z.literal("response.output_item.done"), ...itemEvent }),
  z.object({ type: z.literal("response.completed"), ...whole }),
  z.object({ type: z.literal("response.incomplete"), ...whole }),
  z.object({ type: z.literal("response.failed"), ...whole }),
]);

export const tokenCount = z.object({ object: z.literal("response.input_tokens"), input_tokens: count });
