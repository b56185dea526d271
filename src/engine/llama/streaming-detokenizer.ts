// The text of generated tokens as they come: whole characters only, the same text that llama-server streams.
import type { LlamaModel } from "node-llama-cpp";
import type { Token } from "../engine.ts";
import { type Vocabulary, vocabularyOf } from "./prompt-vocabulary.ts";

/**
 * Works on the tokens' bytes, so that neither the first word's leading space nor a character whose bytes span tokens is
 * lost. Control tokens have no text.
 */
export class StreamingDetokenizer {
  readonly #vocabulary: Vocabulary;
  // Holds back the bytes of an unfinished character; what can never become one is U+FFFD at once.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  #holdsBytes = false;

  constructor(model: LlamaModel) {
    this.#vocabulary = vocabularyOf(model);
  }

  /** The characters that this token completes; "" while it only begins one. */
  push(token: Token): string {
    const whole = this.#vocabulary.wholeText(token);
    if (whole !== null && (whole === "" || !this.#holdsBytes)) return whole;
    // After a token of whole characters nothing is held back any more; after another one something may be.
    this.#holdsBytes = whole === null;
    return this.#decoder.decode(this.#vocabulary.bytes(token, false), { stream: true });
  }

  /** The end: U+FFFD where an unfinished character was held back, else "". */
  flush(): string {
    return this.#decoder.decode();
  }
}
