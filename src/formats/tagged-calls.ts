// Calls whose arguments stand in tags of their own: text as it is, anything else as JSON. May import call-syntax.ts,
// flat-parameters.ts, scanner.ts and engine/ (types).
import type { ToolCall, ToolDefinition } from "../engine/engine.ts";
import {
  alternatives,
  argumentsSchema,
  type CallGrammar,
  type CallReader,
  type CallSyntax,
  longestName,
} from "./call-syntax.ts";
import { escaped, kindOf, type Parameter, parametersOf, type Schema } from "./flat-parameters.ts";
import { Markers, type Reading, type Scanner } from "./scanner.ts";

export interface TaggedCallForm {
  readonly open: string;
  /** Around the name. `nameEnd` "": the name ends where white space or a tag begins. */
  readonly nameStart: string;
  readonly nameEnd: string;
  /** Around an argument's name. */
  readonly keyStart: string;
  readonly keyEnd: string;
  /** Around its value. */
  readonly valueStart: string;
  readonly valueEnd: string;
  /** Tags stand on lines of their own. */
  readonly isOnLines: boolean;
  /** Values do, too. */
  readonly padsValues: boolean;
  readonly bodyEnd: string;
  readonly close: string;
  readonly preservedTokens: readonly string[];
}

export function taggedCalls(form: TaggedCallForm): CallSyntax {
  return {
    markers: [form.open],
    startsWithBrace: false,
    allowsSeveral: true,
    preservedTokens: form.preservedTokens,
    grammar: (grammar) => grammarOf(form, grammar),
    read: (scanner, calls) => read(form, scanner, calls),
    write: (calls) => calls.map((call) => write(form, call)).join("\n"),
  };
}

function grammarOf(form: TaggedCallForm, grammar: CallGrammar): string {
  const { builder, tools, parallel } = grammar;
  const line = form.isOnLines ? "\n" : "";
  const newline = form.padsValues ? "\n" : "";
  const text = (literal: string) => (literal === "" ? "" : builder.literal(literal));
  const value = (tool: ToolDefinition, { name, schema }: Parameter): string => {
    const kind = kindOf(schema, form.valueEnd);
    if (kind.kind === "text") return builder.textWithout([form.valueEnd]);
    if (kind.kind === "choice") return `(${kind.values.map((option) => builder.literal(option)).join(" | ")})`;
    return grammar.schema(tool, schema, `.properties.${name}`);
  };
  const argument = (tool: ToolDefinition, parameter: Parameter): string =>
    [
      text(
        form.keyStart + parameter.name + form.keyEnd + (form.valueStart === "" ? "" : line) + form.valueStart + newline,
      ),
      value(tool, parameter),
      text(newline + form.valueEnd + line),
    ].join(" ");
  const ofTools = tools.map((tool) => {
    const parameters = parametersOf(tool);
    const body =
      parameters === null
        ? [grammar.schema(tool, argumentsSchema(tool), ""), text(line)]
        : parameters.map((parameter) => {
            const rule = builder.rule(argument(tool, parameter), "argument");
            return parameter.isRequired ? rule : `${rule}?`;
          });
    return builder.rule(
      [
        text(head(form, tool.name)),
        ...body,
        text(form.bodyEnd === "" ? form.close : form.bodyEnd + line + form.close),
      ].join(" "),
      "call",
    );
  });
  const call = builder.rule(alternatives(ofTools), "calls");
  return parallel ? `${call} ("\\n"? ${call})*` : call;
}

function* read(form: TaggedCallForm, scanner: Scanner, calls: CallReader): Reading<void> {
  do {
    if (!(yield* readCall(form, scanner, calls))) return;
    yield* scanner.space();
  } while ((yield* scanner.peek()) !== "");
}

const maxKeyLength = 256;

