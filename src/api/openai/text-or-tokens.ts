// The four forms in which OpenAI's API takes input: a text, several texts, one list of token ids, several lists.
// May import zod.
import { z } from "zod";

const tokenAllowed = "a token id (an integer from 0 to 2147483647)";
const token = z.int(tokenAllowed).min(0, tokenAllowed).max(2_147_483_647, tokenAllowed);
const tokens = z.array(token, "an array of token ids").min(1, "a non-empty array of token ids");

export type TextOrTokens = string | readonly number[];

/** A schema that turns each of the four forms into a list of at most `maxItems` texts or token lists, never empty. */
export function textOrTokens(maxItems: number) {
  const allowed = `a string, an array of token ids, or an array of 1 to ${maxItems} strings or arrays of token ids`;
  const one = z.union([z.string(), tokens], "a string or an array of token ids");
  return z
    .union([z.string(), tokens, z.array(one, allowed).min(1, allowed).max(maxItems, allowed)], allowed)
    .transform((input): readonly [TextOrTokens, ...TextOrTokens[]] => {
      if (typeof input === "string") return [input];
      const isOneList = input.every((item) => typeof item === "number");
      return isOneList ? [input] : (input as [TextOrTokens, ...TextOrTokens[]]);
    });
}
