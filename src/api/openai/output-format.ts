// What the visible answer must be: `response_format`, and the names that llama-server and vLLM have for the same.
// May import zod, core/ and the chat contract's types.
import { z } from "zod";
import { invalidRequest } from "../../core/errors.ts";
import type { OutputFormat } from "../../formats/answer-format.ts";
import { at, checked, describe, isJsonObject, refuseHugeJson, type Refusal } from "../common/validation.ts";

const maxGrammarLength = 262_144;
const maxAlternatives = 1000;
const schemaAllowed = "a JSON Schema (an object)";
const schemaTextAllowed = "a JSON Schema (an object, or its JSON as a string)";
const grammarAllowed = `a GBNF grammar of at most ${maxGrammarLength} characters`;
const alternativesAllowed = `an array of 1 to ${maxAlternatives} non-empty strings`;
const formatAllowed = 'an object such as {"type": "json_schema", "json_schema": {"name": "…", "schema": {…}}}';
const formatTypes = '"text", "json_object" or "json_schema"';

const anySchema = z.record(z.string(), z.unknown());
const grammar = checked(z.string().max(maxGrammarLength), (value) =>
  typeof value === "string" && value.length <= maxGrammarLength
    ? null
    : { path: [], code: typeof value === "string" ? "invalid_value" : "invalid_type", allowed: grammarAllowed },
).nullish();
const schemaOrText = checked(z.union([anySchema, z.string()]), (value) =>
  typeof value === "string" ? null : refuseSchema(value, schemaTextAllowed),
).nullish();
const alternatives = checked(z.array(z.string().min(1)).min(1).max(maxAlternatives), refuseAlternatives).nullish();

interface ResponseFormat {
  readonly type: string;
  readonly schema?: unknown;
  readonly json_schema?: { readonly schema?: unknown } | null;
}

const responseFormatDocumentation = z.union([
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object"), schema: anySchema.optional() }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({
      name: z.string().nullish(),
      description: z.string().nullish(),
      schema: anySchema,
      strict: z.boolean().nullish(),
    }),
  }),
]);

export const outputParameters = {
  response_format: checked(responseFormatDocumentation as z.ZodType<ResponseFormat>, refuseResponseFormat)
    .nullish()
    .describe("The answer is JSON, or JSON of this schema; it is always whole and always matches, `strict` or not."),
  grammar: grammar.describe("The answer matches this GBNF grammar, as in llama-server; empty is none."),
  json_schema: schemaOrText.describe("As in llama-server: the same as `response_format` with this schema."),
  guided_json: schemaOrText.describe("vLLM's name of `json_schema`."),
  guided_grammar: grammar.describe("vLLM's name of `grammar`; GBNF."),
  guided_choice: alternatives.describe("As in vLLM: the answer is one of these texts."),
  structured_outputs: z
    .object({ json: schemaOrText, grammar, choice: alternatives, regex: z.unknown(), structural_tag: z.unknown() })
    .partial()
    .nullish()
    .describe("vLLM's newer form of the three above. `regex` and `structural_tag` are not supported."),
} as const;

export type OutputParameters = z.output<z.ZodObject<typeof outputParameters>>;

/** Throws a PublicError (400) where a schema is no JSON, and where more than one format is asked for. */
export function toOutputFormat(body: OutputParameters): OutputFormat | null {
  const structured = body.structured_outputs;
  for (const name of ["regex", "structural_tag"] as const) {
    if (structured?.[name] === undefined || structured[name] === null) continue;
    const field = `structured_outputs.${name}`;
    throw invalidRequest(`${field} is not supported by this server.`, field, "unsupported_parameter");
  }
  const asked = [
    fromResponseFormat(body.response_format),
    fromSchema(body.json_schema, "json_schema"),
    fromSchema(body.guided_json, "guided_json"),
    fromSchema(structured?.json, "structured_outputs.json"),
    fromGrammar(body.grammar, "grammar"),
    fromGrammar(body.guided_grammar, "guided_grammar"),
    fromGrammar(structured?.grammar, "structured_outputs.grammar"),
    fromAlternatives(body.guided_choice, "guided_choice"),
    fromAlternatives(structured?.choice, "structured_outputs.choice"),
  ].filter((format) => format !== null);
  const [format = null, second] = asked;
  if (format !== null && second !== undefined) {
    const [first, other] = [fieldOf(format), fieldOf(second)];
    throw invalidRequest(`${other} cannot be given together with ${first}: the answer has one format.`, other);
  }
  return format;
}

