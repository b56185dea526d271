// Token ids that callers bring, checked before native code sees them: an id outside the vocabulary ends the process there.
// May import engine.ts and core/.
import { invalidRequest } from "../../core/errors.ts";
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
