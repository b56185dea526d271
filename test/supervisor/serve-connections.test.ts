// Connections that another process accepted get what those of a listening server get: time limits, keep-alive, an orderly end.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { silentLogger } from "../../src/core/log.ts";
import { type ConnectionOptions, type HttpConnections, serveConnections } from "../../src/http/server.ts";

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function clientOf(connections: HttpConnections): Promise<Socket> {
  const acceptor: Server = createServer((socket) => connections.take(socket)).listen(0, "127.0.0.1");
  await once(acceptor, "listening");
  const client = connect((acceptor.address() as AddressInfo).port, "127.0.0.1");
  cleanups.push(
    () => acceptor.close(),
    () => client.destroy(),
  );
  await once(client, "connect");
  return client;
}

function serving(options: Partial<ConnectionOptions> = {}): HttpConnections {
  const app = { fetch: () => Response.json({ ok: true }), abortAll: () => {} };
  const connections = serveConnections(app, { stallTimeoutMs: 60_000, log: silentLogger, ...options });
  cleanups.push(() => void connections.close(0));
  return connections;
}

const request = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";

it("a client that never ends its headers gets 408", async () => {
  const client = await clientOf(serving({ headersTimeoutMs: 50, requestTimeoutMs: 100 }));
  client.write("GET / HTTP/1.1\r\nhost:");
  const [answer] = (await once(client, "data")) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 /);
});

it("several requests on one connection are answered, and a close waits for no idle one", async () => {
  const connections = serving();
  const client = await clientOf(connections);
  for (let turn = 0; turn < 2; turn++) {
    client.write(request);
    const [answer] = (await once(client, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n(?!.*connection: close)/s);
  }
  await Promise.all([once(client, "close"), connections.close(60_000)]);
});
