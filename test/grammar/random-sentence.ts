// Walks at random through a compiled grammar and writes down what it passes.
import {
  ALT,
  CHAR,
  CHAR_ANY,
  classEnd,
  classMatches,
  classRanges,
  END,
  minimalLengths,
  RULE_REF,
} from "../../src/grammar/elements.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";

/** Uniform numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A sentence of the grammar; past `softLimit` characters it takes the shortest way out. */
export function randomSentence({ elements }: Grammar, random: () => number, softLimit = 400): string {
  const lengths = minimalLengths(elements);
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value;
  const signs: string[] = [];
  const alternatesOf = (rule: number): number[] => {
    const starts = [elements[2 + rule] as number];
    for (let at = starts[0] as number; elements[at] !== END; at += 2) if (elements[at] === ALT) starts.push(at + 2);
    return starts;
  };
  const choose = (rule: number): number => {
    const starts = alternatesOf(rule);
    if (signs.length < softLimit) return pick(starts);
    return starts.find((start) => lengths.fromElement[start] === lengths.ofRule[rule]) as number;
  };
  const open = [choose(elements[1] as number)];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const type = elements[at];
    if (type === END || type === ALT) continue;
    if (type === RULE_REF) {
      open.push(at + 2, choose(elements[at + 1] as number));
      continue;
    }
    signs.push(String.fromCodePoint(randomCharacter(elements, at, pick, random)));
    open.push(classEnd(elements, at));
  }
  return signs.join("");
}

const samples = Array.from("aZ09 .,:;-_+*/\\\"'{}[]()<>\n\té漢😀\u007f", (sign) => sign.codePointAt(0) as number);

function randomCharacter(
  elements: Int32Array,
  at: number,
  pick: <Value>(values: readonly Value[]) => Value,
  random: () => number,
): number {
  if (elements[at] === CHAR) {
    for (;;) {
      const [low, high] = pick(classRanges(elements, at));
      const codePoint = low + Math.floor(random() * (high - low + 1));
      if (codePoint < 0xd800 || codePoint > 0xdfff) return codePoint;
    }
  }
  const fitting = samples.filter((sample) => elements[at] === CHAR_ANY || classMatches(elements, at, sample));
  return pick(fitting);
}
