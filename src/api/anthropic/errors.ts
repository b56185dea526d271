// Errors as Anthropic's API writes them. May import core/.
import type { PublicError } from "../../core/errors.ts";
import type { ErrorForm } from "../endpoint.ts";

const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
  504: "timeout_error",
};

export const anthropicErrors: ErrorForm = {
  body: (error) => ({ type: "error", error: { type: typeOf(error), message: error.message } }),
  event: "error",
};

function typeOf({ status }: PublicError): string {
  return types[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
}
