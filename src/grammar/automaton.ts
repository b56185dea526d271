// Deterministic automata over characters: made from the nondeterministic ones of patterns, intersected, and written as
// rules. Imports grammar/ only. Deterministic, so that a matcher has one state to follow however a pattern was written.
import {
  type CodePointSet,
  complementOf,
  differenceOf,
  everyCharacter,
  hasCodePoint,
  intersectionOf,
  setOf,
  unionOf,
} from "./code-points.ts";
import { gbnfClass } from "./gbnf-text.ts";

export interface Edge {
  readonly set: CodePointSet;
  readonly target: number;
}

/** Starts in state 0. No edges of a state have a character in common. */
export interface Automaton {
  readonly edges: readonly (readonly Edge[])[];
  readonly isAccepting: readonly boolean[];
}

/** What an edge without a character needs: nothing, the text's beginning, its end. */
export type Condition = "always" | "start" | "end";

export interface NfaState {
  readonly edges: Edge[];
  readonly jumps: { readonly target: number; readonly condition: Condition }[];
}

/** Starts in state 0 and accepts in state 1. */
export type Nfa = readonly NfaState[];

export const maxAutomatonStates = 4_000;
/** Of one construction: states, edges and ranges of characters that are looked at. */
const maxWork = 2_000_000;

/** More states than `maxAutomatonStates`, or more work than is reasonable to find them. */
export class AutomatonTooLargeError extends Error {
  constructor() {
    super(`the automaton has more than ${maxAutomatonStates} states`);
    this.name = "AutomatonTooLargeError";
  }
}

/** What constructions may cost together. */
export interface WorkBudget {
  left: number;
}

/** Throws AutomatonTooLargeError where one construction, or all of the budget's together, would cost too much. */
export function workCounter(budget: WorkBudget): (work: number) => void {
  let own = maxWork;
  return (work) => {
    own -= work;
    budget.left -= work;
    if (own < 0 || budget.left < 0) throw new AutomatonTooLargeError();
  };
}

/** The subset construction. Throws AutomatonTooLargeError. */
export function determinize(nfa: Nfa, budget: WorkBudget): Automaton {
  const spend = workCounter(budget);
  const closureOf = (seeds: readonly number[], isStart: boolean, isEnd: boolean): number[] => {
    const closure = new Set(seeds);
    for (const state of closure) {
      spend(1);
      for (const { target, condition } of (nfa[state] as NfaState).jumps) {
        if (condition === "always" || (condition === "start" ? isStart : isEnd)) closure.add(target);
      }
    }
    return [...closure].sort((a, b) => a - b);
  };
  const first = closureOf([0], true, false);
  // The text's start is a state of its own: jumps that need it are open there alone.
  const subsets = [first];
  const indices = new Map<string, number>([["start", 0]]);
  const edges: Edge[][] = [];
  const isAccepting: boolean[] = [];
  for (let state = 0; state < subsets.length; state += 1) {
    const subset = subsets[state] as number[];
    isAccepting.push(closureOf(subset, state === 0, true).includes(1));
    const moves = subset.flatMap((member) => (nfa[member] as NfaState).edges);
    edges.push(
      mergedEdges(splitByTargets(moves, spend), (targets) => {
        const closure = closureOf(targets, false, false);
        const key = closure.join();
        let index = indices.get(key);
        if (index === undefined) {
          index = subsets.push(closure) - 1;
          if (index >= maxAutomatonStates) throw new AutomatonTooLargeError();
          indices.set(key, index);
        }
        return index;
      }),
    );
  }
  return withoutDeadEnds({ edges, isAccepting });
}

/** What both accept. Throws AutomatonTooLargeError. */
export function intersect(a: Automaton, b: Automaton, budget: WorkBudget): Automaton {
  const spend = workCounter(budget);
  const pairs: [number, number][] = [[0, 0]];
  const indices = new Map([["0,0", 0]]);
  const edges: Edge[][] = [];
  const isAccepting: boolean[] = [];
  for (const [stateA, stateB] of pairs) {
    isAccepting.push(a.isAccepting[stateA] === true && b.isAccepting[stateB] === true);
    const own: Edge[] = [];
    for (const edgeA of a.edges[stateA] as readonly Edge[]) {
      for (const edgeB of b.edges[stateB] as readonly Edge[]) {
        spend(edgeA.set.length + edgeB.set.length);
        const set = intersectionOf(edgeA.set, edgeB.set);
        if (set.length === 0) continue;
        const key = `${edgeA.target},${edgeB.target}`;
        let target = indices.get(key);
        if (target === undefined) {
          target = pairs.push([edgeA.target, edgeB.target]) - 1;
          if (target >= maxAutomatonStates) throw new AutomatonTooLargeError();
          indices.set(key, target);
        }
        own.push({ set, target });
      }
    }
    edges.push(own);
  }
  return withoutDeadEnds({ edges, isAccepting });
}

