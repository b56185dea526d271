// The server's own process: configuration, application, connections, signals; alone, or as a supervisor's worker, which gets
// its connections and its orders from there. May import app.ts, http/ and what stands below.
import { type App, createApp } from "../../app.ts";
import type { AppConfig } from "../../config/config.ts";
import { describeSource } from "../../config/describe-source.ts";
import { reloadConfig } from "../../config/load.ts";
import { systemClock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { listenError, serveConnections, startHttpServer, urlOf } from "../../http/server.ts";
import type { ConfigurationInForce } from "../../supervisor/messages.ts";
import { Patience } from "../../supervisor/patience.ts";
import { connectToSupervisor, type WorkerLink } from "../../supervisor/worker-link.ts";
import { createLogger } from "../../telemetry/log.ts";

/** Time for answers that were cut at the deadline to give their models back. */
const abortGraceMs = 1000;
const progressCheckMs = 5000;
/** Checks in a row without progress after which a supervised process ends: two minutes. */
const noProgressLimit = 24;

export interface ServeParts {
  loadConfig(configPath: string | undefined): Promise<AppConfig>;
}

export interface ServeOptions {
  readonly config: string | undefined;
  /** These two win over the configuration; null: not given. */
  readonly host: string | null;
  readonly port: number | null;
}

/** What has come that ends the server: SIGTERM or SIGINT, or null where the supervisor itself is gone. */
type End = string | null;

/** The server's side of where its connections and orders come from. */
interface Front {
  readonly url: string;
  close(deadlineMs: number): Promise<void>;
  onReload(reload: () => void): void;
  /** Resolves when the server is to drain. */
  readonly ended: Promise<End>;
}

export async function runServer(options: ServeOptions, parts: ServeParts): Promise<number> {
  const link = connectToSupervisor();
  const former = link === null ? null : await link.configurationInForce();
  const loaded = await loadOrKeep(former, async () => parts.loadConfig(options.config));
  const log = createLogger(loaded.config.server.logLevel);
  for (const problem of loaded.problems) log.error({}, problem);
  if (loaded.problems.length > 0) {
    log.error(
      {},
      `the configuration cannot be used: that of ${new Date(loaded.readAtMs).toISOString()} stays in force; ` +
        "correct the file, then send SIGHUP or POST /admin/reload",
    );
  }
  const app = await createApp(loaded.config, log, {
    host: options.host,
    port: options.port,
    ...(link !== null && {
      quarantined: link.quarantined,
      onActivity: (activity) => link.reportActivity(activity),
      onLifted: (modelId) => link.reportLifted(modelId),
      onConfig: (configuration) => link.reportConfiguration({ configuration, readAtMs: systemClock.epochMs() }),
    }),
  });
  const config = app.config();
  const front = await (link === null ? ownFront(app, config, log) : supervisedFront(link, app, loaded, log)).catch(
    async (error: unknown) => {
      await app.close(0);
      throw error;
    },
  );
  const source = describeSource(config);
  for (const line of source.lines) log.info({}, line);
  if (source.warning !== null) log.warn({}, source.warning);
  for (const warning of config.warnings) log.warn({}, warning);
  const description = await app.describe();
  for (const line of description.lines) log.info({}, line);
  for (const warning of description.warnings) log.warn({}, warning);
  log.info({}, `listening on ${front.url}`);
  const warming = app.warmUp();
  // A bug in one request must not take the others with it.
  process.on("unhandledRejection", (reason) => log.error({ err: reason }, "a failure that nobody handled"));
  // It logs by itself what was read and what was wrong.
  front.onReload(() => void app.reload().catch(() => {}));

  const end = await front.ended;
  const { drainTimeoutMs } = app.config().server;
  if (end === null) log.error({ drainTimeoutMs }, "the supervisor is gone: draining, then this process ends too");
  else log.info({ signal: end, drainTimeoutMs }, "draining: no new requests, running answers end");
  app.drain();
  await Promise.all([front.close(drainTimeoutMs), app.close(drainTimeoutMs + abortGraceMs), warming]);
  log.info({}, "stopped");
  return end === null ? 1 : 0;
}

interface LoadedConfig {
  readonly config: AppConfig;
  readonly readAtMs: number;
  /** Why it is not the file's, a line each; empty where it is. */
  readonly problems: readonly string[];
}

/** Where another worker has served before, a file that has become unusable since costs its changes, not the service. */
async function loadOrKeep(
  former: ConfigurationInForce | null,
  loadFirst: () => Promise<AppConfig>,
): Promise<LoadedConfig> {
  const readAtMs = systemClock.epochMs();
  if (former === null) return { config: await loadFirst(), readAtMs, problems: [] };
  const config = former.configuration as AppConfig;
  try {
    const options = { env: process.env, workingDirectory: process.cwd() };
    return { config: await reloadConfig(config.source, options), readAtMs, problems: [] };
  } catch (error) {
    return { config, readAtMs: former.readAtMs, problems: messageOf(error).split("\n") };
  }
}

async function ownFront(app: App, config: AppConfig, log: Logger): Promise<Front> {
  const { host, port, stallTimeoutMs } = config.server;
  const { url, close } = await startHttpServer(app.http, { host, port, stallTimeoutMs, log });
  const ended = firstSignal();
  // A second signal means at once: nothing is waited for.
  void ended.then(async () => firstSignal()).then(() => process.exit(130));
  return {
    url,
    close,
    // Without a listener, the closing of its terminal would end the process without a drain.
    onReload: (reload) => process.on("SIGHUP", reload),
    ended,
  };
}

async function supervisedFront(link: WorkerLink, app: App, { readAtMs }: LoadedConfig, log: Logger): Promise<Front> {
  const { host, port, logLevel, stallTimeoutMs } = app.config().server;
  const address = await link.listen({ host, port }, logLevel).catch((error: unknown) => {
    throw listenError(error as NodeJS.ErrnoException, host, port);
  });
  const url = urlOf(address.host, address.port);
  if (address.host !== host || (port !== 0 && address.port !== port)) {
    log.warn({}, `still listening on ${url}: another host or port takes a restart of the supervisor`);
  }
  link.reportConfiguration({ configuration: app.config(), readAtMs });
  const connections = serveConnections(app.http, { stallTimeoutMs, log });
  endWithoutProgress(app, log);
  link.serve((socket) => connections.take(socket));
  return {
    url,
    close: async (deadlineMs) => connections.close(deadlineMs),
    onReload: (reload) => link.onReload(reload),
    ended: link.stopped,
  };
}

/** Requests wait and nothing moves: a bug that a fresh process ends, where somebody starts one. */
function endWithoutProgress(app: App, log: Logger): void {
  const patience = new Patience(noProgressLimit);
  const check = () => {
    if (!patience.tick(app.services.poolStatus().progressing)) return;
    log.error({ models: app.services.poolStatus().models }, "requests wait and nothing moves: ending this process");
    process.exit(1);
  };
  setInterval(check, progressCheckMs).unref();
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
