// How findings of any kind are weighed: each is log-odds for one or more domains; they add up, and a softmax makes
// probabilities of them. A later classifier joins in as one more piece of evidence. May import experts/.
import type { ExpertDomain } from "../experts/expert.ts";

export const domains: readonly ExpertDomain[] = [
  "general",
  "technical",
  "coding",
  "multimodal_expert",
  "multilingual_expert",
];

export type DomainScores = Readonly<Record<ExpertDomain, number>>;

export interface Evidence {
  /** What was found, for people: "programming words". */
  readonly name: string;
  /** The words that showed it; may be empty. */
  readonly hits: readonly string[];
  /** Natural logarithm of the odds that this finding multiplies; absent domains: 0. */
  readonly logOdds: Readonly<Partial<Record<ExpertDomain, number>>>;
}

/** Probabilities that sum to 1. `temperature` above 0: higher is less sure. */
export function combine(prior: DomainScores, evidence: readonly Evidence[], temperature: number): DomainScores {
  const total = (domain: ExpertDomain) =>
    evidence.reduce((sum, { logOdds }) => sum + (logOdds[domain] ?? 0), prior[domain]);
  const probabilities = softmax(domains.map((domain) => total(domain) / temperature));
  return Object.fromEntries(domains.map((domain, index) => [domain, probabilities[index] ?? 0])) as DomainScores;
}

export function softmax(logits: readonly number[]): number[] {
  const highest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - highest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
