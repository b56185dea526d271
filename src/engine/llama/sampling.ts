// A request's sampling parameters as the samplers take them; the built-in defaults are llama-server's. May import experts/.
import type { Sampling } from "../../experts/expert.ts";
import type { Token } from "../engine.ts";

export interface SamplerSettings {
  /** 0: the likeliest token. */
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
  readonly repeatPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Tokens that the penalties look back on, prompt included. */
  readonly penaltyWindowTokens: number;
}

export function samplerSettings(sampling: Sampling, randomSeed: () => number): SamplerSettings {
  return {
    temperature: sampling.temperature ?? 0.8,
    topK: sampling.topK ?? 40,
    topP: sampling.topP ?? 0.95,
    minP: sampling.minP ?? 0.05,
    seed: sampling.seed ?? randomSeed(),
    repeatPenalty: sampling.repeatPenalty ?? 1,
    presencePenalty: sampling.presencePenalty ?? 0,
    frequencyPenalty: sampling.frequencyPenalty ?? 0,
    penaltyWindowTokens: 64,
  };
}

export function hasPenalties(settings: SamplerSettings): boolean {
  return settings.repeatPenalty !== 1 || settings.presencePenalty !== 0 || settings.frequencyPenalty !== 0;
}

/** The end of the prompt, as far as the penalties look back. */
export function penaltyHistory(settings: SamplerSettings, prompt: readonly Token[]): readonly Token[] {
  return hasPenalties(settings) ? prompt.slice(-settings.penaltyWindowTokens) : [];
}
