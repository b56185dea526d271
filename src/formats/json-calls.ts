// Calls that are JSON objects which hold the name: alone in their envelopes, or in a list in one. May import call-syntax.ts,
// scanner.ts and engine/ (types).
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

export interface JsonCallForm {
  /** In front of a call, or of the list. Without one, calls begin with the answer's first character. */
  readonly open: string | null;
  /** May stand in place of `open`, or in front of the first call where there is none. */
  readonly otherOpen?: string;
  readonly close: string;
  readonly isList: boolean;
  /** White space after `open` and before `close`, as the model was trained: none, or a line break. */
  readonly padding: "" | "\n";
  readonly nameKey: string;
  readonly argumentsKey: string;
  /** `first`: calls are numbered from "0" by this key in front of the name. `last`: the key may follow the arguments. */
  readonly id?: { readonly key: string; readonly place: "first" | "last" };
  readonly allowsSeveral?: boolean;
  readonly preservedTokens: readonly string[];
}

export function jsonCalls(form: JsonCallForm): CallSyntax {
  const { open, otherOpen, isList } = form;
  return {
    markers: [open, otherOpen ?? null].filter((marker) => marker !== null),
    startsWithBrace: open === null,
    allowsSeveral: form.allowsSeveral ?? true,
    preservedTokens: form.preservedTokens,
    grammar: (grammar) => grammarOf(form, grammar),
    read: (scanner, calls) => (isList ? readList(form, scanner, calls) : readSingles(form, scanner, calls)),
    write: (calls) => write(form, calls),
  };
}

function grammarOf(form: JsonCallForm, grammar: CallGrammar): string {
  const { builder, tools, parallel, space } = grammar;
  const text = (literal: string) => builder.literal(literal);
  const ofTools = tools.map((tool) => {
    const parameters = grammar.schema(tool, argumentsSchema(tool), "");
    const { id } = form;
    return builder.rule(
      [
        text("{"),
        space,
        ...(id?.place === "first" ? [text(`"${id.key}":`), space, '"\\"" [0-9]{1,3} "\\"," ', space] : []),
        text(`"${form.nameKey}":`),
        space,
        text(`${JSON.stringify(tool.name)},`),
        space,
        text(`"${form.argumentsKey}":`),
        space,
        parameters,
        ...(id?.place === "last"
          ? [`("," ${space} ${text(`"${id.key}":`)} ${space} "\\"" [a-zA-Z0-9]{9} "\\"")?`]
          : []),
        space,
        text("}"),
      ].join(" "),
      "call",
    );
  });
  const call = builder.rule(alternatives(ofTools), "calls");
  const opening =
    form.open === null ? (form.otherOpen === undefined ? "" : `${text(form.otherOpen)}?`) : text(form.open);
  const closing = form.close === "" ? "" : text(form.close);
  if (form.isList) {
    const more = parallel ? `(${space} "," ${space} ${call})*` : "";
    return [opening, space, text("["), space, call, more, space, text("]"), space, closing].join(" ");
  }
  const one = builder.rule([opening, space, call, closing === "" ? "" : space, closing].join(" "), "enclosed-call");
  return parallel ? `${one} (${space} ${one})*` : one;
}

function* readSingles(form: JsonCallForm, scanner: Scanner, calls: CallReader): Reading<void> {
  const openers = [form.open, form.otherOpen ?? null].filter((text) => text !== null);
  while (true) {
    const opened = yield* scanner.oneOf(openers);
    if (opened === "" && form.open !== null) return;
    yield* scanner.space();
    if (!(yield* readCall(form, scanner, calls))) return;
    if (form.close !== "") {
      yield* scanner.space();
      if (!(yield* scanner.closing(form.close))) return;
      scanner.settle();
    }
    if (form.open === null) return;
    yield* scanner.space();
  }
}

function* readList(form: JsonCallForm, scanner: Scanner, calls: CallReader): Reading<void> {
  const openers = [form.open, form.otherOpen ?? null].filter((text) => text !== null);
  if ((yield* scanner.oneOf(openers)) === "") return;
  yield* scanner.space();
  if (!(yield* scanner.literal("["))) return;
  do {
    yield* scanner.space();
    if (!(yield* readCall(form, scanner, calls))) return;
    yield* scanner.space();
  } while (yield* scanner.literal(","));
  if (!(yield* scanner.literal("]"))) return;
  scanner.settle();
  if (form.close === "") return;
  yield* scanner.space();
  if (yield* scanner.closing(form.close)) scanner.settle();
}

const maxKeyLength = 64;
const maxIdLength = 256;

// One object. True: it was a call, to its closing brace. The keys may come in any order; arguments in front of the name
// wait for it.
function* readCall(form: JsonCallForm, scanner: Scanner, calls: CallReader): Reading<boolean> {
  if (!(yield* scanner.literal("{"))) return false;
  let name: string | null = null;
  let id: string | null = null;
  let hasBegun = false;
  let early: string[] | null = null;
  const begin = (called: string) => {
    hasBegun = true;
    calls.begin(called, id);
    scanner.settle();
  };
  while (true) {
    yield* scanner.space();
    const key = yield* scanner.jsonString(maxKeyLength);
    if (key === null) return false;
    yield* scanner.space();
    if (!(yield* scanner.literal(":"))) return false;
    yield* scanner.space();
    if (key === form.nameKey && name === null) {
      name = yield* scanner.jsonString(6 * longestName(calls.tools));
      if (name === null || !calls.tools.has(name)) return false;
      if (early !== null) {
        begin(name);
        for (const piece of early) calls.pass(piece);
      }
    } else if (key === form.argumentsKey && early === null && !hasBegun) {
      if ((yield* scanner.peek()) !== "{") return false;
      if (name === null) {
        const held: string[] = [];
        early = held;
        yield* scanner.jsonValue((text) => {
          held.push(text);
          scanner.keep(text);
        });
      } else {
        begin(name);
        if (!(yield* scanner.jsonValue((text) => calls.pass(text)))) return true;
      }
    } else {
      const value = yield* scalar(scanner);
      if (value === null) return false;
      if (key === form.id?.key || key === "id") id = value;
    }
    yield* scanner.space();
    if (yield* scanner.literal(",")) continue;
    if (!(yield* scanner.literal("}"))) return hasBegun;
    if (name === null) return false;
    if (!hasBegun) {
      begin(name);
      calls.pass("{}");
    }
    scanner.settle();
    return true;
  }
}

// A short string, number or word.
function* scalar(scanner: Scanner): Reading<string | null> {
  if ((yield* scanner.peek()) === '"') return yield* scanner.jsonString(maxIdLength);
  return yield* scanner.wordBefore([",", "}", " ", "\n"], maxIdLength);
}

function write(form: JsonCallForm, calls: readonly ToolCall[]): string {
  const objects = calls.map(({ name, arguments: written, id }, index) => {
    const first = form.id?.place === "first" ? `"${form.id.key}": "${index}", ` : "";
    const last = form.id?.place === "last" ? `, "${form.id.key}": ${JSON.stringify(id)}` : "";
    return `{${first}"${form.nameKey}": ${JSON.stringify(name)}, "${form.argumentsKey}": ${written}${last}}`;
  });
  const { open, padding, close } = form;
  const enclosed = (text: string) => `${open ?? ""}${padding}${text}${padding}${close}`;
  return form.isList ? enclosed(`[${objects.join(", ")}]`) : objects.map(enclosed).join("\n");
}
