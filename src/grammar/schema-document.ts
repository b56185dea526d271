// A JSON Schema as a set of alternatives without references: what $ref, allOf, anyOf and oneOf come to. Imports core/ and grammar/ only.
import { clip } from "../core/errors.ts";
import { accepts, type Automaton, type WorkBudget } from "./automaton.ts";
import { SchemaError } from "./errors.ts";
import { patternAutomaton, PatternError } from "./pattern.ts";
import { checkKeywords, isSchemaObject, type JsonType, keywordsOfType, type SchemaObject } from "./schema-keywords.ts";
import { formatPattern, formatRange, supportedFormats } from "./string-formats.ts";

/** A schema and where it stands. */
export interface Located {
  readonly schema: unknown;
  readonly path: string;
}

/** A schema of which only the keywords of its own count: references and choices are resolved beside it. */
export interface Part extends Located {
  readonly schema: SchemaObject;
}

/** All parts hold together. */
export type Alternative = readonly Part[];

export const maxAlternatives = 512;
const maxProofDepth = 4;
/** Looks at a name or a branch that cost as much as one at a schema. */
const cheapLooks = 16;
const maxReferenceChain = 100;

export function pathTo(path: string, ...parts: (string | number)[]): string {
  return [path, ...parts.map((part) => clip(String(part)))].filter((part) => part !== "").join(".");
}

export class SchemaDocument {
  readonly #root: unknown;
  readonly #checked = new WeakSet<SchemaObject>();
  readonly #patterns = new Map<string, Automaton>();
  readonly #enumSets = new WeakMap<SchemaObject, ReadonlySet<string>>();
  #budget = 200_000;
  /** For the automata of all patterns, formats and lengths: seconds. */
  readonly automatonBudget: WorkBudget = { left: 6_000_000 };

  constructor(root: unknown) {
    this.#root = root;
  }

  /** What `located` allows, all of it together, as alternatives; none where nothing is allowed. Throws SchemaError. */
  alternativesOf(located: readonly Located[], trail: readonly SchemaObject[] = []): Alternative[] {
    let product: Alternative[] = [[]];
    for (const one of located) product = this.#both(product, this.#expand(one, trail), one.path, "allOf");
    return product;
  }

  #expand({ schema, path }: Located, trail: readonly SchemaObject[]): Alternative[] {
    this.#spend(path);
    if (schema === true) return [[]];
    if (schema === false) return [];
    if (!isSchemaObject(schema)) {
      throw new SchemaError(
        path,
        "",
        `a schema must be an object, true or false; ${clip(JSON.stringify(schema) ?? "")} arrived.`,
      );
    }
    this.check({ schema, path });
    if (trail.includes(schema) || trail.length > maxReferenceChain) {
      throw new SchemaError(
        path,
        "$ref" in schema ? "$ref" : "",
        "the schema leads back to itself without a value in between.",
      );
    }
    const inner = [...trail, schema];
    let alternatives: Alternative[] = [[{ schema, path }]];
    const allOf: Located[] = [];
    if (typeof schema["$ref"] === "string") allOf.push(this.resolve(schema["$ref"], path));
    allOf.push(...listed(schema, "allOf", path));
    for (const one of allOf) alternatives = this.#both(alternatives, this.#expand(one, inner), path, "allOf");
    const anyOf = listed(schema, "anyOf", path);
    if (anyOf.length > 0) {
      const choices = anyOf.flatMap((one) => this.#expand(one, inner));
      alternatives = this.#both(alternatives, choices, path, "anyOf");
    }
    const oneOf = listed(schema, "oneOf", path);
    if (oneOf.length > 0) {
      const branches = oneOf.map((one) => this.#both(alternatives, this.#expand(one, inner), path, "oneOf"));
      this.#requireDisjoint(branches, path);
      alternatives = branches.flat();
    }
    return alternatives;
  }

  #both(a: readonly Alternative[], b: readonly Alternative[], path: string, keyword: string): Alternative[] {
    if (a.length * b.length > maxAlternatives) {
      throw new SchemaError(
        path,
        keyword,
        `gives more than ${maxAlternatives} combinations; up to that many are allowed.`,
      );
    }
    return a.flatMap((left) =>
      b.map((right) => {
        this.#spend(path, left.length + right.length);
        return [...left, ...right.filter((part) => !left.some(({ schema }) => schema === part.schema))];
      }),
    );
  }

