// How `Grammar.elements` is read: element types, the classes of characters in it, and the least number of characters that
// each rule and each rest of a sequence takes. Imports nothing.

export const END = 0;
export const ALT = 1;
export const RULE_REF = 2;
export const CHAR = 3;
export const CHAR_NOT = 4;
export const CHAR_RNG_UPPER = 5;
export const CHAR_ALT = 6;
export const CHAR_ANY = 7;

/** Puts rules (flat pairs of type and value, each ended by END) into one array, as `Grammar.elements` says. */
export function encodeRules(rules: readonly (readonly number[])[], root: number): Int32Array {
  let length = 2 + rules.length;
  for (const rule of rules) length += rule.length;
  const elements = new Int32Array(length);
  elements[0] = rules.length;
  elements[1] = root;
  let at = 2 + rules.length;
  rules.forEach((rule, index) => {
    elements[2 + index] = at;
    elements.set(rule, at);
    at += rule.length;
  });
  return elements;
}

/** The position after the character class that starts at `at`. */
export function classEnd(elements: Int32Array, at: number): number {
  let next = at + 2;
  while (elements[next] === CHAR_RNG_UPPER || elements[next] === CHAR_ALT) next += 2;
  return next;
}

export function classMatches(elements: Int32Array, at: number, codePoint: number): boolean {
  const type = elements[at];
  if (type === CHAR_ANY) return true;
  let next = at;
  let found = false;
  do {
    const low = elements[next + 1] as number;
    let high = low;
    next += 2;
    if (elements[next] === CHAR_RNG_UPPER) {
      high = elements[next + 1] as number;
      next += 2;
    }
    if (low <= codePoint && codePoint <= high) found = true;
  } while (!found && elements[next] === CHAR_ALT);
  return found === (type === CHAR);
}

/** The ranges of a class as they are written, both ends included; those of CHAR_NOT are what it leaves out. */
export function classRanges(elements: Int32Array, at: number): [number, number][] {
  const ranges: [number, number][] = [];
  const end = classEnd(elements, at);
  for (let next = at; next < end; next += 2) {
    const value = elements[next + 1] as number;
    const last = ranges.at(-1);
    if (elements[next] === CHAR_RNG_UPPER && last !== undefined) last[1] = value;
    else ranges.push([value, value]);
  }
  return ranges;
}

export interface MinimalLengths {
  /** By rule: characters of its shortest text; Infinity where no text is finite. */
  readonly ofRule: Float64Array;
  /** By position of an element: characters of the shortest text from it to the end of its alternate. */
  readonly fromElement: Float64Array;
}

/** Knuth's generalisation of Dijkstra's algorithm: the cheapest alternate that is wholly known settles its rule. */
export function minimalLengths(elements: Int32Array): MinimalLengths {
  const ruleCount = elements[0] as number;
  const ofRule = new Float64Array(ruleCount).fill(Infinity);
  // Of each alternate: its rule, what is known of its length, and how many references are not settled yet.
  const ruleOf: number[] = [];
  const known: number[] = [];
  const unsettled: number[] = [];
  // Each reference, as a linked list by the rule that it refers to.
  const userOf: number[] = [];
  const nextUse: number[] = [];
  const firstUse = new Int32Array(ruleCount).fill(-1);
  const heap = new CostHeap();
  for (let rule = 0; rule < ruleCount; rule += 1) {
    let at = elements[2 + rule] as number;
    for (let more = true; more; at += 2) {
      let length = 0;
      let references = 0;
      while (elements[at] !== END && elements[at] !== ALT) {
        if (elements[at] === RULE_REF) {
          const used = elements[at + 1] as number;
          nextUse.push(firstUse[used] as number);
          firstUse[used] = userOf.push(ruleOf.length) - 1;
          references += 1;
          at += 2;
        } else {
          length += 1;
          at = classEnd(elements, at);
        }
      }
      if (references === 0) heap.push(length, ruleOf.length);
      ruleOf.push(rule);
      known.push(length);
      unsettled.push(references);
      more = elements[at] === ALT;
    }
  }
  for (let alternate = heap.pop(); alternate !== -1; alternate = heap.pop()) {
    const rule = ruleOf[alternate] as number;
    const length = known[alternate] as number;
    if (ofRule[rule] !== Infinity) continue;
    ofRule[rule] = length;
    for (let use = firstUse[rule] as number; use !== -1; use = nextUse[use] as number) {
      const user = userOf[use] as number;
      known[user] = (known[user] as number) + length;
      unsettled[user] = (unsettled[user] as number) - 1;
      if (unsettled[user] === 0) heap.push(known[user], user);
    }
  }
  return { ofRule, fromElement: lengthsFromElements(elements, ofRule) };
}

export function lengthsFromElements(elements: Int32Array, ofRule: Float64Array): Float64Array {
  const fromElement = new Float64Array(elements.length);
  for (let at = elements.length - 2; at >= 2 + ofRule.length; at -= 2) {
    const type = elements[at] as number;
    if (type === RULE_REF) {
      fromElement[at] = (ofRule[elements[at + 1] as number] as number) + (fromElement[at + 2] as number);
    } else if (type === CHAR || type === CHAR_NOT || type === CHAR_ANY) {
      fromElement[at] = 1 + (fromElement[classEnd(elements, at)] as number);
    }
  }
  return fromElement;
}

/** A binary heap of (cost, value); equal costs come out by the lower value. */
class CostHeap {
  readonly #costs: number[] = [];
  readonly #values: number[] = [];

  push(cost: number, value: number): void {
    let at = this.#costs.length;
    this.#costs.push(cost);
    this.#values.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isLess(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The cheapest value; -1 where there is none. */
  pop(): number {
    const top = this.#values[0];
    if (top === undefined) return -1;
    this.#swap(0, this.#values.length - 1);
    this.#values.pop();
    this.#costs.pop();
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#values.length && this.#isLess(child, least)) least = child;
      }
      if (least === at) return top;
      this.#swap(at, least);
      at = least;
    }
  }

  #isLess(a: number, b: number): boolean {
    const difference = (this.#costs[a] as number) - (this.#costs[b] as number);
    return difference < 0 || (difference === 0 && (this.#values[a] as number) < (this.#values[b] as number));
  }

  #swap(a: number, b: number): void {
    [this.#costs[a], this.#costs[b]] = [this.#costs[b] as number, this.#costs[a] as number];
    [this.#values[a], this.#values[b]] = [this.#values[b] as number, this.#values[a] as number];
  }
}
