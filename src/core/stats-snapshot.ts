// What is counted of finished requests and of the pool's events, as telemetry/ hands it to the pages that show it.
// May import its neighbours in core/ (types).
import type { UnloadReason } from "./pool-event.ts";

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
}

/** Percentiles of the recent values beside the greatest since the start. */
export interface Spread extends Percentiles {
  readonly max: number;
}

export interface RequestSummary {
  readonly requestCount: number;
  readonly successCount: number;
  readonly errorCount: number;
  /** The callers left; neither success nor failure. */
  readonly abandonedCount: number;
  /** Successes among successes and errors, 0 to 1; null before the first of them. */
  readonly successRate: number | null;
  /** Of the recent successful requests; null before the first. */
  readonly latencyMs: Percentiles | null;
  /** Time to first token of the recent successful requests; null where no text came. */
  readonly ttftMs: Percentiles | null;
  /** Decoding speed over the recent successful requests; null where nothing was generated. */
  readonly tokensPerSecond: number | null;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  /** Milliseconds since the Unix epoch. */
  readonly lastSuccessAtMs: number | null;
  readonly lastError: { readonly code: string; readonly atMs: number } | null;
}

/** What the pool did since the start. */
export interface PoolTimelineSnapshot {
  readonly loads: {
    readonly finished: number;
    readonly failed: number;
    readonly abandoned: number;
    /** Null before the first load. */
    readonly loadMs: Spread | null;
  };
  /** By reason; those that did not occur are absent. */
  readonly unloads: Readonly<Partial<Record<UnloadReason, number>>>;
  /** Loads for which another model had to leave memory. */
  readonly swaps: number;
  readonly grants: {
    readonly count: number;
    /** Those that waited a millisecond or more, for a turn, for memory or for a load. */
    readonly waited: number;
    /** Of those that waited; null before the first. */
    readonly waitMs: Spread | null;
  };
  /** By the error's code. */
  readonly refusals: Readonly<Record<string, number>>;
  /** The last unload for another model's sake or for want of memory. */
  readonly lastEviction: {
    readonly modelId: string;
    /** Null: for no model, because memory was short. */
    readonly forModelId: string | null;
    readonly reason: UnloadReason;
    readonly bytes: number;
    /** Milliseconds since the Unix epoch. */
    readonly atMs: number;
  } | null;
}

export interface StatsSnapshot {
  /** Every request, also those that reached no expert. */
  readonly total: RequestSummary;
  /** By expert id; only those that had a request. */
  readonly experts: Readonly<Record<string, RequestSummary>>;
  /** Requests by what decided on the expert, for example `keywords`. */
  readonly routingSources: Readonly<Record<string, number>>;
  readonly pool: PoolTimelineSnapshot;
}
