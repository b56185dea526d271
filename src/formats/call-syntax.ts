// How a family writes its calls, as grammar, reader and writer of one form: what the forms share. May import engine/ and
// grammar/ (types) and scanner.ts.
import type { ToolCall, ToolDefinition } from "../engine/engine.ts";
import type { GrammarBuilder } from "../grammar/grammar-builder.ts";
import type { Reading, Scanner } from "./scanner.ts";

export interface CallSyntax {
  /** What calls begin with; free text in front of them holds none of these. None begins with another. */
  readonly markers: readonly string[];
  /** Calls may also begin without a marker, with the `{` that is the answer's first character. */
  readonly startsWithBrace: boolean;
  /** False: an answer holds one call at most, whatever is asked for. */
  readonly allowsSeveral: boolean;
  /** Special tokens of the vocabularies of such models. */
  readonly preservedTokens: readonly string[];
  /** GBNF of one call or several, from the marker to the end of the last. */
  grammar(grammar: CallGrammar): string;
  /**
   * Reads calls from their marker on, as many as follow one another. What is left unsettled in the scanner is no call; the
   * answer's reader makes text of it.
   */
  read(scanner: Scanner, calls: CallReader): Reading<void>;
  /** Calls of earlier turns, for templates that have no form for them. */
  write(calls: readonly ToolCall[]): string;
}

export interface CallGrammar {
  readonly builder: GrammarBuilder;
  readonly tools: readonly ToolDefinition[];
  readonly parallel: boolean;
  /** The rule of a schema that belongs to a tool; `path`: where it stands in the tool's parameters, for errors. */
  readonly schema: (tool: ToolDefinition, schema: unknown, path: string) => string;
  /** White space between parts: none, a space, or a line break and indentation. */
  readonly space: string;
}

/** Where calls go that are read. */
export interface CallReader {
  readonly tools: ReadonlyMap<string, ToolDefinition>;
  /** A call's name is certain; what was read so far is settled. Null: the text gives no id. */
  begin(name: string, id: string | null): void;
  /** A piece of its arguments' JSON text. */
  pass(text: string): void;
}

/** A model that must write one of several calls. */
export function alternatives(bodies: readonly string[]): string {
  return bodies.length === 1 ? (bodies[0] ?? "") : `(${bodies.join(" | ")})`;
}

export function argumentsSchema(tool: ToolDefinition): Readonly<Record<string, unknown>> {
  const { parameters } = tool;
  const saysWhat = ["type", "$ref", "anyOf", "oneOf", "allOf"].some((keyword) => keyword in parameters);
  return saysWhat ? parameters : { type: "object", ...parameters };
}

export function longestName(tools: ReadonlyMap<string, unknown>): number {
  let length = 0;
  for (const name of tools.keys()) length = Math.max(length, name.length);
  return length;
}
