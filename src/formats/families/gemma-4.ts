// Gemma 4: a name and arguments in a notation of its own, with tokens in place of quotes. Gemma 2 and 3 know no tools.
import type { ToolCall } from "../../engine/engine.ts";
import {
  alternatives,
  argumentsSchema,
  type CallGrammar,
  type CallReader,
  type CallSyntax,
  longestName,
} from "../call-syntax.ts";
import type { Family } from "../family.ts";
import { escaped, isSchema, kindOf, parametersOf } from "../flat-parameters.ts";
import { Markers, type Reading, type Scanner } from "../scanner.ts";

const open = "<|tool_call>";
const close = "<tool_call|>";
const quote = '<|"|>';

const calls: CallSyntax = {
  markers: [open],
  startsWithBrace: false,
  allowsSeveral: true,
  preservedTokens: [open, close, quote],
  grammar: grammarOf,
  read,
  write: (written) => written.map(write).join(""),
};

export const gemma4: Family = {
  name: "gemma-4",
  matches: (source) => source.includes("'<|tool_call>call:'"),
  calls: () => calls,
  preservedTokens: ["<|channel>", "<channel|>"],
};

function grammarOf({ builder, tools, parallel, schema }: CallGrammar): string {
  const ofTools = tools.map((tool) => {
    const parameters = parametersOf(tool);
    const fields =
      parameters === null
        ? schema(tool, argumentsSchema(tool), "")
        : `"{" ${fieldsFrom(
            parameters.map(({ name, schema: value, isRequired }) => ({
              body: `${builder.literal(`${name}:`)} ${valueRule(value, `.properties.${name}`)}`,
              isRequired,
            })),
          )} "}"`;
    return builder.rule(`${builder.literal(`${open}call:${tool.name}`)} ${fields} ${builder.literal(close)}`, "call");

    function valueRule(value: unknown, path: string): string {
      const kind = kindOf(value, quote);
      if (kind.kind === "text")
        return `${builder.literal(quote)} ${builder.textWithout([quote])} ${builder.literal(quote)}`;
      if (kind.kind === "choice") {
        return alternatives(kind.values.map((option) => builder.literal(quote + option + quote)));
      }
      // Lists of plain values in the notation itself; what is more particular, in JSON, which the reader takes too.
      if (isSchema(value) && value["type"] === "array" && isSchema(value["items"]) && isBareList(value)) {
        const item = builder.rule(valueRule(value["items"], `${path}.items`), "item");
        return `"[" (${item} ("," ${item})*)? "]"`;
      }
      return schema(tool, value, path);
    }
  });
  const call = builder.rule(alternatives(ofTools), "calls");
  return parallel ? `${call}+` : call;

  // Fields in their order, with commas between those that are there.
  function fieldsFrom(fields: readonly { readonly body: string; readonly isRequired: boolean }[]): string {
    let [first, later] = ["", ""];
    for (const { body, isRequired } of fields.toReversed()) {
      const next = later === "" ? "" : builder.rule(later, "fields");
      const skipped = first === "" ? '""' : builder.rule(first, "fields");
      const skippedLater = next === "" ? '""' : next;
      const field = builder.rule(body, "field");
      first = isRequired ? `${field} ${next}` : `(${field} ${next} | ${skipped})`;
      later = isRequired ? `"," ${field} ${next}` : `("," ${field} ${next} | ${skippedLater})`;
    }
    return first;
  }
}

function isBareList(schema: Readonly<Record<string, unknown>>): boolean {
  const known = ["type", "items", "title", "description", "$defs", "definitions"];
  return (
    Object.keys(schema).every((keyword) => known.includes(keyword)) && kindOf(schema["items"], quote).kind !== "json"
  );
}

function* read(scanner: Scanner, reader: CallReader): Reading<void> {
  while (yield* scanner.literal(`${open}call:`)) {
    const name = yield* scanner.wordBefore(["{"], longestName(reader.tools));
    if (name === null || !reader.tools.has(name)) return;
    reader.begin(name, null);
    scanner.settle();
    if (!(yield* readValue(scanner, reader, 0))) return;
    yield* scanner.space();
    if (!(yield* scanner.closing(close))) return;
    scanner.settle();
    yield* scanner.space();
  }
}

const maxDepth = 64;
const maxWordLength = 256;
const quotes = new Markers([quote]);

// Hands a value on as JSON. False: it is none, or the text ended.
function* readValue(scanner: Scanner, reader: CallReader, depth: number): Reading<boolean> {
  if (yield* scanner.literal(quote)) return yield* readText(scanner, reader);
  const first = yield* scanner.peek();
  if (first === '"') return yield* scanner.jsonValue((text) => reader.pass(text));
  if (first === "{" || first === "[") return yield* readMembers(scanner, reader, first, depth);
  const word = yield* scanner.wordBefore([",", "}", "]"], maxWordLength);
  if (word === null) return false;
  const written = word.trim();
  scanner.settle();
  reader.pass(
    /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)$/u.test(written)
      ? written
      : `"${escaped(written)}"`,
  );
  return true;
}

function* readText(scanner: Scanner, reader: CallReader): Reading<boolean> {
  scanner.settle();
  reader.pass('"');
  if ((yield* scanner.until(quotes, (text) => reader.pass(escaped(text)))) === null) return false;
  reader.pass('"');
  yield* scanner.literal(quote);
  scanner.settle();
  return true;
}

function* readMembers(scanner: Scanner, reader: CallReader, bracket: "{" | "[", depth: number): Reading<boolean> {
  const end = bracket === "{" ? "}" : "]";
  if (depth === maxDepth) return false;
  yield* scanner.literal(bracket);
  scanner.settle();
  reader.pass(bracket);
  yield* scanner.space();
  if (!(yield* scanner.literal(end))) {
    let separator = "";
    do {
      yield* scanner.space();
      if (bracket === "{") {
        const key = yield* readKey(scanner);
        if (key === null) return false;
        reader.pass(`${separator}${JSON.stringify(key)}: `);
        yield* scanner.space();
      } else if (separator !== "") reader.pass(separator);
      scanner.settle();
      separator = ", ";
      if (!(yield* readValue(scanner, reader, depth + 1))) return false;
      yield* scanner.space();
    } while (yield* scanner.literal(","));
    if (!(yield* scanner.literal(end))) return false;
  }
  scanner.settle();
  reader.pass(end);
  return true;
}

function* readKey(scanner: Scanner): Reading<string | null> {
  let key: string | null;
  if (yield* scanner.literal(quote)) {
    key = yield* scanner.wordBefore([quote], maxWordLength);
    yield* scanner.literal(quote);
  } else if ((yield* scanner.peek()) === '"') {
    key = yield* scanner.jsonString(maxWordLength);
  } else {
    key = yield* scanner.wordBefore([":"], maxWordLength);
  }
  if (key === null) return null;
  yield* scanner.space();
  return (yield* scanner.literal(":")) ? key.trim() : null;
}

function write({ name, arguments: json }: ToolCall): string {
  const fields = Object.entries(JSON.parse(json) as Readonly<Record<string, unknown>>);
  return `${open}call:${name}{${fields.map(([key, value]) => `${key}:${notation(value)}`).join(",")}}${close}`;
}

function notation(value: unknown): string {
  if (typeof value === "string") return quote + value + quote;
  if (Array.isArray(value)) return `[${value.map(notation).join(",")}]`;
  if (!isSchema(value)) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${key}:${notation(member)}`)
    .join(",")}}`;
}
