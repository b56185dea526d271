// Token counts and speeds as bodies carry them. May import the chat contract.
import type { AnswerTimings } from "../../chat/contract.ts";

/**
 * The timings of several answers together, `choices` to each prompt, one prompt after the other: a prompt counts once, as
 * the first of its answers read it; what was generated is added up.
 */
export function choicesTimings(timings: readonly AnswerTimings[], choices: number): AnswerTimings {
  const prompts = timings.filter((_, index) => index % choices === 0);
  const sum = (of: readonly AnswerTimings[], amount: (each: AnswerTimings) => number) =>
    of.reduce((total, each) => total + amount(each), 0);
  return {
    promptTokens: sum(prompts, (each) => each.promptTokens),
    cachedTokens: sum(prompts, (each) => each.cachedTokens),
    generatedTokens: sum(timings, (each) => each.generatedTokens),
    promptMs: sum(prompts, (each) => each.promptMs),
    generatedMs: sum(timings, (each) => each.generatedMs),
    reasoningTokens: sum(timings, (each) => each.reasoningTokens),
    queueMs: timings[0]?.queueMs ?? 0,
    loadMs: timings[0]?.loadMs ?? 0,
    ttftMs: timings[0]?.ttftMs ?? null,
  };
}

export function usageBody(timings: AnswerTimings) {
  return {
    prompt_tokens: timings.promptTokens,
    completion_tokens: timings.generatedTokens,
    total_tokens: timings.promptTokens + timings.generatedTokens,
    prompt_tokens_details: { cached_tokens: timings.cachedTokens },
    completion_tokens_details: { reasoning_tokens: timings.reasoningTokens },
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
