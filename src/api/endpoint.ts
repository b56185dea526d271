// What an endpoint is: a pure description that http/ turns into a route and into its part of openapi.json.
// A dialect (a folder beside this file) is a list of endpoints. May import zod and core/; never http/.
import type { ZodType } from "zod";
import type { PublicError } from "../core/errors.ts";

export interface Call<Body> {
  readonly body: Body;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** A header of the request, whatever its case. */
  header(name: string): string | undefined;
  /** A known API key was sent, or none is configured; false only at public endpoints. */
  readonly authorised: boolean;
  /** Fires when the client leaves or the server withdraws the request. */
  readonly signal: AbortSignal;
}

/**
 * One server-sent event's data, or one line: a JSON value, or text as it stands (`[DONE]`, or JSON that is written).
 * `event` names a server-sent event.
 */
export type StreamItem = ({ readonly json: unknown } | { readonly raw: string }) & { readonly event?: string };

/** Server-sent events, or a JSON value a line, which has no comments and so no heartbeats. */
export type StreamForm = "events" | "lines";

export type Reply =
  | {
      readonly kind: "json";
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body: unknown;
    }
  | {
      readonly kind: "stream";
      readonly headers?: Readonly<Record<string, string>>;
      /** Absent: `events`. */
      readonly form?: StreamForm;
      /**
       * http/ always calls `next()` at least once, calls `return()` when the client leaves, and renders a thrown error:
       * as a status and a body while no header was sent, after that as the dialect's error event.
       */
      readonly items: AsyncGenerator<StreamItem, void, void>;
      /** What the next item waits for, in a few words, asked for each heartbeat; null: nothing that could be told. */
      readonly awaited?: () => string | null;
    }
  | { readonly kind: "text"; readonly contentType: string; readonly body: string };

export interface Endpoint<Body = unknown> {
  readonly method: "get" | "post" | "delete";
  /** With `{name}` for a path parameter, as OpenAPI writes it; one that ends the path may hold slashes. */
  readonly path: string;
  /** Other paths by which clients know it; not in the documentation. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly tag: string;
  /** Query parameters and what they do, for the documentation. */
  readonly query?: Readonly<Record<string, string>>;
  /** Absent: no body is read. */
  readonly body?: ZodType<Body>;
  /** The body of an answer that is JSON, for the documentation. */
  readonly response?: ZodType;
  /** The media type of an answer that is plain text, for the documentation. */
  readonly textType?: string;
  /** The data of each server-sent event, for the documentation. */
  readonly streamItem?: ZodType;
  /** Statuses other than 200 that carry `response`, and when, for the documentation. */
  readonly otherStatuses?: Readonly<Record<number, string>>;
  /** Statuses with an error body beyond those that every route shares, and when, for the documentation. */
  readonly errors?: Readonly<Record<number, string>>;
  /** Headers of a 200 and what they say, for the documentation. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Answered without an API key: health only. */
  readonly public?: boolean;
  handle(call: Call<Body>): Promise<Reply> | Reply;
}

/** How a dialect writes errors; OpenAI's form unless a dialect has its own. */
export interface ErrorForm {
  /** The JSON of an error's body, and of a stream's last item where a failure ends it. */
  body(error: PublicError): unknown;
  /** The name of the server-sent event that carries it; absent: none. */
  readonly event?: string;
}

export interface Dialect {
  readonly name: string;
  // The body's type is the endpoint's own business: http/ only passes what the schema produced.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly endpoints: readonly Endpoint<any>[];
  readonly errors?: ErrorForm;
  /** A header that tells the request's id beside `x-request-id`, where clients look for another one. */
  readonly requestIdHeader?: string;
}
