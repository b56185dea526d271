// `doctor --tune`: measures with how many threads each expert is fastest, has it remembered, and prints it.
// May import what stands below commands/; the models come as a session.
import type { TuningSession } from "../../app.ts";
import type { AppConfig } from "../../config/config.ts";
import { messageOf } from "../../core/errors.ts";
import type { ThreadCounts } from "../../engine/engine.ts";
import type { Expert } from "../../experts/expert.ts";
import { type MeasuredCount, tuneThreads } from "./thread-tuning.ts";

export interface TuningReport {
  readonly cores: string;
  readonly experts: readonly ExpertReport[];
}

interface ExpertReport {
  readonly id: string;
  readonly path: string;
  readonly outcome: TuningOutcome;
}

type TuningOutcome =
  | {
      readonly state: "tuned";
      readonly counts: readonly MeasuredCount[];
      readonly chosen: ThreadCounts;
      /** False where the disk does not keep it. */
      readonly remembered: boolean;
    }
  /** Measured in vain: something else computed on the same cores. What was known before stays. */
  | { readonly state: "disturbed"; readonly counts: readonly MeasuredCount[] }
  /** Its file is not there, or it belongs to an expert above. */
  | { readonly state: "skipped"; readonly reason: string }
  | { readonly state: "failed"; readonly reason: string };

/** Those that are named, else all. */
export function expertsToTune(
  config: AppConfig,
  names: readonly string[],
): readonly Expert[] | { readonly unknown: string; readonly allowed: readonly string[] } {
  const allowed = config.experts.map(({ id }) => id);
  const unknown = names.find((name) => !allowed.includes(name));
  if (unknown !== undefined) return { unknown, allowed };
  return names.length === 0 ? config.experts : config.experts.filter(({ id }) => names.includes(id));
}

/** Closes the session. What fails with one expert is in its report. */
export async function tune(
  experts: readonly Expert[],
  session: TuningSession,
  showProgress: (text: string) => void,
): Promise<TuningReport> {
  const reports: ExpertReport[] = [];
  try {
    for (const { id, modelPath: path } of experts) {
      const same = reports.find((report) => report.path === path);
      const outcome =
        same === undefined
          ? await tuneExpert(id, path, session, (text) => showProgress(`${id}: ${text}`)).catch(
              (error: unknown): TuningOutcome => ({ state: "failed", reason: messageOf(error) }),
            )
          : { state: "skipped" as const, reason: `the same file as ${same.id}` };
      reports.push({ id, path, outcome });
    }
  } finally {
    showProgress("");
    await session.close();
  }
  return { cores: session.cores, experts: reports };
}

async function tuneExpert(
  id: string,
  path: string,
  session: TuningSession,
  showProgress: (text: string) => void,
): Promise<TuningOutcome> {
  const file = await session.look(path);
  if (file.state === "missing") return { state: "skipped", reason: file.reason };
  if (file.state === "invalid") return { state: "failed", reason: file.reason };
  showProgress("loading");
  const lease = await session.acquire(id);
  const { model } = lease;
  try {
    if (model.kind !== "text" || model.measure === null) {
      return { state: "failed", reason: "without the native addon the number of threads cannot be chosen" };
    }
    const { counts, chosen, isDisturbed } = await tuneThreads({
      measure: model.measure,
      contextTokens: model.contextTokens,
      mostThreads: session.mostThreads,
      nowMs: () => performance.now(),
      onProgress: (share) => showProgress(`measuring, ${Math.round(100 * share)} %`),
    });
    if (isDisturbed) return { state: "disturbed", counts };
    return { state: "tuned", counts, chosen, remembered: await session.remember(file.identity, chosen) };
  } finally {
    lease.release();
  }
}

/** Something was measured, and all that was is kept. */
export function isAllKept({ experts }: TuningReport): boolean {
  const tried = experts.filter(({ outcome }) => outcome.state !== "skipped");
  return tried.length > 0 && tried.every(({ outcome }) => outcome.state === "tuned" && outcome.remembered);
}

export function renderTuning({ cores, experts }: TuningReport): string {
  return `${[cores, ...experts.map(({ id, path, outcome }) => [`${id}  ${path}`, ...linesOf(outcome)].join("\n"))].join("\n\n")}\n`;
}

function linesOf(outcome: TuningOutcome): readonly string[] {
  switch (outcome.state) {
    case "skipped":
      return [`  ! skipped: ${outcome.reason}`];
    case "failed":
      return [`  ✗ ${outcome.reason}`];
    case "disturbed":
      return [
        ...tableOf(outcome.counts, null),
        "  ! Something else computed on these cores meanwhile: nothing was remembered.",
        "    → Run it again when the machine is quiet; a server on it may run, but must not answer.",
      ];
    case "tuned":
      return [
        ...tableOf(outcome.counts, outcome.chosen),
        outcome.remembered
          ? "  ✓ remembered; the server uses it from its next start"
          : "  ✗ not remembered: the state folder cannot be written (set GGUF_EXPERTS_STATE_DIR)",
      ];
  }
}

function tableOf(counts: readonly MeasuredCount[], chosen: ThreadCounts | null): readonly string[] {
  const rows = counts.map(({ threads, decode, prefill }) => {
    const best = [
      ...(chosen?.decode === threads ? ["decode"] : []),
      ...(chosen?.prefill === threads ? ["prefill"] : []),
    ];
    return [String(threads), decode.toFixed(1), prefill.toFixed(1), best.join(", ")];
  });
  const table = [["threads", "decode tokens/s", "prefill tokens/s", "chosen for"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row) => `  ${row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ")}`.trimEnd());
}