  #spend(path: string, work = 1): void {
    this.#budget -= work;
    if (this.#budget < 0)
      throw new SchemaError(path, "", "the schema is too large: its combinations take too much work.");
  }

  check(part: Part): void {
    if (this.#checked.has(part.schema)) return;
    checkKeywords(part.schema, part.path);
    this.#checked.add(part.schema);
  }

  /** Throws SchemaError where it leads out of the schema or to nothing. */
  resolve(reference: string, path: string): Located {
    const allowed = 'only references into the schema itself are allowed, as "#/$defs/name"';
    const fail = (reason: string): SchemaError =>
      new SchemaError(path, "$ref", `${JSON.stringify(clip(reference))} ${reason}; ${allowed}.`);
    if (reference !== "#" && !reference.startsWith("#/")) throw fail("is not supported");
    let schema = this.#root;
    const steps = reference === "#" ? [] : reference.slice(2).split("/");
    const names = steps.map((step) => {
      try {
        return decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
      } catch {
        throw fail("is no JSON pointer");
      }
    });
    for (const name of names) {
      const isOwn = typeof schema === "object" && schema !== null && Object.hasOwn(schema, name);
      if (!isOwn) throw fail("leads to nothing");
      schema = (schema as Record<string, unknown>)[name];
    }
    return { schema, path: pathTo("", ...names) };
  }

  /** The types that values of the alternative may have here: those that it names, else those that its keywords speak of. */
  typesOf(alternative: Alternative): JsonType[] {
    let types: JsonType[] | null = null;
    for (const { schema } of alternative) {
      const own = ownTypes(schema);
      if (own === null) continue;
      types = types === null ? own : commonTypes(types, own);
    }
    if (types !== null) return types;
    const implied = (["object", "array", "string", "number"] as const).filter((type) =>
      keywordsOfType[type].some((keyword) => alternative.some(({ schema }) => Object.hasOwn(schema, keyword))),
    );
    return implied.length > 0 ? implied : ["object", "array", "string", "number", "boolean", "null"];
  }

  /** The values that are listed, those of them that are valid; null where none are listed. */
  valuesOf(alternative: Alternative): unknown[] | null {
    for (const { schema } of alternative) {
      const list = Object.hasOwn(schema, "const") ? [schema["const"]] : (schema["enum"] as unknown[] | undefined);
      if (list === undefined) continue;
      const unique = new Map(list.map((value) => [JSON.stringify(value), value]));
      return [...unique.values()].filter((value) => alternative.every((part) => this.isValid(value, part)));
    }
    return null;
  }

  isValid(value: unknown, { schema, path }: Located, depth = 0): boolean {
    this.#spend(path);
    if (typeof schema === "boolean") return schema;
    if (depth > maxReferenceChain) throw new SchemaError(path, "$ref", "leads through too many schemas.");
    if (!isSchemaObject(schema)) throw new SchemaError(path, "", "a schema must be an object, true or false.");
    this.check({ schema, path });
    const valid = (inner: Located): boolean => this.isValid(value, inner, depth + 1);
    const types = ownTypes(schema);
    if (types !== null && !types.some((type) => hasType(value, type))) return false;
    if (Object.hasOwn(schema, "const") && canonical(schema["const"]) !== canonical(value)) return false;
    if (Array.isArray(schema["enum"]) && !this.#enumSet(schema).has(canonical(value))) return false;
    if (typeof schema["$ref"] === "string" && !valid(this.resolve(schema["$ref"], path))) return false;
    if (!listed(schema, "allOf", path).every(valid)) return false;
    const anyOf = listed(schema, "anyOf", path);
    if (anyOf.length > 0 && !anyOf.some(valid)) return false;
    const oneOf = listed(schema, "oneOf", path);
    this.#spend(path, (anyOf.length + oneOf.length) / cheapLooks);
    if (oneOf.length > 0 && oneOf.filter(valid).length !== 1) return false;
    if (typeof value === "number") return this.#isValidNumber(value, schema, path);
    if (typeof value === "string") return this.#isValidString(value, { schema, path });
    if (Array.isArray(value)) return this.#isValidArray(value, { schema, path }, depth);
    return isSchemaObject(value) ? this.#isValidObject(value, { schema, path }, depth) : true;
  }

  #enumSet(schema: SchemaObject): ReadonlySet<string> {
    let values = this.#enumSets.get(schema);
    if (values === undefined) {
      values = new Set((schema["enum"] as readonly unknown[]).map(canonical));
      this.#enumSets.set(schema, values);
    }
    return values;
  }

  #isValidNumber(value: number, schema: SchemaObject, path: string): boolean {
    const limit = (keyword: string): number | undefined => schema[keyword] as number | undefined;
    const divisor = limit("multipleOf") ?? null;
    if (divisor !== null && !Number.isInteger(value / divisor)) return false;
    const format = typeof schema["format"] === "string" ? formatRange(schema["format"]) : null;
    if (format !== null && (!Number.isInteger(value) || value < format.minimum || value > format.maximum)) return false;
    this.#spend(path);
    return (
      value >= (limit("minimum") ?? -Infinity) &&
      value <= (limit("maximum") ?? Infinity) &&
      value > (limit("exclusiveMinimum") ?? -Infinity) &&
      value < (limit("exclusiveMaximum") ?? Infinity)
    );
  }

