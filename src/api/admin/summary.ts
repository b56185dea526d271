// Request counts and latencies as admin bodies show them. May import zod and core/.
import { z } from "zod";
import type { RequestSummary } from "../../core/stats-snapshot.ts";

const percentiles = z.object({ p50: z.number(), p95: z.number() }).nullable();

export const recentSummary = z.object({
  request_count: z.int(),
  success_count: z.int(),
  error_count: z.int(),
  abandoned_count: z.int().describe("The callers left."),
  success_rate: z.number().nullable().describe("Successes among successes and errors; null before the first."),
  latency_ms: percentiles,
  ttft_ms: percentiles.describe("Time to first token."),
  tokens_per_second: z.number().nullable(),
  prompt_tokens: z.int(),
  cached_tokens: z.int(),
  generated_tokens: z.int(),
  last_success_at: z.string().nullable(),
  last_error: z.object({ code: z.string(), at: z.string() }).nullable(),
});

/** Undefined: there was no request yet. */
export function summaryBody(summary: RequestSummary | undefined): z.output<typeof recentSummary> {
  return {
    request_count: summary?.requestCount ?? 0,
    success_count: summary?.successCount ?? 0,
    error_count: summary?.errorCount ?? 0,
    abandoned_count: summary?.abandonedCount ?? 0,
    success_rate: summary?.successRate ?? null,
    latency_ms: summary?.latencyMs ?? null,
    ttft_ms: summary?.ttftMs ?? null,
    tokens_per_second: summary?.tokensPerSecond ?? null,
    prompt_tokens: summary?.promptTokens ?? 0,
    cached_tokens: summary?.cachedTokens ?? 0,
    generated_tokens: summary?.generatedTokens ?? 0,
    last_success_at: isoTime(summary?.lastSuccessAtMs),
    last_error:
      summary?.lastError === null || summary?.lastError === undefined
        ? null
        : { code: summary.lastError.code, at: new Date(summary.lastError.atMs).toISOString() },
  };
}

function isoTime(epochMs: number | null | undefined): string | null {
  return epochMs === null || epochMs === undefined ? null : new Date(epochMs).toISOString();
}
