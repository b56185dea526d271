// Tokens of text without control tokens, in time linear in its length, and cut where a typed look-alike must not be
// recognised.
import type { Token } from "../engine.ts";
import { codePointLength } from "./prompt-special-tokens.ts";
import type { Vocabulary } from "./prompt-vocabulary.ts";

/** llama.cpp's SentencePiece code takes quadratic time on characters that no token covers; this bounds the square. */
const maxPieceLength = 4096;

export class RawTokenizer {
  readonly #vocabulary: Vocabulary;
  #coveredCharacters: ReadonlySet<number> | undefined;
  #lead: { readonly text: string; readonly tokenCount: number } | undefined;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Appends the tokens of a text that starts a prompt or follows a special token; no token spans one of the `breaks`. */
  tokenize(text: string, breaks: readonly number[], tokens: Token[]): void {
    const cuts = this.#vocabulary.isSentencePiece
      ? [...breaks, ...this.#harmlessCuts(text)].sort((a, b) => a - b)
      : breaks;
    let start = 0;
    for (const end of [...cuts, text.length]) {
      if (end === start) continue;
      const piece = text.slice(start, end);
      const isContinuation = start > 0 && this.#vocabulary.isSentencePiece;
      for (const token of isContinuation ? this.#continuation(piece) : this.#vocabulary.tokenize(piece, false)) {
        tokens.push(token);
      }
      start = end;
    }
  }

  // SentencePiece would put a space in front of a piece by itself. A character that no token covers takes that space,
  // merges with nothing, and is dropped again.
  #continuation(piece: string): Uint32Array {
    this.#lead ??= this.#findLead();
    return this.#vocabulary.tokenize(this.#lead.text + piece, false).subarray(this.#lead.tokenCount);
  }

  #findLead(): { text: string; tokenCount: number } {
    const covered = this.#covered();
    let codePoint = 0xe000;
    while (covered.has(codePoint)) codePoint += 1;
    const text = String.fromCodePoint(codePoint);
    return { text, tokenCount: this.#vocabulary.tokenize(text, false).length };
  }

  // Before a character that no token covers, a cut changes no token.
  #harmlessCuts(text: string): number[] {
    const cuts: number[] = [];
    if (text.length <= maxPieceLength) return cuts;
    const covered = this.#covered();
    let last = 0;
    for (let index = 0; index < text.length; index += codePointLength(text, index)) {
      if (index - last < maxPieceLength || covered.has(text.codePointAt(index) ?? 0)) continue;
      cuts.push(index);
      last = index;
    }
    return cuts;
  }

  #covered(): ReadonlySet<number> {
    if (this.#coveredCharacters !== undefined) return this.#coveredCharacters;
    const covered = new Set<number>([0x20]);
    for (const token of this.#vocabulary.tokens()) {
      for (const character of this.#vocabulary.text(token)) covered.add(character.codePointAt(0) ?? 0);
    }
    return (this.#coveredCharacters = covered);
  }
}
