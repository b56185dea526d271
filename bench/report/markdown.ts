// The results section of bench/README.md, and its way into the page between two markers. Pure. May import rows.ts,
// result-file.ts (types) and src/core.
import { formatBytes } from "../../src/core/bytes.ts";
import type { SuiteResult } from "../result-file.ts";
import { failures, resultRows, rowTitles } from "./rows.ts";

const begin = "<!-- results: written by `npm run bench -- report FILE` -->";
const end = "<!-- end of results -->";

export interface ReportFiles {
  /** As the page links them. */
  readonly plot: string;
  readonly samples: string;
}

export function resultSection(result: SuiteResult, { plot, samples }: ReportFiles): string {
  const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll(/\s+/g, " ");
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [
    describeRun(result),
    "",
    line(rowTitles),
    line(rowTitles.map((_, column) => (column === 0 || column === 2 ? "---" : "--:"))),
    ...resultRows(result).map(line),
    "",
    ...failures(result).flatMap((failure) => [failure, ""]),
    `![Ratios by workload](${plot})`,
    "",
    `All samples: [${samples}](${samples}).`,
  ].join("\n");
}

/** One paragraph: when, on what, with what. */
export function describeRun({ startedAt, rounds, isQuick, model, peer, environment }: SuiteResult): string {
  const { cpu, architecture, physicalCores, threads, governor, commit, node, nodeLlamaCpp, llamaCpp } = environment;
  return [
    `${startedAt.slice(0, 10)}, ${cpu} (${architecture}), ${physicalCores} cores, ${threads} threads`,
    governor === null ? "" : `, governor ${governor}`,
    `; load average before ${environment.loadAverage.toFixed(2)}`,
    `; ${model.file} (${formatBytes(model.sizeBytes)})`,
    `; commit ${commit ?? "unknown"}, Node ${node.replace(/^v/, "")}, node-llama-cpp ${nodeLlamaCpp} with llama.cpp ${llamaCpp}`,
    peer === null
      ? ""
      : `, peer llama.cpp ${peer.version}${peer.hasSameKernels ? " with the same CPU kernels" : " with OTHER CPU kernels"}`,
    `; ${rounds} ${rounds === 1 ? "round" : "rounds"}${isQuick ? ", quick" : ""}.`,
  ].join("");
}

/** Throws an Error where the page has not both markers in order. */
export function replaceSection(page: string, section: string): string {
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the page has no place for results: ${begin} … ${end}`);
  return `${page.slice(0, from + begin.length)}\n\n${section}\n\n${page.slice(to)}`;
}
