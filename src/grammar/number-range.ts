// Numbers between bounds, as automata over their decimal digits. Imports grammar/ only.
import {
  type Automaton,
  AutomatonTooLargeError,
  type Edge,
  maxAutomatonStates,
  type WorkBudget,
  withoutDeadEnds,
  workCounter,
} from "./automaton.ts";
import { setOf } from "./code-points.ts";

export interface NumberRange {
  /** Infinite where there is none. */
  readonly minimum: number;
  readonly maximum: number;
  readonly isMinimumExclusive: boolean;
  readonly isMaximumExclusive: boolean;
  readonly isInteger: boolean;
  /** An integer from 1; 1 for any. */
  readonly multipleOf: number;
}

export const maxMultipleOf = 1_000;
/** JSON.parse keeps integers of so many digits whatever they are. */
const maxDigits = 15;
/** What a state costs to find, in the steps of other automata: large multiples have thousands of them. */
const workPerState = 100;
/** Digits before the decimal point where a number has no bound. */
const freeDigits = 12;

/**
 * Numbers in decimal notation without an exponent. Never more than the range; less where it has more digits than
 * JavaScript's numbers keep. Throws AutomatonTooLargeError.
 */
export function numberAutomaton(range: NumberRange, budget: WorkBudget = { left: Infinity }): Automaton {
  const fraction = range.isInteger ? 0 : fractionDigits(range);
  const limit = 10n ** BigInt(wholeDigits(range) + fraction) - 1n;
  const low = range.minimum === -Infinity ? -limit : scaled(range.minimum, fraction, "up", range.isMinimumExclusive);
  const high = range.maximum === Infinity ? limit : scaled(range.maximum, fraction, "down", range.isMaximumExclusive);
  const bounds = { low: low < -limit ? -limit : low, high: high > limit ? limit : high };
  const explorer = new DigitExplorer(fraction, BigInt(range.multipleOf));
  const automaton = explorer.explore(bounds.low, bounds.high);
  workCounter(budget)(automaton.edges.length * workPerState);
  return automaton;
}

function wholeDigits({ isInteger, multipleOf, minimum, maximum }: NumberRange): number {
  const isBounded = minimum !== -Infinity && maximum !== Infinity;
  if (multipleOf === 1) return isInteger || isBounded ? maxDigits : freeDigits;
  // With many states for each digit, fewer digits: they must be enough for a few multiples, or for the bounds.
  const states = new Set(
    Array.from({ length: multipleOf }, (_, remainder) => futureOf(BigInt(remainder), BigInt(multipleOf))),
  ).size;
  const affordable = Math.min(maxDigits, Math.floor((maxAutomatonStates * 0.9) / states));
  const boundDigits = isBounded ? Math.max(digitsBefore(minimum), digitsBefore(maximum)) : Infinity;
  if (affordable < Math.min(boundDigits, String(multipleOf).length + 1)) throw new AutomatonTooLargeError();
  return affordable;
}

/** What digits must follow a number of this remainder to make a multiple, for each count of digits; equal where they are. */
function futureOf(remainder: bigint, multipleOf: bigint): string {
  const needs: (bigint | "none")[] = [];
  for (let shift = 1n; ; shift *= 10n) {
    const need = (multipleOf - ((remainder * shift) % multipleOf)) % multipleOf;
    needs.push(need < shift ? need : "none");
    if (shift >= multipleOf) return needs.join();
  }
}

function digitsBefore(bound: number): number {
  return BigInt(Math.trunc(Math.abs(bound))).toString().length;
}

// Beyond 15 significant digits a decimal next to a bound could be read as the bound itself.
function fractionDigits({ minimum, maximum, isMinimumExclusive, isMaximumExclusive }: NumberRange): number {
  const digitsOf = (bound: number): number => (Number.isFinite(bound) ? digitsBefore(bound) : 1);
  const widest = Math.max(digitsOf(minimum), digitsOf(maximum));
  const exclusive = Math.max(isMinimumExclusive ? digitsOf(minimum) : 0, isMaximumExclusive ? digitsOf(maximum) : 0);
  return Math.max(0, Math.min(maxDigits - exclusive, Math.max(6, Math.min(12, maxDigits - widest))));
}

/** `bound` in units of the last digit after the point, within the bound. */
function scaled(bound: number, fraction: number, direction: "up" | "down", isExclusive: boolean): bigint {
  const [digits = "0", exponentText = "0"] = String(bound).toLowerCase().split("e");
  const [whole = "0", decimals = ""] = digits.replace("-", "").split(".");
  let units = BigInt(whole + decimals);
  if (bound < 0) units = -units;
  const shift = Number(exponentText) - decimals.length + fraction;
  let isExact = true;
  if (shift >= 0) units *= 10n ** BigInt(shift);
  else {
    const divisor = 10n ** BigInt(-shift);
    const quotient = units / divisor;
    isExact = quotient * divisor === units;
    // Division cuts towards zero.
    const isCutDown = !isExact && units > 0n;
    const isCutUp = !isExact && units < 0n;
    units = quotient;
    if (direction === "up" && isCutDown) units += 1n;
    if (direction === "down" && isCutUp) units -= 1n;
  }
  if (!isExclusive || !isExact) return units;
  return direction === "up" ? units + 1n : units - 1n;
}

