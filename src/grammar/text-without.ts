// Free text in which certain strings do not occur, as rules: the automaton of Aho and Corasick. Imports grammar/ only.
import { gbnfClass } from "./gbnf-text.ts";
import { type RuleSet, rulePrefix } from "./rule-set.ts";

const maxNeedleCharacters = 5_000;

/** Throws RangeError where a needle is empty (then there is no such text) or they are very long. */
export function textWithout(needles: readonly string[]): RuleSet {
  const unique = [...new Set(needles)].sort();
  if (unique.includes("")) throw new RangeError("No text is without the empty string.");
  if (unique.join("").length > maxNeedleCharacters) {
    throw new RangeError(`Texts to leave out may have ${maxNeedleCharacters} characters together.`);
  }
  const prefix = rulePrefix("t", JSON.stringify(unique));
  const name = (state: number): string => `${prefix}-${state}`;
  const { next, isForbidden } = ahoCorasick(unique.map((needle) => Array.from(needle, (sign) => sign.codePointAt(0)!)));
  const alphabet = [...new Set(next.flatMap((edges) => [...edges.keys()]))].sort((a, b) => a - b);
  const rules = new Map<string, string>();
  next.forEach((edges, state) => {
    if (isForbidden[state] === true) return;
    const byTarget = new Map<number, number[]>();
    for (const sign of alphabet) {
      const target = edges.get(sign) ?? 0;
      byTarget.set(target, [...(byTarget.get(target) ?? []), sign]);
    }
    const home = new Set(byTarget.get(0));
    const others = alphabet.filter((sign) => !home.has(sign)).map((sign) => [sign, sign] as const);
    const alternates = [`${others.length === 0 ? "." : gbnfClass(others, true)} ${name(0)}`];
    for (const [target, signs] of byTarget) {
      if (target === 0 || isForbidden[target] === true) continue;
      alternates.push(`${gbnfClass(signs.map((sign) => [sign, sign]))} ${name(target)}`);
    }
    rules.set(name(state), `${alternates.join(" | ")} | ""`);
  });
  return { root: name(0), rules };
}

/** Edges that lead back to state 0 are left out. */
function ahoCorasick(needles: readonly (readonly number[])[]): { next: Map<number, number>[]; isForbidden: boolean[] } {
  const next = [new Map<number, number>()];
  const isForbidden = [false];
  for (const needle of needles) {
    let state = 0;
    for (const sign of needle) {
      const edges = next[state] as Map<number, number>;
      let target = edges.get(sign);
      if (target === undefined) {
        target = next.push(new Map()) - 1;
        isForbidden.push(false);
        edges.set(sign, target);
      }
      state = target;
    }
    isForbidden[state] = true;
  }
  // Breadth first, so that the state to fall back to has all its edges already.
  const fallback = next.map(() => 0);
  const queue = [...(next[0] as Map<number, number>).values()];
  for (const state of queue) {
    const own = next[state] as Map<number, number>;
    const back = fallback[state] as number;
    if (isForbidden[back] === true) isForbidden[state] = true;
    for (const [sign, target] of own) {
      fallback[target] = next[back]?.get(sign) ?? 0;
      queue.push(target);
    }
    for (const [sign, target] of next[back] as Map<number, number>) if (!own.has(sign)) own.set(sign, target);
  }
  return { next, isForbidden };
}
