// The keywords of JSON Schema (2020-12): which hold here, what their values must be, which are refused. Imports core/ and grammar/ only.
import { clip } from "../core/errors.ts";
import { SchemaError } from "./errors.ts";

export type JsonType = "null" | "boolean" | "integer" | "number" | "string" | "array" | "object";

export const jsonTypes: readonly JsonType[] = ["object", "array", "string", "number", "integer", "boolean", "null"];

export type SchemaObject = Readonly<Record<string, unknown>>;

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface ValueForm {
  readonly allowed: string;
  fits(value: unknown): boolean;
}

const isSchema = (value: unknown): boolean => typeof value === "boolean" || isSchemaObject(value);
const isText = (value: unknown): value is string => typeof value === "string";
const schemaForm: ValueForm = { allowed: "a schema (an object, true or false)", fits: isSchema };
const schemasForm: ValueForm = {
  allowed: "a list of at least one schema",
  fits: (value) => Array.isArray(value) && value.length > 0 && value.every(isSchema),
};
const schemaMapForm: ValueForm = {
  allowed: "an object of schemas",
  fits: (value) => isSchemaObject(value) && Object.values(value).every(isSchema),
};
const countForm: ValueForm = {
  allowed: "an integer from 0",
  fits: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
};
const numberForm: ValueForm = { allowed: "a number", fits: (value) => Number.isFinite(value) };
const textForm: ValueForm = { allowed: "a string", fits: isText };
const isTypeName = (value: unknown): boolean => isText(value) && (jsonTypes as readonly string[]).includes(value);

const forms: Readonly<Record<string, ValueForm>> = {
  type: {
    allowed: `one of ${jsonTypes.join(", ")}, or a list of them`,
    fits: (value) => isTypeName(value) || (Array.isArray(value) && value.length > 0 && value.every(isTypeName)),
  },
  enum: { allowed: "a list of at least one value", fits: (value) => Array.isArray(value) && value.length > 0 },
  const: { allowed: "any value", fits: () => true },
  properties: schemaMapForm,
  required: { allowed: "a list of strings", fits: (value) => Array.isArray(value) && value.every(isText) },
  additionalProperties: schemaForm,
  minProperties: countForm,
  maxProperties: countForm,
  items: schemaForm,
  prefixItems: schemasForm,
  minItems: countForm,
  maxItems: countForm,
  minLength: countForm,
  maxLength: countForm,
  pattern: textForm,
  format: textForm,
  minimum: numberForm,
  maximum: numberForm,
  exclusiveMinimum: numberForm,
  exclusiveMaximum: numberForm,
  multipleOf: {
    allowed: "a number above 0",
    fits: (value) => typeof value === "number" && Number.isFinite(value) && value > 0,
  },
  anyOf: schemasForm,
  oneOf: schemasForm,
  allOf: schemasForm,
  $ref: textForm,
  $defs: schemaMapForm,
  definitions: schemaMapForm,
  nullable: { allowed: "true or false", fits: (value) => typeof value === "boolean" },
};

/** They describe, and restrict nothing. */
const annotations = new Set([
  "title",
  "description",
  "default",
  "examples",
  "example",
  "$schema",
  "$comment",
  "$anchor",
  "deprecated",
  "readOnly",
  "writeOnly",
  "contentEncoding",
  "contentMediaType",
  "contentSchema",
  "discriminator",
  "externalDocs",
  "propertyOrdering",
]);

/** What a keyword must be where it is allowed because then it changes nothing. */
const harmless: Readonly<Record<string, (value: unknown) => boolean>> = {
  uniqueItems: (value) => value === false,
  patternProperties: (value) => isSchemaObject(value) && Object.keys(value).length === 0,
  dependentRequired: (value) => isSchemaObject(value) && Object.keys(value).length === 0,
  unevaluatedProperties: (value) => value === true,
  unevaluatedItems: (value) => value === true,
};

export const keywordsOfType: Readonly<Record<"object" | "array" | "string" | "number", readonly string[]>> = {
  object: ["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
  string: ["minLength", "maxLength", "pattern", "format"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
};

/** Throws SchemaError where a keyword is not supported or its value is not what it must be. */
export function checkKeywords(schema: SchemaObject, path: string): void {
  for (const [keyword, value] of Object.entries(schema)) {
    if (annotations.has(keyword) || keyword.startsWith("x-")) continue;
    if (keyword === "$id" && path === "") continue;
    const form = Object.hasOwn(forms, keyword) ? forms[keyword] : undefined;
    if (form === undefined) {
      if (Object.hasOwn(harmless, keyword) && harmless[keyword]?.(value) === true) continue;
      throw new SchemaError(
        path,
        clip(keyword),
        `this keyword is not supported; these are: ${Object.keys(forms).join(", ")}.`,
      );
    }
    if (!form.fits(value)) {
      throw new SchemaError(path, keyword, `must be ${form.allowed}; ${clip(JSON.stringify(value) ?? "")} arrived.`);
    }
  }
}
