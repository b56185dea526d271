// A request's sampling parameters as the samplers take them; the built-in defaults are llama-server's. May import experts/
// and core/.
import { invalidRequest } from "../../core/errors.ts";
import { type Sampling, samplingDefaults } from "../../experts/expert.ts";
import type { Token } from "../engine.ts";

/** With nothing left open. */
export type SamplerSettings = Required<Sampling>;

/** Each of them is looked for in the whole vocabulary. */
const mostBreakers = 64;

/** Throws a PublicError (400) for more sequence breakers than can be looked for. */
export function samplerSettings(sampling: Sampling, randomSeed: () => number): SamplerSettings {
  const settings = { ...samplingDefaults, ...sampling, seed: sampling.seed ?? randomSeed() };
  const { length } = settings.drySequenceBreakers;
  if (length > mostBreakers) {
    const message = `dry_sequence_breakers holds ${length} texts; at most ${mostBreakers} are allowed.`;
    throw invalidRequest(message, "dry_sequence_breakers");
  }
  return settings;
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
