// Helpers of the tests of formats: texts in pieces, parts joined, sentences at random.
import type { AnswerFormat, AnswerPart } from "../../src/formats/answer-format.ts";
import { classEnd, classMatches, classRanges, ALT, CHAR, END, RULE_REF } from "../../src/grammar/elements.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";

let idCount = 0;

/** For `answerFormat`: `id-1`, `id-2`, counted anew in each text. */
export function countedIds(): string {
  idCount += 1;
  return `id-${idCount}`;
}

export function partsOf(format: AnswerFormat, pieces: readonly string[]): AnswerPart[] {
  idCount = 0;
  const reader = format.createReader();
  return joined([...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()]);
}

export function joined(parts: readonly AnswerPart[]): AnswerPart[] {
  const whole: AnswerPart[] = [];
  for (const part of parts) {
    const last = whole.at(-1);
    if (last !== undefined && part.type !== "tool_call" && last.type === part.type) {
      whole[whole.length - 1] = { ...last, text: last.text + part.text };
    } else whole.push(part);
  }
  return whole;
}

/** A beginning of some sentence of the grammar; `random` gives numbers from 0 to 1. */
export function randomBeginning(grammar: Grammar, length: number, random: () => number): string {
  const { elements } = grammar;
  const at = (index: number) => elements[index] as number;
  const open: number[] = [];
  const enter = (rule: number) => {
    const starts = [at(2 + rule)];
    for (let place = at(2 + rule); at(place) !== END; place += 2) if (at(place) === ALT) starts.push(place + 2);
    open.push(starts[Math.floor(random() * starts.length)] as number);
  };
  enter(at(1));
  let text = "";
  while (text.length < length) {
    const place = open.pop();
    if (place === undefined) break;
    const type = at(place);
    if (type === END || type === ALT) continue;
    if (type === RULE_REF) {
      open.push(place + 2);
      enter(at(place + 1));
    } else {
      text += String.fromCodePoint(characterOf(elements, place, random));
      open.push(classEnd(elements, place));
    }
  }
  return text;
}

const likely = Array.from('<[{"}]>|/\\ \n:,aé😀tool_call', (character) => character.codePointAt(0) as number);

function characterOf(elements: Int32Array, place: number, random: () => number): number {
  const ranges = classRanges(elements, place);
  if (elements[place] === CHAR) {
    const [low, high] = ranges[Math.floor(random() * ranges.length)] as [number, number];
    return low + Math.floor(random() * Math.min(high - low + 1, 90));
  }
  const fitting = likely.filter((codePoint) => classMatches(elements, place, codePoint));
  return fitting[Math.floor(random() * fitting.length)] ?? 0x61;
}

/** Numbers that are the same in each run. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
