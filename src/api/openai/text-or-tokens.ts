// The four forms in which OpenAI's API takes input: a text, several texts, one list of token ids, several lists.
// May import zod.
import { z } from "zod";
import { checked, type Refusal } from "../common/validation.ts";

const maxToken = 2_147_483_647;
const tokenAllowed = `a token id (an integer from 0 to ${maxToken})`;
const tokens = z.array(z.int().min(0).max(maxToken)).min(1);

export type TextOrTokens = string | readonly number[];

/** A schema that turns each of the four forms into a list of at most `maxItems` texts or token lists, never empty. */
export function textOrTokens(maxItems: number) {
  const documentation = z.union([
    z.string(),
    tokens,
    z
      .array(z.union([z.string(), tokens]))
      .min(1)
      .max(maxItems),
  ]);
  return checked(documentation, (input) => refuseInput(input, maxItems)).transform(
    (input): readonly [TextOrTokens, ...TextOrTokens[]] => {
      if (typeof input === "string") return [input];
      const isOneList = typeof input[0] === "number";
      return isOneList ? [input as number[]] : (input as [TextOrTokens, ...TextOrTokens[]]);
    },
  );
}

/** Where one of a list of `count` inputs stood in the request: `prompt`, or `prompt[1]` among several. */
export function inputField(name: string, index: number, count: number): string {
  return count === 1 ? name : `${name}[${index}]`;
}

function refuseInput(input: unknown, maxItems: number): Refusal | null {
  if (typeof input === "string") return null;
  const isList = Array.isArray(input) && input.length > 0;
  // What the first element is decides whether this is one list of token ids or a list of inputs.
  if (isList && typeof input[0] === "number") return refuseTokens(input, []);
  if (!isList || input.length > maxItems) {
    const allowed = `a string, an array of token ids, or an array of 1 to ${maxItems} strings or arrays of token ids`;
    return { path: [], code: "invalid_value", allowed };
  }
  for (const [index, item] of input.entries()) {
    const refusal = refuseItem(item, index);
    if (refusal !== null) return refusal;
  }
  return null;
}

function refuseItem(item: unknown, index: number): Refusal | null {
  if (typeof item === "string") return null;
  const path = [index];
  if (!Array.isArray(item)) {
    const first = index === 0 ? "a string, a token id" : "a string";
    return { path, code: "invalid_value", allowed: `${first} or an array of token ids` };
  }
  if (item.length === 0) return { path, code: "invalid_value", allowed: "a non-empty array of token ids" };
  return refuseTokens(item, path);
}

function refuseTokens(list: readonly unknown[], path: readonly number[]): Refusal | null {
  for (const [index, token] of list.entries()) {
    if (!Number.isInteger(token)) return { path: [...path, index], code: "invalid_type", allowed: tokenAllowed };
    const isInRange = (token as number) >= 0 && (token as number) <= maxToken;
    if (!isInRange) return { path: [...path, index], code: "invalid_value", allowed: tokenAllowed };
  }
  return null;
}
