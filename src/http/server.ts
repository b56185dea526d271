// Listens on a port, or takes connections that another process accepted, and closes in order: the socket's side of the HTTP
// application. The only importer of the adapter.
// May import core/.
import { createServer, type Server, STATUS_CODES, type ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { PublicError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { HttpApp } from "./app.ts";
import { errorResponse, openaiErrors } from "./error-response.ts";

export interface HttpServerOptions extends ConnectionOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface ConnectionOptions {
  readonly log: Logger;
  /** Time that a client gets to send its headers and, for the second, its whole request. An answer has no limit. */
  readonly headersTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** How long a client may take nothing of an answer that is whole; then its connection is cut. */
  readonly stallTimeoutMs: number;
}

export interface HttpServer extends Pick<HttpConnections, "close"> {
  readonly port: number;
  /** Where it listens, for example `http://127.0.0.1:8082`. */
  readonly url: string;
}

export interface HttpConnections {
  /** Serves a connection that another process accepted, as if it had come here. */
  take(socket: Socket): void;
  /**
   * Takes no new connection and lets running answers end; those that still run after `deadlineMs` end with an error,
   * and connections that are open half a second later are cut.
   */
  close(deadlineMs: number): Promise<void>;
}

/** What readers get to take the errors that end their answers at the drain's deadline. */
const lastWordsMs = 500;

type Handler = Pick<HttpApp, "fetch" | "abortAll">;

/** Rejects with a PublicError where the address cannot be had. */
export async function startHttpServer(app: Handler, options: HttpServerOptions): Promise<HttpServer> {
  const { host } = options;
  const { server, connections } = createConnections(app, options);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, host, options.port)));
    server.listen(options.port, host, resolve);
  });
  server.removeAllListeners("error");
  server.on("error", (error) => options.log.error({ err: error }, "the HTTP server reported an error"));
  const { port } = server.address() as AddressInfo;
  return { port, url: urlOf(host, port), close: async (deadlineMs) => connections.close(deadlineMs) };
}

/** Serves the connections that it is given, and listens nowhere. */
export function serveConnections(app: Handler, options: ConnectionOptions): HttpConnections {
  const { server, connections } = createConnections(app, options);
  // Node begins to hold clients to the time limits when the server listens, which this one never does.
  server.emit("listening");
  return connections;
}

