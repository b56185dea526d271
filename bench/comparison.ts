// A measured comparison: what this project reached, against what, and whether that is enough. Pure. May import
// statistics.ts.
import { median } from "./statistics.ts";

export interface Comparison {
  readonly title: string;
  readonly unit: "tokens/s" | "requests/s" | "bytes/s" | "ms" | "bytes" | "tokens" | "answers";
  readonly better: "higher" | "lower";
  /** By round, each with its samples; the same rounds as `other`. */
  readonly ours: readonly (readonly number[])[];
  /** What `other` is, for people: "llama-server". */
  readonly against: string;
  readonly other: readonly (readonly number[])[];
  /** The least ratio that is wanted; null: for information. */
  readonly target: number | null;
}

/** One median for each round; those without samples are left out. */
export function roundMedians(rounds: Comparison["ours"]): number[] {
  return rounds.flatMap((samples) => median(samples) ?? []);
}

/** By rounds, above 1 where this project is better; null where a side of a round has no samples. */
export function pairRatios({ ours, other, better }: Comparison): (number | null)[] {
  return ours.map((samples, round) => {
    const [own, others] = [median(samples), median(other[round] ?? [])];
    if (own === null || others === null) return null;
    const [numerator, denominator] = better === "higher" ? [own, others] : [others, own];
    if (denominator === 0) return numerator === 0 ? 1 : null;
    return numerator / denominator;
  });
}

/** The median of the rounds' ratios; null where not every round has one. */
export function ratioOf(comparison: Comparison): number | null {
  const ratios = pairRatios(comparison);
  return ratios.includes(null) ? null : median(ratios.flatMap((ratio) => ratio ?? []));
}

/** Null where nothing is wanted. */
export function isMet(comparison: Comparison): boolean | null {
  const { target } = comparison;
  return target === null ? null : (ratioOf(comparison) ?? 0) >= target;
}
