// The one error type that callers are meant to see: what went wrong, whose fault, which field, whether a retry helps.
// Imports nothing. Anything else that is thrown is a bug and is rendered as a 500 without its text.

/** The `type` of an error body, as OpenAI's API names them (and llama-server's for those that OpenAI lacks). */
export type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "not_found_error"
  | "rate_limit_error"
  | "exceed_context_size_error"
  | "unavailable_error"
  | "timeout_error"
  | "insufficient_memory_error"
  | "not_supported_error"
  | "server_error";

export interface PublicErrorOptions {
  /** HTTP status: 400, 401, 404, 405, 408, 409, 413, 429, 431, 500, 501, 503 or 507. */
  readonly status: number;
  readonly type: ErrorType;
  /** A stable machine-readable word, for example `model_not_found`. */
  readonly code: string;
  /** The request field at fault, as a path such as `messages[0].content`. */
  readonly param?: string;
  /** Seconds after which a retry may succeed; sent as `Retry-After`. */
  readonly retryAfterS?: number;
  /** False where repeating the same request can never help; sent as `x-should-retry: false`. */
  readonly shouldRetry?: boolean;
  readonly cause?: unknown;
}

/** An error whose message is written for the caller. */
export class PublicError extends Error {
  readonly status: number;
  readonly type: ErrorType;
  readonly code: string;
  readonly param: string | null;
  readonly retryAfterS: number | null;
  readonly shouldRetry: boolean;

  constructor(message: string, options: PublicErrorOptions) {
    super(message, { cause: options.cause });
    this.name = "PublicError";
    this.status = options.status;
    this.type = options.type;
    this.code = options.code;
    this.param = options.param ?? null;
    this.retryAfterS = options.retryAfterS ?? null;
    this.shouldRetry = options.shouldRetry ?? (options.status === 429 || options.status === 503);
  }
}

/** 400: a field of the request is wrong. The message must say what arrived and what is allowed. */
export function invalidRequest(message: string, param?: string, code = "invalid_value"): PublicError {
  return new PublicError(message, {
    status: 400,
    type: "invalid_request_error",
    code,
    ...(param === undefined ? {} : { param }),
    shouldRetry: false,
  });
}

/** 404: no model of that name; lists those that exist. */
export function modelNotFound(model: string, known: readonly string[]): PublicError {
  return new PublicError(
    `The model ${JSON.stringify(clip(model))} does not exist. Known models: ${known.join(", ")}.`,
    {
      status: 404,
      type: "not_found_error",
      code: "model_not_found",
      param: "model",
      shouldRetry: false,
    },
  );
}

/** The caller left, or the server withdrew the work: nobody reads the answer any more. */
export class AbandonedError extends Error {
  constructor(message = "The request was abandoned.") {
    super(message);
    this.name = "AbandonedError";
  }
}

/** Shortens what a caller sent before it is quoted back, so that an error never carries megabytes. */
export function clip(text: string, maxCharacters = 100): string {
  return text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters)}… (${text.length} characters)`;
}

/** The message of anything thrown, for logs and for status fields that operators read. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
