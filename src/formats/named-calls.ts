// Calls whose name stands in front of a JSON object of arguments, between markers. May import call-syntax.ts, scanner.ts and
// engine/ (types).
import type { ToolCall } from "../engine/engine.ts";
import {
  alternatives,
  argumentsSchema,
  type CallGrammar,
  type CallReader,
  type CallSyntax,
  longestName,
} from "./call-syntax.ts";
import type { Reading, Scanner } from "./scanner.ts";

export interface NamedCallForm {
  /** Around all calls of an answer. */
  readonly section?: { readonly open: string; readonly close: string };
  readonly open: string;
  /** Between `open` and the name, and counted as a part of the call's id: `functions.`. */
  readonly prefix?: string;
  /** The name is followed by a colon and the call's number; all of it is the call's id. */
  readonly isNumbered?: boolean;
  /** Between the name and an id, where one may stand there. */
  readonly idMark?: string;
  /** Between the name, or the id, and the arguments. */
  readonly argumentsMark: string;
  readonly close: string;
  readonly separator: "" | "\n";
  readonly preservedTokens: readonly string[];
}

export function namedCalls(form: NamedCallForm): CallSyntax {
  return {
    markers: [form.section?.open ?? form.open],
    startsWithBrace: false,
    allowsSeveral: true,
    preservedTokens: form.preservedTokens,
    grammar: (grammar) => grammarOf(form, grammar),
    read: (scanner, calls) => read(form, scanner, calls),
    write: (calls) => write(form, calls),
  };
}

function grammarOf(form: NamedCallForm, grammar: CallGrammar): string {
  const { builder, tools, parallel } = grammar;
  const text = (literal: string) => (literal === "" ? "" : builder.literal(literal));
  const ofTools = tools.map((tool) =>
    builder.rule(
      [
        text(form.open + (form.prefix ?? "") + tool.name),
        form.isNumbered === true ? '":" [0-9]{1,3}' : "",
        form.idMark === undefined ? "" : `(${text(form.idMark)} [a-zA-Z0-9]{9})?`,
        text(form.argumentsMark),
        grammar.schema(tool, argumentsSchema(tool), ""),
        text(form.close),
      ].join(" "),
      "call",
    ),
  );
  const call = builder.rule(alternatives(ofTools), "calls");
  const several = parallel ? `${call} (${text(form.separator)} ${call})*` : call;
  return form.section === undefined ? several : `${text(form.section.open)} ${several} ${text(form.section.close)}`;
}

function* read(form: NamedCallForm, scanner: Scanner, calls: CallReader): Reading<void> {
  if (form.section !== undefined) {
    if (!(yield* scanner.literal(form.section.open))) return;
    yield* scanner.space();
  }
  while (yield* readCall(form, scanner, calls)) {
    yield* scanner.space();
    if (form.section !== undefined && (yield* scanner.closing(form.section.close))) {
      scanner.settle();
      return;
    }
  }
}

const maxIdLength = 256;

function* readCall(form: NamedCallForm, scanner: Scanner, calls: CallReader): Reading<boolean> {
  if (!(yield* scanner.literal(form.open))) return false;
  if (form.prefix !== undefined && !(yield* scanner.literal(form.prefix))) return false;
  const marks = form.idMark === undefined ? [form.argumentsMark] : [form.idMark, form.argumentsMark];
  const word = yield* scanner.wordBefore(marks, longestName(calls.tools) + (form.isNumbered === true ? 8 : 0));
  if (word === null) return false;
  const name = form.isNumbered === true ? word.replace(/:\d+$/u, "") : word;
  if (!calls.tools.has(name)) return false;
  let id = form.isNumbered === true ? (form.prefix ?? "") + word : null;
  if ((yield* scanner.oneOf(marks)) === form.idMark) {
    id = yield* scanner.wordBefore([form.argumentsMark], maxIdLength);
    if (id === null) return false;
    yield* scanner.literal(form.argumentsMark);
  }
  yield* scanner.space();
  if ((yield* scanner.peek()) !== "{") return false;
  calls.begin(name, id);
  scanner.settle();
  if (!(yield* scanner.jsonValue((text) => calls.pass(text)))) return false;
  if (form.close === "") return true;
  // Some models leave the line break out, some add one.
  yield* scanner.space();
  if (!(yield* scanner.closing(form.close.trimStart()))) return false;
  scanner.settle();
  return true;
}

function write(form: NamedCallForm, calls: readonly ToolCall[]): string {
  const written = calls.map(({ name, arguments: json, id }, index) => {
    const number = form.isNumbered === true ? `:${index}` : "";
    const mark = form.idMark === undefined ? "" : form.idMark + id;
    return `${form.open}${form.prefix ?? ""}${name}${number}${mark}${form.argumentsMark}${json}${form.close}`;
  });
  return `${form.section?.open ?? ""}${written.join(form.separator)}${form.section?.close ?? ""}`;
}