function* readCall(form: TaggedCallForm, scanner: Scanner, calls: CallReader): Reading<boolean> {
  if (!(yield* scanner.literal(form.open))) return false;
  yield* scanner.space();
  if (!(yield* scanner.literal(form.nameStart))) return false;
  const name = yield* scanner.wordBefore(
    form.nameEnd === "" ? ["\n", "<", " "] : [form.nameEnd],
    longestName(calls.tools),
  );
  const tool = name === null ? undefined : calls.tools.get(name);
  if (tool === undefined) return false;
  yield* scanner.literal(form.nameEnd);
  yield* scanner.space();
  const body = yield* scanner.peek();
  if (body !== "<" && body !== "{") return false;
  calls.begin(tool.name, null);
  scanner.settle();
  if (body === "{") {
    if (!(yield* scanner.jsonValue((text) => calls.pass(text)))) return false;
  } else if (!(yield* readArguments(form, scanner, calls, tool))) return false;
  yield* scanner.space();
  if (form.bodyEnd !== "" && (yield* scanner.closing(form.bodyEnd))) {
    scanner.settle();
    yield* scanner.space();
  }
  if (!(yield* scanner.closing(form.close))) return false;
  scanner.settle();
  return true;
}

function* readArguments(
  form: TaggedCallForm,
  scanner: Scanner,
  calls: CallReader,
  tool: ToolDefinition,
): Reading<boolean> {
  const parameters = new Map(parametersOf(tool)?.map((parameter) => [parameter.name, parameter.schema]));
  const ends = new Markers([`\n${form.valueEnd}`, form.valueEnd]);
  let separator = "{";
  while (yield* scanner.literal(form.keyStart)) {
    const key = yield* scanner.wordBefore([form.keyEnd], maxKeyLength);
    if (key === null) break;
    yield* scanner.literal(form.keyEnd);
    if (form.valueStart !== "") {
      yield* scanner.space();
      if (!(yield* scanner.literal(form.valueStart))) break;
    }
    if (form.padsValues) yield* scanner.literal("\n");
    scanner.settle();
    calls.pass(`${separator}${JSON.stringify(key)}: `);
    separator = ", ";
    if (!(yield* readValue(kindOf(parameters.get(key), form.valueEnd).kind !== "json", scanner, calls, ends)))
      return false;
    yield* scanner.literal("\n");
    yield* scanner.literal(form.valueEnd);
    scanner.settle();
    yield* scanner.space();
  }
  calls.pass(separator === "{" ? "{}" : "}");
  return true;
}

// Up to the end of the value, which it leaves. False: the text ended before it.
function* readValue(isText: boolean, scanner: Scanner, calls: CallReader, ends: Markers): Reading<boolean> {
  if (isText) {
    calls.pass('"');
    const hasEnd = (yield* scanner.until(ends, (text) => calls.pass(escaped(text)))) !== null;
    if (hasEnd) calls.pass('"');
    return hasEnd;
  }
  const first = yield* scanner.peek();
  if (first === "{" || first === "[") {
    if (!(yield* scanner.jsonValue((text) => calls.pass(text)))) return false;
    return (yield* scanner.until(ends, () => undefined)) !== null;
  }
  // A number, a word or a string: what is none of them is taken for a string that was written as it is.
  const pieces: string[] = [];
  const hasEnd = (yield* scanner.until(ends, (text) => pieces.push(text))) !== null;
  const written = pieces.join("");
  calls.pass(isJson(written) ? written : `"${escaped(written)}${hasEnd ? '"' : ""}`);
  return hasEnd;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function write(form: TaggedCallForm, { name, arguments: json }: ToolCall): string {
  const values = Object.entries(JSON.parse(json) as Schema);
  const line = form.isOnLines ? "\n" : "";
  const newline = form.padsValues ? "\n" : "";
  const written = values.map(([key, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${form.keyStart}${key}${form.keyEnd}${form.valueStart === "" ? "" : line}${form.valueStart}${newline}${text}${newline}${form.valueEnd}${line}`;
  });
  return head(form, name) + written.join("") + (form.bodyEnd === "" ? "" : form.bodyEnd + line) + form.close;
}

function head(form: TaggedCallForm, name: string): string {
  const line = form.isOnLines ? "\n" : "";
  return form.open + (form.nameStart === "" ? "" : line) + form.nameStart + name + form.nameEnd + line;
}