export function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function createConnections(app: Handler, options: ConnectionOptions): { server: Server; connections: HttpConnections } {
  const { log, stallTimeoutMs } = options;
  let closing = false;
  const openSockets = new Set<Socket>();
  // Connections without a request under way. Node's own list of idle ones lacks those that never sent any, as clients
  // open them in advance; a close would wait for them until their headers time out.
  const quietSockets = new Set<Socket>();
  const responses = new WeakMap<Duplex, ServerResponse>();
  // It puts a Response of its own in the place of the global one, which reaches the socket without a web stream between.
  const listener = getRequestListener((request, bindings) => app.fetch(request, bindings), {
    // For HTTP/1.0, as simple health checkers speak it: there the Host header may be missing.
    hostname: "localhost",
    // Reached only by requests that never become one: a host header that is none, a path with a backslash.
    errorHandler: (error) =>
      errorResponse(
        malformed(400, error instanceof Error ? error.message : "The request is malformed."),
        { log, requestId: "none", form: openaiErrors },
        false,
      ),
  });
  const headersTimeout = options.headersTimeoutMs ?? 20_000;
  const requestTimeout = options.requestTimeoutMs ?? 120_000;
  const server = createServer(
    {
      headersTimeout,
      requestTimeout,
      connectionsCheckingInterval: Math.min(headersTimeout, requestTimeout, 5000),
      // Longer than the idle time of common proxies, so that the proxy closes first and never writes into a closed socket.
      keepAliveTimeout: 75_000,
      noDelay: true,
      // Checked below, where the answer has a body.
      requireHostHeader: false,
    },
    (request, response) => {
      const { socket } = request;
      quietSockets.delete(socket);
      responses.set(socket, response);
      if (closing) response.setHeader("connection", "close");
      // An answer that is whole but not taken would hold its memory and its socket for good: Node sets no limit to that.
      // Its timer for sockets does see one that is taken slowly.
      response.once("prefinish", () => socket.setTimeout(stallTimeoutMs));
      response.once("timeout", () => {
        log.info({ afterMs: stallTimeoutMs }, "connection cut: its client took nothing");
        socket.destroy();
      });
      // Before Node's own listener, which limits how long the connection may then wait for a next request.
      response.prependOnceListener("finish", () => socket.setTimeout(0));
      response.once("close", () => {
        if (closing) setImmediate(() => socket.destroySoon());
        else if (!socket.destroyed) quietSockets.add(socket);
      });
      if (request.headers.host === undefined && request.httpVersion !== "1.0") {
        response.shouldKeepAlive = false;
        response.writeHead(400, { "content-type": "application/json" });
        response.end(JSON.stringify(openaiErrors.body(malformed(400, "The request has no Host header."))));
        return;
      }
      void listener(request, response);
    },
  );
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const answered = responses.get(socket);
    const isMidAnswer = answered?.headersSent === true && !answered.writableFinished;
    if (error.code === "ECONNRESET" || !socket.writable || isMidAnswer) socket.destroy();
    else socket.end(parserRefusal(error), () => socket.destroy());
  });
  server.on("connection", (socket) => {
    openSockets.add(socket);
    quietSockets.add(socket);
    socket.once("close", () => {
      openSockets.delete(socket);
      quietSockets.delete(socket);
    });
  });
  const connections: HttpConnections = {
    take(socket) {
      if (closing) {
        socket.destroy();
        return;
      }
      // As the server would have made it, had it accepted the connection itself.
      socket.allowHalfOpen = true;
      socket.setNoDelay(true);
      server.emit("connection", socket);
    },
    async close(deadlineMs) {
      closing = true;
      // Calls back when the connections that it accepted itself are closed; it does not know of the others.
      const closed = Promise.all([
        new Promise<void>((resolve) => {
          // The HTTP server's own would cut connections whose answer is whole but still on its way to a slow reader.
          NetServer.prototype.close.call(server, () => resolve());
        }),
        ...Array.from(openSockets, async (socket) => new Promise((resolve) => socket.once("close", resolve))),
      ]);
      for (const socket of quietSockets) socket.destroy();
      let timer = setTimeout(() => {
        app.abortAll(shutDown());
        timer = setTimeout(() => server.closeAllConnections(), lastWordsMs);
      }, deadlineMs);
      await closed;
      clearTimeout(timer);
    },
  };
  return { server, connections };
}

function shutDown(): PublicError {
  return new PublicError("The server is shutting down; this answer was not finished in time.", {
    status: 503,
    type: "unavailable_error",
    code: "draining",
    retryAfterS: 5,
  });
}

function malformed(status: number, message: string): PublicError {
  const code = status === 408 ? "request_timeout" : status === 431 ? "headers_too_large" : "malformed_request";
  return new PublicError(message, { status, type: "invalid_request_error", code, shouldRetry: status === 408 });
}

/** The whole answer, head and body, to what Node's parser refuses: there is no request then, and no response object. */
function parserRefusal(error: NodeJS.ErrnoException): string {
  const refusals: Readonly<Record<string, PublicError>> = {
    HPE_HEADER_OVERFLOW: malformed(431, "The request's headers are larger than this server accepts (16 KiB)."),
    ERR_HTTP_REQUEST_TIMEOUT: malformed(408, "The request did not come whole in time."),
  };
  const refusal = refusals[error.code ?? ""] ?? malformed(400, `This is no HTTP request: ${error.message}.`);
  const body = JSON.stringify(openaiErrors.body(refusal));
  const lines = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...(refusal.shouldRetry ? [] : ["x-should-retry: false"]),
    "connection: close",
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** What to tell where `host` and `port` could not be listened on. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): PublicError {
  const change = "choose another with --port or server_config.port";
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} on ${host} is already in use by another program; stop it, or ${change}.`,
    EACCES: `Port ${port} on ${host} needs more rights than this user has; ${change}.`,
    EADDRNOTAVAIL: `This machine has no address ${host}; choose another with --host or server_config.host.`,
    ENOTFOUND: `The host name ${host} is not known; choose another with --host or server_config.host.`,
  };
  const reason = reasons[error.code ?? ""] ?? `Cannot listen on ${host}, port ${port}: ${error.message}.`;
  return new PublicError(reason, { status: 500, type: "server_error", code: "cannot_listen", cause: error });
}
