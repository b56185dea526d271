// GBNF text: what it accepts, what is refused and where, and that hostile text costs little.
import { describe, expect, it } from "vitest";
import { completionOf } from "../../src/grammar/completion.ts";
import { END, RULE_REF } from "../../src/grammar/elements.ts";
import { GrammarError } from "../../src/grammar/errors.ts";
import { maxGrammarElements, parseGrammar } from "../../src/grammar/gbnf.ts";
import { randomSentence, seededRandom } from "./random-sentence.ts";

function accepts(source: string, text: string): boolean {
  return completionOf(parseGrammar(source), text) === "";
}

function refusalOf(source: string): GrammarError {
  try {
    parseGrammar(source);
  } catch (error) {
    if (error instanceof GrammarError) return error;
    throw error;
  }
  throw new Error(`not refused: ${source.slice(0, 100)}`);
}

describe("parseGrammar", () => {
  it.each<[string, string[], string[]]>([
    ['root ::= "a" | "bc"', ["a", "bc"], ["", "b", "ab"]],
    ['root ::= "ab"* "c"', ["c", "ababc"], ["ab", "aabc"]],
    ['root ::= "a"+ "b"?', ["a", "aab"], ["", "b", "abb"]],
    ['root ::= "a"{2} "b"{1,} "c"{0,2}', ["aab", "aabbcc"], ["ab", "aa", "aabccc"]],
    ['root ::= "a"{ 1 , 3 }', ["a", "aaa"], ["", "aaaa"]],
    ['root ::= "a"{0} "b"{0,0} "c"', ["c"], ["ac", "bc"]],
    ["root ::= [a-cx] [^a-c\\n] .", ["axx", "x\n\n".replace("\n", "y")], ["dxx", "aax", "ax"]],
    ['root ::= [\\x41\\u00e9\\U0001F600] "\\t\\\\\\"" [\\]\\[-]', ['A\t\\"]', 'é\t\\"-', '😀\t\\"['], ['B\t\\"]']],
    ["root ::= [a-] [\\-b]", ["a-", "-b"], ["b-"]],
    ['root ::= (\n  "a" # first\n  | "b"\n)+ end\nend ::=\n  "." |\n  "!"', ["ab.", "b!"], ["a", "."]],
    ['# comment\r\nroot ::= x x\r\nx ::= "1"|"2"\r\n', ["12"], ["1", "3"]],
    ['root ::= ("a" | "") "b" ("" | "c")', ["b", "abc"], ["a"]],
    ['root ::= pair\npair ::= "(" pair? ")"', ["()", "((()))"], ["(", "(()"]],
    ['root ::= ("a" | "b" "c"){2,3} [0-9]{2,}', ["abc11", "bcaa123"], ["a11", "aaaa11", "aa1"]],
    ['root ::= ""', [""], ["a"]],
    ['root ::= "a"\nroot ::= "b"', ["b"], ["a"]],
  ])("reads %j", (source, sentences, others) => {
    expect(sentences.filter((text) => !accepts(source, text))).toEqual([]);
    expect(others.filter((text) => accepts(source, text))).toEqual([]);
  });

  it.each([
    ['start ::= "a"', /no rule "root"/, 0],
    ["", /no rule "root"/, 0],
    ['root ::= "a" other', /"other" is not defined/, 1],
    ['root ::= "a', /expected '"'/, 1],
    ['root ::= "a"\nx = "b"', /expected '::='/, 2],
    ['root ::= ("a"\n "b"', /expected '\)'/, 2],
    ['root ::= "a" )', /found "\)"/, 1],
    ["root ::= [a", /expected '\]'/, 1],
    ["root ::= []", /no character fits/, 1],
    ["root ::= [^\\x00-\\U0010FFFF]", /no character fits/, 1],
    ["root ::= [\\uD800-\\uDFFF]", /no character fits/, 1],
    ["root ::= [z-a]", /backwards/, 1],
    ['root ::= "\\q"', /escape .* is unknown/, 1],
    ['root ::= "\\x4"', /2 hexadecimal digits/, 1],
    ['root ::= "\\UFFFFFFFF"', /beyond the last character/, 1],
    ["root ::= *", /needs something before it/, 1],
    ['root ::= "a"{2,1}', /backwards/, 1],
    ['root ::= "a"{x}', /written \{n\}/, 1],
    ['root ::= "a"{99999999999}', /too large/, 1],
    ["root ::= <think>", /references to tokens/, 1],
    ['root ::= root "a" | "b"', /left recursion/, 1],
    ['root ::= a\na ::= b "x"\nb ::= "" a | "y"', /a → b.*left recursion/, 2],
    ['root ::= empty root "a" | "b"\nempty ::= "x"?', /left recursion/, 1],
    ['root ::= ("a"?)*', /repeats without end what can be empty/, 1],
    ['root ::= "a" root', /no finite text/, 1],
    ['root ::= a | b\na ::= "x" b\nb ::= "y" a', /no finite text/, 1],
    ['root ::= "a"\u0000', /found "\\u0000"/, 1],
  ])("refuses %j", (source, message, line) => {
    const error = refusalOf(source);
    expect(error.message).toMatch(message);
    expect(error.line).toBe(line);
  });

  it("says the column too", () => {
    expect(refusalOf('root ::= "a" |\n  other')).toMatchObject({ line: 2, column: 3 });
  });

  it("lets no matching text run into a dead end", () => {
    const grammar = parseGrammar('root ::= "a" endless | "ab"\nendless ::= "b" endless');
    expect(completionOf(grammar, "a")).toBe("b");
    expect(completionOf(grammar, "abb")).toBeNull();
  });

  it("adds up nested repetitions instead of multiplying them", () => {
    const { elements } = parseGrammar('root ::= (("a" | "bc"){0,1000}"-"){0,1000}');
    expect(elements.length).toBeLessThan(50_000);
  });

  it("lays out rules as the matcher reads them", () => {
    const { elements } = parseGrammar('root ::= [^a-bc] x "d"\nx ::= "e" | .\nunused ::= "f"');
    const [rules, root, first, second] = elements;
    expect([rules, root]).toEqual([2, 0]);
    expect([...elements.subarray(first, second)]).toEqual([4, 97, 5, 98, 6, 99, RULE_REF, 1, 3, 100, END, 0]);
    expect([...elements.subarray(second)]).toEqual([3, 101, 1, 0, 7, 0, END, 0]);
  });

  it.each<[string, string]>([
    ["groups without end", `root ::= ${"(".repeat(1_000_000)}`],
    ["repetitions of repetitions", `root ::= "a"${"*".repeat(1_000_000)}`],
    ["nested counts", `root ::= ${"(".repeat(100)}"a"${"{30000})".repeat(100)}`],
    ["many counts", `root ::= ${Array.from({ length: 30 }, (_, index) => `"${index}"{0,30000}`).join(" ")}`],
    ["optional things without end", `root ::= ${'"a"? '.repeat(50_000)}`],
    [
      "a chain of rules to nothing",
      Array.from({ length: 50_000 }, (_, index) => `r${index} ::= r${index + 1}`).join("\n"),
    ],
    ["a long text", `root ::= "${"a".repeat(5_000_000)}"`],
    ["a long text that is repeated once", `root ::= "${"a".repeat(200_000)}"{1}`],
    ["NUL bytes", "\0".repeat(1_000_000)],
    ["space", `root ::= ${" ".repeat(1_000_000)}(`],
    ["comments", `${"#\n".repeat(1_000_000)}root`],
  ])("is soon done with %s", (_what, source) => {
    expect(refusalOf(source).message.length).toBeLessThan(400);
  });

  it("takes a deep chain of rules", () => {
    const rules = Array.from({ length: 20_000 }, (_, index) => `r${index} ::= "a" r${index + 1} | "b"`);
    const grammar = parseGrammar(["root ::= r0", ...rules, 'r20000 ::= "c"'].join("\n"));
    expect(grammar.elements.length).toBeLessThan(maxGrammarElements);
    expect(completionOf(grammar, "a".repeat(20_000))).toBe("c");
  });

  it("gives the same grammar for the same source", () => {
    expect(parseGrammar('root ::= "same"')).toBe(parseGrammar('root ::= "same"'));
  });

  it("takes its own random sentences", () => {
    const source = 'root ::= item ("," item)*\nitem ::= [a-z]{1,3} | "[" (item ("," item)*)? "]" | "\\"" [^"]* "\\""';
    const grammar = parseGrammar(source);
    const random = seededRandom(3);
    for (let round = 0; round < 200; round += 1) {
      const sentence = randomSentence(grammar, random, 60);
      expect(completionOf(grammar, sentence)).toBe("");
      const beginning = sentence.slice(0, Math.floor(random() * sentence.length));
      const completion = completionOf(grammar, beginning);
      expect(completion).not.toBeNull();
      expect((completion ?? "").length).toBeLessThanOrEqual(sentence.length - beginning.length);
      expect(completionOf(grammar, beginning + (completion ?? ""))).toBe("");
    }
  });
});
