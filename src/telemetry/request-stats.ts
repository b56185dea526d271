// Counts and recent latencies of finished requests, for each expert and in total, beside the pool's timeline: what /stats
// and the health pages show. Pure but for the clock it is given. May import its neighbours and core/.
import type { Clock } from "../core/clock.ts";
import type { PoolEvent } from "../core/pool-event.ts";
import type { RequestRecord } from "../core/request-record.ts";
import type { RequestSummary, StatsSnapshot } from "../core/stats-snapshot.ts";
import { percentiles } from "./percentiles.ts";
import { PoolTimeline } from "./pool-timeline.ts";

class Tally {
  readonly #window: number;
  readonly #recent: RequestRecord[] = [];
  #successCount = 0;
  #errorCount = 0;
  #abandonedCount = 0;
  #promptTokens = 0;
  #cachedTokens = 0;
  #generatedTokens = 0;
  #lastSuccessAtMs: number | null = null;
  #lastError: { code: string; atMs: number } | null = null;

  constructor(window: number) {
    this.#window = window;
  }

  add(record: RequestRecord, atMs: number): void {
    this.#promptTokens += record.promptTokens;
    this.#cachedTokens += record.cachedTokens;
    this.#generatedTokens += record.generatedTokens;
    switch (record.outcome) {
      case "ok":
        this.#successCount += 1;
        this.#lastSuccessAtMs = atMs;
        this.#recent.push(record);
        if (this.#recent.length > this.#window) this.#recent.shift();
        break;
      case "error":
        this.#errorCount += 1;
        this.#lastError = { code: record.errorCode ?? "unknown", atMs };
        break;
      case "abandoned":
        this.#abandonedCount += 1;
        break;
    }
  }

  summary(): RequestSummary {
    const judged = this.#successCount + this.#errorCount;
    const generatedMs = this.#recent.reduce((sum, record) => sum + record.generatedMs, 0);
    const generatedTokens = this.#recent.reduce((sum, record) => sum + record.generatedTokens, 0);
    return {
      requestCount: judged + this.#abandonedCount,
      successCount: this.#successCount,
      errorCount: this.#errorCount,
      abandonedCount: this.#abandonedCount,
      successRate: judged === 0 ? null : this.#successCount / judged,
      latencyMs: percentiles(this.#recent.map((record) => record.durationMs)),
      ttftMs: percentiles(this.#recent.flatMap((record) => (record.ttftMs === null ? [] : [record.ttftMs]))),
      tokensPerSecond: generatedMs > 0 ? (generatedTokens * 1000) / generatedMs : null,
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cachedTokens,
      generatedTokens: this.#generatedTokens,
      lastSuccessAtMs: this.#lastSuccessAtMs,
      lastError: this.#lastError,
    };
  }
}

export class RequestStats {
  readonly #clock: Pick<Clock, "epochMs">;
  readonly #window: number;
  readonly #total: Tally;
  readonly #experts = new Map<string, Tally>();
  readonly #routingSources = new Map<string, number>();
  readonly #pool = new PoolTimeline();

  /** `window`: how many of the latest successful requests the percentiles and speeds look at, for each expert. */
  constructor(clock: Pick<Clock, "epochMs">, window = 256) {
    this.#clock = clock;
    this.#window = window;
    this.#total = new Tally(window);
  }

  record(record: RequestRecord): void {
    const atMs = this.#clock.epochMs();
    this.#total.add(record, atMs);
    if (record.routingSource !== null) {
      this.#routingSources.set(record.routingSource, (this.#routingSources.get(record.routingSource) ?? 0) + 1);
    }
    if (record.expertId === null) return;
    let tally = this.#experts.get(record.expertId);
    if (tally === undefined) {
      tally = new Tally(this.#window);
      this.#experts.set(record.expertId, tally);
    }
    tally.add(record, atMs);
  }

  poolEvent(event: PoolEvent): void {
    this.#pool.add(event);
  }

  snapshot(): StatsSnapshot {
    return {
      total: this.#total.summary(),
      experts: Object.fromEntries([...this.#experts].map(([expertId, tally]) => [expertId, tally.summary()])),
      routingSources: Object.fromEntries(this.#routingSources),
      pool: this.#pool.snapshot(),
    };
  }
}
