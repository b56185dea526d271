// The text of generated tokens as they come: whole characters only, the same text that llama-server streams.
import type { LlamaModel } from "node-llama-cpp";
import type { Token } from "../engine.ts";
import { type Vocabulary, vocabularyOf } from "./prompt-vocabulary.ts";

/**
 * Works on the tokens' bytes, so that neither the first word's leading space nor a character whose bytes span tokens is
 * lost. Control tokens have no text, but for the preserved ones.
 */
export class StreamingDetokenizer {
  readonly #vocabulary: Vocabulary;
  // Holds back the bytes of an unfinished character; what can never become one is U+FFFD at once.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  readonly #preservedTexts: ReadonlySet<string>;
  #holdsBytes = false;

  /** `preservedTokens`: the texts of control tokens that come as text. */
  constructor(model: LlamaModel, preservedTokens: readonly string[] = []) {
    this.#vocabulary = vocabularyOf(model);
    this.#preservedTexts = new Set(preservedTokens);
  }

  /** The characters that this token completes; "" while it only begins one. */
  push(token: Token): string {
    const whole = this.#vocabulary.wholeText(token);
    if (whole === "" && this.#preservedTexts.size > 0) return this.#pushControl(token);
    if (whole !== null && (whole === "" || !this.#holdsBytes)) return whole;
    // After a token of whole characters nothing is held back any more; after another one something may be.
    this.#holdsBytes = whole === null;
    return this.#decoder.decode(this.#vocabulary.bytes(token, false), { stream: true });
  }

  #pushControl(token: Token): string {
    const text = this.#vocabulary.text(token);
    return this.#preservedTexts.has(text) ? this.#cut() + text : "";
  }

  // A preserved token ends the character before it, finished or not.
  #cut(): string {
    this.#holdsBytes = false;
    return this.#decoder.decode();
  }

  /** The end: U+FFFD where an unfinished character was held back, else "". */
  flush(): string {
    return this.#decoder.decode();
  }
}
