// Tokens of text without control tokens, in time linear in its length, and cut where a typed look-alike must not be
// recognised.
import type { Token } from "../engine.ts";
import { codePointLength } from "./prompt-special-tokens.ts";
import type { Vocabulary } from "./prompt-vocabulary.ts";

/**
 * Characters that llama.cpp gets at a time where more would hurt: its SentencePiece code takes quadratic time on
 * characters that no token covers, and its pre-tokeniser's regular expressions (those of Phi-4 among them) recurse once
 * a character and end the process on a run of some tens of thousands.
 */
const maxPieceLength = 4096;

/** Each covers what one alternative of the pre-tokenisers' expressions can match at a stretch. */
const runs = [/[\p{L}\p{M}]+/gu, /\p{N}+/gu, /\s+/gu, /[^\s\p{L}\p{N}]+/gu];

export class RawTokenizer {
  readonly #vocabulary: Vocabulary;
  #coveredCharacters: ReadonlySet<number> | undefined;
  #lead: { readonly text: string; readonly tokenCount: number } | undefined;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Appends the tokens of a text that starts a prompt or follows a special token; no token spans one of the `breaks`. */
  tokenize(text: string, breaks: readonly number[], tokens: Token[]): void {
    const precautions = this.#vocabulary.isSentencePiece ? this.#harmlessCuts(text) : cutsOfLongRuns(text);
    const cuts = [...breaks, ...precautions].sort((one, other) => one - other);
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

// Only text that no person writes has such runs; there alone a token or two differ from llama.cpp's.
function cutsOfLongRuns(text: string): number[] {
  const cuts: number[] = [];
  if (text.length <= maxPieceLength) return cuts;
  for (const run of runs) {
    for (const { 0: match, index } of text.matchAll(run)) {
      for (let cut = maxPieceLength; cut < match.length; cut += maxPieceLength) {
        // Never between the halves of a surrogate pair.
        cuts.push(index + cut + (/^[\uDC00-\uDFFF]/u.test(match.slice(cut, cut + 1)) ? 1 : 0));
      }
    }
  }
  return cuts;
}
