// Parameters that would change what an answer means and that this server does not know yet: refused by name, unless their
// value asks for nothing. May import zod and core/.
import { z, type ZodOptional, type ZodUnknown } from "zod";
import { invalidRequest } from "../core/errors.ts";
import { describe } from "./validation.ts";

/** By name: whether a value is the parameter's default, so that leaving it out changes nothing. */
export type UnsupportedParameters = Readonly<Record<string, (value: unknown) => boolean>>;

/**
 * The schema's fields for them: named, so that a schema need not carry over the fields that nobody knows, of which a
 * caller can send a million.
 */
export function unsupportedFields<Name extends string>(
  parameters: Readonly<Record<Name, unknown>>,
): Readonly<Record<Name, ZodOptional<ZodUnknown>>> {
  const field = z.unknown().optional().describe("Not supported yet; refused unless it asks for nothing.");
  return Object.fromEntries(Object.keys(parameters).map((name) => [name, field])) as Record<Name, typeof field>;
}

/** Throws a PublicError (400 `unsupported_parameter`) for the first parameter of `body` that asks for something. */
export function refuseUnsupported(body: Readonly<Record<string, unknown>>, parameters: UnsupportedParameters): void {
  for (const [name, isDefault] of Object.entries(parameters)) {
    const value = body[name];
    if (value === undefined || value === null || isDefault(value)) continue;
    throw invalidRequest(
      `${name} is not supported by this server yet; leave it out or at its default. Received ${describe(value)}.`,
      name,
      "unsupported_parameter",
    );
  }
}

export const is =
  (...defaults: readonly unknown[]) =>
  (value: unknown): boolean =>
    defaults.includes(value);

export function isEmpty(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value === "";
  return Object.keys(value).length === 0;
}

export const never = (): boolean => false;