interface DigitState {
  readonly isNegative: boolean;
  /** The digits so far as a number. */
  readonly value: bigint;
  /** Digits before the point; 0 before the first. */
  readonly whole: number;
  /** Digits after the point; -1 before it. */
  readonly decimals: number;
}

const power = (exponent: number): bigint => 10n ** BigInt(exponent);

/** Follows the digits of all numbers between two bounds; states that the same digits may follow are one. */
class DigitExplorer {
  readonly #fraction: number;
  readonly #multipleOf: bigint;
  readonly #states: (DigitState | null)[] = [null];
  readonly #indices = new Map<string, number>();
  #ranges = { positive: { low: 0n, high: -1n }, negative: { low: 0n, high: -1n } };

  constructor(fraction: number, multipleOf: bigint) {
    this.#fraction = fraction;
    this.#multipleOf = multipleOf;
  }

  /** Bounds in units of the last digit. "-0" is left out. */
  explore(low: bigint, high: bigint): Automaton {
    this.#ranges = {
      positive: { low: low > 0n ? low : 0n, high },
      negative: { low: high < 0n ? -high : 1n, high: -low },
    };
    const edges: Edge[][] = [];
    const isAccepting: boolean[] = [];
    for (let index = 0; index < this.#states.length; index += 1) {
      const state = this.#states[index] as DigitState | null;
      if (state === null) {
        const begin = { value: 0n, whole: 0, decimals: -1 };
        const minus = this.#indexOf({ ...begin, isNegative: true });
        edges.push([...this.#digitEdges({ ...begin, isNegative: false }), { set: setOf("-"), target: minus }]);
        isAccepting.push(false);
        continue;
      }
      edges.push(this.#edgesOf(state));
      isAccepting.push(this.#isNumber(state));
    }
    return withoutDeadEnds({ edges, isAccepting });
  }

  #edgesOf(state: DigitState): Edge[] {
    const edges = this.#digitEdges(state);
    if (state.decimals !== -1 || state.whole === 0 || this.#fraction === 0) return edges;
    const point = { ...state, decimals: 0 };
    if (this.#canBecomeValid(point)) edges.push({ set: setOf("."), target: this.#indexOf(point) });
    return edges;
  }

  #digitEdges(state: DigitState): Edge[] {
    // A number has no second digit after a leading zero.
    if (state.decimals === -1 && state.whole > 0 && state.value === 0n) return [];
    if (state.decimals === this.#fraction) return [];
    const targets = new Map<number, string>();
    for (let digit = 0; digit <= 9; digit += 1) {
      const next: DigitState = {
        isNegative: state.isNegative,
        value: state.value * 10n + BigInt(digit),
        whole: state.decimals === -1 ? state.whole + 1 : state.whole,
        decimals: state.decimals === -1 ? -1 : state.decimals + 1,
      };
      if (!this.#canBecomeValid(next)) continue;
      const target = this.#indexOf(next);
      targets.set(target, `${targets.get(target) ?? ""}${digit}`);
    }
    return [...targets].map(([target, digits]) => ({ set: setOf(digits), target }));
  }

  #isNumber(state: DigitState): boolean {
    if (state.whole === 0 || state.decimals === 0) return false;
    if (state.value % this.#multipleOf !== 0n) return false;
    const unit = power(this.#fraction - Math.max(0, state.decimals));
    const { low, high } = this.#rangeOf(state);
    return low <= state.value * unit && state.value * unit <= high;
  }

  #rangeOf({ isNegative }: DigitState): { low: bigint; high: bigint } {
    return isNegative ? this.#ranges.negative : this.#ranges.positive;
  }

  #canBecomeValid(state: DigitState): boolean {
    return this.#relations(state).some((relation) => relation !== "none");
  }

  /** For each number of further digits before the point: whether all, some or none of the numbers are in the range. */
  #relations(state: DigitState): ("all" | "some" | "none")[] {
    const { low, high } = this.#rangeOf(state);
    const relations: ("all" | "some" | "none")[] = [];
    const more =
      state.decimals === -1 && state.value > 0n
        ? Math.max(0, high.toString().length - this.#fraction - state.whole)
        : 0;
    const unit = power(this.#fraction - Math.max(0, state.decimals));
    for (let digits = 0; digits <= more; digits += 1) {
      const first = state.value * power(digits) * unit;
      const last = (state.value + 1n) * power(digits) * unit - 1n;
      relations.push(low <= first && last <= high ? "all" : last < low || first > high ? "none" : "some");
    }
    return relations;
  }

  #indexOf(state: DigitState): number {
    const relations = this.#relations(state);
    const isBegin = state.whole === 0;
    const isZero = state.decimals === -1 && state.value === 0n;
    const isOpen = relations.includes("some") || isBegin || isZero;
    const key = [
      isBegin ? `begin${state.isNegative}` : "",
      state.decimals,
      isOpen ? `${state.isNegative}${state.value}/${state.whole}` : relations.join(),
      futureOf(state.value % this.#multipleOf, this.#multipleOf),
    ].join(":");
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.#states.push(state) - 1;
      if (index >= maxAutomatonStates) throw new AutomatonTooLargeError();
      this.#indices.set(key, index);
    }
    return index;
  }
}
