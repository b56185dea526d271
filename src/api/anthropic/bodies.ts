// The bodies that this dialect answers with, as schemas: for openapi.json, and for tests to hold the converters to.
// May import zod.
import { z } from "zod";

const count = z.int().min(0);

const usage = z.object({
  input_tokens: count.describe("Without those that were taken from the prompt cache."),
  cache_creation_input_tokens: z.literal(0),
  cache_read_input_tokens: count.describe("Taken from the prompt cache."),
  output_tokens: count,
});

const stop = {
  stop_reason: z.enum(["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]),
  stop_sequence: z.string().nullable(),
};

const textBlock = z.object({ type: z.literal("text"), text: z.string() });
const thinkingBlock = z.object({ type: z.literal("thinking"), thinking: z.string(), signature: z.string() });
const toolUseBlock = z.object({
  type: z.literal("tool_use"),
  id: z.string(),
  name: z.string(),
  input: z.record(z.string(), z.unknown()),
});
const block = z.discriminatedUnion("type", [textBlock, thinkingBlock, toolUseBlock]);

const head = {
  id: z.string(),
  type: z.literal("message"),
  role: z.literal("assistant"),
  model: z.string().describe("The expert that answered."),
};

export const messageAnswer = z.object({ ...head, content: z.array(block), ...stop, usage });

export const messageEvent = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("message_start"),
    message: z.object({ ...head, content: z.tuple([]), stop_reason: z.null(), stop_sequence: z.null(), usage }),
  }),
  z.object({ type: z.literal("ping") }),
  z.object({ type: z.literal("content_block_start"), index: count, content_block: block }),
  z.object({
    type: z.literal("content_block_delta"),
    index: count,
    delta: z.discriminatedUnion("type", [
      z.object({ type: z.literal("text_delta"), text: z.string() }),
      z.object({ type: z.literal("thinking_delta"), thinking: z.string() }),
      z.object({ type: z.literal("signature_delta"), signature: z.string() }),
      z.object({ type: z.literal("input_json_delta"), partial_json: z.string() }),
    ]),
  }),
  z.object({ type: z.literal("content_block_stop"), index: count }),
  z.object({ type: z.literal("message_delta"), delta: z.object(stop), usage }),
  z.object({ type: z.literal("message_stop") }),
]);

export const tokenCount = z.object({ input_tokens: count });
