// Reads a text that comes in pieces as if it were there: generators that pause (`yield`) where the next piece decides.
// What is looked ahead is never longer than a marker, so that any text is read in linear time. Imports nothing.

/** Reading that pauses until there is more text. */
export type Reading<T> = Generator<undefined, T, undefined>;

export class Scanner {
  #text = "";
  #at = 0;
  #hasEnded = false;
  #record: string[] = [];

  feed(text: string): void {
    this.#text = this.#at === this.#text.length ? text : this.#text.slice(this.#at) + text;
    this.#at = 0;
  }

  end(): void {
    this.#hasEnded = true;
  }

  /** What was read since the last `settle`, but for values that were handed on; forgets it. */
  takeUnsettled(): string {
    const text = this.#record.join("");
    this.#record = [];
    return text;
  }

  /** What was read so far is understood: it will not have to come back as text. */
  settle(): void {
    this.#record = [];
  }

  /** Unsettled, too: what `jsonValue` handed on. */
  keep(text: string): void {
    this.#record.push(text);
  }

  /** The next character (UTF-16 unit), not taken; "" at the end. */
  *peek(): Reading<string> {
    while (this.#at === this.#text.length) {
      if (this.#hasEnded) return "";
      yield;
    }
    return this.#text.charAt(this.#at);
  }

  /** Takes one of these texts, none of which begins with another; "" where none is here. */
  *oneOf(texts: readonly string[]): Reading<string> {
    for (;;) {
      const found = texts.find((text) => this.#text.startsWith(text, this.#at));
      if (found !== undefined) {
        this.#take(found.length);
        return found;
      }
      const rest = this.#text.slice(this.#at, this.#at + longest(texts));
      if (this.#hasEnded || !texts.some((text) => text.startsWith(rest))) return "";
      yield;
    }
  }

  *literal(text: string): Reading<boolean> {
    return text === "" || (yield* this.oneOf([text])) !== "";
  }

  /** As `literal`, and the text may end in the middle of it. */
  *closing(text: string): Reading<boolean> {
    if (yield* this.literal(text)) return true;
    const rest = this.#text.slice(this.#at);
    if (!this.#hasEnded || rest === "" || !text.startsWith(rest)) return false;
    this.#take(rest.length);
    return true;
  }

  /** Takes white space, and gives it. */
  *space(): Reading<string> {
    let space = "";
    while (isSpace(yield* this.peek())) {
      const from = this.#at;
      while (isSpace(this.#text.charAt(this.#at))) this.#at += 1;
      const piece = this.#text.slice(from, this.#at);
      this.#record.push(piece);
      space += piece;
    }
    return space;
  }

  /**
   * Hands on text up to the first of the markers, which it leaves; null: the text ended before one came. No marker begins
   * with another.
   */
  *until(markers: Markers, onText: (text: string) => void): Reading<string | null> {
    for (;;) {
      const hit = markers.find(this.#text, this.#at);
      const certain = hit?.at ?? this.#text.length - (this.#hasEnded ? 0 : markers.begun(this.#text, this.#at));
      if (certain > this.#at) onText(this.#text.slice(this.#at, certain));
      this.#at = certain;
      if (hit !== null) return hit.marker;
      if (this.#hasEnded) return null;
      yield;
    }
  }

  /** Takes at most so many characters that stand in front of one of the texts, which it leaves; null where none comes. */
  *wordBefore(texts: readonly string[], maxLength: number): Reading<string | null> {
    let word = "";
    for (;;) {
      const found = texts.find((text) => this.#text.startsWith(text, this.#at));
      if (found !== undefined) return word;
      const rest = this.#text.slice(this.#at, this.#at + longest(texts));
      if (rest === "" || texts.some((text) => text.startsWith(rest))) {
        if (this.#hasEnded) return null;
        yield;
        continue;
      }
      if (word.length === maxLength) return null;
      word += this.#take(1);
    }
  }

  /** The value of a JSON string of at most so many characters, as written; null where there is none. */
  *jsonString(maxLength: number): Reading<string | null> {
    if (!(yield* this.literal('"'))) return null;
    let written = "";
    let isEscaped = false;
    for (;;) {
      const character = yield* this.peek();
      if (character === "" || written.length > maxLength) return null;
      this.#take(1);
      if (character === '"' && !isEscaped) break;
      isEscaped = character === "\\" && !isEscaped;
      written += character;
    }
    try {
      return JSON.parse(`"${written}"`) as string;
    } catch {
      return null;
    }
  }

  /**
   * Hands on a JSON value as it is written, while it comes: an object, a list or a string by its brackets and quotes,
   * anything else up to what may follow a value. False: the text ended in the middle of it.
   */
  *jsonValue(onText: (text: string) => void): Reading<boolean> {
    const first = yield* this.peek();
    if (first !== "{" && first !== "[" && first !== '"') return yield* this.#jsonWord(onText);
    const state = { depth: 0, isInString: false, isEscaped: false };
    for (;;) {
      const from = this.#at;
      let isDone = false;
      while (!isDone && this.#at < this.#text.length) {
        isDone = step(state, this.#text.charCodeAt(this.#at));
        this.#at += 1;
      }
      if (this.#at > from) onText(this.#text.slice(from, this.#at));
      if (isDone) return true;
      if (this.#hasEnded) return false;
      yield;
    }
  }

  *#jsonWord(onText: (text: string) => void): Reading<boolean> {
    for (;;) {
      const character = yield* this.peek();
      if (character === "") return false;
      if (isSpace(character) || ",}]<`".includes(character)) return true;
      onText(character);
      this.#at += 1;
    }
  }

  #take(length: number): string {
    const taken = this.#text.slice(this.#at, this.#at + length);
    this.#at += length;
    this.#record.push(taken);
    return taken;
  }
}

/** Several texts that are looked for at once. */
export class Markers {
  readonly #texts: readonly string[];
  readonly #pattern: RegExp | null;

  constructor(texts: readonly string[]) {
    this.#texts = texts;
    this.#pattern =
      texts.length === 0
        ? null
        : new RegExp(texts.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&")).join("|"), "gu");
  }

  find(text: string, from: number): { readonly at: number; readonly marker: string } | null {
    if (this.#pattern === null) return null;
    this.#pattern.lastIndex = from;
    const match = this.#pattern.exec(text);
    return match === null ? null : { at: match.index, marker: match[0] };
  }

  /** Length of the text's longest end, from there on, that is a beginning of a marker. */
  begun(text: string, from: number): number {
    const available = Math.min(text.length - from, longest(this.#texts) - 1);
    for (let length = available; length > 0; length--) {
      const end = text.slice(text.length - length);
      if (this.#texts.some((marker) => marker.startsWith(end))) return length;
    }
    return 0;
  }
}

interface JsonState {
  depth: number;
  isInString: boolean;
  isEscaped: boolean;
}

const quote = 0x22;
const backslash = 0x5c;

// True: the value ends with this character.
function step(state: JsonState, code: number): boolean {
  if (state.isInString) {
    if (state.isEscaped) state.isEscaped = false;
    else if (code === backslash) state.isEscaped = true;
    else if (code === quote) {
      state.isInString = false;
      return state.depth === 0;
    }
    return false;
  }
  if (code === quote) state.isInString = true;
  else if (code === 0x7b || code === 0x5b) state.depth += 1;
  else if (code === 0x7d || code === 0x5d) {
    state.depth -= 1;
    return state.depth === 0;
  }
  return false;
}

export function isSpace(character: string): boolean {
  return character === " " || character === "\n" || character === "\t" || character === "\r";
}

function longest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => text.length));
}
