// Checks a request body against an endpoint's schema and says in one line what is wrong with it.
// Convention: a schema's own `error` text is a noun phrase of what is allowed ("a number from 0 to 2"). May import core/.
import { z, type ZodType } from "zod";
import { clip, invalidRequest, type PublicError } from "../core/errors.ts";

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
    return text === "" ? String(step) : `${text}.${String(step)}`;
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

/** A number from `min` to `max`, both included; null counts as absent. */
export function optionalNumber(min: number, max: number) {
  const allowed = `a number from ${min} to ${max}`;
  return z.number(allowed).min(min, allowed).max(max, allowed).nullish();
}

/** An integer of at least `min`; null counts as absent. */
export function optionalInteger(min: number) {
  const allowed = `an integer of at least ${min}`;
  return z.int(allowed).min(min, allowed).nullish();
}

function toInvalidRequest(outermost: Issue | undefined, body: unknown): PublicError {
  const { issue, path } = innermost(outermost, []);
  const allowed = issue?.message ?? "something else";
  const param = formatPath(path);
  const received = path.reduce<unknown>((value, step) => (value as Record<PropertyKey, unknown>)[step], body);
  if (received === undefined) {
    return invalidRequest(`${param} is missing; it must be ${allowed}.`, param, "missing_required_parameter");
  }
  const code = issue?.code === "invalid_type" ? "invalid_type" : "invalid_value";
  return invalidRequest(`${param} must be ${allowed}; received ${describe(received)}.`, param, code);
}

/** Of a union, the branch that got furthest into the value says more than the union itself. */
function innermost(issue: Issue | undefined, prefix: Path): { readonly issue: Issue | undefined; readonly path: Path } {
  const path = [...prefix, ...(issue?.path ?? [])];
  if (issue?.code !== "invalid_union") return { issue, path };
  const furthest = issue.errors
    .flatMap(([first]) => (first === undefined ? [] : [{ first, progress: progressOf(first) }]))
    .filter(({ progress }) => progress >= 0)
    .reduce<{ first: Issue; progress: number } | undefined>(
      (best, branch) => (best === undefined || branch.progress >= best.progress ? branch : best),
      undefined,
    );
  return furthest === undefined ? { issue, path } : innermost(furthest.first, path);
}

/** How far a union's branch came before its first issue: -1 where the very type was wrong, all the way where only the size. */
function progressOf(first: Issue): number {
  if (first.path.length > 0) return typeof first.path[0] === "number" ? first.path[0] : 0;
  return first.code === "too_big" || first.code === "too_small" ? Infinity : -1;
}

const typePhrases: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "an integer",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  record: "an object",
};

/** The phrase of what is allowed where a schema does not bring its own. */
function allowedByDefault(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type") return typePhrases[issue.expected] ?? issue.expected;
  if (issue.code !== "invalid_value") return undefined;
  const values = issue.values.map((value) => JSON.stringify(value));
  return values.length === 1 ? values[0] : `one of ${values.join(", ")}`;
}
