// Where special tokens stand in a text, decided as llama.cpp decides it (longest first, white space stripped where the
// token says so), and which of them count. Pure.
import type { Token } from "../engine.ts";

export interface SpecialToken {
  readonly id: Token;
  /** Not empty. */
  readonly text: string;
  /**
   * `control`: parsed only where the caller asks for it. `user-defined`: llama.cpp parses it in any text.
   * `disguised`: user-defined in the file, yet it structures the prompt (`<|END_OF_TURN_TOKEN|>`): parsed as
   * user-defined ones are, barred as control tokens are.
   */
  readonly kind: "control" | "user-defined" | "disguised";
  readonly stripLeft: boolean;
  readonly stripRight: boolean;
}

export interface Occurrence {
  readonly start: number;
  readonly end: number;
  readonly special: SpecialToken;
}

/** Raw text, or one special token. A raw text must be tokenised in pieces that end at `breaks` (offsets, ascending). */
export type Fragment =
  { readonly text: string; readonly breaks: readonly number[] } | { readonly special: SpecialToken };

interface TrieNode {
  readonly next: Map<number, TrieNode>;
  readonly ending: SpecialToken[];
}

export class SpecialTokens {
  readonly #root: TrieNode = { next: new Map(), ending: [] };
  readonly #byLength: readonly SpecialToken[];
  /** One of the first characters of the texts that must not be typed; null where there is none. */
  readonly #firstCharacter: RegExp | null;
  /** One of their first or last characters. */
  readonly #border: RegExp | null;
  /** Those texts in lower case, the words in them, and the length of the longest. */
  readonly #barrable: { readonly joined: string; readonly longest: number; readonly words: ReadonlySet<string> };
  readonly #inertTexts = new Map<string, boolean>();

