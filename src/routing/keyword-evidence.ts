// From the words of a prompt to evidence, by the rules' table and by the operator's `use_cases`. May import experts/
// (types) and its own folder.
import type { Expert, ExpertDomain } from "../experts/expert.ts";
import type { Evidence } from "./evidence.ts";
import { servedLanguages } from "./function-words.ts";
import { type KeywordRule, keywordRules, wordClasses } from "./keyword-rules.ts";
import { indexPhrases, matchPhrases, parsePhrases, type Phrase } from "./patterns.ts";
import { fold, type PromptText } from "./text.ts";

interface Veto {
  readonly vetoes: KeywordRule;
}

export interface KeywordEvidence {
  readonly evidence: readonly Evidence[];
  /** Phrases tried: the work done, bounded by a constant times the number of words looked at. */
  readonly attempts: number;
}

const index = indexPhrases<KeywordRule | Veto>(
  keywordRules.flatMap((rule): (readonly [KeywordRule | Veto, readonly Phrase[]])[] => [
    [rule, Object.values(rule.phrases).flatMap((phrases) => parsePhrases(phrases, wordClasses))],
    [{ vetoes: rule }, parsePhrases(rule.unless ?? "", wordClasses)],
  ]),
);
const fragments = new Map(keywordRules.map((rule) => [rule, rule.fragments?.split(/\s+(?![^(]*\))/) ?? []]));

export function findKeywords(text: PromptText): KeywordEvidence {
  const { hits, attempts } = matchPhrases(index, text.words);
  const vetoed = new Set([...hits.keys()].map((owner) => ("vetoes" in owner ? owner.vetoes : undefined)));
  const lowered = text.excerpt.toLowerCase();
  const evidence: Evidence[] = [];
  for (const rule of keywordRules) {
    if (vetoed.has(rule) || text.wordCount > (rule.maxWords ?? Infinity)) continue;
    const found = [
      ...(hits.get(rule) ?? []),
      ...(fragments.get(rule) ?? []).filter((fragment) => lowered.includes(fragment)),
    ];
    if (found.length === 0) continue;
    const cap = rule.cap ?? rule.weight;
    const sum = rule.weight * found.length;
    const logOdds = rule.weight < 0 ? Math.max(cap, sum) : Math.min(cap, sum);
    evidence.push({ name: rule.name, hits: found, logOdds: weigh(rule, logOdds) });
  }
  return { evidence, attempts };
}

function weigh({ domain, against }: KeywordRule, logOdds: number): Evidence["logOdds"] {
  return against === undefined ? { [domain]: logOdds } : { [domain]: logOdds / 2, [against]: -logOdds / 2 };
}

/** What one word of an operator's `use_cases` says for its expert's domain, and all of them at most. */
const useCaseLogOdds = 0.4;
const maxUseCaseLogOdds = 1;

export interface UseCaseHits {
  readonly evidence: readonly Evidence[];
  /** By expert id: how many of its words stand in the prompt. */
  readonly counts: ReadonlyMap<string, number>;
}

export type UseCaseFinder = (text: PromptText) => UseCaseHits;

/** Weak evidence: operators write a few general words, and not for this purpose alone. */
export function createUseCaseFinder(experts: readonly Pick<Expert, "id" | "domain" | "useCases">[]): UseCaseFinder {
  const functionWords = new Set(Object.values(servedLanguages).flatMap((list) => list.split(/\s+/)));
  const owners = new Map<string, { readonly id: string; readonly domain: ExpertDomain }[]>();
  for (const { id, domain, useCases } of experts) {
    const words = fold(useCases.join(" ").toLowerCase()).split(/[^\p{L}\p{N}+#]+/u);
    for (const word of new Set(words)) {
      if (word.length < 3 || functionWords.has(word)) continue;
      owners.set(word, [...(owners.get(word) ?? []), { id, domain }]);
    }
  }
  return (text) => {
    const found = new Map<ExpertDomain, Set<string>>();
    const counts = new Map<string, number>();
    for (const word of new Set(text.words.map(({ folded }) => folded))) {
      for (const { id, domain } of owners.get(word) ?? []) {
        counts.set(id, (counts.get(id) ?? 0) + 1);
        found.set(domain, (found.get(domain) ?? new Set()).add(word));
      }
    }
    const evidence = [...found].map(([domain, words]) => ({
      name: "words of the expert's use cases",
      hits: [...words],
      logOdds: { [domain]: Math.min(maxUseCaseLogOdds, useCaseLogOdds * words.size) },
    }));
    return { evidence, counts };
  };
}
