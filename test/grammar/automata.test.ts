// Patterns, numbers between bounds, names that are none of others and free text, each against a plain definition.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accepts, noneOf } from "../../src/grammar/automaton.ts";
import { completionOf } from "../../src/grammar/completion.ts";
import { GrammarBuilder } from "../../src/grammar/grammar-builder.ts";
import { numberAutomaton } from "../../src/grammar/number-range.ts";
import { patternAutomaton } from "../../src/grammar/pattern.ts";
import { randomSentence, seededRandom } from "./random-sentence.ts";

const seed = 20_261_121;

const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(
      "a",
      "b",
      "c",
      ".",
      "[ab]",
      "[^a]",
      "[a-c]",
      "\\d",
      "\\w",
      "\\s",
      "\\W",
      "^",
      "$",
      "\\.",
      "é",
      "",
      "\\u0061",
      "[\\dx]",
    ),
    fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => one + other),
    fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => `(${one}|${other})`),
    fc
      .tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "{0}"))
      .map(([one, times]) => `(?:${one})${times}`),
  ),
}));

describe("patternAutomaton", () => {
  it("accepts what the regular expression finds", () => {
    fc.assert(
      fc.property(
        pattern,
        fc.array(fc.constantFrom("a", "b", "c", "1", "x", ".", " ", "é", "\n", "😀"), { maxLength: 6 }),
        (source, signs) => {
          const text = signs.join("");
          expect(accepts(patternAutomaton(source), text)).toBe(new RegExp(source, "u").test(text));
        },
      ),
      { numRuns: 3_000, seed },
    );
  });

  it.each([
    ["^[\\w\\-]+$", "a-b", "a b"],
    ["^\\x41\\u{1F600}\\uD83D\\uDE00[\\b\\]^]\\cJ\\0?$", "A😀😀]\n", "A"],
    ["^(?<year>\\d{4})$", "2026", "20"],
    ["^[a-z&&]$", "&", "A"],
  ])("reads %j", (source, fitting, other) => {
    expect(accepts(patternAutomaton(source), fitting)).toBe(true);
    expect(accepts(patternAutomaton(source), other)).toBe(false);
  });

  it.each([
    ["(?=a)b", /lookaround/],
    ["(?<!a)b", /lookaround/],
    ["(a)\\1", /backreference/],
    ["(?<n>a)\\k<n>", /backreference/],
    ["\\bword", /word boundary/],
    ["\\p{L}", /Unicode property/],
    ["(", /not a regular expression/],
    ["a.{30}b", /too large/],
    ["(a{1000}){1000}", /too large/],
    ["(){999999999}x{999999999}", /too large/],
    ["(".repeat(200) + ")".repeat(200), /nested/],
    ["a".repeat(5_000), /2000 are allowed/],
  ])("refuses %j", (source, message) => {
    expect(() => patternAutomaton(source)).toThrow(message);
  });
});

describe("numberAutomaton", () => {
  const any = { isMinimumExclusive: false, isMaximumExclusive: false, multipleOf: 1 };

  it("accepts exactly the integers of a range", () => {
    const bound = fc.oneof(fc.integer({ min: -1200, max: 1200 }), fc.double({ min: -50, max: 50, noNaN: true }));
    fc.assert(
      fc.property(
        bound,
        bound,
        fc.constantFrom(1, 1, 2, 7, 10, 25),
        fc.boolean(),
        (one, other, multipleOf, isExclusive) => {
          const [minimum, maximum] = [Math.min(one, other), Math.max(one, other)];
          const automaton = numberAutomaton({
            ...any,
            minimum,
            maximum,
            isInteger: true,
            multipleOf,
            isMinimumExclusive: isExclusive,
          });
          for (let number = -1300; number <= 1300; number += 1) {
            const isIn =
              (isExclusive ? number > minimum : number >= minimum) && number <= maximum && number % multipleOf === 0;
            if (accepts(automaton, String(number)) !== isIn) throw new Error(`${number} in ${minimum}..${maximum}`);
          }
          for (const text of ["-0", "00", "01", "1.0", "+1", "1e0", "", "-"])
            expect(accepts(automaton, text)).toBe(false);
        },
      ),
      { numRuns: 100, seed },
    );
  });

  it("accepts decimals where they are in the range", () => {
    const bound = fc.double({ min: -1e7, max: 1e7, noNaN: true });
    const offset = fc.oneof(fc.double({ min: -2, max: 2, noNaN: true }), fc.constant(0));
    fc.assert(
      fc.property(bound, bound, offset, fc.boolean(), fc.boolean(), (one, other, away, isLow, isExclusive) => {
        const [minimum, maximum] = [Math.min(one, other), Math.max(one, other)];
        const range = {
          ...any,
          minimum,
          maximum,
          isInteger: false,
          isMinimumExclusive: isExclusive,
          isMaximumExclusive: isExclusive,
        };
        const automaton = numberAutomaton(range);
        const text = ((isLow ? minimum : maximum) + away).toFixed(6);
        const number = Number(text);
        const isIn = isExclusive ? number > minimum && number < maximum : number >= minimum && number <= maximum;
        expect(accepts(automaton, text)).toBe(isIn && !(number === 0 && text.startsWith("-")));
      }),
      { numRuns: 2_000, seed },
    );
  });
});

describe("noneOf", () => {
  it("accepts all but the names", () => {
    const automaton = noneOf(["a", "ab", "é😀", ""]);
    for (const name of ["a", "ab", "é😀", ""]) expect(accepts(automaton, name)).toBe(false);
    for (const other of ["b", "abc", "é", "A", "a "]) expect(accepts(automaton, other)).toBe(true);
  });
});

describe("GrammarBuilder.textWithout", () => {
  it("takes a text unless a needle occurs in it", () => {
    const text = fc.array(fc.constantFrom("a", "b", "<", "\n"), { maxLength: 12 }).map((signs) => signs.join(""));
    const needle = fc
      .array(fc.constantFrom("a", "b", "<"), { minLength: 1, maxLength: 4 })
      .map((signs) => signs.join(""));
    fc.assert(
      fc.property(fc.array(needle, { maxLength: 3 }), text, (needles, content) => {
        const builder = new GrammarBuilder();
        const grammar = builder.build(builder.textWithout(needles));
        const isIn = needles.every((one) => !content.includes(one));
        expect(completionOf(grammar, content)).toBe(isIn ? "" : null);
      }),
      { numRuns: 1_000, seed },
    );
  });

  it("stands before what it leaves out", () => {
    const builder = new GrammarBuilder();
    const marker = "<tool_call>";
    const call = `${builder.literal(marker)} ${builder.jsonObject()} ${builder.literal("</tool_call>")}`;
    const grammar = builder.build(`${builder.textWithout([marker])} (${call})?`);
    expect(completionOf(grammar, "some text <tool")).toBe("");
    expect(completionOf(grammar, "text <<tool_call>{")).toBe("}</tool_call>");
    expect(completionOf(grammar, `a${marker}b`)).toBeNull();
    const random = seededRandom(1);
    for (let round = 0; round < 50; round += 1) {
      const sentence = randomSentence(grammar, random, 100);
      expect(sentence.split(marker).length).toBeLessThanOrEqual(2);
    }
  });

  it("cannot be without the empty text", () => {
    expect(() => new GrammarBuilder().textWithout([""])).toThrow(RangeError);
  });
});
