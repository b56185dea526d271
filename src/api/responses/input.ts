// What the input of a response can be made of: a string or items, as schemas. May import zod.
import { z, type ZodType } from "zod";
import { checked, refuseArray, type Refusal } from "../common/validation.ts";

const maxItems = 100_000;
const inputAllowed = `a string or an array of 1 to ${maxItems} items`;
const contentAllowed = "a string or an array of content parts";

const inputText = z.object({ type: z.literal("input_text"), text: z.string() });
const outputText = z.object({ type: z.literal("output_text"), text: z.string() });
const plainText = z.object({ type: z.literal("text"), text: z.string() });
const refusal = z.object({ type: z.literal("refusal"), refusal: z.string() });
const image = z.object({ type: z.literal("input_image") });
const file = z.object({ type: z.literal("input_file") });
const audio = z.object({ type: z.literal("input_audio") });

const partAllowed = 'a part such as {"type": "input_text", "text": "…"}';
const messagePart = z.discriminatedUnion("type", [inputText, outputText, plainText, refusal, image, file, audio], {
  error: (issue) => (issue.code === "invalid_union" ? 'one of "input_text", "output_text", "refusal"' : partAllowed),
});
const outputPart = z.discriminatedUnion("type", [inputText, outputText, plainText, image, file], {
  error: (issue) => (issue.code === "invalid_union" ? '"input_text"' : partAllowed),
});
const thought = z.object(
  { type: z.string(), text: z.string() },
  'a part such as {"type": "reasoning_text", "text": "…"}',
);

const itemTypes = '"message", "function_call", "function_call_output" or "reasoning"';

const item = z.discriminatedUnion(
  "type",
  [
    z.object({
      type: z.literal("message").optional(),
      role: z.enum(["system", "developer", "user", "assistant"]).describe("`developer` is read as `system`."),
      content: textOrParts(messagePart, contentAllowed),
    }),
    z.object({
      type: z.literal("function_call"),
      call_id: z.string(),
      name: z.string(),
      arguments: z.string().describe("A JSON object, written."),
    }),
    z.object({
      type: z.literal("function_call_output"),
      call_id: z.string(),
      output: textOrParts(outputPart, contentAllowed),
    }),
    z.object({
      type: z.literal("reasoning"),
      summary: thoughts().nullish(),
      content: thoughts().nullish().describe("Where it is given, the summary is not read."),
    }),
    z.object({ type: z.literal("item_reference"), id: z.string() }).describe("Refused: this server keeps no items."),
  ],
  {
    error: (issue) => (issue.code === "invalid_union" ? itemTypes : 'an item such as {"role": "user", "content": "…"}'),
  },
);

export type InputItem = z.output<typeof item>;
export type InputPart = z.output<typeof messagePart> | z.output<typeof outputPart>;

export const input = checked(z.union([z.string(), z.array(item).min(1).max(maxItems)]), (value): Refusal | null => {
  if (typeof value === "string") return null;
  return refuseArray(value, item, { min: 1, max: maxItems, allowed: inputAllowed });
});

function textOrParts<Part>(part: ZodType<Part>, allowed: string) {
  return checked(z.union([z.string(), z.array(part)]), (value): Refusal | null => {
    if (typeof value === "string") return null;
    return refuseArray(value, part, { min: 0, max: Infinity, allowed });
  });
}

function thoughts() {
  return checked(z.array(thought), (value) =>
    refuseArray(value, thought, { min: 0, max: Infinity, allowed: "an array of parts" }),
  );
}
