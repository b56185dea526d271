// Checks a request body against an endpoint's schema and says in one line what is wrong with it.
// Convention: a schema's own `error` text is a noun phrase of what is allowed ("a number from 0 to 2"). May import core/.
import { z, type ZodType } from "zod";
import { clip, invalidRequest, type PublicError } from "../../core/errors.ts";

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** What the schema made of `value`; throws a PublicError (400) that names the field, what arrived and what is allowed. */
export function validate<T>(schema: ZodType<T>, value: unknown): T {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidRequest(
      `The request body must be a JSON object; received ${describe(value)}.`,
      undefined,
      "invalid_type",
    );
  }
  const result = schema.safeParse(value, { error: allowedByDefault });
  if (result.success) return result.data;
  throw toInvalidRequest(result.error.issues[0], value);
}

/** `messages[0].content` */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    const name = clip(String(step), 60);
    return text === "" ? name : `${text}.${name}`;
  }, "");
}

/** What arrived, in a few words, never its whole length. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : `an array of ${value.length}`;
  if (typeof value === "string") return `the string ${JSON.stringify(clip(value))}`;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return value === null ? "null" : "an object";
}

/** What is wrong with a value: `path` leads from it to the part at fault. */
export interface Refusal {
  readonly path: Path;
  readonly code: "invalid_type" | "invalid_value";
  readonly allowed: string;
}

/**
 * A schema whose check is written by hand, for values whose size the caller chooses: zod's own arrays, records and
 * unions make an issue for every wrong element, and a legal body may hold millions. `check` stops at the first thing
 * that is wrong; null: all is well. `documentation` says for openapi.json what `check` allows.
 */
export function checked<T>(documentation: ZodType<T>, check: (value: unknown) => Refusal | null): ZodType<T> {
  const { $schema: _dialect, ...description } = z.toJSONSchema(documentation, { io: "input" });
  return z
    .unknown()
    .transform((input, context): T => {
      const refusal = check(input);
      if (refusal === null) return input as T;
      const { path, code, allowed } = refusal;
      const issue = { path: [...path], message: allowed, input };
      context.issues.push(
        code === "invalid_type" ? { ...issue, code, expected: "unknown" } : { ...issue, code: "custom" },
      );
      return z.NEVER;
    })
    .meta(description);
}

/** The refusal of what a value holds at `step`, as one of the value. */
export function at<Given extends Refusal | null>(step: PropertyKey, refusal: Given): Given {
  return refusal === null ? refusal : { ...refusal, path: [step, ...refusal.path] };
}

export interface ArrayBounds {
  readonly min: number;
  readonly max: number;
  readonly allowed: string;
}

/** The check of an array for `checked`: its length first, then its elements up to the first wrong one. */
export function refuseArray(value: unknown, element: ZodType, { min, max, allowed }: ArrayBounds): Refusal | null {
  if (!Array.isArray(value)) return { path: [], code: "invalid_type", allowed };
  if (value.length < min || value.length > max) return { path: [], code: "invalid_value", allowed };
  for (const [index, item] of value.entries()) {
    // Without the phrases an element takes a tenth of the time; most are right and need none.
    if (element.safeParse(item).success) continue;
    const issue = element.safeParse(item, { error: allowedByDefault }).error?.issues[0];
    if (issue !== undefined) return { path: [index, ...issue.path], code: codeOf(issue), allowed: issue.message };
  }
  return null;
}

/** Any array, whatever it holds. */
export function anyArray() {
  return checked(z.array(z.unknown()), (value) =>
    Array.isArray(value) ? null : { path: [], code: "invalid_type", allowed: "an array" },
  );
}