function fieldOf(format: OutputFormat): string {
  return format.type === "json_object" ? "response_format" : format.field;
}

function fromResponseFormat(format: ResponseFormat | null | undefined): OutputFormat | null {
  if (format === null || format === undefined || format.type === "text") return null;
  if (format.type === "json_schema") {
    return { type: "json_schema", schema: format.json_schema?.schema, field: "response_format.json_schema.schema" };
  }
  return format.schema === undefined || format.schema === null
    ? { type: "json_object" }
    : { type: "json_schema", schema: format.schema, field: "response_format.schema" };
}

function fromSchema(given: object | string | null | undefined, field: string): OutputFormat | null {
  if (given === null || given === undefined || given === "") return null;
  if (typeof given !== "string") return { type: "json_schema", schema: given, field };
  const schema = parseJson(given);
  const refusal = refuseSchema(schema, schemaTextAllowed);
  if (refusal === null) return { type: "json_schema", schema, field };
  throw invalidRequest(`${field} must be ${refusal.allowed}; received ${describe(given)}.`, field);
}

function fromGrammar(source: string | null | undefined, field: string): OutputFormat | null {
  return source === null || source === undefined || source === "" ? null : { type: "grammar", source, field };
}

function fromAlternatives(texts: readonly string[] | null | undefined, field: string): OutputFormat | null {
  if (texts === null || texts === undefined) return null;
  return { type: "grammar", source: `root ::= ${texts.map(grammarLiteral).join(" | ")}`, field };
}

/** A text as a GBNF literal. */
function grammarLiteral(text: string): string {
  const escaped = text.replaceAll(/["\\\p{Cc}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x80 && character !== '"' && character !== "\\"
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : code < 0x80
        ? `\\${character}`
        : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}

function refuseResponseFormat(format: unknown): Refusal | null {
  if (!isJsonObject(format)) return { path: [], code: "invalid_type", allowed: formatAllowed };
  switch (format["type"]) {
    case "text":
      return null;
    case "json_object": {
      const { schema } = format;
      return schema === undefined || schema === null ? null : at("schema", refuseSchema(schema, schemaAllowed));
    }
    case "json_schema": {
      const inner = format["json_schema"];
      if (!isJsonObject(inner))
        return { path: ["json_schema"], code: "invalid_type", allowed: 'an object {"name", "schema"}' };
      return at("json_schema", at("schema", refuseSchema(inner["schema"], schemaAllowed)));
    }
    default:
      return { path: ["type"], code: "invalid_value", allowed: formatTypes };
  }
}

function refuseSchema(schema: unknown, allowed: string): Refusal | null {
  return isJsonObject(schema) ? refuseHugeJson(schema) : { path: [], code: "invalid_type", allowed };
}

function refuseAlternatives(texts: unknown): Refusal | null {
  const allowed = alternativesAllowed;
  if (!Array.isArray(texts)) return { path: [], code: "invalid_type", allowed };
  if (texts.length === 0 || texts.length > maxAlternatives) return { path: [], code: "invalid_value", allowed };
  let length = 0;
  for (const [index, text] of texts.entries()) {
    if (typeof text !== "string" || text === "" || /\p{Surrogate}/u.test(text)) {
      return { path: [index], code: "invalid_value", allowed: "a non-empty string of whole characters" };
    }
    length += text.length;
    if (length > maxGrammarLength) {
      return { path: [], code: "invalid_value", allowed: `texts of at most ${maxGrammarLength} characters together` };
    }
  }
  return null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
