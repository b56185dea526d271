// Texts for an embedding or a ranking model, as tokens that fit. May import prompt-limit.ts, engine/ (types) and core/.
import { PublicError } from "../core/errors.ts";
import type { LoadedModel, Token } from "../engine/engine.ts";
import { refuseHopelessPrompt } from "./prompt-limit.ts";

/** Characters of a text that are enough for any context, where the rest is cut off anyway. */
const charactersPerToken = 64;

export interface TextLimits {
  /** Where the text stood in the caller's request, for errors. */
  readonly field: string;
  /** A text that is too long loses its end. */
  readonly truncates: boolean;
}

type Model = Pick<LoadedModel, "tokenize" | "contextTokens">;

/** Throws a PublicError (400) for a text that is too long and must not be cut. */
export function fittingTokens(
  model: Model,
  input: string | readonly Token[],
  { field, truncates }: TextLimits,
): readonly Token[] {
  const most = model.contextTokens - 1;
  if (typeof input !== "string") return fitting(input, most, field, truncates);
  const text = truncates ? input.slice(0, most * charactersPerToken) : input;
  if (!truncates) refuseHopelessPrompt(model, text, field);
  const tokens = model.tokenize(text, { parseSpecial: false, addSpecial: true });
  if (tokens.length <= most || !truncates) return fitting(tokens, most, field, false);
  // What the model ends every text with stays: some take the vector from there.
  const end = tokens.slice(tokens.length - endingTokens(model, tokens));
  return [...tokens.slice(0, most - end.length), ...end];
}

/** How many of the last tokens are none of the text's own. */
function endingTokens(model: Model, tokens: readonly Token[]): number {
  const frame = model.tokenize("", { parseSpecial: false, addSpecial: true });
  let ending = 0;
  while (ending < frame.length && frame.at(-1 - ending) === tokens.at(-1 - ending)) ending += 1;
  return ending;
}

/** The longest beginning of a text found that has at most `tokens` tokens. */
export function beginningOf(model: Pick<LoadedModel, "tokenize">, text: string, tokens: number): string {
  let beginning = text.slice(0, tokens * charactersPerToken);
  while (beginning !== "") {
    const { length } = model.tokenize(beginning, { parseSpecial: false, addSpecial: false });
    if (length <= tokens) return beginning;
    // The rest of the way in proportion, and a little further, so that few steps lead there.
    beginning = beginning.slice(0, Math.floor(beginning.length * Math.min(0.98, tokens / length)));
  }
  return beginning;
}

/** The first values of a vector, scaled to length 1 again. */
export function firstValues(vector: Float32Array, count: number): Float32Array {
  if (count >= vector.length) return vector;
  const kept = vector.slice(0, count);
  const length = Math.hypot(...kept);
  return length === 0 ? kept : kept.map((value) => value / length);
}

function fitting(tokens: readonly Token[], most: number, field: string, truncates: boolean): readonly Token[] {
  if (tokens.length <= most) return tokens;
  if (truncates) return tokens.slice(0, most);
  throw new PublicError(`${field} has ${tokens.length} tokens, but this model takes at most ${most}.`, {
    status: 400,
    type: "exceed_context_size_error",
    code: "context_length_exceeded",
    param: field,
  });
}
