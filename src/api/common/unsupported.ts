// Parameters and contents that this server does not honour. Parameters that would change what an answer means are refused by
// name, unless their value asks for nothing or the configuration says to drop them; the others are passed over, and a header
// names them. May import zod and core/.
import { z, type ZodOptional, type ZodUnknown } from "zod";
import { invalidRequest, type PublicError } from "../../core/errors.ts";
import { describe } from "./validation.ts";

/** By name: whether a value is the parameter's default, so that leaving it out changes nothing. */
export type UnsupportedParameters = Readonly<Record<string, (value: unknown) => boolean>>;

export interface ParameterPolicy {
  /** They change what an answer means. */
  readonly refused: UnsupportedParameters;
  /** They change how it comes about, or how it is told. */
  readonly ignored: UnsupportedParameters;
}

/**
 * The schema's fields for them: named, so that a schema need not carry over the fields that nobody knows, of which a
 * caller can send a million.
 */
export function unsupportedFields<Refused extends string, Ignored extends string>(policy: {
  readonly refused: Readonly<Record<Refused, unknown>>;
  readonly ignored: Readonly<Record<Ignored, unknown>>;
}): Readonly<Record<Refused | Ignored, ZodOptional<ZodUnknown>>> {
  const field = (description: string) => z.unknown().optional().describe(description);
  const refused = field("Not supported; refused unless it asks for nothing, or `drop_params` is set.");
  const ignored = field("Not supported; ignored.");
  return Object.fromEntries([
    ...Object.keys(policy.refused).map((name) => [name, refused]),
    ...Object.keys(policy.ignored).map((name) => [name, ignored]),
  ]) as Record<Refused | Ignored, typeof refused>;
}

/**
 * The names of the parameters of `body` that ask for something and are passed over. Throws a PublicError (400
 * `unsupported_parameter`) for the first that would change the answer's meaning, where `drops` is false.
 */
export function passOver(body: object, { refused, ignored }: ParameterPolicy, drops: boolean): readonly string[] {
  const values = body as Readonly<Record<string, unknown>>;
  const asked = (parameters: UnsupportedParameters) =>
    Object.entries(parameters)
      .filter(([name, isDefault]) => values[name] !== undefined && values[name] !== null && !isDefault(values[name]))
      .map(([name]) => name);
  const dropped = asked(refused);
  const [first] = dropped;
  if (first !== undefined && !drops) throw unsupported(first, values[first]);
  return [...dropped, ...asked(ignored)];
}

/** 400: a parameter, or a value of one, that this server cannot honour. */
export function unsupported(name: string, value: unknown): Error {
  return invalidRequest(
    `${name} is not supported by this server; leave it out or at its default. Received ${describe(value)}.`,
    name,
    "unsupported_parameter",
  );
}

const maxHeaderLength = 400;

/** The header that names what was passed over; none where nothing was. */
export function ignoredParameters(names: readonly string[]): Readonly<Record<string, string>> {
  if (names.length === 0) return {};
  // A header holds visible ASCII alone, and names may be of any length.
  const text = names.map((name) => name.slice(0, 60).replaceAll(/[^\w.[\]-]/g, "?")).join(", ");
  const isWhole = text.length <= maxHeaderLength;
  return {
    "x-ignored-parameters": isWhole ? text : `${text.slice(0, text.lastIndexOf(",", maxHeaderLength))}, ...`,
  };
}

export const is =
  (...defaults: readonly unknown[]) =>
  (value: unknown): boolean =>
    defaults.includes(value);

export function isEmpty(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value === "";
  return (Array.isArray(value) ? value.length : Reflect.ownKeys(value).length) === 0;
}

export const never = (): boolean => false;

/** `what`: "Images"; `allowed`: "text parts". */
export function unsupportedContent(what: string, path: string, type: string, allowed: string): PublicError {
  return invalidRequest(
    `${what} are not supported by the loaded build; ${path} is of type ${type}, only ${allowed} allowed.`,
    path,
    "unsupported_content",
  );
}
