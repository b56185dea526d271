// What is counted of finished requests, as telemetry/ hands it to the pages that show it. Imports nothing.

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
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

export interface StatsSnapshot {
  /** Every request, also those that reached no expert. */
  readonly total: RequestSummary;
  /** By expert id; only those that had a request. */
  readonly experts: Readonly<Record<string, RequestSummary>>;
  /** Requests by what decided on the expert, for example `keywords`. */
  readonly routingSources: Readonly<Record<string, number>>;
}
