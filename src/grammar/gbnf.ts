// GBNF text to a checked, compiled grammar. Imports core/ and grammar/ only. What passes here can be matched in bounded memory and
// completed from wherever a matching text ends: no left recursion, no rule without a finite text, no dead ends.
import { LRUCache } from "lru-cache";
import { clip } from "../core/errors.ts";
import {
  ALT,
  CHAR,
  CHAR_ALT,
  CHAR_ANY,
  CHAR_NOT,
  CHAR_RNG_UPPER,
  classEnd,
  encodeRules,
  END,
  lengthsFromElements,
  minimalLengths,
  RULE_REF,
} from "./elements.ts";
import { GrammarError } from "./errors.ts";
import { gbnfErrorAt, type GbnfItem, type GbnfRule, type GbnfSequence, readGbnf } from "./gbnf-syntax.ts";
import type { Grammar } from "./grammar.ts";

/** Bounds of a compiled grammar; what goes beyond is refused. */
export const maxGrammarElements = 500_000;
/** Characters of the shortest text of any rule: what a completion may have to write. */
export const maxMinimalLength = 100_000;
/** Places in the grammar at which one text may stand at once, without having read a character in between. */
const maxOpenPlaces = 10_000;

/** Enough for some hundred schemas in about 20 MB: elements take 4 bytes, characters 1 or 2. */
const grammars = new LRUCache<string, Grammar>({
  maxSize: 6_000_000,
  sizeCalculation: (grammar, source) => grammar.elements.length + source.length + 1,
});

/** Reads GBNF as llama.cpp does, save references to tokens. Throws GrammarError. Repeated sources cost a look-up. */
export function parseGrammar(source: string): Grammar {
  const cached = grammars.get(source);
  if (cached !== undefined) return cached;
  const grammar: Grammar = { source, elements: new GbnfCompiler(source, readGbnf(source)).compile() };
  grammars.set(source, grammar);
  return grammar;
}

class GbnfCompiler {
  readonly #source: string;
  readonly #definitions: readonly GbnfRule[];
  readonly #indices = new Map<string, number>();
  /** Flat pairs; first the rules that have names, then those made here. */
  readonly #rules: number[][] = [];
  /** By rule: where in the source it comes from. */
  readonly #offsets: number[] = [];
  /** `x{0,n}` as a chain of rules, by `x`: index n is the rule for up to n. Chains of the same `x` share it. */
  readonly #chains = new Map<string, number[]>();
  readonly #stars = new Map<string, number>();
  #elementCount = 0;

  constructor(source: string, definitions: readonly GbnfRule[]) {
    this.#source = source;
    this.#definitions = definitions;
  }

