// A request's sampling parameters as the native sampler takes them; the built-in defaults are llama-server's.
// May import bindings.ts and experts/.
import type { Sampling } from "../../experts/expert.ts";
import type { Token } from "../engine.ts";
import type { NativeSamplerConfig } from "./bindings.ts";

/** Tokens that the penalties look back on, prompt included. */
const penaltyWindowTokens = 64;

export interface SamplerPlan {
  readonly fixed: NativeSamplerConfig;
  /** Whether the configuration must be renewed with the latest tokens before each sample. */
  readonly needsHistory: boolean;
}

export function planSampling(sampling: Sampling, randomSeed: () => number): SamplerPlan {
  const repeatPenalty = sampling.repeatPenalty ?? 1;
  const presencePenalty = sampling.presencePenalty ?? 0;
  const frequencyPenalty = sampling.frequencyPenalty ?? 0;
  const needsHistory = repeatPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  return {
    fixed: {
      temperature: sampling.temperature ?? 0.8,
      topK: sampling.topK ?? 40,
      topP: sampling.topP ?? 0.95,
      minP: sampling.minP ?? 0.05,
      seed: sampling.seed ?? randomSeed(),
      ...(needsHistory
        ? {
            repeatPenalty,
            repeatPenaltyMaxTokens: penaltyWindowTokens,
            repeatPenaltyPresencePenalty: presencePenalty,
            repeatPenaltyFrequencyPenalty: frequencyPenalty,
          }
        : {}),
    },
    needsHistory,
  };
}

export function withHistory(plan: SamplerPlan, tokens: readonly Token[]): NativeSamplerConfig {
  return plan.needsHistory
    ? { ...plan.fixed, repeatPenaltyTokens: Uint32Array.from(tokens.slice(-penaltyWindowTokens)) }
    : plan.fixed;
}
