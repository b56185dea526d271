// `serve --supervise`: a small process that owns the listening socket and keeps one worker, the server itself, alive. The
// engine's native code can end its process; this one holds the clients until the next worker takes them. May import core/
// and Node: what it loads it keeps in memory beside the models.
import { type ChildProcess, fork } from "node:child_process";
import { createServer, type Server, type Socket } from "node:net";
import type { Clock } from "../core/clock.ts";
import { systemClock } from "../core/clock.ts";
import { type Deferred, deferred } from "../core/deferred.ts";
import { messageOf } from "../core/errors.ts";
import type { AdjustableLogger } from "../core/log.ts";
import { mallocEnvironment } from "../core/malloc.ts";
import { CrashPolicy } from "./crash-policy.ts";
import { departedClients } from "./departed.ts";
import { HeldConnections } from "./held-connections.ts";
import { LineLogger } from "./line-logger.ts";
import {
  type Activity,
  type ConfigurationInForce,
  type ListeningAddress,
  type SupervisedBy,
  supervisedVariable,
  type SupervisorMessage,
  type WorkerMessage,
} from "./messages.ts";
import { Patience } from "./patience.ts";
import { Suspects } from "./suspects.ts";

/** Connections that may wait for a worker; the next one gets 503. */
const heldLimit = 1024;
const sweepMs = 1000;
const pingMs = 5000;
/** Pings without an answer after which a worker is killed: a minute. */
const missedPingsLimit = 12;

export interface SuperviseOptions {
  /** The program and the arguments that make it a worker. */
  readonly script: string;
  readonly args: readonly string[];
  readonly log?: AdjustableLogger;
  readonly clock?: Clock;
}

/**
 * Runs until SIGTERM or SIGINT, or until the worker cannot be kept alive. Exit code: the worker's own after a drain or where
 * the first one could not start, 1 after a crash loop, 130 for a second signal.
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const supervisor = new Supervisor(options);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => supervisor.stop(signal));
  process.on("SIGHUP", () => supervisor.reload());
  return supervisor.run();
}

interface Worker {
  readonly child: ChildProcess;
  readonly startedAtMs: number;
  readonly patience: Patience;
  isReady: boolean;
  answered: boolean;
  activity: Activity;
  /** Why this process killed it. */
  killedFor: string | null;
}

class Supervisor {
  readonly #options: SuperviseOptions;
  readonly #log: AdjustableLogger;
  readonly #clock: Clock;
  readonly #crashes = new CrashPolicy();
  readonly #suspects = new Suspects();
  readonly #held = new HeldConnections<Socket>(heldLimit);
  readonly #ended: Deferred<number> = deferred<number>();
  #server: Server | null = null;
  #address: ListeningAddress | null = null;
  #worker: Worker | null = null;
  #configuration: ConfigurationInForce | null = null;
  #wasEverReady = false;
  #isStopping = false;

  constructor(options: SuperviseOptions) {
    this.#options = options;
    this.#log = options.log ?? new LineLogger();
    this.#clock = options.clock ?? systemClock;
  }

  async run(): Promise<number> {
    this.#start();
    const timers = [setInterval(() => this.#ping(), pingMs), setInterval(() => void this.#sweep(), sweepMs)];
    const code = await this.#ended.promise;
    for (const timer of timers) clearInterval(timer);
    this.#server?.close();
    for (const id of this.#held.waiting.keys()) this.#held.drop(id)?.destroy();
    return code;
  }

  /** Lets the worker drain; the second call ends everything at once. */
  stop(signal: NodeJS.Signals): void {
    if (this.#isStopping) {
      this.#worker?.child.kill("SIGKILL");
      this.#ended.resolve(130);
      return;
    }
    this.#isStopping = true;
    this.#server?.close();
    if (this.#worker === null) {
      this.#log.info({ signal }, "stopped while no worker ran");
      this.#ended.resolve(0);
    } else if (this.#worker.isReady) {
      this.#send(this.#worker, { type: "stop", signal });
    } else {
      // It has answered nobody yet.
      this.#worker.child.kill("SIGKILL");
    }
  }

  reload(): void {
    // Where none runs, the next reads the configuration as it is then.
    if (this.#worker !== null) this.#send(this.#worker, { type: "reload" });
  }

  #start(): void {
    const supervisedBy: SupervisedBy = {
      quarantined: [...this.#suspects.quarantined],
      hasConfiguration: this.#configuration !== null,
    };
    const child = fork(this.#options.script, this.#options.args, {
      env: {
        ...mallocEnvironment,
        ...process.env,
        [supervisedVariable]: JSON.stringify(supervisedBy),
      },
    });
    const worker: Worker = {
      child,
      startedAtMs: this.#clock.nowMs(),
      patience: new Patience(missedPingsLimit),
      isReady: false,
      answered: true,
      activity: { loading: [], generating: [] },
      killedFor: null,
    };
    this.#worker = worker;
    child.on("message", (message) => this.#receive(worker, message as WorkerMessage));
    child.once("error", (error) => {
      // No process came to be; else "close" tells, after the last message.
      if (child.pid === undefined) this.#died(worker, `a failed start (${error.message})`, null);
    });
    child.once("close", (code, signal) => {
      if (child.pid !== undefined) this.#died(worker, worker.killedFor ?? signal ?? `an exit with code ${code}`, code);
    });
    this.#log.debug({ pid: child.pid }, "a worker starts");
  }

  #receive(worker: Worker, message: WorkerMessage): void {
    switch (message.type) {
      case "listen":
        this.#log.setLevel(message.logLevel);
        this.#listen({ host: message.host, port: message.port }).then(
          (address) => this.#send(worker, { type: "listening", ...address }),
          (error: NodeJS.ErrnoException) =>
            this.#send(worker, { type: "cannot_listen", code: error.code ?? null, message: messageOf(error) }),
        );
        break;
      case "configuration_wanted":
        if (this.#configuration !== null) this.#send(worker, { type: "configuration", ...this.#configuration });
        break;
      case "configured":
        this.#configuration = { configuration: message.configuration, readAtMs: message.readAtMs };
        break;
      case "ready":
        worker.isReady = true;
        this.#log.info(
          { pid: worker.child.pid, startMs: this.#ageMs(worker), waiting: this.#held.size },
          this.#wasEverReady ? "a new worker serves" : "the worker serves",
        );
        this.#wasEverReady = true;
        this.#handOver();
        break;
      case "taken":
        // Closes this process's copy; the connection lives on in the worker's.
        this.#held.acknowledge(message.connection)?.destroy();
        break;
      case "activity":
        worker.activity = { loading: message.loading, generating: message.generating };
        this.#log.debug({ pid: worker.child.pid, ...worker.activity }, "activity");
        break;
      case "lifted":
        this.#suspects.lift(message.modelId);
        break;
      case "pong":
        worker.answered = true;
        break;
    }
  }

  async #listen({ host, port }: ListeningAddress): Promise<ListeningAddress> {
    if (this.#address !== null) return this.#address;
    // Not read from here: the first byte belongs to the worker.
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
    server.removeAllListeners("error");
    server.on("error", (error) =>
      this.#log.error({ error: messageOf(error) }, "the listening socket reported an error"),
    );
    this.#server = server;
    const bound = server.address();
    this.#address = { host, port: typeof bound === "object" && bound !== null ? bound.port : port };
    return this.#address;
  }

  #accept(socket: Socket): void {
    socket.on("error", () => {});
    if (!this.#held.hold(socket)) {
      socket.end(refusal);
      // Its request is thrown away; with bytes unread the close would take the answer back.
      socket.resume();
      return;
    }
    this.#handOver();
  }

  #handOver(): void {
    const worker = this.#worker;
    if (worker?.isReady !== true) return;
    for (const [connection, socket] of this.#held.send()) {
      this.#send(worker, { type: "connection", connection }, socket);
    }
  }

  /** A message that does not arrive was for a worker that ended: its "close" event is what counts. */
  #send({ child }: Worker, message: SupervisorMessage, socket?: Socket): void {
    if (child.connected) child.send(message, socket, { keepOpen: true }, () => {});
  }

