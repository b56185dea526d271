// The one place where anything that was thrown becomes a status, headers and a body. May import api/ and core/.
import type { ErrorForm, StreamItem } from "../api/endpoint.ts";
import { AbandonedError, PublicError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";

export interface ErrorContext {
  readonly log: Logger;
  readonly requestId: string;
  readonly form: ErrorForm;
}

/** The form of dialects that have none of their own. */
export const openaiErrors: ErrorForm = {
  body: ({ message, type, param, code }) => ({ error: { message, type, param, code } }),
};

/** What the caller may know of `thrown`. What is no PublicError is a bug: its text goes to the log, not to the caller. */
export function toPublicError(
  thrown: unknown,
  { log, requestId }: Pick<ErrorContext, "log" | "requestId">,
): PublicError {
  if (thrown instanceof PublicError) return thrown;
  if (thrown instanceof AbandonedError) {
    return new PublicError("The server withdrew this request because it is shutting down.", {
      status: 503,
      type: "unavailable_error",
      code: "request_withdrawn",
      retryAfterS: 5,
      cause: thrown,
    });
  }
  log.error({ requestId, err: thrown }, "unexpected error");
  return new PublicError(`Internal error. The server's log has the details under the request id ${requestId}.`, {
    status: 500,
    type: "server_error",
    code: "internal_error",
    cause: thrown,
  });
}

/** The item that ends a stream which failed. */
export function errorItem(thrown: unknown, context: ErrorContext): StreamItem {
  const json = context.form.body(toPublicError(thrown, context));
  return context.form.event === undefined ? { json } : { json, event: context.form.event };
}

/** `clientLeft`: nobody reads the answer, so none is written (499, as web servers log it). */
export function errorResponse(thrown: unknown, context: ErrorContext, clientLeft: boolean): Response {
  if (clientLeft) return new Response(null, { status: 499 });
  const error = toPublicError(thrown, context);
  return Response.json(context.form.body(error), {
    status: error.status,
    headers: {
      ...(error.retryAfterS === null ? {} : { "retry-after": String(Math.max(1, Math.ceil(error.retryAfterS))) }),
      ...(error.shouldRetry ? {} : { "x-should-retry": "false" }),
      ...(error.status === 401 ? { "www-authenticate": "Bearer" } : {}),
    },
  });
}
