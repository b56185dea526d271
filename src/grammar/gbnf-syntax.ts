// Reads GBNF text into a tree, in one pass; rules are not looked up yet. Imports core/ and grammar/ only.
import { clip } from "../core/errors.ts";
import { GrammarError } from "./errors.ts";

/** Both ends included. */
export type CodePointRange = readonly [low: number, high: number];

export type GbnfItem =
  | { readonly type: "text"; readonly codePoints: readonly number[] }
  | { readonly type: "class"; readonly isNegated: boolean; readonly ranges: readonly CodePointRange[] }
  | { readonly type: "any" }
  | { readonly type: "reference"; readonly name: string; readonly offset: number }
  | { readonly type: "group"; readonly alternates: readonly GbnfSequence[] }
  | {
      readonly type: "repeat";
      readonly item: GbnfItem;
      readonly min: number;
      readonly max: number;
      readonly offset: number;
    };

export type GbnfSequence = readonly GbnfItem[];

export interface GbnfRule {
  readonly name: string;
  readonly offset: number;
  readonly alternates: readonly GbnfSequence[];
}

/** Bounds of a GBNF text; what goes beyond is refused. */
export const maxGbnfCharacters = 4_000_000;
export const maxGbnfDepth = 200;
export const maxGbnfRepetitions = 32_768;

export function gbnfErrorAt(source: string, offset: number, message: string): GrammarError {
  const before = source.slice(0, offset);
  const line = before.split(/\r\n|\r|\n/).length;
  const lineStart = Math.max(before.lastIndexOf("\n"), before.lastIndexOf("\r")) + 1;
  return new GrammarError(message, line, offset - lineStart + 1);
}

/** Where a rule is defined twice the later definition counts, as in llama.cpp. Throws GrammarError. */
export function readGbnf(source: string): readonly GbnfRule[] {
  if (source.length > maxGbnfCharacters) {
    throw new GrammarError(
      `the grammar has ${source.length} characters; up to ${maxGbnfCharacters} are allowed.`,
      0,
      0,
    );
  }
  return new GbnfReader(source).read();
}

const shortEscapes: Readonly<Record<string, string>> = {
  t: "\t",
  r: "\r",
  n: "\n",
  "\\": "\\",
  '"': '"',
  "[": "[",
  "]": "]",
  "-": "-",
};
const hexEscapeDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

