// A stream that runs while another client's prompt of 2,000 tokens is read: its gaps between tokens then, against those
// before. May import what workload.ts may.
import { deferred } from "../../src/core/deferred.ts";
import { generate, generateWhole } from "../load/generation.ts";
import { gapsBetween } from "../load/rates.ts";
import { percentile } from "../statistics.ts";
import { takeTurns } from "../protocol.ts";
import { type BenchContext, peerName, sides, type Side, withWarmServer, type Workload } from "./workload.ts";

const promptTokens = 2000;
/** Tokens of the running stream before the prompt comes. */
const idleTokens = 64;
const share = 0.95;
/** The gaps may grow twofold. */
const allowedFactor = 2;

interface Gaps {
  readonly idleMs: number;
  readonly busyMs: number;
  readonly promptMs: number;
}

export const runningStreamWorkload: Workload = {
  name: "running-stream",
  title: "gaps between tokens of a running stream while a 2,000-token prompt is read (p95)",
  async run(context) {
    const measured = await takeTurns(
      context.rounds,
      sides((side, round) => disturb(context, side, round)),
    );
    const of = (runs: readonly Gaps[], pick: (run: Gaps) => number) => runs.map((run) => [pick(run)]);
    const title = "gap between tokens (p95) while a 2,000-token prompt is read";
    const common = { title, unit: "ms", better: "lower", ours: of(measured.ours, ({ busyMs }) => busyMs) } as const;
    return [
      {
        ...common,
        against: "own idle gap",
        other: of(measured.ours, ({ idleMs }) => idleMs),
        target: 1 / allowedFactor,
      },
      { ...common, against: peerName, other: of(measured.peer, ({ busyMs }) => busyMs), target: null },
      {
        title: "that prompt beside the running stream: time to the first token",
        unit: "ms",
        better: "lower",
        ours: of(measured.ours, ({ promptMs }) => promptMs),
        against: peerName,
        other: of(measured.peer, ({ promptMs }) => promptMs),
        target: null,
      },
    ];
  },
};

function disturb(context: BenchContext, side: Side, round: number): Promise<Gaps> {
  const { expertId } = context.model;
  return withWarmServer(context, side, { contextTokens: 4096, parallel: 2 }, async ({ baseUrl }, prompts) => {
    const stop = new AbortController();
    const isRunning = deferred<void>();
    const stream = generate(baseUrl, {
      expertId,
      prompt: prompts.ofTokens(64, 1 + 2 * round),
      maxTokens: 3000,
      signal: stop.signal,
      onText: (pieces) => {
        if (pieces === idleTokens) isRunning.resolve(undefined);
      },
    });
    await Promise.race([isRunning.promise, stream]);
    const prompt = prompts.ofTokens(promptTokens, 2 + 2 * round);
    const reading = await generateWhole(baseUrl, { expertId, prompt, maxTokens: 1 });
    stop.abort();
    const running = await stream;
    const promptMs = reading.firstTextMs ?? reading.totalMs;
    const readFromMs = reading.startMs;
    const before = { pieces: running.pieces.filter(({ atMs }) => atMs <= readFromMs) };
    const idle = percentile(gapsBetween(before, 0, readFromMs), share);
    const busy = percentile(gapsBetween(running, readFromMs, readFromMs + promptMs), share);
    if (idle === null || busy === null) {
      throw new Error(`the running stream ended too early: ${running.error ?? "end of text"}`);
    }
    return { idleMs: idle, busyMs: busy, promptMs };
  });
}
