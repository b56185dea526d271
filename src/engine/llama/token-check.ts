// Tokens that callers bring, checked before native code sees them: an id outside the vocabulary ends the process there, and
// so do more tokens than a context was made for.
// May import engine.ts and core/.
import { invalidRequest, PublicError } from "../../core/errors.ts";
import type { Token } from "../engine.ts";

/** Throws a PublicError (400) that names the first id outside 0 to `vocabularySize` - 1, as `field[index]`. */
export function checkTokens(tokens: readonly Token[], vocabularySize: number, field: string): void {
  const bad = tokens.findIndex((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (bad === -1) return;
  throw invalidRequest(
    `${field}[${bad}] is ${tokens[bad]}; token ids of this model are integers from 0 to ${vocabularySize - 1}.`,
    `${field}[${bad}]`,
    "invalid_token",
  );
}

/** Throws a PublicError (400) for a text of no tokens, or of more than a context holds. */
export function checkLength(tokens: readonly Token[], contextTokens: number, field: string): void {
  if (tokens.length === 0) throw invalidRequest(`${field} holds no token; it must hold at least one.`, field);
  if (tokens.length <= contextTokens) return;
  throw new PublicError(`${field} has ${tokens.length} tokens, but this model takes at most ${contextTokens}.`, {
    status: 400,
    type: "exceed_context_size_error",
    code: "context_length_exceeded",
    param: field,
  });
}
