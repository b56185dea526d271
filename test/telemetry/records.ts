// A finished request for tests; `overrides` is what a test is about.
import type { RequestRecord } from "../../src/core/request-record.ts";

export function requestRecord(overrides: Partial<RequestRecord> = {}): RequestRecord {
  return {
    kind: "chat",
    expertId: "phi4_fast",
    routingSource: "request",
    outcome: "ok",
    errorCode: null,
    isEmpty: false,
    durationMs: 100,
    queueMs: 1,
    loadMs: 0,
    ttftMs: 20,
    promptTokens: 10,
    cachedTokens: 4,
    generatedTokens: 5,
    promptMs: 15,
    generatedMs: 50,
    ...overrides,
  };
}
