// The `serve` command: configuration, application, socket, signals. May import app.ts, http/ and what stands below.
import { parseArgs } from "node:util";
import { createApp } from "../app.ts";
import type { AppConfig } from "../config/config.ts";
import { describeSource } from "../config/describe-source.ts";
import { isLoopback } from "../core/addresses.ts";
import { messageOf } from "../core/errors.ts";
import { startHttpServer } from "../http/server.ts";
import { createLogger } from "../telemetry/log.ts";

/** Time for answers that were cut at the deadline to give their models back. */
const abortGraceMs = 1000;

export interface ServeParts {
  loadConfig(configPath: string | undefined): Promise<AppConfig>;
}

/** Serves until SIGTERM or SIGINT. Exit code: 0 after a drain, 1 when it could not start, 2 for unknown arguments. */
export async function serve(args: readonly string[], parts: ServeParts): Promise<number> {
  let options: { readonly config: string | undefined; readonly host: string | undefined; readonly port: number | null };
  try {
    options = parseOptions(args);
  } catch (error) {
    process.stderr.write(
      `serve: ${messageOf(error)}\nUsage: serve [--config FILE] [--host ADDRESS] [--port N, 0 to 65535]\n`,
    );
    return 2;
  }
  const loaded = await parts.loadConfig(options.config);
  const config: AppConfig = {
    ...loaded,
    server: {
      ...loaded.server,
      host: options.host ?? loaded.server.host,
      port: options.port ?? loaded.server.port,
    },
  };
  const log = createLogger(config.server.logLevel);
  const app = await createApp(config, log);
  const server = await startHttpServer(app.http, {
    host: config.server.host,
    port: config.server.port,
    log,
  }).catch(async (error: unknown) => {
    await app.close(0);
    throw error;
  });
  const source = describeSource(config);
  for (const line of source.lines) log.info({}, line);
  if (source.warning !== null) log.warn({}, source.warning);
  for (const warning of config.warnings) log.warn({}, warning);
  const description = await app.describe();
  for (const line of description.lines) log.info({}, line);
  for (const warning of description.warnings) log.warn({}, warning);
  for (const line of exposureWarnings(config)) log.warn({}, line);
  log.info({}, `listening on ${server.url}`);
  const warming = app.warmUp();
  // A bug in one request must not take the others with it.
  process.on("unhandledRejection", (reason) => log.error({ err: reason }, "a failure that nobody handled"));
  // The default would end the process without a drain, for example when the terminal closes.
  process.on("SIGHUP", () =>
    log.warn({}, "SIGHUP: this version does not reload its configuration; restart it instead"),
  );

  const signal = await firstSignal();
  log.info({ signal, drainTimeoutMs: config.server.drainTimeoutMs }, "draining: no new requests, running answers end");
  // A second signal means at once: nothing is waited for.
  void firstSignal().then(() => process.exit(130));
  app.drain();
  const { drainTimeoutMs } = config.server;
  await Promise.all([server.close(drainTimeoutMs), app.close(drainTimeoutMs + abortGraceMs), warming]);
  log.info({}, "stopped");
  return 0;
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: "string" }, host: { type: "string" }, port: { type: "string" } },
  });
  const port = values.port === undefined ? null : Number(values.port);
  if (port !== null && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new Error(`--port is ${JSON.stringify(values.port)}; allowed: an integer from 0 to 65535`);
  }
  return { config: values.config, host: values.host, port };
}

function exposureWarnings(config: AppConfig): string[] {
  const { host, apiKeys } = config.server;
  if (isLoopback(host) || apiKeys.length > 0) return [];
  return [
    `listening on ${host} without an API key: anyone who reaches this port can use the models and read /stats. ` +
      "Set server_config.api_keys, or listen on 127.0.0.1 behind a proxy.",
  ];
}

async function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      process.off("SIGTERM", onSignal);
      process.off("SIGINT", onSignal);
      resolve(signal);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
