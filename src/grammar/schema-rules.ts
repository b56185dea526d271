// JSON Schema to rules: every text that they allow parses, and is valid. Imports grammar/ only.
//
// Properties come in the order of the schema; what is not declared is written only where `additionalProperties` says so. Where
// a bound lies beyond what anybody writes, the rules stop earlier (`longestText`, `longestList`): less than the schema allows
// is still valid.
import { LRUCache } from "lru-cache";
import {
  acceptsNothing,
  type Automaton,
  automatonRules,
  AutomatonTooLargeError,
  intersect,
  lengthsOf,
  noneOf,
  ofLength,
} from "./automaton.ts";
import { GrammarError, SchemaError } from "./errors.ts";
import { parseGrammar } from "./gbnf.ts";
import { gbnfLiteral } from "./gbnf-text.ts";
import { jsonRules } from "./json-rules.ts";
import { maxMultipleOf, numberAutomaton, type NumberRange } from "./number-range.ts";
import { type RuleSet, rulePrefix } from "./rule-set.ts";
import {
  type Alternative,
  declaredNames,
  hasFreeNames,
  listed,
  type Located,
  pathTo,
  propertySchema,
  requiredNames,
  SchemaDocument,
} from "./schema-document.ts";
import { isSchemaObject } from "./schema-keywords.ts";
import { formatRange } from "./string-formats.ts";

/** Bounds of a schema; what goes beyond is refused. */
export const maxSchemaDepth = 64;
export const maxSchemaValues = 50_000;
export const maxSchemaCharacters = 1_000_000;
const maxReferenceDepth = 500;
const maxRules = 20_000;
const maxRuleCharacters = 3_000_000;

/** Characters of a string, and items of a list, at which the rules stop where the schema would allow more. */
export const longestText = 16_384;
export const longestList = 8_192;

const ruleSets = new LRUCache<string, RuleSet>({
  maxSize: 4_000_000,
  sizeCalculation: ({ rules }, key) =>
    [...rules].reduce((size, [name, body]) => size + name.length + body.length, key.length),
});

/** Throws SchemaError. Repeated schemas cost a look-up. */
export function schemaRules(schema: unknown): RuleSet {
  checkSize(schema);
  const key = JSON.stringify(schema) ?? "";
  const cached = ruleSets.get(key);
  if (cached !== undefined) return cached;
  // What a JSON text means, whatever object stood for it.
  const plain: unknown = key === "" ? schema : JSON.parse(key);
  const ruleSet = new SchemaWriter(plain, rulePrefix("s", key)).write();
  checkRules(ruleSet);
  ruleSets.set(key, ruleSet);
  return ruleSet;
}

/** Without recursion, and done as soon as a bound is passed: what comes here may be hostile. */
function checkSize(schema: unknown): void {
  const open = [{ value: schema, depth: 0 }];
  let values = 0;
  let characters = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next;
    values += 1;
    if (typeof value === "string") characters += value.length;
    if (depth > maxSchemaDepth) {
      throw new SchemaError(
        "",
        "",
        `the schema is nested more than ${maxSchemaDepth} deep; up to that depth is allowed.`,
      );
    }
    if (typeof value === "object" && value !== null) {
      if (Array.isArray(value) && value.length > maxSchemaValues) values += value.length;
      else {
        for (const [name, inner] of Object.entries(value as Record<string, unknown>)) {
          if (!Array.isArray(value)) characters += name.length;
          open.push({ value: inner, depth: depth + 1 });
        }
      }
    }
    if (values + open.length > maxSchemaValues || characters > maxSchemaCharacters) {
      throw new SchemaError(
        "",
        "",
        `the schema is too large; up to ${maxSchemaValues} values and ${maxSchemaCharacters} characters are allowed.`,
      );
    }
  }
}

function checkRules({ root, rules }: RuleSet): void {
  try {
    const lines = [...rules].map(([name, body]) => `${name} ::= ${body}`);
    parseGrammar([`root ::= ${root}`, ...lines].join("\n"));
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    const isEndless = error.message.includes("no finite text");
    throw new SchemaError(
      "",
      isEndless ? "$ref" : "",
      isEndless
        ? "no finite value is valid: a required part of the schema leads back to the schema itself; make one of them optional or nullable."
        : `the schema is too large for a grammar (${error.message})`,
    );
  }
}

