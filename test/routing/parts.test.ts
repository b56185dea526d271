// The router's parts: what is read of a prompt, phrases and their cost, languages, weighing.
import { describe, expect, it } from "vitest";
import { combine } from "../../src/routing/evidence.ts";
import { findKeywords } from "../../src/routing/keyword-evidence.ts";
import { keywordRules, wordClasses } from "../../src/routing/keyword-rules.ts";
import { findForeignQuotation, findLanguage } from "../../src/routing/language.ts";
import { indexPhrases, matchPhrases, parsePhrases } from "../../src/routing/patterns.ts";
import { readPrompt } from "../../src/routing/text.ts";

const foldedWords = (prompt: string) => readPrompt(prompt).words.map(({ folded }) => folded);

describe("readPrompt", () => {
  it("folds case and accents, and keeps the marks of language names", () => {
    expect(foldedWords("¿Traducción al C++ o C#?")).toEqual(["traduccion", "al", "c++", "o", "c#"]);
  });

  it("reads contractions in full, splits elisions, and survives words that objects inherit", () => {
    expect(foldedWords("What's Tom's l’image, don't")).toEqual(["what", "is", "tom", "l'", "image", "don't"]);
    expect(foldedWords("x'constructor y'toString")).toEqual(["x'constructor", "y'tostring"]);
  });

  it("ends a word where the script changes", () => {
    expect(foldedWords("用python写")).toEqual(["用", "python", "写"]);
  });

  it("looks at a bounded excerpt and estimates the rest", () => {
    const { excerpt, words, wordCount } = readPrompt("word ".repeat(2_000_000));
    expect(excerpt.length).toBeLessThan(2500);
    expect(words.length).toBeLessThan(2500);
    expect(wordCount).toBeGreaterThan(1_900_000);
    expect(wordCount).toBeLessThan(2_100_000);
  });
});

