// The choice of threads over simulated models: what is measured, in which order, what is chosen, when it ends.
import { describe, expect, it } from "vitest";
import { threadCandidates, tuneThreads } from "../../src/commands/doctor/thread-tuning.ts";
import type { MeasuredWork } from "../../src/engine/engine.ts";

interface Simulated {
  readonly mostThreads?: number;
  readonly contextTokens?: number;
  /** Of the n-th piece of work. */
  readonly msPerToken: (work: MeasuredWork, n: number) => number;
  /** Cores that others take of the n-th. */
  readonly lostCores?: (work: MeasuredWork, n: number) => number;
}

async function run({ mostThreads = 2, contextTokens = 2048, msPerToken, lostCores = () => 0 }: Simulated) {
  let nowMs = 1000;
  const works: MeasuredWork[] = [];
  const shares: number[] = [];
  const tuning = await tuneThreads({
    measure: async (work) => {
      const elapsedMs = work.tokens * msPerToken(work, works.length);
      const cpuMs = (work.threads - lostCores(work, works.length)) * elapsedMs;
      works.push(work);
      nowMs += elapsedMs;
      return { elapsedMs, cpuMs };
    },
    contextTokens,
    mostThreads,
    nowMs: () => nowMs,
    onProgress: (share) => shares.push(share),
  });
  return { tuning, works, shares, elapsedMs: nowMs - 1000 };
}

/** The work after the two probes. */
const measured = (works: readonly MeasuredWork[]) => works.slice(works.findIndex(({ tokens }) => tokens > 16));

describe("threadCandidates", () => {
  it.each([
    [1, [1]],
    [2, [1, 2]],
    [4, [1, 2, 3, 4]],
    [5, [1, 3, 4, 5]],
    [64, [1, 32, 63, 64]],
  ])("of at most %i are %j", (most, candidates) => {
    expect(threadCandidates(most)).toEqual(candidates);
  });
});

describe("tuneThreads", () => {
  it("chooses for decode and prefill apart, each by the median of three rounds in turns", async () => {
    const { tuning, works, shares } = await run({
      // Decode waits for memory: a second thread is in the way. One of three measurements is far off.
      msPerToken: ({ kind, threads }, n) => (kind === "decode" ? (n === 2 ? 50 : 10 * threads) : 5 / threads),
    });
    expect(tuning).toEqual({
      counts: [
        { threads: 1, decode: 100, prefill: 200 },
        { threads: 2, decode: 50, prefill: 400 },
      ],
      chosen: { decode: 1, prefill: 2 },
      isDisturbed: false,
    });
    const round = ["decode 1 24", "prefill 1 256", "decode 2 24", "prefill 2 256"];
    const order = measured(works).map(({ kind, threads, tokens }) => `${kind} ${threads} ${tokens}`);
    expect(order).toEqual([...round, ...round, ...round]);
    expect(shares).toEqual(Array.from({ length: 12 }, (_, index) => (index + 1) / 12));
  });

  it("chooses fewer threads where they are nearly as fast", async () => {
    const speeds = [1, 1.95, 2, 1.4];
    const { tuning } = await run({ mostThreads: 4, msPerToken: ({ threads }) => 20 / (speeds[threads - 1] ?? 0) });
    expect(tuning.chosen).toEqual({ decode: 2, prefill: 2 });
  });

  it("measures again what others disturbed, and does not count it", async () => {
    const isDisturbed = ({ threads }: MeasuredWork, n: number) => threads === 2 && n < 8;
    const { tuning } = await run({
      msPerToken: (work, n) => (isDisturbed(work, n) ? 100 : 10 / work.threads),
      lostCores: (work, n) => (isDisturbed(work, n) ? 0.5 : 0),
    });
    expect(tuning).toMatchObject({ chosen: { decode: 2, prefill: 2 }, isDisturbed: false });
    expect(tuning.counts[1]).toEqual({ threads: 2, decode: 200, prefill: 200 });
  });

  it("gives up, and says so, where others never let it be", async () => {
    const { tuning, elapsedMs } = await run({
      msPerToken: () => 10,
      lostCores: ({ threads }) => (threads === 2 ? 1 : 0),
    });
    expect(tuning.isDisturbed).toBe(true);
    expect(tuning.counts).toEqual([1, 2].map((threads) => ({ threads, decode: 100, prefill: 100 })));
    expect(elapsedMs).toBeGreaterThan(20_000);
    expect(elapsedMs).toBeLessThan(30_000);
  });

  it.each([2, 4, 64])(
    "measures a slow model with fewer tokens, so that %i threads take about 20 seconds",
    async (most) => {
      const { tuning, works, elapsedMs } = await run({
        mostThreads: most,
        msPerToken: ({ kind, threads }) => ((kind === "decode" ? 100 : 12) * most) / threads / (most > 4 ? 8 : 1),
      });
      // The last of 64 hardly counts.
      const best = most === 64 ? 63 : most;
      expect(tuning.chosen).toEqual({ decode: best, prefill: best });
      expect(elapsedMs).toBeLessThan(30_000);
      for (const { kind, tokens } of measured(works)) expect(tokens).toBeGreaterThanOrEqual(kind === "decode" ? 4 : 32);
    },
  );

  it("repeats what is over at once, and fits into a small context", async () => {
    const { tuning, works } = await run({
      contextTokens: 64,
      mostThreads: 1,
      msPerToken: ({ kind }) => (kind === "decode" ? 0.5 : 0.1),
    });
    expect(tuning.counts).toEqual([{ threads: 1, decode: 2000, prefill: expect.closeTo(10_000, 6) }]);
    expect(Math.max(...works.map(({ tokens }) => tokens))).toBe(63);
    // Three samples of at least 60 ms each, and the probe's.
    const decodeMs = works.reduce((sum, { kind, tokens }) => sum + (kind === "decode" ? tokens * 0.5 : 0), 0);
    expect(decodeMs).toBeGreaterThanOrEqual(240);
  });
});
