// Listens on a port and closes in order: the socket's side of the HTTP application. The only importer of the adapter.
// May import core/.
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { PublicError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { HttpApp } from "./app.ts";
import { errorResponse } from "./error-response.ts";

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Logger;
  /** Time that a client gets to send its headers and, for the second, its whole request. An answer has no limit. */
  readonly headersTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
}

export interface HttpServer {
  readonly port: number;
  /** Where it listens, for example `http://127.0.0.1:8082`. */
  readonly url: string;
  /** Takes no new connection, lets running answers end, and cuts those that still run after `deadlineMs`. */
  close(deadlineMs: number): Promise<void>;
}

/** Rejects with a PublicError where the address cannot be had. */
export async function startHttpServer(app: Pick<HttpApp, "fetch">, options: HttpServerOptions): Promise<HttpServer> {
  const { host, log } = options;
  let closing = false;
  // Connections without a request under way. Node's own list of idle ones lacks those that never sent any, as clients
  // open them in advance; a close would wait for them until their headers time out.
  const quietSockets = new Set<Socket>();
  const listener = getRequestListener((request, bindings) => app.fetch(request, bindings), {
    overrideGlobalObjects: false,
    // Reached only by requests that never become one: a host header that is none, a path with a backslash.
    errorHandler: (error) =>
      errorResponse(
        new PublicError(error instanceof Error ? error.message : "The request is malformed.", {
          status: 400,
          type: "invalid_request_error",
          code: "malformed_request",
          shouldRetry: false,
        }),
        { log, requestId: "none", renderError: undefined },
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
    },
    (request, response) => {
      const { socket } = request;
      quietSockets.delete(socket);
      if (closing) response.setHeader("connection", "close");
      response.once("close", () => {
        if (closing) setImmediate(() => socket.destroySoon());
        else if (!socket.destroyed) quietSockets.add(socket);
      });
      void listener(request, response);
    },
  );
  server.on("connection", (socket) => {
    quietSockets.add(socket);
    socket.once("close", () => quietSockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, host, options.port)));
    server.listen(options.port, host, resolve);
  });
  server.removeAllListeners("error");
  server.on("error", (error) => log.error({ err: error }, "the HTTP server reported an error"));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    async close(deadlineMs) {
      closing = true;
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      for (const socket of quietSockets) socket.destroy();
      const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
      await closed;
      clearTimeout(deadline);
    },
  };
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): PublicError {
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
