// Follows a text through a grammar and finds the shortest way to end it. Imports grammar/ only.
//
// The stacks that an ambiguous grammar gives are kept as one graph: frames of the same rule that begin at the same character
// are one frame with several callers (as in generalised LL parsing), so that they cannot multiply. A rule that is called as
// the last element of another takes over its caller's frame: lists need no more memory with each item.
import {
  ALT,
  CHAR,
  CHAR_ANY,
  classEnd,
  classMatches,
  classRanges,
  END,
  type MinimalLengths,
  minimalLengths,
  RULE_REF,
} from "./elements.ts";
import type { Grammar } from "./grammar.ts";

/**
 * The shortest text that makes `text` a sentence of the grammar: "" where it is one, null where no sentence begins so.
 * A text that ends within a surrogate pair is continued with the pair's other half.
 */
export function completionOf(grammar: Grammar, text: string): string | null {
  const matcher = new GrammarMatcher(grammar);
  matcher.push(text);
  return matcher.completion();
}

/** A rule that has begun and not ended. */
interface Frame {
  /** Where its callers go on; with the frame of each. */
  readonly callers: { readonly returnAt: number; readonly frame: Frame }[];
  /** It has ended without reading a character since it began. */
  hasEnded: boolean;
  /** Characters from the end of this rule to the end of the text, at least; -1: not known yet. */
  costAfter: number;
  cheapest: { readonly returnAt: number; readonly frame: Frame } | null;
  /** The step that looked at elements in it last, and which. */
  seenIn: number;
  seen: number[] | Set<number>;
}

/** A character class that may come next. */
interface Place {
  readonly at: number;
  readonly frame: Frame;
}

const lengthsByGrammar = new WeakMap<Int32Array, MinimalLengths>();

export class GrammarMatcher {
  readonly #elements: Int32Array;
  readonly #lengths: MinimalLengths;
  readonly #rootFrame: Frame;
  #steps = 0;
  #places: Place[] = [];
  #isComplete = false;
  /** The first half of a surrogate pair that the text ended in. */
  #half = 0;