  compile(): Int32Array {
    for (const { name, offset } of this.#definitions) {
      this.#indices.set(name, this.#rules.length);
      this.#rules.push([]);
      this.#offsets.push(offset);
    }
    const root = this.#indices.get("root");
    if (root === undefined) {
      throw new GrammarError('the grammar has no rule "root"; it must say what the whole answer is.', 0, 0);
    }
    this.#definitions.forEach(({ alternates, offset }, index) => {
      this.#rules[index] = this.#alternates(alternates, offset);
    });
    return this.#check(root);
  }

  #alternates(alternates: readonly GbnfSequence[], offset: number, tail: readonly number[] = []): number[] {
    const rule: number[] = [];
    alternates.forEach((sequence, index) => {
      if (index > 0) rule.push(ALT, 0);
      for (const item of sequence) this.#item(item, offset, rule);
      rule.push(...tail);
    });
    rule.push(END, 0);
    this.#count(alternates.length, offset);
    return rule;
  }

  #item(item: GbnfItem, offset: number, into: number[]): void {
    const before = into.length;
    switch (item.type) {
      case "text":
        for (const codePoint of item.codePoints) into.push(CHAR, codePoint);
        break;
      case "class":
        item.ranges.forEach(([low, high], index) => {
          into.push(index > 0 ? CHAR_ALT : item.isNegated ? CHAR_NOT : CHAR, low);
          if (high > low) into.push(CHAR_RNG_UPPER, high);
        });
        break;
      case "any":
        into.push(CHAR_ANY, 0);
        break;
      case "reference": {
        const index = this.#indices.get(item.name);
        if (index === undefined) {
          throw gbnfErrorAt(this.#source, item.offset, `the rule ${JSON.stringify(clip(item.name))} is not defined.`);
        }
        into.push(RULE_REF, index);
        break;
      }
      case "group": {
        const [only] = item.alternates;
        if (item.alternates.length === 1 && only !== undefined) {
          for (const inner of only) this.#item(inner, offset, into);
          return;
        }
        into.push(RULE_REF, this.#add(this.#alternates(item.alternates, offset), offset));
        break;
      }
      case "repeat":
        this.#repeat(item, into);
        return;
    }
    this.#count((into.length - before) / 2, offset);
  }

  // x{n,m} is n times x, then a chain of rules in which each is its predecessor's last element: a stack stays as shallow
  // as it was, and the sizes of nested repetitions add up instead of multiplying.
  #repeat({ item, min, max, offset }: GbnfItem & { type: "repeat" }, into: number[]): void {
    if (max === 0) return;
    if (min === 0 && max === Infinity && item.type === "group" && item.alternates.length > 1) {
      const star = this.#add([], offset);
      this.#rules[star] = [...this.#alternates(item.alternates, offset, [RULE_REF, star]).slice(0, -2), ALT, 0, END, 0];
      this.#count(item.alternates.length + 2, offset);
      into.push(RULE_REF, star);
      return;
    }
    let unit: number[] = [];
    this.#item(item, offset, unit);
    if (unit.length === 0) return;
    if (max === 1 && min === 1) {
      for (const value of unit) into.push(value);
      return;
    }
    if (unit.length > 4) unit = [RULE_REF, this.#add([...unit, END, 0], offset)];
    this.#count((min * unit.length) / 2, offset);
    for (let times = 0; times < min; times += 1) into.push(...unit);
    if (max === min) return;
    into.push(RULE_REF, max === Infinity ? this.#star(unit, offset) : this.#chain(unit, max - min, offset));
    this.#count(1, offset);
  }

  #star(unit: readonly number[], offset: number): number {
    const key = unit.join();
    let star = this.#stars.get(key);
    if (star === undefined) {
      star = this.#add([], offset);
      this.#rules[star] = [...unit, RULE_REF, star, ALT, 0, END, 0];
      this.#count(unit.length / 2 + 3, offset);
      this.#stars.set(key, star);
    }
    return star;
  }

  #chain(unit: readonly number[], max: number, offset: number): number {
    const key = unit.join();
    const chain = this.#chains.get(key) ?? [-1];
    this.#chains.set(key, chain);
    for (let next = chain.length; next <= max; next += 1) {
      const rest = next === 1 ? [] : [RULE_REF, chain[next - 1] as number];
      this.#count(unit.length / 2 + 3, offset);
      chain.push(this.#add([...unit, ...rest, ALT, 0, END, 0], offset));
    }
    return chain[max] as number;
  }

  #add(rule: number[], offset: number): number {
    this.#rules.push(rule);
    this.#offsets.push(offset);
    return this.#rules.length - 1;
  }

  #count(elements: number, offset: number): void {
    this.#elementCount += elements;
    if (this.#elementCount > maxGrammarElements) {
      throw gbnfErrorAt(
        this.#source,
        offset,
        `the grammar becomes too large here; with all repetitions written out up to ${maxGrammarElements} elements are allowed.`,
      );
    }
  }

  #check(root: number): Int32Array {
    const all = encodeRules(this.#rules, root);
    const { ofRule } = minimalLengths(all);
    if (ofRule[root] === Infinity) {
      throw gbnfErrorAt(
        this.#source,
        this.#offsets[root] as number,
        "no finite text fits the grammar: each way through root comes back to itself.",
      );
    }
    // Alternates that can never end are dead ends.
    const rules = this.#rules.map((rule) => withoutEndless(rule, ofRule));
    const order = reachableFrom(root, rules);
    const newIndex = new Map(order.map((rule, index) => [rule, index]));
    const kept = order.map((rule) => {
      const elements = rules[rule] as number[];
      for (let at = 0; at < elements.length; at += 2) {
        if (elements[at] === RULE_REF) elements[at + 1] = newIndex.get(elements[at + 1] as number) as number;
      }
      return elements;
    });
    const elements = encodeRules(kept, 0);
    this.#checkShape(
      elements,
      order,
      Float64Array.from(order, (rule) => ofRule[rule] as number),
    );
    return elements;
  }

  /** `order`: of each rule in `elements`, its index here. */
  #checkShape(elements: Int32Array, order: readonly number[], ofRule: Float64Array): void {
    const fromElement = lengthsFromElements(elements, ofRule);
    const ruleCount = elements[0] as number;
    for (let at = 2 + ruleCount; at < elements.length; at += 2) {
      if ((fromElement[at] as number) > maxMinimalLength) {
        throw new GrammarError(
          `the shortest text of a rule has more than ${maxMinimalLength} characters; repeat less.`,
          0,
          0,
        );
      }
    }
    const leftmost = Array.from({ length: ruleCount }, (_, rule) => leftmostOf(elements, rule, ofRule));
    const cycle = findCycle(leftmost.map(({ references }) => references));
    if (cycle !== null) {
      const names = cycle
        .map((rule) => this.#definitions[order[rule] as number]?.name)
        .filter((name) => name !== undefined);
      const message =
        names.length === 0
          ? "this repeats without end what can be empty; what is repeated must have at least one character."
          : `the rule ${clip(names.join(" → "))} can begin with itself (left recursion); write the repetition with * or at the end of the rule.`;
      throw gbnfErrorAt(this.#source, this.#offsets[order[cycle[0] as number] as number] as number, message);
    }
    // Without cycles: from the leaves up.
    const places = new Float64Array(ruleCount).fill(-1);
    for (const rule of postOrder(leftmost.map(({ references }) => references))) {
      const { references, terminals } = leftmost[rule] as Leftmost;
      const count = references.reduce((sum, next) => sum + (places[next] as number), terminals + 1);
      if (count > maxOpenPlaces) {
        throw gbnfErrorAt(
          this.#source,
          this.#offsets[order[rule] as number] as number,
          `more than ${maxOpenPlaces} ways begin here; up to that many are allowed.`,
        );
      }
      places[rule] = count;
    }
  }
}

