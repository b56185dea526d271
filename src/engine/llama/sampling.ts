// A request's sampling parameters as the samplers take them; the built-in defaults are llama-server's. May import experts/
// and core/.
import { invalidRequest } from "../../core/errors.ts";
import type { Sampling } from "../../experts/expert.ts";
import type { Token } from "../engine.ts";

/** What each of them does: `Sampling`. */
export interface SamplerSettings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
  readonly repeatPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly repeatLastN: number;
  readonly typicalP: number;
  readonly topNSigma: number;
  readonly xtcProbability: number;
  readonly xtcThreshold: number;
  readonly dryMultiplier: number;
  readonly dryBase: number;
  readonly dryAllowedLength: number;
  readonly dryPenaltyLastN: number;
  readonly drySequenceBreakers: readonly string[];
  readonly logitBias: readonly (readonly [token: Token, bias: number])[];
  readonly ignoreEos: boolean;
}

/** Each of them is looked for in the whole vocabulary. */
const mostBreakers = 64;

/** Throws a PublicError (400) for more sequence breakers than can be looked for. */
export function samplerSettings(sampling: Sampling, randomSeed: () => number): SamplerSettings {
  const breakers = sampling.drySequenceBreakers ?? ["\n", ":", '"', "*"];
  if (breakers.length > mostBreakers) {
    const message = `dry_sequence_breakers holds ${breakers.length} texts; at most ${mostBreakers} are allowed.`;
    throw invalidRequest(message, "dry_sequence_breakers");
  }
  return {
    temperature: sampling.temperature ?? 0.8,
    topK: sampling.topK ?? 40,
    topP: sampling.topP ?? 0.95,
    minP: sampling.minP ?? 0.05,
    seed: sampling.seed ?? randomSeed(),
    repeatPenalty: sampling.repeatPenalty ?? 1,
    presencePenalty: sampling.presencePenalty ?? 0,
    frequencyPenalty: sampling.frequencyPenalty ?? 0,
    repeatLastN: sampling.repeatLastN ?? 64,
    typicalP: sampling.typicalP ?? 1,
    topNSigma: sampling.topNSigma ?? -1,
    xtcProbability: sampling.xtcProbability ?? 0,
    xtcThreshold: sampling.xtcThreshold ?? 0.1,
    dryMultiplier: sampling.dryMultiplier ?? 0,
    dryBase: sampling.dryBase ?? 1.75,
    dryAllowedLength: sampling.dryAllowedLength ?? 2,
    dryPenaltyLastN: sampling.dryPenaltyLastN ?? 64,
    drySequenceBreakers: breakers,
    logitBias: sampling.logitBias ?? [],
    ignoreEos: sampling.ignoreEos ?? false,
  };
}

export function hasPenalties(settings: SamplerSettings): boolean {
  const { repeatPenalty, presencePenalty, frequencyPenalty, repeatLastN } = settings;
  return repeatLastN !== 0 && (repeatPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0);
}

export function hasDry({ dryMultiplier, dryBase, dryPenaltyLastN }: SamplerSettings): boolean {
  return dryMultiplier !== 0 && dryBase >= 1 && dryPenaltyLastN !== 0;
}

export function hasXtc({ xtcProbability, xtcThreshold }: SamplerSettings): boolean {
  return xtcProbability > 0 && xtcThreshold <= 0.5;
}

/** The end of the prompt, as far as penalties and DRY look back. */
export function samplingHistory(settings: SamplerSettings, prompt: readonly Token[]): readonly Token[] {
  const windows = [hasPenalties(settings) ? settings.repeatLastN : 0, hasDry(settings) ? settings.dryPenaltyLastN : 0];
  if (windows.some((tokens) => tokens < 0)) return prompt;
  const longest = Math.max(...windows);
  return longest === 0 ? [] : prompt.slice(-longest);
}

/** Of tokens that the vocabulary does not have. */
export function unknownBiasedToken(vocabularySize: number, token: Token): Error {
  return invalidRequest(
    `logit_bias names the token ${token}; this model's tokens run from 0 to ${vocabularySize - 1}.`,
    "logit_bias",
  );
}