  #isValidString(value: string, part: Part): boolean {
    const { schema } = part;
    const length = Array.from(value).length;
    if (length < ((schema["minLength"] as number | undefined) ?? 0)) return false;
    if (length > ((schema["maxLength"] as number | undefined) ?? Infinity)) return false;
    return this.textAutomata(part).every((automaton) => accepts(automaton, value));
  }

  #isValidArray(value: readonly unknown[], { schema, path }: Part, depth: number): boolean {
    if (value.length < ((schema["minItems"] as number | undefined) ?? 0)) return false;
    if (value.length > ((schema["maxItems"] as number | undefined) ?? Infinity)) return false;
    const prefix = listed(schema, "prefixItems", path);
    const rest: Located = { schema: schema["items"] ?? true, path: pathTo(path, "items") };
    return value.every((item, index) => this.isValid(item, prefix[index] ?? rest, depth + 1));
  }

  #isValidObject(value: SchemaObject, { schema, path }: Part, depth: number): boolean {
    const names = Object.keys(value);
    if (names.length < ((schema["minProperties"] as number | undefined) ?? 0)) return false;
    if (names.length > ((schema["maxProperties"] as number | undefined) ?? Infinity)) return false;
    const required = (schema["required"] as readonly string[] | undefined) ?? [];
    if (!required.every((name) => Object.hasOwn(value, name))) return false;
    return names.every((name) => this.isValid(value[name], propertySchema({ schema, path }, name), depth + 1));
  }

  /** What `pattern` and `format` allow. Throws SchemaError. */
  textAutomata({ schema, path }: Part): Automaton[] {
    const automata: Automaton[] = [];
    if (typeof schema["pattern"] === "string") automata.push(this.#patternAutomaton(schema["pattern"], path));
    if (typeof schema["format"] === "string") {
      const pattern = formatPattern(schema["format"]);
      if (pattern === undefined) {
        throw new SchemaError(
          path,
          "format",
          `${JSON.stringify(clip(schema["format"]))} is not supported; these are: ${supportedFormats.join(", ")}.`,
        );
      }
      if (pattern !== null) automata.push(this.#patternAutomaton(pattern, path));
    }
    return automata;
  }

  #patternAutomaton(pattern: string, path: string): Automaton {
    let automaton = this.#patterns.get(pattern);
    if (automaton !== undefined) return automaton;
    try {
      automaton = patternAutomaton(pattern, this.automatonBudget);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      throw new SchemaError(path, "pattern", `${JSON.stringify(clip(pattern))} ${error.message}.`);
    }
    this.#patterns.set(pattern, automaton);
    return automaton;
  }

  #requireDisjoint(branches: readonly (readonly Alternative[])[], path: string): void {
    branches.forEach((branch, index) => {
      branches.forEach((other, otherIndex) => {
        if (index === otherIndex) return;
        for (const mine of branch) {
          for (const theirs of other) {
            if (this.#isNeverValid(mine, theirs, 0)) continue;
            throw new SchemaError(
              path,
              "oneOf",
              `branches ${Math.min(index, otherIndex)} and ${Math.max(index, otherIndex)} may both hold for one value; ` +
                "tell them apart by type, by a required property with a const or enum of its own, or use anyOf.",
            );
          }
        }
      });
    });
  }

  /** No value that is written for `mine` is valid for `theirs`. What is not declared in an object is not written. */
  #isNeverValid(mine: Alternative, theirs: Alternative, depth: number): boolean {
    this.#spend(mine[0]?.path ?? "", mine.length + theirs.length);
    const values = this.valuesOf(mine);
    if (values !== null) return !values.some((value) => theirs.every((part) => this.isValid(value, part)));
    const theirValues = this.valuesOf(theirs);
    if (theirValues !== null && !theirValues.some((value) => mine.every((part) => this.isValid(value, part))))
      return true;
    const theirTypes = explicitTypes(theirs);
    const common = theirTypes === null ? this.typesOf(mine) : commonTypes(this.typesOf(mine), theirTypes);
    if (common.length === 0) return true;
    if (common.some((type) => type !== "object") || depth >= maxProofDepth) return false;
    const declared = declaredNames(mine);
    const required = requiredNames(mine);
    this.#spend(mine[0]?.path ?? "", declared.size / cheapLooks);
    if (requiredNames(theirs).some((name) => !declared.has(name)) && !hasFreeNames(mine)) return true;
    const closes = ({ schema }: Part): boolean => schema["additionalProperties"] === false;
    const closed = theirs.filter(closes);
    return required.some((name) => {
      if (closed.some(({ schema }) => !Object.hasOwn(schema["properties"] ?? {}, name))) return true;
      const ours = this.alternativesOf(mine.map((part) => propertySchema(part, name)));
      const others = this.alternativesOf(theirs.map((part) => propertySchema(part, name)));
      if (ours.length * others.length > 64) return false;
      return ours.every((one) => others.every((other) => this.#isNeverValid(one, other, depth + 1)));
    });
  }
}

/** The schemas in a list under a keyword. */
export function listed(schema: SchemaObject, keyword: string, path: string): Located[] {
  const list = Object.hasOwn(schema, keyword) ? schema[keyword] : undefined;
  if (!Array.isArray(list)) return [];
  return list.map((one: unknown, index) => ({ schema: one, path: pathTo(path, keyword, index) }));
}

/** What a part says of a property: its schema, else that of those that are not declared. */
export function propertySchema({ schema, path }: Part, name: string): Located {
  const properties = schema["properties"];
  if (isSchemaObject(properties) && Object.hasOwn(properties, name)) {
    return { schema: properties[name], path: pathTo(path, "properties", name) };
  }
  return { schema: schema["additionalProperties"] ?? true, path: pathTo(path, "additionalProperties") };
}

export function declaredNames(alternative: Alternative): Set<string> {
  const names = new Set<string>();
  for (const { schema } of alternative) {
    for (const name of Object.keys(schema["properties"] ?? {})) names.add(name);
  }
  for (const name of requiredNames(alternative)) names.add(name);
  return names;
}

export function requiredNames(alternative: Alternative): string[] {
  return [...new Set(alternative.flatMap(({ schema }) => (schema["required"] as readonly string[] | undefined) ?? []))];
}

/** Properties that are not declared are written: where the schema says so, or declares none. */
export function hasFreeNames(alternative: Alternative): boolean {
  if (alternative.some(({ schema }) => schema["additionalProperties"] === false)) return false;
  const isSaid = alternative.some(({ schema }) => schema["additionalProperties"] !== undefined);
  const isSilent = !alternative.some(
    ({ schema }) => Object.hasOwn(schema, "properties") || Object.hasOwn(schema, "required"),
  );
  return isSaid || isSilent;
}

function ownTypes(schema: SchemaObject): JsonType[] | null {
  const type = schema["type"] as JsonType | readonly JsonType[] | undefined;
  if (type === undefined) return null;
  const types = new Set(typeof type === "string" ? [type] : type);
  if (types.has("number")) types.delete("integer");
  if (schema["nullable"] === true) types.add("null");
  return [...types];
}

function explicitTypes(alternative: Alternative): JsonType[] | null {
  return alternative.reduce<JsonType[] | null>((types, { schema }) => {
    const own = ownTypes(schema);
    return types === null ? own : own === null ? types : commonTypes(types, own);
  }, null);
}

function commonTypes(a: readonly JsonType[], b: readonly JsonType[]): JsonType[] {
  return a.flatMap((type) => {
    if (b.includes(type)) return [type];
    if (type === "integer" && b.includes("number")) return ["integer" as const];
    return type === "number" && b.includes("integer") ? ["integer" as const] : [];
  });
}

function hasType(value: unknown, type: JsonType): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return isSchemaObject(value);
    case "integer":
      return Number.isInteger(value);
    case "number":
    case "string":
    case "boolean":
      return typeof value === type;
  }
}

/** The same text for values that are equal. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isSchemaObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([x], [y]) => (x < y ? -1 : 1))) : inner,
  );
}