/** Any object, whatever it holds. */
export function anyObject() {
  return checked(z.record(z.string(), z.unknown()), (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? null
      : { path: [], code: "invalid_type", allowed: "an object" },
  );
}

/** A number from `min` to `max`, both included; null counts as absent. */
export function optionalNumber(min: number, max: number) {
  const allowed = `a number from ${min} to ${max}`;
  return z.number(allowed).min(min, allowed).max(max, allowed).nullish();
}

/** An integer of at least `min`, and at most `max` where that is given; null counts as absent. */
export function optionalInteger(min: number, max?: number) {
  const allowed = max === undefined ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  const integer = z.int(allowed).min(min, allowed);
  return (max === undefined ? integer : integer.max(max, allowed)).nullish();
}

const maxDepth = 100;
const maxValues = 20_000;

/**
 * The check of JSON that is kept as it is and walked by others, such as a schema: null where it is neither deep enough to
 * exhaust a stack nor so large that walking it takes long.
 */
export function refuseHugeJson(json: unknown): Refusal | null {
  let values = 0;
  const left: { readonly value: unknown; readonly depth: number }[] = [{ value: json, depth: 0 }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value, depth } = next;
    if (typeof value !== "object" || value === null) continue;
    // A proper JSON object has no keys but its own, and they are counted before any is read.
    values += Array.isArray(value) ? value.length : Reflect.ownKeys(value).length;
    if (values > maxValues) return { path: [], code: "invalid_value", allowed: `JSON of at most ${maxValues} values` };
    if (depth === maxDepth) {
      return { path: [], code: "invalid_value", allowed: `JSON that is nested at most ${maxDepth} levels deep` };
    }
    for (const inner of Object.values(value)) left.push({ value: inner, depth: depth + 1 });
  }
  return null;
}

export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What `withUnknownNames` adds to a body. */
export interface UnknownNames {
  /** Fields that the schema does not know: the first of them, where there are many. */
  readonly unknownNames: readonly string[];
}

const maxUnknownNames = 20;

/** The schema of a body that also tells which of its fields nobody knows; what they hold is neither read nor copied. */
export function withUnknownNames<Shape extends z.ZodRawShape>(
  fields: z.ZodObject<Shape>,
): ZodType<z.output<z.ZodObject<Shape>> & UnknownNames> {
  const { $schema: _dialect, ...description } = z.toJSONSchema(fields, { io: "input" });
  return z
    .unknown()
    .transform((input, context) => {
      const result = fields.safeParse(input, { error: allowedByDefault });
      if (result.success) return { ...result.data, unknownNames: unknownNamesOf(input as object, fields.shape) };
      context.issues.push(...result.error.issues.map((issue) => ({ ...issue, input }) as z.core.$ZodRawIssue));
      return z.NEVER;
    })
    .meta(description);
}

function unknownNamesOf(body: object, shape: z.ZodRawShape, prefix = ""): readonly string[] {
  const names: string[] = [];
  for (const name in body) {
    if (names.length >= maxUnknownNames) break;
    const value = (body as Record<string, unknown>)[name];
    if (!Object.hasOwn(shape, name)) {
      names.push(prefix + name);
      continue;
    }
    const inner = innerShape(shape[name]);
    if (inner !== null && isJsonObject(value)) names.push(...unknownNamesOf(value, inner, `${prefix}${name}.`));
  }
  return names.slice(0, maxUnknownNames);
}

/** Of a field that is an object of known fields, or null. */
function innerShape(field: unknown): z.ZodRawShape | null {
  if (field instanceof z.ZodOptional || field instanceof z.ZodNullable) return innerShape(field.unwrap());
  return field instanceof z.ZodObject ? field.shape : null;
}

function toInvalidRequest(issue: Issue | undefined, body: unknown): PublicError {
  const path = issue?.path ?? [];
  const allowed = issue?.message ?? "something else";
  const param = formatPath(path);
  const received = path.reduce<unknown>((value, step) => (value as Record<PropertyKey, unknown>)[step], body);
  if (received === undefined) {
    return invalidRequest(`${param} is missing; it must be ${allowed}.`, param, "missing_required_parameter");
  }
  return invalidRequest(
    `${param} must be ${allowed}; received ${describe(received)}.`,
    param,
    issue === undefined ? "invalid_value" : codeOf(issue),
  );
}

function codeOf(issue: Issue): Refusal["code"] {
  return issue.code === "invalid_type" ? "invalid_type" : "invalid_value";
}

const typePhrases: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "an integer",
  boolean: "true or false",
  object: "an object",
};

/** The phrase of what is allowed where a schema does not bring its own. */
function allowedByDefault(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type") return typePhrases[issue.expected] ?? issue.expected;
  if (issue.code !== "invalid_value") return undefined;
  const values = issue.values.map((value) => JSON.stringify(value));
  return values.length === 1 ? values[0] : `one of ${values.join(", ")}`;
}
