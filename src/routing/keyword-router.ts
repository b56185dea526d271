// The router by keywords: evidence from rules, language and form, weighed per domain; experts are found by their domain.
// Nothing here knows an expert by its name. May import experts/ (types) and its own folder.
import type { Expert, ExpertDomain } from "../experts/expert.ts";
import { combine, type DomainScores, domains, type Evidence } from "./evidence.ts";
import { createUseCaseFinder, findKeywords, type UseCaseFinder } from "./keyword-evidence.ts";
import { findForeignQuotation, findLanguage } from "./language.ts";
import type { Router, RoutingDecision, RoutingInput } from "./router.ts";
import { findCodeMarks, findSum, findWordProblem, weighLength } from "./shape.ts";
import { type PromptText, readPrompt } from "./text.ts";

export interface KeywordRouterOptions {
  /** At least one; several of one domain: the smaller `priority` answers, then the better fitting `useCases`. */
  readonly experts: readonly Pick<Expert, "id" | "domain" | "priority" | "useCases">[];
  /** Below this confidence the default model answers; 0 to 1. */
  readonly threshold: number;
  /** Id of one of `experts`. */
  readonly defaultModel: string;
}

/** Log-odds before anything is known: what nobody claims is ordinary work. */
const prior: DomainScores = {
  general: 0,
  technical: 0.8,
  coding: -1.5,
  multimodal_expert: -3,
  multilingual_expert: -1.5,
};
/** Least log loss on labelled prompts, each source counting the same: about 8 in 10 are right at a confidence of 0.8. */
const temperature = 1.1;

const subjects: Readonly<Record<ExpertDomain, string>> = {
  general: "small talk, facts and sums",
  technical: "explanations and longer work",
  coding: "programming",
  multimodal_expert: "pictures",
  multilingual_expert: "translation and other languages",
};

export function createKeywordRouter({ experts, threshold, defaultModel }: KeywordRouterOptions): Router {
  const findUseCases = createUseCaseFinder(experts);
  const vision = chooseExpert("multimodal_expert", new Map());

  return { route };

  function route({ prompt, hasImages }: RoutingInput): RoutingDecision {
    if (hasImages && vision !== undefined) {
      const scores = { ...noScores(), [vision]: 1 };
      return { expertId: vision, confidence: 1, source: "images", reason: "The conversation brings images.", scores };
    }
    const text = readPrompt(prompt);
    const { evidence, useCaseCounts } = gatherEvidence(text, findUseCases);
    const probabilities = combine(prior, evidence, temperature);
    const best = domains.reduce((a, b) => (probabilities[b] > probabilities[a] ? b : a));

    const scores = noScores();
    for (const domain of domains) {
      // What no expert covers is the default model's.
      const expertId = chooseExpert(domain, useCaseCounts) ?? defaultModel;
      scores[expertId] = (scores[expertId] ?? 0) + probabilities[domain];
    }
    const because = describe(evidence, best);
    const expertId = chooseExpert(best, useCaseCounts);
    const answerByDefault = (reason: string): RoutingDecision => ({
      expertId: defaultModel,
      confidence: scores[defaultModel] ?? 0,
      source: "default",
      reason: `${reason}; the default model answers.`,
      scores,
    });
    if (because === "") return answerByDefault("Nothing in the prompt points to an expert");
    if (expertId === undefined) return answerByDefault(`No expert covers ${subjects[best]} (${because})`);
    const confidence = scores[expertId] ?? 0;
    if (confidence < threshold) {
      return answerByDefault(
        `Perhaps ${subjects[best]} (${because}), but the confidence ${confidence.toFixed(2)} is below ${threshold}`,
      );
    }
    return { expertId, confidence, source: "keywords", reason: `${sentenceCase(subjects[best])}: ${because}.`, scores };
  }

  function noScores(): Record<string, number> {
    return Object.fromEntries(experts.map(({ id }) => [id, 0]));
  }

  function chooseExpert(domain: ExpertDomain, useCaseCounts: ReadonlyMap<string, number>): string | undefined {
    const count = (id: string) => useCaseCounts.get(id) ?? 0;
    const candidates = experts.filter((expert) => expert.domain === domain);
    return candidates.toSorted((a, b) => a.priority - b.priority || count(b.id) - count(a.id))[0]?.id;
  }
}

function gatherEvidence(
  text: PromptText,
  findUseCases: UseCaseFinder,
): { evidence: readonly Evidence[]; useCaseCounts: ReadonlyMap<string, number> } {
  const useCases = findUseCases(text);
  const { language, hits, logOddsOther } = findLanguage(text);
  const written = language === null ? "other language" : `written in ${languageNames.of(language) ?? language}`;
  const evidence: (Evidence | undefined)[] = [
    ...findKeywords(text).evidence,
    { name: written, hits, logOdds: { multilingual_expert: logOddsOther } },
    weighQuotation(text, logOddsOther),
    findCodeMarks(text),
    findSum(text),
    findWordProblem(text),
    weighLength(text),
    ...useCases.evidence,
  ];
  return { evidence: evidence.filter((piece) => piece !== undefined), useCaseCounts: useCases.counts };
}

/** A prompt that is itself surely in another language says nothing more by quoting one. */
const maxQuotingLogOdds = 4.5;

function weighQuotation(text: PromptText, logOddsOther: number): Evidence | undefined {
  const quoted = logOddsOther > maxQuotingLogOdds ? undefined : findForeignQuotation(text);
  if (quoted === undefined) return undefined;
  return { name: "quotes another language", hits: [quoted], logOdds: { multilingual_expert: 5 } };
}

const languageNames = new Intl.DisplayNames(["en"], { type: "language" });

/** Pieces of evidence and words of each that a reason quotes. */
const maxPieces = 3;
const maxHits = 4;
const maxHitLength = 40;

/** What speaks for a domain, the weightiest first: "programming words: regex; short"; empty where nothing does. */
function describe(evidence: readonly Evidence[], domain: ExpertDomain): string {
  return evidence
    .filter(({ logOdds }) => (logOdds[domain] ?? 0) > 0.2)
    .sort((a, b) => (b.logOdds[domain] ?? 0) - (a.logOdds[domain] ?? 0))
    .slice(0, maxPieces)
    .map(({ name, hits }) =>
      hits.length === 0 ? name : `${name}: ${hits.slice(0, maxHits).map(printable).join(", ")}`,
    )
    .join("; ");
}

/** Hits are the caller's own text: neither control characters nor megabytes of it reach logs and terminals. */
function printable(hit: string): string {
  return hit.slice(0, maxHitLength).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, " ");
}

function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
