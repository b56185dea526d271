// Which language a prompt is written in, as far as routing asks: Spanish or English, or one of the others. Scripts tell
// at once, function words and letters for the rest. Imports nothing but the words.
import { otherEndings, otherLanguages, servedLanguages } from "./function-words.ts";
import { fold, type PromptText, readPrompt, type Word } from "./text.ts";

export interface LanguageFinding {
  /** ISO 639 code of the likeliest language other than Spanish and English; null where none shows. */
  readonly language: string | null;
  /** What showed it. */
  readonly hits: readonly string[];
  /** Log-odds that the prompt is in a language other than Spanish or English. */
  readonly logOddsOther: number;
}

const scripts: readonly (readonly [language: string, letters: RegExp])[] = [
  ["ja", /[\p{scx=Hiragana}\p{scx=Katakana}]/gu],
  ["zh", /\p{Script=Han}/gu],
  ["ko", /\p{Script=Hangul}/gu],
  ["ru", /\p{Script=Cyrillic}/gu],
  ["ar", /\p{Script=Arabic}/gu],
  ["hi", /\p{Script=Devanagari}/gu],
  ["el", /\p{Script=Greek}/gu],
  ["he", /\p{Script=Hebrew}/gu],
  ["th", /\p{Script=Thai}/gu],
  ["bn", /\p{Script=Bengali}/gu],
  ["te", /\p{Script=Telugu}/gu],
  ["ta", /\p{Script=Tamil}/gu],
  ["ml", /\p{Script=Malayalam}/gu],
  ["ka", /\p{Script=Georgian}/gu],
  ["hy", /\p{Script=Armenian}/gu],
  ["km", /\p{Script=Khmer}/gu],
];
const latinLetters = /\p{Script=Latin}/gu;
const nonLatinLetters = /[^\p{Script=Latin}\P{L}]/gu;
// Emoji faces aside, single Greek letters and the like stand in formulas of any language.
const minForeignLetters = 2;

/** Letters that neither Spanish nor English writes. */
const foreignLetters =
  /[àâäãåăąāæçćčďđèêëěęėēğģìîïīįķłļľňńòôöõőøœřśšşșťțţùûůűūųŵýźžżßþðıəơưạảấầẩẫậắằặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]/;
/** Words whose accents make them no Spanish ones, although their letters are. */
const foreignWords = new Set(["é", "és", "són", "ás", "ós", "nós"]);
/** Words of English and Spanish that carry such letters. */
const naturalised = new Set(["naïve", "façade", "crème", "brûlée", "voilà", "à", "déjà", "fiancée", "früh", "über"]);

const logOddsPerWord = 2;
const logOddsPerForeignLetterWord = 1.2;
const maxForeignLetterWords = 3;
/** An ending counts as half a word, at most twice. */
const hitsPerEnding = 0.5;
const maxEndings = 2;
const minEndingWordLength = 6;
const exclusiveBonus = 0.4;
const maxLogOdds = 6;
const minLogOdds = -2.5;
const minQuotationLogOdds = 2.5;
/** Words that are looked at: enough for any verdict. */
const maxWords = 150;

const servedWords = Object.values(servedLanguages).map((list) => new Set(list.split(/\s+/)));
const otherCodes = Object.keys(otherLanguages);
/** For each word the languages it stands in, as indexes of `otherCodes`. */
const otherWords = indexWords();
const endings: readonly (readonly [ending: string, language: number])[] = Object.entries(otherEndings).flatMap(
  ([language, list]) => list.split(" ").map((ending) => [ending, otherCodes.indexOf(language)] as const),
);

function indexWords(): ReadonlyMap<string, ReadonlySet<number>> {
  const index = new Map<string, Set<number>>();
  for (const [language, list] of Object.values(otherLanguages).entries()) {
    const accented = list.split(/\s+/);
    // People also type these without their accents; two letters would then collide with Spanish and English words.
    for (const word of [...accented, ...accented.map(fold).filter((folded) => folded.length >= 4)]) {
      index.set(word, (index.get(word) ?? new Set()).add(language));
    }
  }
  return index;
}

export function findLanguage(text: PromptText): LanguageFinding {
  return findScript(text.excerpt) ?? findLatinLanguage(text.words.slice(0, maxWords));
}