describe("phrases", () => {
  const matches = (phrase: string, prompt: string) => {
    const index = indexPhrases([["rule", parsePhrases(phrase, { colour: "red blue" })]]);
    return [...(matchPhrases(index, readPrompt(prompt).words).hits.get("rule") ?? [])];
  };

  it("match words, stems, alternatives, classes and gaps", () => {
    expect(matches("traduc*", "Traducción")).toEqual(["traducción"]);
    expect(matches("in|on {colour}", "on blue in red")).toEqual(["on blue", "in red"]);
    expect(matches("say ... in {colour}", "say a b c d in red")).toEqual(["say a b … in red"]);
    expect(matches("say ... in {colour}", `say ${"a ".repeat(8)}in red`)).toEqual([]);
    expect(matches("cat", "cats")).toEqual([]);
  });

  it("can be held to the beginning or the end", () => {
    expect(matches("^ hi", "oh hi")).toEqual([]);
    expect(matches("^ hi", "hi there")).toEqual(["hi"]);
    expect(matches("in {colour} $", "in red ink")).toEqual([]);
    expect(matches("in {colour} $", "ink in red?")).toEqual(["in red"]);
  });

  it.each(["... a", "a ...", "{shape}", "a == b", "^", "*"])("refuses %j", (phrase) => {
    expect(() => parsePhrases(phrase, {})).toThrow(phrase.includes("=") ? "==" : phrase);
  });

  it("cost a bounded number of attempts a word, even for a list of every keyword", () => {
    const everyWord = [...Object.values(wordClasses), ...keywordRules.flatMap(({ phrases }) => Object.values(phrases))]
      .join(" ")
      .split(/[^\p{L}\p{N}+#']+/u);
    const length = 2000;
    for (let start = 0; start < everyWord.length; start += 200) {
      const text = readPrompt(
        everyWord
          .slice(start, start + 200)
          .join(" ")
          .slice(0, length),
      );
      expect(findKeywords(text).attempts).toBeLessThan(100 * text.words.length);
    }
  });
});

describe("rules", () => {
  const names = keywordRules.map(({ name }) => name);

  it("have names of their own and caps that do not undercut one hit", () => {
    expect(new Set(names).size).toBe(names.length);
    const undercut = keywordRules.filter(({ weight, cap = weight }) => cap / weight < 1);
    expect(undercut.map(({ name }) => name)).toEqual([]);
  });

  const namesFound = (prompt: string) => findKeywords(readPrompt(prompt)).evidence.map(({ name }) => name);

  it("are void where a word shows another sense", () => {
    expect(namesFound("python list")).toContain("python");
    expect(namesFound("python snake")).not.toContain("python");
  });

  it("add up distinct hits only, to their cap", () => {
    const evidenceOf = (prompt: string) =>
      findKeywords(readPrompt(prompt)).evidence.find(({ name }) => name === "programming words");
    const one = evidenceOf("function")?.logOdds.coding ?? 0;
    expect(evidenceOf("function function function")?.logOdds.coding).toBe(one);
    expect(evidenceOf("function array")?.logOdds.coding).toBeCloseTo(2 * one, 9);
    expect(evidenceOf("function array string loop class method variable")?.logOdds.coding).toBe(5);
  });
});

describe("findLanguage", () => {
  const logOdds = (prompt: string) => findLanguage(readPrompt(prompt)).logOddsOther;

  it.each([
    ["fr", "Je ne sais pas où il est"],
    ["de", "Ich weiß nicht, wo er ist"],
    ["it", "Non so dove sia il mio cane"],
    ["pt", "Eu não sei onde ele está"],
    ["ca", "No sé on és el meu gos"],
    ["eu", "Ez dakit non dagoen"],
    ["nl", "Ik weet niet waar het is"],
    ["pl", "Nie wiem gdzie on jest"],
    ["tr", "Bunu neden yaptın bilmiyorum ama çok güzel"],
    ["vi", "Tôi không biết nó ở đâu"],
    ["ru", "Я не знаю"],
    ["ja", "これは何ですか"],
    ["zh", "这是什么"],
    ["ko", "이것은 무엇입니까"],
    ["ar", "ما هذا"],
    ["el", "Δεν ξέρω"],
  ])("recognises %s", (language, prompt) => {
    expect(findLanguage(readPrompt(prompt)).language).toBe(language);
    expect(logOdds(prompt)).toBeGreaterThan(2);
  });

  it.each([
    "no se donde esta mi perro, ayudame porfa",
    "q haces hoy x la tarde",
    "I don't know where he is",
    "what's the best café in San José?",
    "the angle α of the β particle",
  ])("leaves %j to Spanish and English", (prompt) => {
    expect(logOdds(prompt)).toBeLessThanOrEqual(0);
  });

  it("finds a foreign quotation in a Spanish or English prompt", () => {
    expect(findForeignQuotation(readPrompt("Is 'Wir haben das nicht gewusst' polite?"))).toContain("gewusst");
    expect(findForeignQuotation(readPrompt("Is 'we did not know that' polite?"))).toBeUndefined();
  });
});

describe("combine", () => {
  const prior = { general: 0, technical: 0, coding: 0, multimodal_expert: 0, multilingual_expert: 0 };

  it("adds log-odds, so that evidence of twice the weight squares the odds", () => {
    const once = combine(prior, [{ name: "a", hits: [], logOdds: { coding: 1 } }], 1);
    const twice = combine(prior, [{ name: "a", hits: [], logOdds: { coding: 2 } }], 1);
    const odds = (scores: typeof once) => scores.coding / scores.general;
    expect(odds(twice)).toBeCloseTo(odds(once) ** 2, 9);
  });

  it("is less sure at a higher temperature, and never overflows", () => {
    const evidence = [{ name: "a", hits: [], logOdds: { coding: 3 } }];
    expect(combine(prior, evidence, 2).coding).toBeLessThan(combine(prior, evidence, 1).coding);
    expect(combine(prior, [{ name: "a", hits: [], logOdds: { coding: 5000 } }], 1).coding).toBe(1);
  });
});
