// What a swap run found, as text, and whether the budget held. Pure. May import its neighbours' types, statistics.ts,
// plot.ts and src/core.
import { formatBytes } from "../../src/core/bytes.ts";
import type { Generation } from "../load/generation.ts";
import { plot, table } from "../plot.ts";
import type { ServerEvent } from "../processes/expert-server.ts";
import { type MemorySample, residentBytes } from "../processes/memory-sampler.ts";
import { median, percentile } from "../statistics.ts";
import type { SwapOptions, SwapResult } from "./swap.ts";

/** What may be exceeded: reservations are made before memory is taken, and both are counted in pages. */
export const allowedShare = 1.05;

export interface MemoryVerdict {
  readonly maxBytes: number;
  /** Of the budget. */
  readonly maxShare: number;
  /** Of the samples, above the budget. */
  readonly overShare: number;
  readonly holds: boolean;
}

export function judgeMemory(samples: readonly MemorySample[], budgetBytes: number): MemoryVerdict {
  const held = samples.map(residentBytes);
  const maxBytes = held.reduce((most, bytes) => Math.max(most, bytes), 0);
  const maxShare = maxBytes / budgetBytes;
  const overShare = held.length === 0 ? 0 : held.filter((bytes) => bytes > budgetBytes).length / held.length;
  return { maxBytes, maxShare, overShare, holds: held.length > 0 && maxShare <= allowedShare };
}

export function swapReport(result: SwapResult): string {
  const { options, samples, answers, events, seconds } = result;
  const verdict = judgeMemory(samples, options.budgetBytes);
  const held = samples.map(residentBytes);
  const mostOf = (pick: (sample: MemorySample) => number) =>
    formatBytes(samples.reduce((most, sample) => Math.max(most, pick(sample)), 0));
  const failed = answers.filter(({ error }) => error !== null);
  const waits = answers.flatMap(({ firstTextMs }) => firstTextMs ?? []);
  return [
    `${options.order} order, seed ${options.seed}: ${answers.length} requests of ${options.promptWords} words and at most ${options.maxTokens} tokens, ${options.concurrency} at a time, context ${options.contextTokens}, ${seconds.toFixed(0)} s`,
    "",
    plot(held, { columns: 100, rows: 12, limit: options.budgetBytes, label: formatBytes }),
    "",
    table([
      ["budget", formatBytes(options.budgetBytes)],
      ["most resident", `${formatBytes(verdict.maxBytes)}, ${percentOf(verdict.maxShare)} of the budget`],
      ["  anonymous / model pages", `${mostOf((s) => s.anonymousBytes)} / ${mostOf((s) => s.modelPageBytes)}`],
      ["  with child processes", mostOf((sample) => residentBytes(sample) + sample.childBytes)],
      ["before the first load", formatBytes(result.idleBytes)],
      ["samples above the budget", `${percentOf(verdict.overShare)} of ${samples.length}`],
      ["loads, evictions", `${count(events, "load_finished")}, ${count(events, "unload_started")}`],
      ["time to first text p50, p99, max", times(waits)],
      ["swap p50, p99, max", times(swapTimes(events))],
      ["errors", failed.length === 0 ? "none" : errorsOf(failed)],
    ]),
    "",
    expertTable(options, events, answers),
    "",
    result.serverEnded
      ? "FAILED: the server ended during the run"
      : verdict.holds
        ? `held: never more than ${percentOf(allowedShare)} of the budget`
        : `EXCEEDED: ${percentOf(verdict.maxShare)} of the budget; allowed: ${percentOf(allowedShare)}`,
  ].join("\n");
}

/** Milliseconds of each swap: from the first unload for an expert's sake to the end of its load. */
export function swapTimes(events: readonly ServerEvent[]): number[] {
  const startedMs = new Map<string, number>();
  const times: number[] = [];
  for (const { type, at, expert_id, for_expert_id } of events) {
    const atMs = Date.parse(at);
    if (type === "unload_started" && typeof for_expert_id === "string" && !startedMs.has(for_expert_id)) {
      startedMs.set(for_expert_id, atMs);
    }
    if (type !== "load_finished" || expert_id === undefined) continue;
    const start = startedMs.get(expert_id);
    if (start !== undefined) times.push(atMs - start);
    startedMs.delete(expert_id);
  }
  return times;
}

function expertTable(options: SwapOptions, events: readonly ServerEvent[], answers: readonly Generation[]): string {
  const rows = options.models.map(({ expertId }) => {
    const loads = events.filter(({ type, expert_id }) => type === "load_finished" && expert_id === expertId);
    const loadMs = loads.flatMap(({ load_ms }) => load_ms ?? []);
    const first = loads[0];
    return [
      expertId,
      String(answers.filter((answer) => answer.expertId === expertId && answer.error === null).length),
      String(loads.length),
      seconds(median(loadMs)),
      seconds(percentile(loadMs, 1)),
      first?.predicted_bytes === undefined ? "-" : formatBytes(first.predicted_bytes),
      loads.at(-1)?.measured_bytes === undefined ? "-" : formatBytes(loads.at(-1)?.measured_bytes ?? 0),
    ];
  });
  return table([["expert", "answers", "loads", "load p50", "max", "predicted", "measured"], ...rows]);
}

function count(events: readonly ServerEvent[], wanted: string): number {
  return events.filter(({ type }) => type === wanted).length;
}

function times(milliseconds: readonly number[]): string {
  const at = (share: number) => seconds(percentile(milliseconds, share));
  return `${at(0.5)}, ${at(0.99)}, ${at(1)}`;
}

function seconds(milliseconds: number | null): string {
  return milliseconds === null ? "-" : `${(milliseconds / 1000).toFixed(1)} s`;
}

function percentOf(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function errorsOf(failed: readonly Generation[]): string {
  const counts = new Map<string, number>();
  for (const { error } of failed) counts.set(error ?? "", (counts.get(error ?? "") ?? 0) + 1);
  return [...counts].map(([error, times]) => `${times} × ${error}`).join("; ");
}
