// Parameters that would change what an answer means and that this server does not know yet: refused by name, unless their
// value asks for nothing. May import core/.
import { invalidRequest } from "../core/errors.ts";
import { describe } from "./validation.ts";

/** By name: whether a value is the parameter's default, so that leaving it out changes nothing. */
export type UnsupportedParameters = Readonly<Record<string, (value: unknown) => boolean>>;

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

export const isEmpty = (value: unknown): boolean =>
  value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);

export const never = (): boolean => false;