class GbnfReader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  read(): readonly GbnfRule[] {
    const rules = new Map<string, GbnfRule>();
    this.#skipSpace(true);
    while (this.#at < this.#source.length) {
      const rule = this.#readRule();
      rules.set(rule.name, rule);
      this.#skipSpace(true);
    }
    return [...rules.values()];
  }

  #readRule(): GbnfRule {
    const offset = this.#at;
    const name = this.#readName();
    if (name === "") throw this.#unexpected("the name of a rule (letters, digits and '-')");
    this.#skipSpace(false);
    if (!this.#source.startsWith("::=", this.#at)) throw this.#unexpected(`'::=' after the name of the rule ${name}`);
    this.#at += 3;
    this.#skipSpace(true);
    const alternates = this.#readAlternates(0);
    const next = this.#source[this.#at];
    if (next !== undefined && next !== "\n" && next !== "\r") {
      throw this.#unexpected("text in quotes, [characters], '.', a rule's name, a group, '|' or the end of the line");
    }
    return { name, offset, alternates };
  }

  #readAlternates(depth: number): GbnfSequence[] {
    if (depth > maxGbnfDepth) throw this.#error(`groups are nested more than ${maxGbnfDepth} deep`);
    const alternates = [this.#readSequence(depth)];
    while (this.#source[this.#at] === "|") {
      this.#at += 1;
      this.#skipSpace(true);
      alternates.push(this.#readSequence(depth));
    }
    return alternates;
  }

  #readSequence(depth: number): GbnfSequence {
    const items: GbnfItem[] = [];
    const isNested = depth > 0;
    let quantifiers = 0;
    for (;;) {
      const offset = this.#at;
      const quantifier = this.#readQuantifier(isNested);
      if (quantifier !== null) {
        const item = items.pop();
        if (item === undefined) throw gbnfErrorAt(this.#source, offset, "a repetition needs something before it.");
        quantifiers += 1;
        if (quantifiers > maxGbnfDepth) throw this.#error(`more than ${maxGbnfDepth} repetitions of one thing`);
        items.push({ type: "repeat", item, ...quantifier, offset });
        continue;
      }
      const item = this.#readItem(depth);
      if (item === null) return items;
      quantifiers = 0;
      items.push(item);
      this.#skipSpace(isNested);
    }
  }

  #readItem(depth: number): GbnfItem | null {
    switch (this.#source.charAt(this.#at)) {
      case '"':
        return this.#readText();
      case "[":
        return this.#readClass();
      case ".":
        this.#at += 1;
        return { type: "any" };
      case "(": {
        this.#at += 1;
        this.#skipSpace(true);
        const alternates = this.#readAlternates(depth + 1);
        if (this.#source[this.#at] !== ")") throw this.#unexpected("')'");
        this.#at += 1;
        return { type: "group", alternates };
      }
      case "<":
      case "!":
        throw this.#error(
          "references to tokens (<…>, <[…]>, !<…>) are not supported; write the token's text in quotes",
        );
      default: {
        const offset = this.#at;
        const name = this.#readName();
        return name === "" ? null : { type: "reference", name, offset };
      }
    }
  }

  #readText(): GbnfItem {
    const codePoints: number[] = [];
    this.#at += 1;
    while (this.#source[this.#at] !== '"') codePoints.push(this.#readCharacter("'\"' at the end of the text"));
    this.#at += 1;
    return { type: "text", codePoints };
  }

  #readClass(): GbnfItem {
    const start = this.#at;
    this.#at += 1;
    const isNegated = this.#source[this.#at] === "^";
    if (isNegated) this.#at += 1;
    const ranges: CodePointRange[] = [];
    while (this.#source[this.#at] !== "]") {
      const low = this.#readCharacter("']' at the end of the characters");
      let high = low;
      if (this.#source[this.#at] === "-" && this.#source[this.#at + 1] !== "]") {
        this.#at += 1;
        high = this.#readCharacter("the upper end of a range");
        if (high < low) throw gbnfErrorAt(this.#source, start, "a range of characters runs backwards.");
      }
      ranges.push([low, high]);
    }
    this.#at += 1;
    if (!hasCharacter(ranges, isNegated)) {
      throw gbnfErrorAt(this.#source, start, "no character fits this class; name at least one.");
    }
    return { type: "class", isNegated, ranges };
  }

  #readCharacter(expected: string): number {
    const codePoint = this.#source.codePointAt(this.#at);
    if (codePoint === undefined || codePoint === 0) throw this.#unexpected(expected);
    if (codePoint !== 0x5c) {
      this.#at += codePoint > 0xffff ? 2 : 1;
      return codePoint;
    }
    const escape = this.#source[this.#at + 1] ?? "";
    const short = Object.hasOwn(shortEscapes, escape) ? shortEscapes[escape] : undefined;
    if (short !== undefined) {
      this.#at += 2;
      return short.charCodeAt(0);
    }
    const digits = Object.hasOwn(hexEscapeDigits, escape) ? hexEscapeDigits[escape] : undefined;
    if (digits === undefined) {
      throw this.#error(
        `the escape ${JSON.stringify(`\\${escape}`)} is unknown; \\xNN, \\uNNNN, \\UNNNNNNNN, \\t, \\r, \\n, \\\\, \\", \\[, \\] and \\- are allowed`,
      );
    }
    const hex = this.#source.slice(this.#at + 2, this.#at + 2 + digits);
    if (hex.length !== digits || !/^[0-9a-fA-F]+$/.test(hex)) {
      throw this.#error(`\\${escape} needs ${digits} hexadecimal digits`);
    }
    const value = Number.parseInt(hex, 16);
    if (value > 0x10ffff) throw this.#error(`\\${escape}${hex} is beyond the last character, \\U0010FFFF`);
    this.#at += 2 + digits;
    return value;
  }

  #readQuantifier(isNested: boolean): { min: number; max: number } | null {
    const range = this.#readRange();
    if (range !== null) this.#skipSpace(isNested);
    return range;
  }

  #readRange(): { min: number; max: number } | null {
    switch (this.#source.charAt(this.#at)) {
      case "*":
        this.#at += 1;
        return { min: 0, max: Infinity };
      case "+":
        this.#at += 1;
        return { min: 1, max: Infinity };
      case "?":
        this.#at += 1;
        return { min: 0, max: 1 };
      case "{":
        return this.#readBraces();
      default:
        return null;
    }
  }

  #readBraces(): { min: number; max: number } {
    const offset = this.#at;
    const match = /\{[ \t]*(\d+)[ \t]*(?:(,)[ \t]*(\d*)[ \t]*)?\}/y;
    match.lastIndex = offset;
    const parts = match.exec(this.#source);
    if (parts === null) throw this.#error("a repetition is written {n}, {n,} or {n,m}");
    this.#at += parts[0].length;
    const min = Number(parts[1]);
    const upper = parts[3] ?? "";
    const max = parts[2] === undefined ? min : upper === "" ? Infinity : Number(upper);
    if (max < min) throw gbnfErrorAt(this.#source, offset, `the repetition ${clip(parts[0])} runs backwards.`);
    if (min > maxGbnfRepetitions || (max !== Infinity && max > maxGbnfRepetitions)) {
      throw gbnfErrorAt(
        this.#source,
        offset,
        `the repetition ${clip(parts[0])} is too large; up to ${maxGbnfRepetitions} times, or {n,} for any number.`,
      );
    }
    return { min, max };
  }

  #readName(): string {
    const match = /[a-zA-Z0-9-]+/y;
    match.lastIndex = this.#at;
    const name = match.exec(this.#source)?.[0] ?? "";
    this.#at += name.length;
    return name;
  }

  #skipSpace(overLines: boolean): void {
    const match = overLines ? /(?:[ \t\r\n]+|#[^\r\n]*)*/y : /(?:[ \t]+|#[^\r\n]*)*/y;
    match.lastIndex = this.#at;
    this.#at += match.exec(this.#source)?.[0].length ?? 0;
  }

  #unexpected(expected: string): GrammarError {
    const codePoint = this.#source.codePointAt(this.#at);
    const found = codePoint === undefined ? "the end of the grammar" : JSON.stringify(String.fromCodePoint(codePoint));
    return this.#error(`found ${found}, expected ${expected}`);
  }

  #error(message: string): GrammarError {
    return gbnfErrorAt(this.#source, this.#at, `${message}.`);
  }
}

/** Surrogates are no characters: no UTF-8 text holds them. */
function hasCharacter(ranges: readonly CodePointRange[], isNegated: boolean): boolean {
  if (!isNegated) return ranges.some(([low, high]) => low < 0xd800 || high > 0xdfff);
  let next = 0;
  for (const [low, high] of [...ranges, [0xd800, 0xdfff] as const].sort((a, b) => a[0] - b[0])) {
    if (low > next) return true;
    next = Math.max(next, high + 1);
  }
  return next <= 0x10ffff;
}
