// The bytes of a configuration file as a JSON value, or the one line that says why they are none. Pure; imports
// jsonc-parser only.
import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";

export type JsonText = { readonly value: unknown } | { readonly problem: string };

const meanings: Readonly<Record<string, string>> = {
  InvalidSymbol: "is no JSON value (texts need double quotes)",
  InvalidNumberFormat: "is no number",
  PropertyNameExpected: "stands where a key in double quotes should",
  ValueExpected: "stands where a value should",
  ColonExpected: "stands where a colon should",
  CommaExpected: "stands where a comma should",
  CloseBraceExpected: "stands where a closing } should",
  CloseBracketExpected: "stands where a closing ] should",
  EndOfFileExpected: "comes after the end of the JSON value",
  InvalidCommentToken: "is no comment",
  UnexpectedEndOfComment: "opens a comment that never ends",
  UnexpectedEndOfString: "opens a text that does not end on its line",
  UnexpectedEndOfNumber: "is a number that breaks off",
  InvalidUnicode: "has a \\u escape that is not four hexadecimal digits",
  InvalidEscapeCharacter: "has an unknown \\ escape",
  InvalidCharacter: "has a control character in a text (write it as an escape)",
};

/** Reads JSON with comments and trailing commas; a byte order mark is skipped. The first syntax error is reported. */
export function parseJsonText(bytes: Uint8Array): JsonText {
  if (bytes.includes(0)) return { problem: "is a binary file or UTF-16 text — allowed: JSON in UTF-8" };
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { problem: "is not UTF-8 text — allowed: JSON in UTF-8" };
  }
  const errors: ParseError[] = [];
  let value: unknown;
  try {
    value = parse(text, errors, { allowTrailingComma: true });
  } catch (error) {
    if (error instanceof RangeError) return { problem: "its lists and objects are nested too deeply" };
    throw error;
  }
  const first = errors[0];
  if (first === undefined) return { value };
  const nothing = value === undefined && printParseErrorCode(first.error) === "ValueExpected";
  return { problem: nothing ? "is empty — allowed: a JSON object with the key experts" : describe(text, first) };
}

function describe(text: string, { error, offset, length }: ParseError): string {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/);
  const place = `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
  const found = text.slice(offset, offset + Math.min(length, 40)).split(/[\r\n]/)[0] ?? "";
  const what = offset >= text.length ? "the end of the file" : found === "" ? "this" : found;
  return `${place}: ${what} ${meanings[printParseErrorCode(error)] ?? "is no JSON"}`;
}
