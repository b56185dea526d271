// Refuses a prompt that cannot fit before all of it is tokenized: tokenizing megabytes holds up every other request.
// May import engine/ (types) and core/.
import { PublicError } from "../core/errors.ts";
import type { TextModel } from "../engine/engine.ts";

/** Characters for each token of context up to which a text is tokenized without a look at its beginning first. */
const sampleCharactersPerToken = 12;

/**
 * Throws a PublicError (400, `context_length_exceeded`) where a beginning of the text alone has more tokens than the
 * context. A text that passes may still be too long by a little; the engine says so with the exact number.
 */
export function refuseHopelessPrompt(
  model: Pick<TextModel, "tokenize" | "contextTokens">,
  text: string,
  field: string,
): void {
  const { contextTokens } = model;
  for (let length = contextTokens * sampleCharactersPerToken; length < text.length; length *= 2) {
    const { length: tokens } = model.tokenize(text.slice(0, length), { parseSpecial: false, addSpecial: false });
    if (tokens > contextTokens) {
      throw new PublicError(
        `${field} has more than ${tokens} tokens, but this model's context holds ${contextTokens}. Shorten it or raise max_model_len.`,
        { status: 400, type: "exceed_context_size_error", code: "context_length_exceeded", param: field },
      );
    }
  }
}
