// Turns dialects into routes: keys, bodies, replies, errors, and the client's leaving. Knows no single endpoint.
// May import hono, api/, config/'s types and core/.
import { randomUUID } from "node:crypto";
import { Hono, type Context } from "hono";
import { cors } from "hono/cors";
import type { Dialect, Endpoint, Reply } from "../api/endpoint.ts";
import { validate } from "../api/common/validation.ts";
import type { ServerConfig } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import { deferred } from "../core/deferred.ts";
import { clip, PublicError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { createKeyCheck } from "./api-keys.ts";
import { closestPaths } from "./closest-paths.ts";
import { errorItem, errorResponse, openaiErrors, type ErrorContext } from "./error-response.ts";
import { eventStream, type EventStream, type StreamOutcome } from "./event-stream.ts";
import { readJson } from "./request-body.ts";

export interface HttpOptions {
  readonly dialects: readonly Dialect[];
  readonly server: Pick<ServerConfig, "apiKeys" | "corsOrigins" | "heartbeatMs" | "maxBodyBytes" | "stallTimeoutMs">;
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * The requests under way: one set for all applications that follow one another at reloads, so that the newest can abort
   * the requests of those before it. Absent: a set of its own.
   */
  readonly running?: Set<RunningRequest>;
}

export interface RunningRequest {
  abort(error: PublicError): void;
}

/** How long a stream's headers wait for its first item, so that an early failure keeps its status. */
const firstItemMs = 500;

interface Env {
  Variables: { requestId: string; startedMs: number };
  /** The socket's side of the response; absent where no real server runs. */
  Bindings: { outgoing?: { destroy(): unknown; cork(): void; uncork(): void } };
}

/** The application without a socket: a request in, a response out. */
export interface HttpApp {
  /** `bindings`: what the server knows of the socket. */
  readonly fetch: (request: Request, bindings?: object) => Response | Promise<Response>;
  /** Asks by path, for tests. */
  readonly request: (path: string, init?: RequestInit) => Response | Promise<Response>;
  /** Answers every request under way with `error` now: as its status and body, or as a stream's last event. */
  readonly abortAll: (error: PublicError) => void;
}

type StreamReply = Extract<Reply, { kind: "stream" }>;

export function createHttpApp(options: HttpOptions): HttpApp {
  const { clock, server } = options;
  const app = new Hono<Env>({ strict: false });
  const refuseKey = createKeyCheck(server.apiKeys);
  const running = options.running ?? new Set<RunningRequest>();
  const routes = options.dialects.flatMap((dialect) =>
    dialect.endpoints.flatMap((endpoint) =>
      [endpoint.path, ...(endpoint.aliases ?? [])].map((path) => ({ endpoint: { ...endpoint, path }, dialect })),
    ),
  );

  app.use(async (context, next) => {
    const sent = context.req.header("x-request-id");
    context.set("requestId", sent !== undefined && /^[\w.:-]{1,128}$/.test(sent) ? sent : randomUUID());
    context.set("startedMs", clock.nowMs());
    await next();
    // A preflight is answered by cors(), all else by an exchange, which tells the id itself.
    if (context.req.method === "OPTIONS") context.header("x-request-id", context.get("requestId"));
  });
  if (server.corsOrigins.length > 0) {
    app.use(
      cors({
        origin: server.corsOrigins.includes("*") ? "*" : [...server.corsOrigins],
        allowMethods: ["GET", "POST", "HEAD", "DELETE"],
        exposeHeaders: ["x-expert", "x-request-id", "x-ignored-parameters", "retry-after", "x-should-retry"],
        maxAge: 600,
      }),
    );
  }

  for (const { endpoint, dialect } of routes) {
    app.on(endpoint.method.toUpperCase(), honoPath(endpoint.path), (context) =>
      new Exchange(options, running, context, dialect).run(async (signal) => {
        const refusal = refuseKey(context.req.raw.headers);
        if (refusal !== null && endpoint.public !== true) throw refusal;
        return endpoint.handle({
          authorised: refusal === null,
          body: await bodyOf(endpoint, context.req.raw, server.maxBodyBytes),
          params: context.req.param(),
          query: context.req.query(),
          header: (name) => context.req.header(name),
          signal,
        });
      }),
    );
  }

  app.notFound(async (context) => {
    const { path, method } = context.req;
    const allowed = routes.filter(({ endpoint }) => pathPattern(endpoint.path).test(path));
    const response = await new Exchange(options, running, context, allowed[0]?.dialect ?? {}).run(() => {
      const refusal = refuseKey(context.req.raw.headers);
      if (refusal !== null) throw refusal;
      throw allowed.length > 0
        ? methodNotAllowed(
            method,
            path,
            allowed.map(({ endpoint }) => endpoint),
          )
        : unknownPath(
            path,
            routes.map(({ endpoint }) => endpoint),
          );
    });
    if (response.status === 405) response.headers.set("allow", allowedMethods(allowed.map(({ endpoint }) => endpoint)));
    return response;
  });
  app.onError((thrown, context) => {
    const requestId = context.get("requestId");
    const response = errorResponse(thrown, { log: options.log, requestId, form: openaiErrors }, false);
    response.headers.set("x-request-id", requestId);
    return response;
  });
  return {
    fetch: app.fetch,
    request: app.request,
    abortAll: (error) => {
      for (const exchange of running) exchange.abort(error);
    },
  };
}

async function bodyOf(endpoint: Endpoint, request: Request, maxBytes: number): Promise<unknown> {
  return endpoint.body === undefined ? undefined : validate(endpoint.body, await readJson(request, maxBytes));
}

/** One request from its handler to the end of its response. */
class Exchange implements RunningRequest {
  readonly #options: HttpOptions;
  readonly #context: Context<Env>;
  readonly #errors: ErrorContext;
  readonly #idHeaders: Readonly<Record<string, string>>;
  readonly #running: Set<RunningRequest>;
  /** Fires when the client leaves or the server aborts the exchange: the work behind it ends. */
  readonly #work = new AbortController();
  readonly #aborted = deferred<never>();
  #stream: EventStream | null = null;
  /** The client has: nothing is written any more. */
  #corked = false;
  #left = false;

  /** `running`: holds the exchange from its run to the end of its response. */
  constructor(
    options: HttpOptions,
    running: Set<RunningRequest>,
    context: Context<Env>,
    { errors = openaiErrors, requestIdHeader }: Pick<Dialect, "errors" | "requestIdHeader">,
  ) {
    this.#options = options;
    this.#running = running;
    this.#context = context;
    const requestId = context.get("requestId");
    this.#errors = { log: options.log, requestId, form: errors };
    this.#idHeaders = {
      "x-request-id": requestId,
      ...(requestIdHeader === undefined ? {} : { [requestIdHeader]: requestId }),
    };
    // Aborted while nobody waits for it, it is no failure.
    this.#aborted.promise.catch(() => {});
    const connection = context.req.raw.signal;
    if (connection.aborted) this.#leave();
    else connection.addEventListener("abort", () => this.#leave(), { once: true });
  }

  /** Answers with `error` at once; the work is told to end, and not waited for. */
  abort(error: PublicError): void {
    if (this.#stream === null) this.#aborted.reject(error);
    else this.#stream.fail(error);
    this.#work.abort();
  }

  /** `handle`'s signal fires when the client leaves or the exchange is aborted. Never rejects: what is thrown is rendered. */
  async run(handle: (signal: AbortSignal) => Promise<Reply> | Reply): Promise<Response> {
    this.#running.add(this);
    try {
      const reply = await Promise.race([handle(this.#work.signal), this.#aborted.promise]);
      if (reply.kind === "stream") return await this.#startStream(reply);
      const response =
        reply.kind === "text"
          ? this.#respond(reply.body, 200, { "content-type": reply.contentType })
          : this.#respond(JSON.stringify(reply.body), reply.status ?? 200, {
              "content-type": "application/json",
              ...reply.headers,
            });
      this.#end(response.status, "complete", reply);
      return response;
    } catch (thrown) {
      const response = errorResponse(thrown, this.#errors, this.#left);
      for (const [name, value] of Object.entries(this.#idHeaders)) response.headers.set(name, value);
      this.#end(response.status, this.#left ? "left" : "failed");
      return response;
    }
  }

  /** Plain values alone: where they become Headers or a web stream, an answer costs twice as much. */
  #respond(body: string | ReadableStream, status: number, headers: Readonly<Record<string, string>>): Response {
    return new Response(body, { status, headers: { ...this.#idHeaders, ...headers } });
  }

  async #startStream(reply: StreamReply): Promise<Response> {
    const { clock, server } = this.#options;
    const stallMs = server.stallTimeoutMs;
    const first = reply.items.next();
    await settledWithin(Promise.race([first, this.#aborted.promise]), firstItemMs, clock);
    const form = reply.form ?? "events";
    const stream = eventStream({
      form,
      items: reply.items,
      first,
      hasLeft: () => this.#left,
      onLeave: () => this.#leave(),
      heartbeatMs: server.heartbeatMs,
      awaited: reply.awaited ?? (() => null),
      stallMs,
      clock,
      errorItem: (thrown) => errorItem(thrown, this.#errors),
      onStall: () => this.#cutOff(stallMs),
      onWrite: () => this.#writeTogether(),
      onEnd: (outcome) => this.#end(200, outcome, reply),
    });
    this.#stream = stream;
    return this.#respond(stream.body, 200, {
      "content-type": form === "events" ? "text/event-stream; charset=utf-8" : "application/x-ndjson",
      "cache-control": "no-cache, no-transform",
      // Proxies must not hold the events back.
      "x-accel-buffering": "no",
      ...reply.headers,
    });
  }

  #leave(): void {
    this.#left = true;
    this.#running.delete(this);
    this.#work.abort();
  }

  /**
   * A pass of the engine may bring several tokens of a stream, and to write to a socket costs more than all else that a
   * token needs: what is there by the time that nothing more runs goes out in one write.
   */
  #writeTogether(): void {
    // Without a server below there is no socket.
    const outgoing = (this.#context.env as Env["Bindings"] | undefined)?.outgoing;
    if (this.#corked || outgoing === undefined) return;
    this.#corked = true;
    outgoing.cork();
    // Ticks run when no settled promise is left to act on.
    process.nextTick(() => {
      this.#corked = false;
      outgoing.uncork();
    });
  }

  /** Ends the connection of a reader that takes nothing; its leaving then ends the work behind the answer. */
  #cutOff(afterMs: number): void {
    this.#options.log.info({ requestId: this.#errors.requestId, afterMs }, "connection cut: its client took nothing");
    this.#context.env.outgoing?.destroy();
  }

  #end(status: number, outcome: StreamOutcome, reply?: Reply): void {
    this.#running.delete(this);
    const { log, clock } = this.#options;
    const { method, path } = this.#context.req;
    const fields = {
      requestId: this.#errors.requestId,
      method,
      path: clip(path),
      status,
      expert: reply === undefined || reply.kind === "text" ? undefined : reply.headers?.["x-expert"],
      durationMs: Math.round(clock.nowMs() - this.#context.get("startedMs")),
      outcome,
    };
    // An answer that went well is in the log already, as its request record.
    if (status >= 400 || outcome === "failed") log.info(fields, "request refused or failed");
    else log.debug(fields, "request served");
  }
}

/** Resolves when `promise` fulfils or the time is over; rejects when it rejects before. */
async function settledWithin(promise: Promise<unknown>, timeoutMs: number, clock: Clock): Promise<void> {
  let cancelTimer = (): void => {};
  const timeout = new Promise<void>((resolve) => {
    cancelTimer = clock.setTimer(timeoutMs, resolve);
  });
  try {
    await Promise.race([promise, timeout]);
  } finally {
    cancelTimer();
  }
}

/** `/v1/models/{id}` as hono writes it; a parameter that ends the path may hold slashes. */
function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}$/, ":$1{.+}").replace(/\{(\w+)\}/g, ":$1");
}

function pathPattern(path: string): RegExp {
  const pattern = path.replace(/\{\w+\}$/, ".+").replace(/\{\w+\}/g, "[^/]+");
  return new RegExp(`^${pattern.replace(/\/$/, "")}/?$`);
}

function allowedMethods(endpoints: readonly Endpoint[]): string {
  const methods = endpoints.flatMap(({ method }) => (method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()]));
  return [...new Set(methods)].join(", ");
}

function methodNotAllowed(method: string, path: string, endpoints: readonly Endpoint[]): PublicError {
  return new PublicError(`${path} does not take ${method}; allowed: ${allowedMethods(endpoints)}.`, {
    status: 405,
    type: "invalid_request_error",
    code: "method_not_allowed",
    shouldRetry: false,
  });
}

function unknownPath(path: string, endpoints: readonly Endpoint[]): PublicError {
  const closest = closestPaths(
    path,
    endpoints.map((endpoint) => endpoint.path),
  );
  const hint = closest.length > 0 ? `Did you mean ${closest.join(" or ")}?` : "GET / lists the endpoints.";
  return new PublicError(`There is nothing at ${JSON.stringify(clip(path))}. ${hint}`, {
    status: 404,
    type: "not_found_error",
    code: "unknown_path",
    shouldRetry: false,
  });
}
