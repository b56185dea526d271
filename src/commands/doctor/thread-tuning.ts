// How many threads are best for one model: measures it with several counts, in turns, and chooses. Pure but for what it is
// handed. May import engine/ (types).
import type { MeasuredTime, MeasuredWork, ThreadCounts } from "../../engine/engine.ts";

export interface TuningOptions {
  readonly measure: (work: MeasuredWork) => Promise<MeasuredTime>;
  /** Of the model's context. */
  readonly contextTokens: number;
  /** More threads than these are not tried. */
  readonly mostThreads: number;
  readonly nowMs: () => number;
  /** Share of what there is to measure, 0 to 1. */
  readonly onProgress: (share: number) => void;
}

export interface ThreadTuning {
  readonly counts: readonly MeasuredCount[];
  readonly chosen: ThreadCounts;
  /** Something else computed on the same cores all the time: what was measured says little. */
  readonly isDisturbed: boolean;
}

/** What so many threads compute, in tokens a second; medians. */
export interface MeasuredCount {
  readonly threads: number;
  readonly decode: number;
  readonly prefill: number;
}

type Kind = keyof ThreadCounts;

/** From here on no round begins. A round under way is finished, the first one always. */
const limitMs = 20_000;
const rounds = 3;
/** A shorter measurement says nothing: it is repeated until it took so long. */
const shortestSampleMs = 60;
/** Computing threads spin while they wait. Less CPU time than theirs by so many cores is what others took. */
const lostCores = 0.3;
/** Fewer threads leave the rest of the process room: they are chosen where they are as good as the best but for this. */
const nearlyBest = 0.97;
const sizes = {
  decode: { probeTokens: 2, leastTokens: 4, mostTokens: 24 },
  prefill: { probeTokens: 16, leastTokens: 32, mostTokens: 256 },
} as const;
const kinds = ["decode", "prefill"] as const;

/** Every count where there are few; else one, half of them, and with and without a core to spare. */
export function threadCandidates(mostThreads: number): readonly number[] {
  if (mostThreads <= 4) return Array.from({ length: mostThreads }, (_, index) => index + 1);
  return [1, Math.ceil(mostThreads / 2), mostThreads - 1, mostThreads];
}

interface Sample {
  readonly msPerToken: number;
  readonly isDisturbed: boolean;
}

/** Takes about 20 seconds at most, more only where a single round takes longer. */
export async function tuneThreads(options: TuningOptions): Promise<ThreadTuning> {
  const { mostThreads, nowMs, onProgress } = options;
  const deadlineMs = nowMs() + limitMs;
  const candidates = threadCandidates(mostThreads);
  const series: { threads: number; kind: Kind; samples: Sample[] }[] = candidates.flatMap((threads) =>
    kinds.map((kind) => ({ threads, kind, samples: [] })),
  );
  const tokens = await affordableTokens(options, candidates);
  const isDone = ({ samples }: (typeof series)[number]) => undisturbed(samples).length >= rounds;
  do {
    for (const one of series) {
      if (isDone(one)) continue;
      one.samples.push(await takeSample(options, one.kind, one.threads, tokens[one.kind]));
      const taken = series.reduce((sum, { samples }) => sum + Math.min(rounds, undisturbed(samples).length), 0);
      onProgress(taken / (series.length * rounds));
    }
  } while (nowMs() < deadlineMs && !series.every(isDone));

  const rate = (wanted: number, kind: Kind) => {
    const samples = series.find((one) => one.threads === wanted && one.kind === kind)?.samples ?? [];
    const good = undisturbed(samples);
    return 1000 / median((good.length > 0 ? good : samples).map(({ msPerToken }) => msPerToken));
  };
  const counts = candidates.map((threads) => ({
    threads,
    decode: rate(threads, "decode"),
    prefill: rate(threads, "prefill"),
  }));
  return {
    counts,
    chosen: { decode: chooseThreads(counts, "decode"), prefill: chooseThreads(counts, "prefill") },
    isDisturbed: series.some(({ samples }) => undisturbed(samples).length === 0),
  };
}

/** By a probe with all threads: as many tokens as fit in the time when fewer threads are slower in proportion. */
async function affordableTokens(options: TuningOptions, candidates: readonly number[]): Promise<ThreadCounts> {
  const { mostThreads, contextTokens } = options;
  const slowness = candidates.reduce((sum, threads) => sum + mostThreads / threads, 0);
  const sampleMs = limitMs / kinds.length / rounds / slowness;
  const affordable = async (kind: Kind) => {
    const { probeTokens, leastTokens, mostTokens } = sizes[kind];
    const { msPerToken } = await takeSample(options, kind, mostThreads, probeTokens);
    const tokens = Math.min(mostTokens, Math.max(leastTokens, Math.floor(sampleMs / msPerToken)));
    return Math.min(tokens, contextTokens - 1);
  };
  return { decode: await affordable("decode"), prefill: await affordable("prefill") };
}

async function takeSample({ measure }: TuningOptions, kind: Kind, threads: number, tokens: number): Promise<Sample> {
  let elapsedMs = 0;
  let cpuMs = 0;
  let total = 0;
  do {
    const time = await measure({ kind, threads, tokens });
    elapsedMs += time.elapsedMs;
    cpuMs += time.cpuMs;
    total += tokens;
  } while (elapsedMs < shortestSampleMs);
  return { msPerToken: elapsedMs / total, isDisturbed: threads - cpuMs / elapsedMs >= lostCores };
}

function undisturbed(samples: readonly Sample[]): readonly Sample[] {
  return samples.filter(({ isDisturbed }) => !isDisturbed);
}

/** The fewest that are nearly as fast as the fastest. */
function chooseThreads(counts: readonly MeasuredCount[], kind: Kind): number {
  const best = Math.max(...counts.map((count) => count[kind]));
  return counts.find((count) => count[kind] >= nearlyBest * best)?.threads ?? 1;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