  constructor(specials: readonly SpecialToken[]) {
    const byteLength = new Map(specials.map((special) => [special, Buffer.byteLength(special.text)]));
    const lengthOf = (special: SpecialToken) => byteLength.get(special) ?? 0;
    this.#byLength = [...specials].sort((one, other) => lengthOf(other) - lengthOf(one));
    const barrable = specials.filter(isBarrable).map(({ text }) => text);
    const firsts = barrable.map((text) => Array.from(text)[0] ?? "");
    this.#firstCharacter = oneOf(firsts, "gu");
    this.#border = oneOf([...firsts, ...barrable.map((text) => Array.from(text).at(-1) ?? "")], "u");
    const lowered = barrable.map((text) => text.toLowerCase());
    this.#barrable = {
      joined: lowered.join("\n"),
      longest: barrable.reduce((longest, { length }) => Math.max(longest, length), 0),
      words: new Set(lowered.flatMap((text) => text.match(/\w+/gu) ?? [])),
    };
    for (const special of this.#byLength) {
      let node = this.#root;
      for (let index = 0; index < special.text.length; index += 1) {
        const unit = special.text.charCodeAt(index);
        let next = node.next.get(unit);
        if (next === undefined) node.next.set(unit, (next = { next: new Map(), ending: [] }));
        node = next;
      }
      node.ending.push(special);
    }
  }

  /** The text with a mark after each character that could begin a text that must not be typed. */
  marked(text: string, mark: string): string {
    return this.#firstCharacter === null ? text : text.replace(this.#firstCharacter, `$&${mark}`);
  }

  /**
   * Whether nothing in this text can be part of a text that must not be typed, whatever a template writes before and
   * behind it: none begins in it, none ends in it, and it is no inner part of one.
   */
  isInert(text: string): boolean {
    const { joined, longest, words } = this.#barrable;
    if (schemaWords.has(text)) return !words.has(text.toLowerCase());
    if (this.#border !== null && this.#border.test(text)) return false;
    const inner = text.trim();
    if (inner === "" || inner.length > longest) return true;
    let isInert = this.#inertTexts.get(inner);
    if (isInert === undefined) {
      isInert = !joined.includes(inner.toLowerCase());
      if (this.#inertTexts.size >= maxRememberedTexts) this.#inertTexts.clear();
      this.#inertTexts.set(inner, isInert);
    }
    return isInert;
  }

  /** Every occurrence of every special token, overlapping ones too, ascending by start. */
  *occurrences(text: string): Generator<Occurrence> {
    for (let start = 0; start < text.length; start += 1) {
      let node = this.#root.next.get(text.charCodeAt(start));
      for (let end = start + 1; node !== undefined; end += 1) {
        for (const special of node.ending) yield { start, end, special };
        node = node.next.get(text.charCodeAt(end));
      }
    }
  }

  /**
   * Cuts a text at its special tokens. A control token counts only with `parseControl`, and a barred occurrence of a
   * control or disguised token never does: it stays raw text.
   */
  partition(text: string, parseControl: boolean, isBarred: (start: number, end: number) => boolean): Fragment[] {
    const found = new Map<SpecialToken, Occurrence[]>();
    const breaks: number[] = [];
    for (const occurrence of this.occurrences(text)) {
      const { start, end, special } = occurrence;
      if (special.kind === "control" && !parseControl) continue;
      if (isBarrable(special) && isBarred(start, end)) {
        // Not needed for a control token: raw text is tokenised without them.
        if (special.kind === "disguised") breaks.push(start + codePointLength(text, start));
        continue;
      }
      const others = found.get(special);
      if (others === undefined) found.set(special, [occurrence]);
      else others.push(occurrence);
    }
    if (found.size === 0) return text === "" ? [] : [{ text, breaks }];
    const taken = new Uint8Array(text.length);
    const accepted: Occurrence[] = [];
    for (const special of this.#byLength) {
      for (const occurrence of found.get(special) ?? []) {
        if (taken.subarray(occurrence.start, occurrence.end).includes(1)) continue;
        let { start, end } = occurrence;
        while (special.stripLeft && start > 0 && taken[start - 1] === 0 && isSpace(text, start - 1)) start -= 1;
        while (special.stripRight && end < text.length && taken[end] === 0 && isSpace(text, end)) end += 1;
        taken.fill(1, start, end);
        accepted.push({ start, end, special });
      }
    }
    return fragmentsBetween(
      text,
      accepted.sort((one, other) => one.start - other.start),
      breaks,
    );
  }
}

const maxRememberedTexts = 4096;

/** What templates look for in a JSON Schema. */
const schemaWords: ReadonlySet<string> = new Set(
  (
    "$defs $ref $schema additionalProperties allOf anyOf any array boolean bool const date default definitions " +
    "dict description enum examples exclusiveMaximum exclusiveMinimum false float format int integer items list " +
    "maxItems maxLength maximum minItems minLength minimum multipleOf not null nullable number object oneOf pattern " +
    "prefixItems properties required return returns str string title true type uniqueItems"
  ).split(" "),
);

function oneOf(characters: readonly string[], flags: string): RegExp | null {
  const distinct = [...new Set(characters.filter((character) => character !== ""))];
  if (distinct.length === 0) return null;
  return new RegExp(`[${distinct.map((character) => character.replace(/[\\\]^-]/u, "\\$&")).join("")}]`, flags);
}

/** Whether a user's text must never become this token. */
export function isBarrable(special: SpecialToken): boolean {
  return special.kind !== "user-defined";
}

/** By the rule by which llama.cpp's converter, since, types such tokens as control. */
export function looksLikeControl(text: string): boolean {
  return /^<\|.*\|>$|^<｜.*｜>$/su.test(text);
}

function fragmentsBetween(text: string, accepted: readonly Occurrence[], breaks: readonly number[]): Fragment[] {
  const fragments: Fragment[] = [];
  let position = 0;
  let nextBreak = 0;
  const addRaw = (end: number) => {
    if (end <= position) return;
    const inside: number[] = [];
    for (; nextBreak < breaks.length && (breaks[nextBreak] ?? 0) < end; nextBreak += 1) {
      const offset = (breaks[nextBreak] ?? 0) - position;
      if (offset > 0) inside.push(offset);
    }
    fragments.push({ text: text.slice(position, end), breaks: inside });
  };
  for (const { start, end, special } of accepted) {
    addRaw(start);
    fragments.push({ special });
    position = end;
  }
  addRaw(text.length);
  return fragments;
}

export function codePointLength(text: string, index: number): number {
  return (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
}

// C's isspace: the white space that llama.cpp strips.
function isSpace(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}
