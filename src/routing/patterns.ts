// Phrases of the keyword rules and their matching in one pass over the words of a prompt. Work is bounded by the number
// of words: no regular expressions, no backtracking beyond a fixed window. Imports nothing but the word type.
import { fold, type Word } from "./text.ts";

/*
 * A phrase is a row of elements separated by spaces:
 *   word      that word, in lower case; accents make no difference
 *   stem*     a word that begins so
 *   a|b*      one of several
 *   {class}   a word or phrase element of a named class
 *   ...       up to `maxGap` words of any kind
 *   ^         first element only: the prompt begins here
 *   $         last element only: the prompt ends here
 */

/** Words that `...` may skip. */
const maxGap = 7;

export interface Phrase {
  readonly source: string;
  readonly elements: readonly Element[];
  readonly atStart: boolean;
  readonly atEnd: boolean;
}

type Element = "gap" | { readonly words: ReadonlySet<string>; readonly stems: readonly string[] };

export type WordClasses = Readonly<Record<string, string>>;

/** Reads phrases separated by commas. Throws on one that could not match: rules are code's data, not the user's. */
export function parsePhrases(text: string, classes: WordClasses): Phrase[] {
  return text
    .split(",")
    .map((source) => source.trim().replaceAll(/\s+/g, " "))
    .filter((source) => source !== "")
    .map((source) => parsePhrase(source, classes));
}

function parsePhrase(source: string, classes: WordClasses): Phrase {
  const parts = source.split(" ");
  const atStart = parts[0] === "^";
  const atEnd = parts.at(-1) === "$";
  const elements = parts
    .slice(atStart ? 1 : 0, atEnd ? -1 : undefined)
    .map((part): Element => (part === "..." ? "gap" : parseElement(part, source, classes)));
  if (elements.length === 0 || elements[0] === "gap" || elements.at(-1) === "gap") {
    throw new Error(`The phrase ${JSON.stringify(source)} must begin and end with a word.`);
  }
  return { source, elements, atStart, atEnd };
}

function parseElement(part: string, source: string, classes: WordClasses): Element {
  const words = new Set<string>();
  const stems: string[] = [];
  for (const alternative of part.split("|").flatMap((name) => expandClass(name, source, classes))) {
    if (!/^[\p{L}\p{M}\p{N}+#']+\*?$/u.test(alternative)) {
      throw new Error(`The phrase ${JSON.stringify(source)} holds ${JSON.stringify(alternative)}, which is no word.`);
    }
    if (alternative.endsWith("*")) stems.push(fold(alternative.slice(0, -1)));
    else words.add(fold(alternative));
  }
  return { words, stems };
}

function expandClass(name: string, source: string, classes: WordClasses): string[] {
  const className = /^\{(\w+)\}$/.exec(name)?.[1];
  if (className === undefined) return [name];
  const members = classes[className];
  if (members === undefined) throw new Error(`The phrase ${JSON.stringify(source)} names an unknown class.`);
  return members.split(/\s+/).filter((member) => member !== "");
}

/** Finds phrases by their first element; built once. */
export interface PhraseIndex<T> {
  readonly byWord: ReadonlyMap<string, readonly IndexedPhrase<T>[]>;
  readonly byStem: ReadonlyMap<string, readonly IndexedPhrase<T>[]>;
  /** Lengths of the stems in `byStem`. */
  readonly stemLengths: readonly number[];
}

interface IndexedPhrase<T> {
  readonly phrase: Phrase;
  readonly owner: T;
}

export function indexPhrases<T>(entries: Iterable<readonly [T, readonly Phrase[]]>): PhraseIndex<T> {
  const byWord = new Map<string, IndexedPhrase<T>[]>();
  const byStem = new Map<string, IndexedPhrase<T>[]>();
  for (const [owner, phrases] of entries) {
    for (const phrase of phrases) {
      const first = phrase.elements[0];
      if (first === undefined || first === "gap") continue;
      for (const word of first.words) append(byWord, word, { phrase, owner });
      for (const stem of first.stems) append(byStem, stem, { phrase, owner });
    }
  }
  return { byWord, byStem, stemLengths: [...new Set([...byStem.keys()].map((stem) => stem.length))] };
}

function append<T>(index: Map<string, IndexedPhrase<T>[]>, key: string, entry: IndexedPhrase<T>): void {
  const entries = index.get(key);
  if (entries === undefined) index.set(key, [entry]);
  else entries.push(entry);
}

export interface PhraseMatches<T> {
  /** For each owner the distinct texts that matched, in the order of their appearance. */
  readonly hits: ReadonlyMap<T, ReadonlySet<string>>;
  /** Phrases tried: the work done, bounded by a constant times the number of words. */
  readonly attempts: number;
}

/** Longest runs of matched words that are quoted in a hit. */
const maxQuotedWords = 6;

export function matchPhrases<T>(index: PhraseIndex<T>, words: readonly Word[]): PhraseMatches<T> {
  const hits = new Map<T, Set<string>>();
  let attempts = 0;
  const tryAll = (candidates: readonly IndexedPhrase<T>[] | undefined, start: number) => {
    for (const { phrase, owner } of candidates ?? []) {
      attempts += 1;
      if (phrase.atStart && start > 0) continue;
      const end = matchFrom(phrase, 0, words, start);
      if (end === undefined) continue;
      let texts = hits.get(owner);
      if (texts === undefined) hits.set(owner, (texts = new Set()));
      texts.add(quote(words, start, end));
    }
  };
  for (let start = 0; start < words.length; start++) {
    const word = words[start]?.folded ?? "";
    tryAll(index.byWord.get(word), start);
    for (const length of index.stemLengths) {
      if (length <= word.length) tryAll(index.byStem.get(word.slice(0, length)), start);
    }
  }
  return { hits, attempts };
}

/** The index after the last matched word, or undefined. */
function matchFrom(phrase: Phrase, at: number, words: readonly Word[], position: number): number | undefined {
  const element = phrase.elements[at];
  if (element === undefined) return !phrase.atEnd || position === words.length ? position : undefined;
  if (element === "gap") {
    for (let skipped = 0; skipped <= maxGap; skipped++) {
      const end = matchFrom(phrase, at + 1, words, position + skipped);
      if (end !== undefined) return end;
    }
    return undefined;
  }
  const word = words[position]?.folded;
  if (word === undefined) return undefined;
  if (!element.words.has(word) && !element.stems.some((stem) => word.startsWith(stem))) return undefined;
  return matchFrom(phrase, at + 1, words, position + 1);
}

function quote(words: readonly Word[], start: number, end: number): string {
  const text = words.slice(start, end).map((word) => word.accented);
  return text.length <= maxQuotedWords ? text.join(" ") : `${text.slice(0, 3).join(" ")} … ${text.slice(-2).join(" ")}`;
}