/** A rule's name or a literal: what can stand alone in a rule's body. Null: no value is valid. */
type Expression = string | null;

interface Node {
  readonly name: string;
  expression: Expression;
  isDone: boolean;
  /** Something refers to it by its name. */
  isNamed: boolean;
}

class SchemaWriter {
  readonly #document: SchemaDocument;
  readonly #root: unknown;
  readonly #prefix: string;
  readonly #rules = new Map(jsonRules);
  readonly #namesByBody = new Map<string, string>();
  readonly #nodes = new Map<string, Node>();
  readonly #ids = new WeakMap<object, number>();
  readonly #texts = new Map<string, Expression>();
  #depth = 0;
  #lastId = 0;
  #ruleCount = 0;
  #ruleCharacters = 0;

  constructor(root: unknown, prefix: string) {
    this.#document = new SchemaDocument(root);
    this.#root = root;
    this.#prefix = prefix;
  }

  write(): RuleSet {
    const expression = this.#value([{ schema: this.#root, path: "" }]);
    if (expression === null) throw new SchemaError("", "", "no value is valid for the schema.");
    return { root: this.#rule(expression), rules: this.#rules };
  }

  /** One value for which all of the schemas hold. */
  #value(located: readonly Located[]): Expression {
    if (located.some(({ schema }) => schema === false)) return null;
    const parts = located.filter(({ schema }) => schema !== true);
    const key = parts.map(({ schema }) => this.#idOf(schema)).join();
    const known = this.#nodes.get(key);
    if (known !== undefined) {
      if (known.isDone) return known.expression;
      known.isNamed = true;
      return known.name;
    }
    const node: Node = { name: this.#newName(), expression: null, isDone: false, isNamed: false };
    this.#nodes.set(key, node);
    this.#depth += 1;
    if (this.#depth > maxReferenceDepth) {
      throw new SchemaError(
        parts[0]?.path ?? "",
        "$ref",
        `leads to a value nested more than ${maxReferenceDepth} deep; up to that depth is allowed.`,
      );
    }
    const bodies = this.#document.alternativesOf(parts).flatMap((alternative) => this.#alternative(alternative));
    this.#depth -= 1;
    const expression = this.#either([...new Set(bodies)]);
    // What was written meanwhile may refer to it; a rule that is only itself has no text.
    if (node.isNamed) this.#setRule(node.name, expression ?? node.name, parts[0]?.path ?? "");
    node.expression = expression === null ? null : node.isNamed ? node.name : expression;
    node.isDone = true;
    return node.expression;
  }

  /** The bodies of the alternatives of types and values. */
  #alternative(alternative: Alternative): string[] {
    if (alternative.length === 0) return ["json-value"];
    const values = this.#document.valuesOf(alternative);
    if (values !== null) {
      const literals = this.#literals(values.map((value) => JSON.stringify(value)));
      return literals === null ? [] : [literals];
    }
    const types = this.#document.typesOf(alternative);
    const isFree = types.length === 6 && alternative.every(({ schema }) => !Object.hasOwn(schema, "type"));
    if (isFree) return ["json-value"];
    return types.flatMap((type) => {
      const body = this.#typed(type, alternative);
      return body === null ? [] : [body];
    });
  }

  #typed(type: ReturnType<SchemaDocument["typesOf"]>[number], alternative: Alternative): Expression {
    switch (type) {
      case "null":
        return "json-null";
      case "boolean":
        return "json-boolean";
      case "integer":
      case "number":
        return this.#number(alternative, type === "integer");
      case "string":
        return this.#string(alternative);
      case "array":
        return this.#array(alternative);
      case "object":
        return this.#object(alternative);
    }
  }

