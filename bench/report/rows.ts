// A suite's comparisons as rows of text: medians with units, the ratio, the target, whether it is met. Pure. May import
// comparison.ts, result-file.ts (types), statistics.ts and src/core.
import { formatBytes } from "../../src/core/bytes.ts";
import { asOneLine } from "../../src/core/words.ts";
import { type Comparison, isMet, pairRatios, ratioOf, roundMedians } from "../comparison.ts";
import type { SuiteResult } from "../result-file.ts";
import { median } from "../statistics.ts";

export const rowTitles = ["workload", "this project", "against", "", "ratio", "each round", "target", "met"] as const;

export function resultRows({ workloads }: Pick<SuiteResult, "workloads">): string[][] {
  return workloads.flatMap(({ name, comparisons, error }) =>
    error === null ? comparisons.map(rowOf) : [[name, "failed", "", "", "", "", "", "**no**"]],
  );
}

/** Why a workload has no numbers: a line for each that failed. */
export function failures({ workloads }: Pick<SuiteResult, "workloads">): string[] {
  return workloads.flatMap(({ name, error }) => (error === null ? [] : `${name} failed: ${asOneLine(error)}`));
}

function rowOf(comparison: Comparison): string[] {
  const { title, unit, ours, against, other, target } = comparison;
  const met = isMet(comparison);
  return [
    title,
    quantity(median(roundMedians(ours)), unit),
    against,
    quantity(median(roundMedians(other)), unit),
    ratioText(ratioOf(comparison)),
    pairRatios(comparison).map(ratioText).join(" "),
    target === null ? "" : ratioText(target),
    met === null ? "" : met ? "yes" : "**no**",
  ];
}

function ratioText(ratio: number | null): string {
  return ratio === null ? "-" : ratio.toFixed(2);
}

export function quantity(value: number | null, unit: Comparison["unit"]): string {
  if (value === null) return "-";
  switch (unit) {
    case "bytes":
      return formatBytes(value);
    case "bytes/s":
      return `${(value / 1e9).toFixed(1)} GB/s`;
    case "ms":
      return value < 100 ? `${value.toFixed(1)} ms` : `${value.toFixed(0)} ms`;
    case "tokens/s":
    case "requests/s":
      return `${value < 1000 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
    case "tokens":
    case "answers":
      return `${value.toFixed(0)} ${unit}`;
  }
}
