// The counts of finished requests, by expert and in total.
import { describe, expect, it } from "vitest";
import { RequestStats } from "../../src/telemetry/request-stats.ts";
import { requestRecord } from "./records.ts";

describe("RequestStats", () => {
  it("keeps each expert apart, and all of them together", () => {
    const stats = new RequestStats({ epochMs: () => 7 });
    stats.record(requestRecord({ expertId: "a", generatedTokens: 10, generatedMs: 100 }));
    stats.record(
      requestRecord({ expertId: "a", generatedTokens: 20, generatedMs: 500, durationMs: 300, ttftMs: null }),
    );
    stats.record(requestRecord({ expertId: "b", outcome: "error", errorCode: "load_failed", ttftMs: null }));
    stats.record(requestRecord({ expertId: "b", outcome: "abandoned" }));
    stats.record(requestRecord({ expertId: null, routingSource: null, outcome: "error", errorCode: null }));
    const { total, experts, routingSources } = stats.snapshot();
    expect(Object.keys(experts)).toEqual(["a", "b"]);
    expect(experts["a"]).toMatchObject({
      requestCount: 2,
      successRate: 1,
      latencyMs: { p50: 100, p95: 300 },
      ttftMs: { p50: 20, p95: 20 },
      tokensPerSecond: 50,
      promptTokens: 20,
      generatedTokens: 30,
      lastSuccessAtMs: 7,
      lastError: null,
    });
    expect(experts["b"]).toMatchObject({
      requestCount: 2,
      errorCount: 1,
      abandonedCount: 1,
      successRate: 0,
      latencyMs: null,
      tokensPerSecond: null,
      lastSuccessAtMs: null,
      lastError: { code: "load_failed", atMs: 7 },
    });
    expect(total).toMatchObject({ requestCount: 5, successRate: 0.5, lastError: { code: "unknown", atMs: 7 } });
    expect(routingSources).toEqual({ request: 4 });
  });

  it("does not count a caller's leaving as a failure", () => {
    const stats = new RequestStats({ epochMs: () => 0 });
    stats.record(requestRecord({ outcome: "abandoned" }));
    expect(stats.snapshot().total.successRate).toBe(null);
  });

  it("looks at the latest requests only, and counts all", () => {
    const stats = new RequestStats({ epochMs: () => 0 }, 2);
    for (const durationMs of [1000, 1, 2]) stats.record(requestRecord({ durationMs }));
    expect(stats.snapshot().total).toMatchObject({ requestCount: 3, latencyMs: { p50: 1, p95: 2 } });
  });
});