/** Any text of `min` to `max` characters; `max` may be Infinity. Throws AutomatonTooLargeError. */
export function ofLength(min: number, max: number): Automaton {
  const last = max === Infinity ? min : max;
  if (last >= maxAutomatonStates) throw new AutomatonTooLargeError();
  const states = Array.from({ length: last + 1 }, (_, length) => length);
  return {
    edges: states.map((length) =>
      length < last
        ? [{ set: everyCharacter, target: length + 1 }]
        : max === Infinity
          ? [{ set: everyCharacter, target: length }]
          : [],
    ),
    isAccepting: states.map((length) => length >= min),
  };
}

/** The lengths of what is accepted; `longest` is Infinity where there is no longest. */
export function lengthsOf({ edges, isAccepting }: Automaton): { shortest: number; longest: number } {
  const distance = new Map([[0, 0]]);
  let shortest = Infinity;
  for (const [state, length] of distance) {
    if (isAccepting[state] === true) shortest = Math.min(shortest, length);
    for (const { target } of edges[state] as readonly Edge[]) {
      if (!distance.has(target)) distance.set(target, length + 1);
    }
  }
  // Peels off states that nothing leads to; what remains lies on or after a cycle.
  const incoming = new Int32Array(edges.length);
  for (const own of edges) for (const { target } of own) incoming[target] = (incoming[target] as number) + 1;
  const longestTo = new Int32Array(edges.length);
  const order = edges.flatMap((_, state) => (incoming[state] === 0 ? [state] : []));
  let longest = 0;
  for (const state of order) {
    if (isAccepting[state] === true) longest = Math.max(longest, longestTo[state] as number);
    for (const { target } of edges[state] as readonly Edge[]) {
      longestTo[target] = Math.max(longestTo[target] as number, (longestTo[state] as number) + 1);
      incoming[target] = (incoming[target] as number) - 1;
      if (incoming[target] === 0) order.push(target);
    }
  }
  return { shortest, longest: order.length < edges.length ? Infinity : longest };
}

/** Any text that is none of `names`. */
export function noneOf(names: readonly string[]): Automaton {
  const children = [new Map<number, number>()];
  const isName = [false];
  for (const name of names) {
    let state = 0;
    for (const sign of name) {
      const codePoint = sign.codePointAt(0) as number;
      const own = children[state] as Map<number, number>;
      let child = own.get(codePoint);
      if (child === undefined) {
        child = children.push(new Map()) - 1;
        isName.push(false);
        own.set(codePoint, child);
      }
      state = child;
    }
    isName[state] = true;
  }
  const other = children.length;
  return withoutDeadEnds({
    edges: [
      ...children.map((own) => [
        ...[...own].map(([codePoint, target]) => ({ set: [[codePoint, codePoint]] as const, target })),
        { set: complementOf(unionOf([...own.keys()].map((codePoint) => [codePoint, codePoint]))), target: other },
      ]),
      [{ set: everyCharacter, target: other }],
    ],
    isAccepting: [...isName.map((name) => !name), true],
  });
}

export function accepts({ edges, isAccepting }: Automaton, text: string): boolean {
  let state: number | undefined = 0;
  for (const sign of text) {
    const codePoint = sign.codePointAt(0) as number;
    state = edges[state]?.find(({ set }) => hasCodePoint(set, codePoint))?.target;
    if (state === undefined) return false;
  }
  return isAccepting[state] === true;
}

export function acceptsNothing({ isAccepting }: Automaton): boolean {
  return !isAccepting.includes(true);
}

/** Leaves out states from which nothing is accepted, or that nothing leads to; state 0 stays. */
export function withoutDeadEnds({ edges, isAccepting }: Automaton): Automaton {
  const sources: number[][] = edges.map(() => []);
  edges.forEach((own, state) => {
    for (const { target } of own) sources[target]?.push(state);
  });
  const live = new Set(edges.flatMap((_, state) => (isAccepting[state] === true ? [state] : [])));
  for (const state of live) for (const source of sources[state] as number[]) live.add(source);
  const kept = new Set([0]);
  for (const state of kept) {
    for (const { target } of edges[state] as readonly Edge[]) if (live.has(target)) kept.add(target);
  }
  const newIndex = new Map([...kept].map((state, index) => [state, index]));
  return {
    edges: [...kept].map((state) =>
      (edges[state] as readonly Edge[])
        .filter(({ target }) => live.has(target))
        .map(({ set, target }) => ({ set, target: newIndex.get(target) as number })),
    ),
    isAccepting: [...kept].map((state) => isAccepting[state] === true),
  };
}