function withoutEndless(rule: readonly number[], ofRule: Float64Array): number[] {
  const kept: number[] = [];
  let start = 0;
  let isEndless = false;
  for (let at = 0; at < rule.length; at += 2) {
    const type = rule[at];
    if (type === RULE_REF && ofRule[rule[at + 1] as number] === Infinity) isEndless = true;
    if (type !== END && type !== ALT) continue;
    if (!isEndless) {
      if (kept.length > 0) kept.push(ALT, 0);
      // A first alternate that is empty must still be told from none at all.
      if (kept.length === 0 && at === start) kept.push(ALT, 0);
      else for (let copied = start; copied < at; copied += 1) kept.push(rule[copied] as number);
    }
    isEndless = false;
    start = at + 2;
  }
  kept.push(END, 0);
  return kept;
}

function reachableFrom(root: number, rules: readonly (readonly number[])[]): number[] {
  const seen = new Set([root]);
  const order = [root];
  for (const rule of order) {
    const elements = rules[rule] as readonly number[];
    for (let at = 0; at < elements.length; at += 2) {
      const next = elements[at + 1] as number;
      if (elements[at] !== RULE_REF || seen.has(next)) continue;
      seen.add(next);
      order.push(next);
    }
  }
  return order;
}

interface Leftmost {
  /** Rules with which a text of this rule can begin. */
  readonly references: readonly number[];
  /** Character classes with which it can begin. */
  readonly terminals: number;
}

function leftmostOf(elements: Int32Array, rule: number, ofRule: Float64Array): Leftmost {
  const references: number[] = [];
  let terminals = 0;
  let isLeftmost = true;
  for (let at = elements[2 + rule] as number; elements[at] !== END;) {
    const type = elements[at] as number;
    if (type === ALT) {
      isLeftmost = true;
      at += 2;
    } else if (type === RULE_REF) {
      const next = elements[at + 1] as number;
      if (isLeftmost) references.push(next);
      if (ofRule[next] !== 0) isLeftmost = false;
      at += 2;
    } else {
      if (isLeftmost) terminals += 1;
      isLeftmost = false;
      at = classEnd(elements, at);
    }
  }
  return { references, terminals };
}

/** The nodes of a cycle, from a node with the lowest index of it on; null where there is none. */
function findCycle(edges: readonly (readonly number[])[]): number[] | null {
  const state = new Uint8Array(edges.length);
  for (let start = 0; start < edges.length; start += 1) {
    if (state[start] !== 0) continue;
    const path = [{ node: start, next: 0 }];
    state[start] = 1;
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = edges[top.node]?.[top.next];
      top.next += 1;
      if (next === undefined) {
        state[top.node] = 2;
        path.pop();
      } else if (state[next] === 1) {
        const cycle = path.slice(path.findIndex(({ node }) => node === next)).map(({ node }) => node);
        const first = cycle.indexOf(Math.min(...cycle.slice(0, 1000)));
        return [...cycle.slice(first), ...cycle.slice(0, first)];
      } else if (state[next] === 0) {
        state[next] = 1;
        path.push({ node: next, next: 0 });
      }
    }
  }
  return null;
}

/** Each node after those that it points to; there must be no cycle. */
function postOrder(edges: readonly (readonly number[])[]): number[] {
  const order: number[] = [];
  const seen = new Uint8Array(edges.length);
  for (let start = 0; start < edges.length; start += 1) {
    if (seen[start] !== 0) continue;
    seen[start] = 1;
    const path = [{ node: start, next: 0 }];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = edges[top.node]?.[top.next];
      top.next += 1;
      if (next === undefined) {
        order.push(top.node);
        path.pop();
      } else if (seen[next] === 0) {
        seen[next] = 1;
        path.push({ node: next, next: 0 });
      }
    }
  }
  return order;
}