  constructor(grammar: Grammar) {
    this.#elements = grammar.elements;
    let lengths = lengthsByGrammar.get(grammar.elements);
    if (lengths === undefined) {
      lengths = minimalLengths(grammar.elements);
      lengthsByGrammar.set(grammar.elements, lengths);
    }
    this.#lengths = lengths;
    this.#rootFrame = this.#newFrame();
    this.#rootFrame.costAfter = 0;
    const step = new Step(++this.#steps);
    this.#beginRule(step, this.#elements[1] as number, this.#rootFrame);
    this.#settle(step);
  }

  /** Reads on; false where no sentence of the grammar begins with all that was read. */
  push(text: string): boolean {
    for (let index = 0; index < text.length; index += 1) {
      let codePoint = text.charCodeAt(index);
      if (this.#half !== 0) {
        codePoint = isLowSurrogate(codePoint) ? joined(this.#half, codePoint) : -1;
        this.#half = 0;
      } else if (codePoint >= 0xd800 && codePoint <= 0xdbff) {
        this.#half = codePoint;
        continue;
      } else if (isLowSurrogate(codePoint)) codePoint = -1;
      this.#read(codePoint);
      if (this.#places.length === 0 && !this.#isComplete) return false;
    }
    return this.#half === 0 ? this.#places.length > 0 || this.#isComplete : this.#completePair() !== null;
  }

  /** The text is a sentence of the grammar. */
  get isComplete(): boolean {
    return this.#isComplete && this.#half === 0;
  }

  /** As `completionOf` for what was read. */
  completion(): string | null {
    if (this.#half !== 0) {
      const pair = this.#completePair();
      return pair === null
        ? null
        : String.fromCharCode(pair.low) + this.#writeRest(classEnd(this.#elements, pair.place.at), pair.place.frame);
    }
    if (this.#isComplete) return "";
    const best = this.#cheapestOf(this.#places);
    if (best === null) return null;
    return (
      String.fromCodePoint(plainCharacter(this.#elements, best.at)) +
      this.#writeRest(classEnd(this.#elements, best.at), best.frame)
    );
  }

  #read(codePoint: number): void {
    const step = new Step(++this.#steps);
    for (const { at, frame } of this.#places) {
      if (codePoint >= 0 && classMatches(this.#elements, at, codePoint)) step.add(classEnd(this.#elements, at), frame);
    }
    this.#settle(step);
  }

  /** Follows rules that begin and end until only character classes are left. */
  #settle(step: Step): void {
    const elements = this.#elements;
    const places: Place[] = [];
    this.#isComplete = false;
    for (let next = step.take(); next !== undefined; next = step.take()) {
      const { at, frame } = next;
      const type = elements[at];
      if (type === END || type === ALT) {
        frame.hasEnded = true;
        if (frame === this.#rootFrame) this.#isComplete = true;
        for (const caller of frame.callers) step.add(caller.returnAt, caller.frame);
      } else if (type === RULE_REF) {
        this.#call(step, elements[at + 1] as number, at + 2, frame);
      } else places.push(next);
    }
    for (const frame of step.frames.values()) frame.hasEnded = false;
    this.#places = places;
  }

  #call(step: Step, rule: number, returnAt: number, frame: Frame): void {
    if (this.#elements[returnAt] === END || this.#elements[returnAt] === ALT) {
      this.#beginRule(step, rule, frame);
      return;
    }
    const known = step.frames.get(rule);
    if (known !== undefined) {
      known.callers.push({ returnAt, frame });
      if (known.hasEnded) step.add(returnAt, frame);
      return;
    }
    const called = this.#newFrame();
    called.callers.push({ returnAt, frame });
    step.frames.set(rule, called);
    this.#beginRule(step, rule, called);
  }

  #beginRule(step: Step, rule: number, frame: Frame): void {
    for (const start of this.#alternates(rule)) step.add(start, frame);
  }

  *#alternates(rule: number): Generator<number> {
    const elements = this.#elements;
    let at = elements[2 + rule] as number;
    yield at;
    for (; elements[at] !== END; at += 2) if (elements[at] === ALT) yield at + 2;
  }

  #newFrame(): Frame {
    return { callers: [], hasEnded: false, costAfter: -1, cheapest: null, seenIn: 0, seen: [] };
  }

  #cheapestOf(places: readonly Place[]): Place | null {
    let best: Place | null = null;
    let bestCost = Infinity;
    for (const place of places) {
      const cost = (this.#lengths.fromElement[place.at] as number) + this.#costAfter(place.frame);
      if (cost < bestCost) {
        best = place;
        bestCost = cost;
      }
    }
    return best;
  }

  // Frames get all their callers at the character at which they begin, so what is known of them stays true. Without
  // recursion: they may be nested as deeply as the text is long.
  #costAfter(frame: Frame): number {
    const open = [frame];
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const unknown = top.costAfter === -1 ? top.callers.find((caller) => caller.frame.costAfter === -1) : undefined;
      if (unknown !== undefined) {
        open.push(unknown.frame);
        continue;
      }
      open.pop();
      if (top.costAfter !== -1) continue;
      top.costAfter = Infinity;
      for (const caller of top.callers) {
        const cost = (this.#lengths.fromElement[caller.returnAt] as number) + caller.frame.costAfter;
        if (cost >= top.costAfter) continue;
        top.costAfter = cost;
        top.cheapest = caller;
      }
    }
    return frame.costAfter;
  }

  /** The shortest text from the element at `at` in `frame` to the end. */
  #writeRest(at: number, frame: Frame): string {
    let text = "";
    let caller: Frame["cheapest"] = { returnAt: at, frame };
    while (caller !== null) {
      text += this.#writeSequence(caller.returnAt);
      this.#costAfter(caller.frame);
      caller = caller.frame.cheapest;
    }
    return text;
  }

  #writeSequence(start: number): string {
    const elements = this.#elements;
    const codePoints: string[] = [];
    const open = [start];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const type = elements[at];
      if (type === END || type === ALT) continue;
      if (type === RULE_REF) {
        open.push(at + 2, this.#shortestAlternate(elements[at + 1] as number));
      } else {
        codePoints.push(String.fromCodePoint(plainCharacter(elements, at)));
        open.push(classEnd(elements, at));
      }
    }
    return codePoints.join("");
  }

  #shortestAlternate(rule: number): number {
    for (const start of this.#alternates(rule)) {
      if (this.#lengths.fromElement[start] === this.#lengths.ofRule[rule]) return start;
    }
    throw new Error("A rule has no shortest text.");
  }

  /** The second half for the open surrogate pair, and the place that takes the pair. */
  #completePair(): { low: number; place: Place } | null {
    const takers: Place[] = [];
    const lows = new Map<Place, number>();
    for (const place of this.#places) {
      const low = lowSurrogateFor(this.#elements, place.at, this.#half);
      if (low === -1) continue;
      takers.push(place);
      lows.set(place, low);
    }
    const best = this.#cheapestOf(takers);
    return best === null ? null : { low: lows.get(best) as number, place: best };
  }
}

/** What one character leads to: elements to look at, each once, and the frames that began. */
class Step {
  /** By rule. */
  readonly frames = new Map<number, Frame>();
  readonly #queue: Place[] = [];
  readonly #number: number;
  #next = 0;

  /** `number`: from 1, another for each step of a text. */
  constructor(number: number) {
    this.#number = number;
  }

  add(at: number, frame: Frame): void {
    if (frame.seenIn !== this.#number) {
      frame.seenIn = this.#number;
      frame.seen = [at];
    } else if (Array.isArray(frame.seen)) {
      if (frame.seen.includes(at)) return;
      frame.seen.push(at);
      if (frame.seen.length > 24) frame.seen = new Set(frame.seen);
    } else {
      if (frame.seen.has(at)) return;
      frame.seen.add(at);
    }
    this.#queue.push({ at, frame });
  }

  take(): Place | undefined {
    this.#next += 1;
    return this.#queue[this.#next - 1];
  }
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function joined(high: number, low: number): number {
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/** The second half with which `high` is in the class at `at`; -1 where there is none. */
function lowSurrogateFor(elements: Int32Array, at: number, high: number): number {
  const first = joined(high, 0xdc00);
  // The class changes only where one of its ranges begins or ends.
  const candidates = [first, ...classRanges(elements, at).flatMap(([low, up]) => [low, up + 1])];
  const found = candidates
    .filter((codePoint) => codePoint >= first && codePoint < first + 0x400 && classMatches(elements, at, codePoint))
    .sort((a, b) => a - b)[0];
  return found === undefined ? -1 : 0xdc00 + (found - first);
}

/** What a reader would least wonder at, for classes that take nearly anything. */
const plainCharacters = Array.from(". a0_-/,:", (sign) => sign.codePointAt(0) as number);

/** A character of the class at `at`: the first that is written in it, or a plain one where it says what is left out. */
function plainCharacter(elements: Int32Array, at: number): number {
  const type = elements[at];
  if (type === CHAR_ANY) return plainCharacters[0] as number;
  const ranges = classRanges(elements, at);
  if (type === CHAR) {
    const first = ranges.find(([low, high]) => low < 0xd800 || high > 0xdfff) as [number, number];
    return first[0] >= 0xd800 && first[0] <= 0xdfff ? 0xe000 : first[0];
  }
  const candidates = [...plainCharacters, 0x20, 0, 0xe000, ...ranges.map(([, high]) => high + 1)];
  return candidates.find(
    (codePoint) => (codePoint < 0xd800 || codePoint > 0xdfff) && classMatches(elements, at, codePoint),
  ) as number;
}
