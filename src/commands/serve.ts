// The `serve` command: its options, and which of two things this process becomes. The server and the supervisor are imported
// only where they are wanted, because the supervisor stays small by never loading the server. May import core/.
import { parseArgs } from "node:util";
import { messageOf } from "../core/errors.ts";
import type { ServeParts } from "./serve/run-server.ts";

/** Exit code: 0 after a drain, 1 when it could not start or not be kept alive, 2 for unknown arguments, 130 for a second signal. */
export async function serve(args: readonly string[], parts: ServeParts): Promise<number> {
  let options: ReturnType<typeof parseOptions>;
  try {
    options = parseOptions(args);
  } catch (error) {
    process.stderr.write(
      `serve: ${messageOf(error)}\n` +
        "Usage: serve [--supervise] [--config FILE] [--host ADDRESS] [--port N, 0 to 65535]\n",
    );
    return 2;
  }
  const [, script] = process.argv;
  if (options.supervise && script !== undefined) {
    const { supervise } = await import("../supervisor/supervisor.ts");
    return supervise({ script, args: ["serve", ...args.filter((argument) => argument !== "--supervise")] });
  }
  const { runServer } = await import("./serve/run-server.ts");
  return runServer(options, parts);
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: "string" },
      host: { type: "string" },
      port: { type: "string" },
      supervise: { type: "boolean", default: false },
    },
  });
  const port = values.port === undefined ? null : Number(values.port);
  if (port !== null && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new Error(`--port is ${JSON.stringify(values.port)}; allowed: an integer from 0 to 65535`);
  }
  return { config: values.config, host: values.host ?? null, port, supervise: values.supervise };
}
