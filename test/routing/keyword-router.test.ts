// The keyword router from outside: prompts by hand, experts by domain, thresholds, hostile input.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Expert, ExpertDomain } from "../../src/experts/expert.ts";
import { domains } from "../../src/routing/evidence.ts";
import { createKeywordRouter } from "../../src/routing/keyword-router.ts";
import { promptsByDomain } from "./prompts.ts";

type RoutedExpert = Pick<Expert, "id" | "domain" | "priority" | "useCases">;

function expertFor(domain: ExpertDomain, fields: Partial<RoutedExpert> = {}): RoutedExpert {
  return { id: domain, domain, priority: 2, useCases: [], ...fields };
}

function routerOf(experts: readonly RoutedExpert[] = domains.map((domain) => expertFor(domain)), threshold = 0) {
  return createKeywordRouter({ experts, threshold, defaultModel: "technical" });
}

const text = (prompt: string) => ({ prompt, hasImages: false });
const sumOf = (scores: Readonly<Record<string, number>>) => Object.values(scores).reduce((a, b) => a + b, 0);

describe("prompts by hand", () => {
  const router = routerOf();
  for (const domain of domains) {
    it.each(promptsByDomain[domain])(`goes to ${domain}: %s`, (prompt) => {
      const { expertId, reason } = router.route(text(prompt));
      expect({ expertId, reason }).toEqual({ expertId: domain, reason });
    });
  }
});

describe("experts and their domains", () => {
  it("knows no expert by its name", () => {
    const router = routerOf([
      expertFor("technical"),
      expertFor("coding", { id: "a" }),
      expertFor("general", { id: "qwen_coder" }),
    ]);
    expect(router.route(text("write a python function")).expertId).toBe("a");
    expect(router.route(text("hola")).expertId).toBe("qwen_coder");
  });

  it("prefers the smaller priority among experts of one domain, wherever it stands", () => {
    const second = expertFor("coding", { id: "second", priority: 3, useCases: ["python"] });
    const first = expertFor("coding", { id: "first", priority: 1 });
    for (const experts of [
      [expertFor("technical"), second, first],
      [first, second, expertFor("technical")],
    ]) {
      expect(routerOf(experts).route(text("write a python function")).expertId).toBe("first");
    }
  });

  it("lets use cases decide among experts of one domain and one priority", () => {
    const router = routerOf([
      expertFor("technical"),
      expertFor("coding", { id: "web", useCases: ["JavaScript", "CSS"] }),
      expertFor("coding", { id: "data", useCases: ["SQL queries", "pandas"] }),
    ]);
    expect(router.route(text("write a SQL query with two joins")).expertId).toBe("data");
    expect(router.route(text("center a div with CSS")).expertId).toBe("web");
  });

  it("raises an expert's score by the words of its use cases, but weakly", () => {
    const prompt = text("Explain the taxonomy of beetles");
    const plain = routerOf().route(prompt);
    const withUseCase = routerOf(
      domains.map((domain) => expertFor(domain, domain === "general" ? { useCases: ["beetles"] } : {})),
    ).route(prompt);
    expect(withUseCase.scores["general"]).toBeGreaterThan(plain.scores["general"] ?? 1);
    expect(withUseCase.expertId).toBe("technical");
  });

  it("gives the default model what no expert covers, and says so", () => {
    const router = routerOf([expertFor("technical"), expertFor("general")]);
    const decision = router.route(text("regex for email?"));
    expect(decision).toMatchObject({ expertId: "technical", source: "default" });
    expect(decision.reason).toMatch(/^No expert covers programming \(.*regex.*\); the default model answers\.$/);
    expect(sumOf(decision.scores)).toBeCloseTo(1, 9);
  });
});

describe("images", () => {
  it("go to the vision expert by fact, whatever the text says", () => {
    const decision = routerOf().route({ prompt: "write a python function", hasImages: true });
    expect(decision).toMatchObject({ expertId: "multimodal_expert", source: "images", confidence: 1 });
    expect(sumOf(decision.scores)).toBe(1);
  });

  it("leave the decision to the text where no vision expert is configured", () => {
    const router = routerOf([expertFor("technical"), expertFor("coding")]);
    expect(router.route({ prompt: "write a python function", hasImages: true })).toMatchObject({
      expertId: "coding",
      source: "keywords",
    });
  });
});

describe("confidence and threshold", () => {
  it("answers with the default model below the threshold, and names both numbers", () => {
    const sure = routerOf(undefined, 0).route(text("regex for email?"));
    expect(sure).toMatchObject({ expertId: "coding", source: "keywords" });
    const decision = routerOf(undefined, sure.confidence + 0.001).route(text("regex for email?"));
    expect(decision).toMatchObject({ expertId: "technical", source: "default" });
    expect(decision.confidence).toBe(decision.scores["technical"]);
    expect(decision.reason).toContain("is below");
    expect(decision.scores).toEqual(sure.scores);
  });

  it("names the words that decided", () => {
    expect(routerOf().route(text("Translate 'cat' to French")).reason).toMatch(
      /^Translation .*translate cat to french/,
    );
    expect(routerOf().route(text("Olá, você não dormiu?")).reason).toContain("written in Portuguese");
  });

  it.each(["", "   \n\t", "🙂🙂🙂", "\u0000\u0001\u0002", "?!…", "\u202e\u200b"])("has no opinion on %j", (prompt) => {
    const decision = routerOf().route(text(prompt));
    expect(decision).toMatchObject({ expertId: "technical", source: "default" });
    expect(sumOf(decision.scores)).toBeCloseTo(1, 9);
  });
});

describe("any input", () => {
  const router = routerOf();
  const words = fc.constantFrom(
    "python",
    "foto",
    "la",
    "traduce",
    "{",
    "(",
    '"',
    "'",
    "—",
    "你好",
    "x'constructor",
    "5+3",
    "\ud800",
  );
  const prompt = fc.oneof(
    fc.string({ unit: "binary", maxLength: 400 }),
    fc.array(words, { maxLength: 200 }).map((list) => list.join(" ")),
    fc.array(words, { maxLength: 200 }).map((list) => list.join("")),
  );

  it("gets probabilities that sum to 1, a known expert, and a printable reason", () => {
    fc.assert(
      fc.property(prompt, (input) => {
        const { expertId, confidence, scores, reason } = router.route(text(input));
        expect(Object.keys(scores)).toEqual([...domains]);
        expect(Math.abs(sumOf(scores) - 1)).toBeLessThan(1e-9);
        expect(Math.min(...Object.values(scores))).toBeGreaterThanOrEqual(0);
        expect(confidence).toBe(scores[expertId]);
        expect(reason).not.toMatch(/[\p{Cc}\p{Cs}]/u);
        expect(reason.length).toBeLessThan(1000);
      }),
      { numRuns: 400 },
    );
  });

  it("is decided by head and tail: the middle of a long prompt is never read", () => {
    const head = "Translate this text to French. ";
    const million = (middle: string) =>
      `${head}${"lorem ".repeat(500)}${middle.repeat(1_700_000)}${"lorem ".repeat(500)}`;
    expect(router.route(text(million("python")))).toEqual(router.route(text(million("(foto)"))));
  });

  it.each(["(", "a_", "/a", '"abcd', "; ", "$(", "<div ", "aB", "--a ", "l'", "{}", "5+", "ab(", "*.a ", "' ", ": "])(
    "is not slowed down by %j over and over",
    (unit) => {
      const decision = router.route(text(unit.repeat(2_000_000)));
      expect(sumOf(decision.scores)).toBeCloseTo(1, 9);
    },
  );
});
