// A supervisor over a worker without models, which does to itself what a request says: run as a program by
// supervisor.test.ts. `fixture.ts` supervises; `fixture.ts worker` is the worker.
import { existsSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import type { ConfigurationInForce } from "../../src/supervisor/messages.ts";
import { supervise } from "../../src/supervisor/supervisor.ts";
import { connectToSupervisor, type WorkerLink } from "../../src/supervisor/worker-link.ts";

/** Where this file is, a worker aborts before it can serve. */
const brokenFile = process.env["FIXTURE_BROKEN_FILE"] ?? "";

function answer(
  link: WorkerLink,
  former: ConfigurationInForce | null,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://fixture");
  const list = (name: string) => searchParams.getAll(name);
  if (pathname === "/die") {
    // Nothing runs between the report and the end.
    link.reportActivity({ loading: list("loading"), generating: list("generating") });
    process.kill(process.pid, searchParams.get("signal") ?? "SIGKILL");
    for (;;);
  }
  if (pathname === "/exit") process.exit(Number(searchParams.get("code")));
  if (pathname === "/configure") {
    const configuration = (searchParams.get("name") ?? "").repeat(Number(searchParams.get("repeat")));
    link.reportConfiguration({ configuration, readAtMs: 7 });
  }
  if (pathname === "/lift") for (const id of list("id")) link.reportLifted(id);
  response.end(
    JSON.stringify({
      pid: process.pid,
      client: request.socket.remotePort,
      arenas: process.env["MALLOC_ARENA_MAX"],
      quarantined: [...link.quarantined],
      former,
    }),
  );
}

if (process.argv[2] === "worker") {
  const link = connectToSupervisor();
  if (link === null) throw new Error("the worker does not know that it is supervised");
  const former = await link.configurationInForce();
  const address = await link.listen({ host: "127.0.0.1", port: 0 }, "info");
  if (existsSync(brokenFile)) process.abort();
  const server = createServer((request, response) => answer(link, former, request, response));
  link.serve((socket) => server.emit("connection", socket));
  process.stdout.write(`listening on http://${address.host}:${address.port}\n`);
  await link.stopped;
  process.exit(0);
} else {
  process.exit(await supervise({ script: fileURLToPath(import.meta.url), args: ["worker"] }));
}