const quoteAndBackslash = setOf('"\\');
const controls: CodePointSet = [[0, 0x1f]];
const shortEscapes = new Map([
  [0x22, '"'],
  [0x5c, "\\"],
  [0x08, "b"],
  [0x0c, "f"],
  [0x0a, "n"],
  [0x0d, "r"],
  [0x09, "t"],
]);
/**
 * The rules for the text between the quotes of a JSON string whose value the automaton accepts; also for numbers. Needs the
 * rules of json-rules.ts.
 */
export function automatonRules(automaton: Automaton, prefix: string): Map<string, string> {
  const { edges, isAccepting } = automaton;
  const incoming = new Int32Array(edges.length);
  for (const own of edges) for (const { target } of own) incoming[target] = (incoming[target] as number) + 1;
  const name = (state: number): string => `${prefix}-${state}`;
  // A state that only one edge leads to, and that only one leaves, is written in its predecessor's rule.
  const isInline = edges.map(
    (own, state) => state !== 0 && incoming[state] === 1 && own.length === 1 && isAccepting[state] !== true,
  );
  const rules = new Map<string, string>();
  edges.forEach((own, state) => {
    if (isInline[state] === true) return;
    const [only] = own;
    if (
      own.length === 1 &&
      only?.target === state &&
      isAccepting[state] === true &&
      complementOf(only.set).length === 0
    ) {
      rules.set(name(state), "json-chars");
      return;
    }
    const alternates = own.map((edge) => {
      let body = "";
      let next: Edge = edge;
      for (;;) {
        body += `${jsonCharacter(next.set)} `;
        const after = (edges[next.target] as readonly Edge[])[0];
        if (isInline[next.target] !== true || after === undefined) break;
        next = after;
      }
      const isLast = isAccepting[next.target] === true && edges[next.target]?.length === 0;
      return isLast ? body.trimEnd() : body + name(next.target);
    });
    if (isAccepting[state] === true) alternates.push('""');
    rules.set(name(state), alternates.join(" | "));
  });
  return rules;
}

function jsonCharacter(set: CodePointSet): string {
  const alternates: string[] = [];
  const raw = differenceOf(set, unionOf([...controls, ...quoteAndBackslash]));
  if (raw.length > 0) {
    const left = unionOf([[0, 0], ...complementOf(raw)]);
    alternates.push(left.length < raw.length ? gbnfClass(left, true) : gbnfClass(raw));
  }
  const letters = [...shortEscapes].filter(([codePoint]) => hasCodePoint(set, codePoint)).map(([, letter]) => letter);
  if (letters.length > 0) alternates.push(`"\\\\" ${gbnfClass(setOf(letters.join("")))}`);
  // Control characters without an escape of their own come only where nothing else would do.
  for (let codePoint = 1; codePoint < 0x20 && raw.length + letters.length === 0; codePoint += 1) {
    if (hasCodePoint(set, codePoint)) alternates.push(`"\\\\u${codePoint.toString(16).padStart(4, "0")}"`);
  }
  return alternates.length === 1 ? (alternates[0] as string) : `(${alternates.join(" | ")})`;
}

/** The characters of overlapping edges, split where the set of their targets changes. */
function splitByTargets(
  moves: readonly Edge[],
  spend: (work: number) => void,
): { range: readonly [number, number]; targets: number[] }[] {
  const changes: { at: number; target: number; isStart: boolean }[] = [];
  for (const { set, target } of moves) {
    spend(set.length);
    for (const [low, high] of set) {
      changes.push({ at: low, target, isStart: true }, { at: high + 1, target, isStart: false });
    }
  }
  changes.sort((a, b) => a.at - b.at);
  const open = new Map<number, number>();
  const parts: { range: readonly [number, number]; targets: number[] }[] = [];
  let from = 0;
  for (const { at, target, isStart } of changes) {
    if (at > from && open.size > 0) {
      spend(open.size);
      parts.push({ range: [from, at - 1], targets: [...open.keys()].sort((a, b) => a - b) });
    }
    from = at;
    const count = (open.get(target) ?? 0) + (isStart ? 1 : -1);
    if (count === 0) open.delete(target);
    else open.set(target, count);
  }
  return parts;
}

function mergedEdges(
  parts: readonly { range: readonly [number, number]; targets: number[] }[],
  stateOf: (targets: number[]) => number,
): Edge[] {
  const ranges = new Map<number, (readonly [number, number])[]>();
  const known = new Map<string, number>();
  for (const { range, targets } of parts) {
    const key = targets.join();
    const state = known.get(key) ?? stateOf(targets);
    known.set(key, state);
    const own = ranges.get(state);
    if (own === undefined) ranges.set(state, [range]);
    else own.push(range);
  }
  return [...ranges].map(([target, own]) => ({ set: unionOf(own), target }));
}