  #number(alternative: Alternative, isInteger: boolean): Expression {
    const range: { -readonly [Key in keyof NumberRange]: NumberRange[Key] } = {
      minimum: -Infinity,
      maximum: Infinity,
      isMinimumExclusive: false,
      isMaximumExclusive: false,
      isInteger,
      multipleOf: 1,
    };
    const atLeast = (bound: number, isExclusive: boolean): void => {
      if (bound < range.minimum || (bound === range.minimum && !isExclusive)) return;
      range.minimum = bound;
      range.isMinimumExclusive = isExclusive;
    };
    const atMost = (bound: number, isExclusive: boolean): void => {
      if (bound > range.maximum || (bound === range.maximum && !isExclusive)) return;
      range.maximum = bound;
      range.isMaximumExclusive = isExclusive;
    };
    for (const { schema, path } of alternative) {
      if (typeof schema["minimum"] === "number") atLeast(schema["minimum"], false);
      if (typeof schema["exclusiveMinimum"] === "number") atLeast(schema["exclusiveMinimum"], true);
      if (typeof schema["maximum"] === "number") atMost(schema["maximum"], false);
      if (typeof schema["exclusiveMaximum"] === "number") atMost(schema["exclusiveMaximum"], true);
      const format = typeof schema["format"] === "string" ? formatRange(schema["format"]) : null;
      if (format !== null) {
        atLeast(format.minimum, false);
        atMost(format.maximum, false);
        range.isInteger = true;
      }
      const divisor = schema["multipleOf"];
      if (typeof divisor !== "number") continue;
      const common = Number.isInteger(divisor) ? leastCommonMultiple(range.multipleOf, divisor) : Infinity;
      if (common > maxMultipleOf) {
        throw new SchemaError(
          path,
          "multipleOf",
          `${divisor} is not supported; integers from 1 to ${maxMultipleOf} are.`,
        );
      }
      range.multipleOf = common;
      range.isInteger = true;
    }
    const isWide = range.minimum <= -999_999_999_999_999 && range.maximum >= 999_999_999_999_999;
    if (isWide && range.isInteger && range.multipleOf === 1) return "json-integer";
    if (range.minimum === -Infinity && range.maximum === Infinity && !range.isInteger) return "json-number";
    const path = alternative[0]?.path ?? "";
    try {
      const automaton = numberAutomaton(range, this.#document.automatonBudget);
      return acceptsNothing(automaton) ? null : this.#automaton(automaton, path);
    } catch (error) {
      if (!(error instanceof AutomatonTooLargeError)) throw error;
      throw new SchemaError(path, "multipleOf", `${range.multipleOf} takes too many states; a smaller one is allowed.`);
    }
  }

  #string(alternative: Alternative): Expression {
    let min = 0;
    let max = Infinity;
    for (const { schema } of alternative) {
      min = Math.max(min, (schema["minLength"] as number | undefined) ?? 0);
      max = Math.min(max, (schema["maxLength"] as number | undefined) ?? Infinity);
    }
    const path = alternative[0]?.path ?? "";
    if (min > longestText) {
      throw new SchemaError(path, "minLength", `${min} is too much; up to ${longestText} characters are allowed.`);
    }
    if (max < min) return null;
    const patterns = alternative.flatMap(({ schema }) => [schema["pattern"], schema["format"]]);
    const key = JSON.stringify([min, max, patterns]);
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const automata = alternative.flatMap((part) => this.#document.textAutomata(part));
    const expression = this.#text(automata, min, max, path);
    this.#texts.set(key, expression);
    return expression;
  }