  /** Called with a worker's end, after the last of its messages. */
  #died(worker: Worker, cause: string, exitCode: number | null): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#held.workerDied();
    const atMs = this.#clock.nowMs();
    if (this.#isStopping) {
      if (exitCode === null && worker.isReady)
        this.#log.error({ cause }, `the worker was ended by ${cause} while it drained`);
      this.#ended.resolve(exitCode ?? (worker.isReady ? 1 : 0));
      return;
    }
    if (!this.#wasEverReady && exitCode !== null) {
      // What is wrong will not go away by itself, and the worker has said it.
      this.#ended.resolve(exitCode);
      return;
    }
    const { suspects, phase, quarantined } = this.#suspects.died(worker.activity, cause, atMs);
    const doing =
      phase === null ? "" : ` while ${suspects.join(", ")} ${suspects.length === 1 ? "was" : "were"} ${phase}`;
    const fields = { pid: worker.child.pid, cause, suspects, phase, uptimeMs: this.#ageMs(worker) };
    this.#log.error(fields, `the worker was ended by ${cause}${doing}`);
    for (const [modelId, reason] of quarantined) {
      this.#log.error({ modelId }, `${modelId} is quarantined: ${reason}; the others serve`);
    }
    const decision = this.#crashes.died({ wasReady: worker.isReady, atMs });
    if (decision.type === "give-up") {
      this.#log.error({}, `no further worker is started: ${decision.reason}`);
      this.#ended.resolve(1);
    } else if (decision.afterMs === 0) {
      this.#start();
    } else {
      this.#log.warn({ afterMs: decision.afterMs }, "the next worker starts after a pause");
      setTimeout(() => {
        if (!this.#isStopping) this.#start();
      }, decision.afterMs);
    }
  }

  #ping(): void {
    const worker = this.#worker;
    if (worker === null) return;
    if (worker.patience.tick(worker.answered)) {
      worker.killedFor = `the supervisor, as it had not answered for ${(missedPingsLimit * pingMs) / 1000} s,`;
      worker.child.kill("SIGKILL");
    } else if (worker.answered) {
      worker.answered = false;
      this.#send(worker, { type: "ping" });
    }
  }

  /** Those who left while they waited give their places back. */
  async #sweep(): Promise<void> {
    if (this.#held.waiting.size === 0) return;
    const hasLeft = await departedClients();
    for (const [id, socket] of this.#held.waiting) if (hasLeft(socket)) this.#held.drop(id)?.destroy();
  }

  #ageMs(worker: Worker): number {
    return Math.round(this.#clock.nowMs() - worker.startedAtMs);
  }
}

const refusalBody = JSON.stringify({
  error: {
    message: "The server is restarting and too many requests wait for it.",
    type: "unavailable_error",
    param: null,
    code: "restarting",
  },
});
const refusal = [
  "HTTP/1.1 503 Service Unavailable",
  "content-type: application/json",
  `content-length: ${Buffer.byteLength(refusalBody)}`,
  "retry-after: 2",
  "connection: close",
  "",
  refusalBody,
].join("\r\n");
