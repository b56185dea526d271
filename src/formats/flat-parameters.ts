// A tool's arguments one by one, for forms that write them so. May import engine/ (types) and call-syntax.ts.
import type { ToolDefinition } from "../engine/engine.ts";
import { argumentsSchema } from "./call-syntax.ts";

export type Schema = Readonly<Record<string, unknown>>;

export interface Parameter {
  readonly name: string;
  readonly schema: unknown;
  readonly isRequired: boolean;
}

const flatKeywords: ReadonlySet<string> = new Set([
  "type",
  "properties",
  "required",
  "additionalProperties",
  "$defs",
  "definitions",
  "title",
  "description",
  "$schema",
  "$id",
  "strict",
  "default",
  "examples",
  "$comment",
]);

/** Null: the schema says more than which arguments there are. */
export function parametersOf(tool: ToolDefinition): readonly Parameter[] | null {
  const schema = argumentsSchema(tool);
  if (Object.keys(schema).some((keyword) => !flatKeywords.has(keyword)) || schema["type"] !== "object") return null;
  const { properties = {}, required = [] } = schema;
  if (!isSchema(properties) || !Array.isArray(required)) return null;
  const names = new Set<unknown>(required);
  if ([...names].some((name) => typeof name !== "string" || !Object.hasOwn(properties, name))) return null;
  const definitions = { ...pick(schema, "$defs"), ...pick(schema, "definitions") };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    schema: isSchema(property) ? { ...property, ...definitions } : property,
    isRequired: names.has(name),
  }));
}

export function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pick(schema: Schema, keyword: string): Schema {
  return keyword in schema ? { [keyword]: schema[keyword] } : {};
}

const annotations: ReadonlySet<string> = new Set([
  "type",
  "title",
  "description",
  "default",
  "examples",
  "$comment",
  "$defs",
  "definitions",
]);

/** `text`: any string. `choice`: one of these strings. `json`: anything else. */
export type ValueKind =
  { readonly kind: "text" | "json" } | { readonly kind: "choice"; readonly values: readonly string[] };

/** What a value is that is written without quotes of JSON and ends before `end`. */
export function kindOf(schema: unknown, end: string): ValueKind {
  if (!isSchema(schema)) return { kind: "json" };
  const { type, enum: options } = schema;
  const says = Object.keys(schema).filter((keyword) => !annotations.has(keyword));
  if (type === "string" && says.length === 0) return { kind: "text" };
  if (type !== undefined && type !== "string") return { kind: "json" };
  if (says.length !== 1 || !Array.isArray(options) || options.length === 0) return { kind: "json" };
  const isPlain = (value: unknown): value is string =>
    typeof value === "string" && !value.includes(end) && value.trim() === value;
  return options.every(isPlain) ? { kind: "choice", values: options } : { kind: "json" };
}

/** Text inside a JSON string: as JSON.stringify does, except that halves of a surrogate pair stay as they are. */
export function escaped(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/["\\\u0000-\u001f]/gu, (character) => JSON.stringify(character).slice(1, -1));
}