// A quotation of some length, what follows a colon, and what follows an arrow.
const quotation = /["“«'‘]([^"”»'’\n]{4,160})["”»'’]|(?::|->|→)\s*([^\n]{4,160})$/gm;

/** Text in another language that a Spanish or English prompt quotes: it is most likely to be worked on. */
export function findForeignQuotation(text: PromptText): string | undefined {
  for (const match of text.excerpt.matchAll(quotation)) {
    const quoted = match[1] ?? match[2] ?? "";
    const { logOddsOther } = findLanguage(readPrompt(quoted));
    if (logOddsOther >= minQuotationLogOdds) return quoted;
  }
  return undefined;
}

function findScript(excerpt: string): LanguageFinding | undefined {
  const foreign = excerpt.match(nonLatinLetters)?.length ?? 0;
  const latin = excerpt.match(latinLetters)?.length ?? 0;
  if (foreign < minForeignLetters || foreign * 3 < latin) return undefined;
  let best: string | null = null;
  let bestHits: string[] = [];
  for (const [language, letters] of scripts) {
    const hits = excerpt.match(letters) ?? [];
    // Kana decide for Japanese although most of its letters may be Han.
    const weight = language === "ja" ? hits.length * 4 : hits.length;
    if (weight > bestHits.length) [best, bestHits] = [language, hits];
  }
  const quoted = bestHits.slice(0, 6).join("");
  return { language: best, hits: quoted === "" ? [] : [quoted], logOddsOther: maxLogOdds };
}

function findLatinLanguage(words: readonly Word[]): LanguageFinding {
  const servedHits = servedWords.map(() => 0);
  const otherHits = otherCodes.map(() => 0);
  const endingHits = otherCodes.map(() => 0);
  const shown: { readonly word: string; readonly languages: ReadonlySet<number> }[] = [];
  const foreign = new Set<string>();
  let letterWords = 0;
  for (const { accented, folded } of words) {
    let known = false;
    const isForeign = foreignLetters.test(accented) || foreignWords.has(accented);
    for (const [language, list] of servedWords.entries()) {
      if (isForeign || !list.has(folded)) continue;
      known = true;
      servedHits[language] = (servedHits[language] ?? 0) + 1;
    }
    const languages = otherWords.get(accented);
    for (const language of languages ?? []) otherHits[language] = (otherHits[language] ?? 0) + 1;
    if (languages !== undefined && !known) shown.push({ word: accented, languages });
    if (!known && accented.length >= minEndingWordLength) {
      for (const language of languagesByEnding(accented)) endingHits[language] = (endingHits[language] ?? 0) + 1;
    }
    if (isForeign && !naturalised.has(accented)) foreign.add(accented);
    if (accented.length >= 2 && /^\p{L}/u.test(accented)) letterWords += 1;
  }
  const hitsOf = (language: number) =>
    (otherHits[language] ?? 0) + hitsPerEnding * Math.min(maxEndings, endingHits[language] ?? 0);
  const best = otherCodes.reduce((a, _, b) => (hitsOf(b) > hitsOf(a) ? b : a), 0);
  const bestServed = Math.max(...servedHits);
  const typical = shown.filter(({ languages }) => languages.has(best)).map(({ word }) => word);
  const lead = hitsOf(best) - bestServed + exclusiveBonus * Math.min(3, typical.length);
  let logOdds = logOddsPerWord * lead + logOddsPerForeignLetterWord * Math.min(maxForeignLetterWords, foreign.size);
  // Of a few words some must be known: none in Spanish or English and one elsewhere says enough.
  if (bestServed === 0 && (hitsOf(best) > 0 || foreign.size > 0)) logOdds += 1.2;
  // A sentence without a single function word of Spanish or English is hardly in either.
  if (bestServed === 0 && letterWords >= 4) logOdds += 1.5;
  return {
    language: lead > 0 ? (otherCodes[best] ?? null) : null,
    hits: [...new Set([...typical, ...foreign])].slice(0, 4),
    logOddsOther: Math.max(minLogOdds, Math.min(maxLogOdds, logOdds)),
  };
}

function languagesByEnding(word: string): ReadonlySet<number> {
  return new Set(endings.filter(([ending]) => word.endsWith(ending)).map(([, language]) => language));
}
