// How a text that was cut anywhere is completed: as shortly as can be, however ambiguous the grammar is.
import { describe, expect, it } from "vitest";
import { completionOf, GrammarMatcher } from "../../src/grammar/completion.ts";
import { parseGrammar } from "../../src/grammar/gbnf.ts";
import { GrammarBuilder } from "../../src/grammar/grammar-builder.ts";

const builder = new GrammarBuilder();
const json = builder.build(builder.jsonObject());

describe("completionOf", () => {
  it.each([
    ["", "{}"],
    ["{", "}"],
    ['{"', '":0}'],
    ['{"a', '":0}'],
    ['{"a"', ":0}"],
    ['{"a":', "0}"],
    ['{"a": tru', "e}"],
    ['{"a": n', "ull}"],
    ['{"a":-', "0}"],
    ['{"a":1', "}"],
    ['{"a":1.', "0}"],
    ['{"a":1e', "0}"],
    ['{"a":1e-', "0}"],
    ['{"a":1,', '"":0}'],
    ['{"a":"x\\', '""}'],
    ['{"a":"x\\u', '0020"}'],
    ['{"a":"x\\u00', '20"}'],
    ['{"a":"x\\ud83d', '\\udc00"}'],
    ['{"a":"x\\ud83d\\', 'udc00"}'],
    ['{"a":"😀'.slice(0, -1), '\udc00"}'],
    ['{"a":[[{"b":"c"', "}]]}"],
    ["{\n  ", "}"],
    ["{}", ""],
  ])("completes %j", (text, rest) => {
    expect(completionOf(json, text)).toBe(rest);
    expect(() => JSON.parse(text + rest) as unknown).not.toThrow();
  });

  it.each(["x", "{a", "{} ", '{"a":01', '{"a":1}}', '{"\ude00', '{"\ud83dx', "{\n\n", '{"a":"\u0000', '{"a":tru3'])(
    "has nothing for %j",
    (text) => {
      expect(completionOf(json, text)).toBeNull();
    },
  );

  it("finds the other half only where the pair fits", () => {
    const grammar = parseGrammar("root ::= [a😁-😃] | [^\\U0001F000-\\U0001FFFF]");
    expect(completionOf(grammar, "😀".slice(0, 1))).toBe("😁".slice(1));
    expect(completionOf(parseGrammar("root ::= [a-z]"), "😀".slice(0, 1))).toBeNull();
  });

  it("takes the shortest of several ways", () => {
    const grammar = parseGrammar('root ::= "a" ("bbbb" | long) | "ab" ("cc" | "ddd")\nlong ::= "b"{3} | "bb"');
    expect(completionOf(grammar, "a")).toBe("bb");
    expect(completionOf(grammar, "abb")).toBe("");
    expect(completionOf(grammar, "abd")).toBe("dd");
  });

  it("is not slowed by length", () => {
    const long = JSON.stringify({
      list: Array.from({ length: 4_000 }, (_, n) => ({ n, text: `line ${n}\n`, ok: [true, null] })),
    });
    expect(long.length).toBeGreaterThan(150_000);
    expect(completionOf(json, long.slice(0, -2))).toBe("]}");
  });

  it("is not slowed by depth", () => {
    const grammar = parseGrammar('root ::= "[" root? "]"');
    const depth = 100_000;
    expect(completionOf(grammar, "[".repeat(depth))).toBe("]".repeat(depth));
  });

  it("is not slowed by ambiguity", () => {
    const grammar = parseGrammar(
      'root ::= "(" root ")" | "(" root ")" "x"? | "(" (root | "") ")" | [a-z]{0,500} [a-z]*',
    );
    expect(completionOf(grammar, "(".repeat(2_000) + "a".repeat(1_000))).toBe(")".repeat(2_000));
  });
});

describe("GrammarMatcher", () => {
  it("reads a text however it is cut", () => {
    const text = '{"a": ["é", "😀", -1.5e3, {"b": null}]}';
    const matcher = new GrammarMatcher(json);
    for (const unit of Array.from({ length: text.length }, (_, index) => text[index] as string)) {
      expect(matcher.isComplete).toBe(false);
      expect(matcher.push(unit)).toBe(true);
      expect(matcher.completion()).not.toBeNull();
    }
    expect(matcher.isComplete).toBe(true);
    expect(matcher.push(" ")).toBe(false);
    expect(matcher.push("")).toBe(false);
    expect(matcher.completion()).toBeNull();
  });
});
