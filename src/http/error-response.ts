// The one place where anything that was thrown becomes a status, headers and a body. May import api/ and core/.
import type { ErrorRenderer } from "../api/endpoint.ts";
import { AbandonedError, PublicError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";

export interface ErrorContext {
  readonly log: Logger;
  readonly requestId: string;
  /** The dialect's own form of a body; absent: OpenAI's. */
  readonly renderError: ErrorRenderer | undefined;
}

/** OpenAI's form of an error body. */
export function openaiErrorBody(error: PublicError): unknown {
  return { error: { message: error.message, type: error.type, param: error.param, code: error.code } };
}

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

export function errorBody(thrown: unknown, context: ErrorContext): unknown {
  return (context.renderError ?? openaiErrorBody)(toPublicError(thrown, context));
}

/** `clientLeft`: nobody reads the answer, so none is written (499, as web servers log it). */
export function errorResponse(thrown: unknown, context: ErrorContext, clientLeft: boolean): Response {
  if (clientLeft) return new Response(null, { status: 499 });
  const error = toPublicError(thrown, context);
  return Response.json((context.renderError ?? openaiErrorBody)(error), {
    status: error.status,
    headers: {
      ...(error.retryAfterS === null ? {} : { "retry-after": String(Math.max(1, Math.ceil(error.retryAfterS))) }),
      ...(error.shouldRetry ? {} : { "x-should-retry": "false" }),
      ...(error.status === 401 ? { "www-authenticate": "Bearer" } : {}),
    },
  });
}
