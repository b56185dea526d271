// `batch`: what alternating requests for two models that do not fit together cost, against the same requests sorted.
// May import swap.ts and what stands beside this folder, except main.ts and command-line.ts.
import { generate } from "../load/generation.ts";
import type { BenchModel } from "../model-set.ts";
import { table } from "../plot.ts";
import { ExpertServer, type ServerEvent } from "../processes/expert-server.ts";
import { Progress, type ProgressOutput } from "../progress.ts";
import { median } from "../statistics.ts";
import { promptOf } from "./swap.ts";

export interface BatchOptions {
  readonly models: readonly [BenchModel, BenchModel];
  readonly budgetBytes: number;
  readonly contextTokens: number;
  /** Requests for each of the two, all sent at once. */
  readonly requests: number;
  readonly pairs: number;
  readonly promptWords: number;
  readonly maxTokens: number;
}

export interface BatchRun {
  readonly tokensPerSecond: number;
  readonly loads: number;
  readonly longestMs: number;
  readonly errors: number;
}

export interface BatchResult {
  readonly options: BatchOptions;
  readonly alternating: readonly BatchRun[];
  readonly sorted: readonly BatchRun[];
}

/** Pairs of both orders, which of them first by turns; before each run the first model is in memory. */
export async function runBatch(
  options: BatchOptions,
  output: ProgressOutput,
  signal: AbortSignal,
): Promise<BatchResult> {
  const server = await ExpertServer.start({ ...options, parallel: 1 }, signal);
  const progress = new Progress(output, "batch");
  const runs = { alternating: [] as BatchRun[], sorted: [] as BatchRun[] };
  try {
    for (let pair = 0; pair < options.pairs && !signal.aborted; pair++) {
      const kinds = ["alternating", "sorted"] as const;
      for (const kind of pair % 2 === 0 ? kinds : kinds.toReversed()) {
        progress.update(
          (runs.alternating.length + runs.sorted.length) / (2 * options.pairs),
          `pair ${pair + 1}, ${kind}`,
        );
        runs[kind].push(await oneRun(server, options, kind));
      }
    }
  } finally {
    progress.end();
    await server.stop();
  }
  return { options, ...runs };
}

async function oneRun(server: ExpertServer, options: BatchOptions, kind: "alternating" | "sorted"): Promise<BatchRun> {
  const [first, second] = options.models;
  const { requests, promptWords, maxTokens } = options;
  const ask = (expertId: string, content: string, tokens: number) =>
    generate(server.baseUrl, { expertId, prompt: [{ role: "user", content }], maxTokens: tokens });
  await ask(first.expertId, "ready?", 1);
  await server.newEvents();
  const startMs = performance.now();
  const answers = await Promise.all(
    Array.from({ length: 2 * requests }, (_, index) => {
      const isFirst = kind === "sorted" ? index < requests : index % 2 === 0;
      const { expertId } = isFirst ? first : second;
      return ask(expertId, promptOf(promptWords, index), maxTokens);
    }),
  );
  const seconds = (performance.now() - startMs) / 1000;
  const events: ServerEvent[] = await server.newEvents();
  return {
    tokensPerSecond: answers.reduce((sum, { generatedTokens }) => sum + generatedTokens, 0) / seconds,
    loads: events.filter(({ type }) => type === "load_finished").length,
    longestMs: answers.reduce((most, { totalMs }) => Math.max(most, totalMs), 0),
    errors: answers.filter(({ error }) => error !== null).length,
  };
}

/** Sorted requests may be this much faster. */
export const allowedLoss = 0.25;

/** Throughput of alternating requests as a share of that of sorted ones, by medians; null without runs. */
export function batchRatio({ alternating, sorted }: Pick<BatchResult, "alternating" | "sorted">): number | null {
  const rate = (runs: readonly BatchRun[]) => median(runs.map(({ tokensPerSecond }) => tokensPerSecond));
  const [ours, best] = [rate(alternating), rate(sorted)];
  return ours === null || best === null || best === 0 ? null : ours / best;
}

export function batchHolds(result: Pick<BatchResult, "alternating" | "sorted">): boolean {
  const runs = [...result.alternating, ...result.sorted];
  return (batchRatio(result) ?? 0) >= 1 - allowedLoss && runs.every(({ errors }) => errors === 0);
}

export function batchReport(result: BatchResult): string {
  const { options, alternating, sorted } = result;
  const rows = (kind: string, runs: readonly BatchRun[]) =>
    runs.map(({ tokensPerSecond, loads, longestMs, errors }, index) => [
      `${kind} ${index + 1}`,
      tokensPerSecond.toFixed(2),
      String(loads),
      `${(longestMs / 1000).toFixed(1)} s`,
      String(errors),
    ]);
  const ratio = batchRatio(result);
  const names = options.models.map(({ expertId }) => expertId).join(" and ");
  return [
    `${options.requests} requests each for ${names}, all at once, at most ${options.maxTokens} tokens each`,
    "",
    table([
      ["order", "tokens/s", "loads", "longest", "errors"],
      ...rows("A B A B", alternating),
      ...rows("A A … B B", sorted),
    ]),
    "",
    `${batchHolds(result) ? "held" : "MISSED"}: alternating requests reach ${ratio === null ? "-" : (ratio * 100).toFixed(0)} % of the sorted ones' throughput; at least ${(1 - allowedLoss) * 100} % are wanted`,
  ].join("\n");
}