  #text(automata: readonly Automaton[], min: number, max: number, path: string): Expression {
    const [first, ...others] = automata;
    if (first === undefined) {
      if (min === 0 && max === Infinity) return "json-string";
      const most = max === Infinity ? "" : Math.min(max, longestText);
      return this.#rule(`"\\"" json-char{${min},${most}} "\\""`);
    }
    const { automatonBudget } = this.#document;
    try {
      let all = others.reduce((one, other) => intersect(one, other, automatonBudget), first);
      const { shortest, longest } = lengthsOf(all);
      if (shortest < min || longest > max) all = intersect(all, ofLength(min, max), automatonBudget);
      return acceptsNothing(all) ? null : this.#rule(`"\\"" ${this.#automaton(all, path)} "\\""`);
    } catch (error) {
      if (!(error instanceof AutomatonTooLargeError)) throw error;
      throw new SchemaError(
        path,
        "pattern",
        "this pattern or format, together with the others and with minLength and maxLength, takes too many states; a simpler combination is allowed.",
      );
    }
  }

  #array(alternative: Alternative): Expression {
    let min = 0;
    let max = Infinity;
    let prefixLength = 0;
    const path = alternative[0]?.path ?? "";
    for (const part of alternative) {
      min = Math.max(min, (part.schema["minItems"] as number | undefined) ?? 0);
      max = Math.min(max, (part.schema["maxItems"] as number | undefined) ?? Infinity);
      prefixLength = Math.max(prefixLength, listed(part.schema, "prefixItems", part.path).length);
    }
    if (min > longestList) {
      throw new SchemaError(path, "minItems", `${min} is too much; up to ${longestList} items are allowed.`);
    }
    const itemAt = (index: number): Expression =>
      this.#value(
        alternative.map(
          ({ schema, path: inner }) =>
            listed(schema, "prefixItems", inner)[index] ?? {
              schema: schema["items"] ?? true,
              path: pathTo(inner, "items"),
            },
        ),
      );
    const prefix: string[] = [];
    for (let index = 0; index < Math.min(prefixLength, max); index += 1) {
      const item = itemAt(index);
      if (item === null) max = index;
      else prefix.push(item);
    }
    const rest = prefix.length < max ? itemAt(prefixLength) : null;
    if (rest === null) max = Math.min(max, prefix.length);
    if (max < min) return null;
    const close = 'json-ws "]"';
    // From the last item to the first: what follows when so many are written.
    let after = close;
    if (rest !== null) {
      const least = Math.max(0, min - Math.max(1, prefix.length));
      const most = max === Infinity ? "" : Math.min(max, longestList) - Math.max(1, prefix.length);
      const more = `(json-comma ${rest}){${least},${most}}`;
      after = `${more} ${close}`;
      if (prefix.length === 0) {
        return this.#rule(min === 0 ? `"[" json-ws ("]" | ${rest} ${after})` : `"[" json-ws ${rest} ${after}`);
      }
    }
    for (let count = prefix.length - 1; count >= 1; count -= 1) {
      const item = `json-comma ${prefix[count]} ${after}`;
      after = count >= min ? this.#rule(`${item} | ${close}`) : item;
    }
    const [first] = prefix;
    if (first === undefined) return this.#rule('"[" json-ws "]"');
    return this.#rule(min === 0 ? `"[" json-ws ("]" | ${first} ${after})` : `"[" json-ws ${first} ${after}`);
  }

  #object(alternative: Alternative): Expression {
    const required = new Set(requiredNames(alternative));
    const isFree = hasFreeNames(alternative);
    const declared: { name: string; value: string; isRequired: boolean }[] = [];
    for (const name of declaredNames(alternative)) {
      const value = this.#value(alternative.map((part) => propertySchema(part, name)));
      const isRequired = required.has(name);
      if (value !== null) declared.push({ name, value, isRequired });
      else if (isRequired) return null;
    }
    const free = isFree ? this.#freeMember(alternative) : null;
    this.#checkPropertyCounts(alternative, required.size, free === null ? declared.length : Infinity);
    if (free !== null && declared.length === 0 && free.isAny) return "json-object";
    // From the last property to the first. `member`: one of the properties from here on and all that follows it, null where
    // there is none; `rest`: the same after another property, or the end.
    const close = 'json-ws "}"';
    let member: string | null = null;
    let rest = close;
    if (free !== null) {
      const name = this.#newName();
      member = name;
      rest = this.#rule(`json-comma ${member} | ${close}`);
      this.#setRule(name, `${free.body} ${rest}`, alternative[0]?.path ?? "");
    }
    let mayEnd = true;
    for (const { name, value, isRequired } of declared.reverse()) {
      const own: string = `${gbnfLiteral(JSON.stringify(name))} json-colon ${value} ${rest}`;
      if (isRequired) {
        member = own;
        mayEnd = false;
        rest = `json-comma ${own}`;
        continue;
      }
      member = this.#rule(member === null ? own : `${own} | ${member}`);
      rest = mayEnd ? this.#rule(`json-comma ${member} | ${close}`) : `json-comma ${member}`;
    }
    if (member === null) return this.#rule('"{" json-ws "}"');
    return this.#rule(mayEnd ? `"{" json-ws ("}" | ${member})` : `"{" json-ws ${member}`);
  }

  /** A property that is not declared: its name is none of those that are. Null where it has no valid value. */
  #freeMember(alternative: Alternative): { body: string; isAny: boolean } | null {
    const schemas = alternative.flatMap(({ schema, path }) =>
      schema["additionalProperties"] === undefined
        ? []
        : [{ schema: schema["additionalProperties"], path: pathTo(path, "additionalProperties") }],
    );
    const value = this.#value(schemas);
    if (value === null) return null;
    const names = [...declaredNames(alternative)];
    const path = alternative[0]?.path ?? "";
    const name = names.length === 0 ? "json-string" : `"\\"" ${this.#automaton(noneOf(names), path)} "\\""`;
    return { body: `${name} json-colon ${value}`, isAny: value === "json-value" };
  }

  // The number of properties is not counted; only where what is declared keeps it anyway.
  #checkPropertyCounts(alternative: Alternative, least: number, most: number): void {
    for (const { schema, path } of alternative) {
      const min = (schema["minProperties"] as number | undefined) ?? 0;
      const max = (schema["maxProperties"] as number | undefined) ?? Infinity;
      if (min > least) {
        throw new SchemaError(
          path,
          "minProperties",
          `${min} is not supported; only as many as are required (${least}) are.`,
        );
      }
      if (max < most) {
        throw new SchemaError(
          path,
          "maxProperties",
          `${max} is not supported; only as many as are declared${most === Infinity ? ", with additionalProperties false," : ` (${most})`} are.`,
        );
      }
    }
  }

  /** One of the texts; beginnings that they share are written once, so that a matcher has one place to follow. */
  #literals(texts: readonly string[], depth = 0): Expression {
    if (texts.length === 0) return null;
    // Without end, texts that begin alike would nest without end.
    if (depth > 50) return this.#rule(texts.map(gbnfLiteral).join(" | "));
    const bodies = literalGroups(texts).map(({ shared, rests }) =>
      rests.length === 1 ? gbnfLiteral(shared) : `${gbnfLiteral(shared)} ${this.#literals(rests, depth + 1)}`,
    );
    return this.#rule(bodies.join(" | "));
  }

  #either(bodies: readonly string[]): Expression {
    if (bodies.length === 0) return null;
    return this.#rule(bodies.join(" | "));
  }

  #automaton(automaton: Automaton, path: string): string {
    const prefix = this.#newName();
    for (const [name, body] of automatonRules(automaton, prefix)) this.#setRule(name, body, path);
    return `${prefix}-0`;
  }

  /** The name of a rule with this body; what is a name already stays what it is. */
  #rule(body: string): string {
    if (/^[a-z0-9-]+$/.test(body)) return body;
    const known = this.#namesByBody.get(body);
    if (known !== undefined) return known;
    const name = this.#newName();
    this.#namesByBody.set(body, name);
    this.#setRule(name, body, "");
    return name;
  }

  #setRule(name: string, body: string, path: string): void {
    this.#ruleCount += 1;
    this.#ruleCharacters += name.length + body.length;
    if (this.#ruleCount > maxRules || this.#ruleCharacters > maxRuleCharacters) {
      throw new SchemaError(
        path,
        "",
        `the schema is too large: its grammar would have more than ${maxRules} rules or ${maxRuleCharacters} characters.`,
      );
    }
    this.#rules.set(name, body);
  }

  #newName(): string {
    this.#lastId += 1;
    return `${this.#prefix}-${this.#lastId}`;
  }

  #idOf(schema: unknown): number {
    if (!isSchemaObject(schema)) return -1;
    let id = this.#ids.get(schema);
    if (id === undefined) {
      this.#lastId += 1;
      id = this.#lastId;
      this.#ids.set(schema, id);
    }
    return id;
  }
}

/** Texts grouped by their first character, each group with all that its members begin with and what is left of them. */
function literalGroups(texts: readonly string[]): { shared: string; rests: string[] }[] {
  const groups = new Map<number | undefined, string[]>();
  for (const text of texts) {
    const first = text.codePointAt(0);
    const group = groups.get(first);
    if (group === undefined) groups.set(first, [text]);
    else group.push(text);
  }
  return [...groups.values()].map((members) => {
    const shared = members.reduce(commonBeginning);
    return { shared, rests: members.map((text) => text.slice(shared.length)) };
  });
}

function commonBeginning(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  const last = a.charCodeAt(length - 1);
  // Not within a surrogate pair.
  return a.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
