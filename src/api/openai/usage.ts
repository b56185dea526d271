// Token counts and speeds as bodies carry them. May import the chat contract.
import type { AnswerTimings } from "../../chat/contract.ts";

/** The timings of several answers that were generated one after the other. */
export function addTimings(first: AnswerTimings, second: AnswerTimings): AnswerTimings {
  return {
    promptTokens: first.promptTokens + second.promptTokens,
    cachedTokens: first.cachedTokens + second.cachedTokens,
    generatedTokens: first.generatedTokens + second.generatedTokens,
    promptMs: first.promptMs + second.promptMs,
    generatedMs: first.generatedMs + second.generatedMs,
    queueMs: first.queueMs + second.queueMs,
    loadMs: first.loadMs + second.loadMs,
    ttftMs: first.ttftMs,
  };
}

export function usageBody(timings: AnswerTimings) {
  return {
    prompt_tokens: timings.promptTokens,
    completion_tokens: timings.generatedTokens,
    total_tokens: timings.promptTokens + timings.generatedTokens,
    prompt_tokens_details: { cached_tokens: timings.cachedTokens },
  };
}

/** `prompt_n` counts what was really read: the prompt without its cached part. */
export function timingsBody(timings: AnswerTimings) {
  const readTokens = timings.promptTokens - timings.cachedTokens;
  return {
    cache_n: timings.cachedTokens,
    prompt_n: readTokens,
    prompt_ms: timings.promptMs,
    prompt_per_second: perSecond(readTokens, timings.promptMs),
    predicted_n: timings.generatedTokens,
    predicted_ms: timings.generatedMs,
    predicted_per_second: perSecond(timings.generatedTokens, timings.generatedMs),
    queue_ms: timings.queueMs,
    load_ms: timings.loadMs,
    ttft_ms: timings.ttftMs,
  };
}

/** `generation_time` is the decoding alone, in seconds. */
export function performanceBody(timings: AnswerTimings) {
  return {
    generation_time: timings.generatedMs / 1000,
    tokens_per_second: perSecond(timings.generatedTokens, timings.generatedMs),
  };
}

function perSecond(tokens: number, ms: number): number {
  return ms > 0 ? (tokens * 1000) / ms : 0;
}
