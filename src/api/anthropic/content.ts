// The content of Anthropic's messages: a string or blocks, as schemas. May import zod.
import { z, type ZodType } from "zod";
import { keptObject } from "../responses/tool-use.ts";
import { checked, refuseArray, type Refusal } from "../common/validation.ts";

const contentAllowed = "a string or an array of content blocks";
const blockAllowed = 'a content block such as {"type": "text", "text": "…"}';
const textAllowed = "a string or an array of text blocks";

const textBlock = z.object({ type: z.literal("text"), text: z.string() });
const imageBlock = z.object({ type: z.literal("image") });
const documentBlock = z.object({
  type: z.literal("document"),
  source: z.object({ type: z.string(), data: z.string().nullish() }),
  title: z.string().nullish(),
  context: z.string().nullish(),
});

const resultBlock = blocks([textBlock, imageBlock, documentBlock]);

const contentBlock = blocks([
  textBlock,
  imageBlock,
  documentBlock,
  z.object({ type: z.literal("thinking"), thinking: z.string(), signature: z.string().nullish() }),
  z.object({ type: z.literal("redacted_thinking"), data: z.string().nullish() }),
  z.object({
    type: z.literal("tool_use"),
    id: z.string(),
    name: z.string(),
    input: keptObject(),
  }),
  z.object({
    type: z.literal("tool_result"),
    tool_use_id: z.string(),
    content: textOrBlocks(resultBlock, contentAllowed).nullish(),
    is_error: z.boolean().nullish(),
  }),
]);

export type ContentBlock = z.output<typeof contentBlock>;
export type ResultBlock = z.output<typeof resultBlock>;

/** The content of a message. */
export const content = textOrBlocks(contentBlock, contentAllowed);

/** A system prompt. */
export const systemContent = textOrBlocks(blocks([textBlock]), textAllowed);

function blocks<const Options extends readonly [z.core.$ZodTypeDiscriminable, ...z.core.$ZodTypeDiscriminable[]]>(
  options: Options,
) {
  const types = options.map((option) => (option as unknown as z.ZodObject<{ type: z.ZodLiteral }>).shape.type.value);
  const allowed = types.map((type) => JSON.stringify(type)).join(", ");
  return z.discriminatedUnion("type", options, {
    // Of a union by `type`, this code means that the type is none of those above.
    error: (issue) => {
      if (issue.code !== "invalid_union") return blockAllowed;
      return types.length === 1 ? allowed : `one of ${allowed}`;
    },
  });
}

function textOrBlocks<Block>(block: ZodType<Block>, allowed: string) {
  return checked(z.union([z.string(), z.array(block)]), (value): Refusal | null => {
    if (typeof value === "string") return null;
    if (!Array.isArray(value)) return { path: [], code: "invalid_type", allowed };
    return refuseArray(value, block, { min: 0, max: Infinity, allowed });
  });
}
