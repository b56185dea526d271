// JSON as people type it: comments, a byte order mark, and slips that get their line and column.
import { describe, expect, it } from "vitest";
import { parseJsonText } from "../../src/config/json-text.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("accepted", () => {
  it.each([
    ["comments", '// one\n{"a": /* two */ 1} // three', { a: 1 }],
    ["trailing commas", '{"a": [1, 2,],}', { a: [1, 2] }],
    ["a byte order mark", '\uFEFF{"a": 1}', { a: 1 }],
    ["Windows line ends", '{\r\n"a": 1\r\n}\r\n', { a: 1 }],
  ])("%s", (_, text, value) => {
    expect(parseJsonText(bytes(text))).toEqual({ value });
  });

  it("a large file", () => {
    const text = JSON.stringify({ list: Array.from({ length: 200_000 }, (_, index) => index) });
    expect(parseJsonText(bytes(text))).toHaveProperty("value.list.length", 200_000);
  });
});

describe("refused", () => {
  it.each([
    ["an empty file", "", "is empty — allowed: a JSON object with the key experts"],
    ["comments alone", "// nothing\n", "is empty — allowed: a JSON object with the key experts"],
    ["prose", "hello world", "line 1, column 1: hello is no JSON value (texts need double quotes)"],
    ["a missing comma", '{\n  "a": 1\n  "b": 2\n}', 'line 3, column 3: "b" stands where a comma should'],
    ["a missing brace", '{\r\n"a": 1\r\n', "line 3, column 1: the end of the file stands where a closing } should"],
    ["a brace too many", '{"a":1}}', "line 1, column 8: } comes after the end of the JSON value"],
    ["single quotes", "{'a': 1}", "line 1, column 2: 'a' is no JSON value (texts need double quotes)"],
    ["no quotes", "{a: 1}", "line 1, column 2: a is no JSON value (texts need double quotes)"],
    ["a text that does not end", '{"a": "b\n}', 'line 1, column 7: "b opens a text that does not end on its line'],
    ["two commas", '{"a":1,,"b":2}', "line 1, column 8: , stands where a key in double quotes should"],
    ["a bad escape", String.raw`{"a": "C:\models"}`, String.raw`line 1, column 7: "C:\models" has an unknown \ escape`],
    ["a comment that does not end", '{"a": 1} /* x', "line 1, column 10: /* x opens a comment that never ends"],
    ["NaN", '{"a": NaN}', "line 1, column 7: NaN is no JSON value (texts need double quotes)"],
    ["nesting without end", "[".repeat(500_000), "its lists and objects are nested too deeply"],
  ])("%s", (_, text, problem) => {
    expect(parseJsonText(bytes(text))).toEqual({ problem });
  });

  it("binary files, UTF-16 and Latin-1", () => {
    expect(parseJsonText(bytes("GGUF\u0003\0\0\0"))).toEqual({
      problem: "is a binary file or UTF-16 text — allowed: JSON in UTF-8",
    });
    expect(parseJsonText(Buffer.from("\uFEFF{}", "utf16le"))).toHaveProperty(
      "problem",
      "is a binary file or UTF-16 text — allowed: JSON in UTF-8",
    );
    expect(parseJsonText(Buffer.from('{"a": "ñ"}', "latin1"))).toEqual({
      problem: "is not UTF-8 text — allowed: JSON in UTF-8",
    });
  });
});
