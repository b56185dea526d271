// The worker's end of the channel to its supervisor. May import core/ and Node; serve connects it with the application.
import type { Socket } from "node:net";
import { type Deferred, deferred } from "../core/deferred.ts";
import type { LogLevel } from "../core/log.ts";
import {
  type Activity,
  type ConfigurationInForce,
  type ListeningAddress,
  type SupervisedBy,
  supervisedVariable,
  type SupervisorMessage,
  type WorkerMessage,
} from "./messages.ts";

/**
 * Characters. The channel takes a message of this size in one piece; with one of 600,000 and connections beside it, workers
 * were seen to wait for ever. A larger configuration is not kept for the next worker.
 */
const largestConfiguration = 64 * 1024;

export interface WorkerLink {
  /** Models that ended the process twice, each with the reason. */
  readonly quarantined: ReadonlyMap<string, string>;
  /** What the worker before this one served by; null where there was none. */
  configurationInForce(): Promise<ConfigurationInForce | null>;
  /** Kept for the next worker: from `serve` on what this one serves by, then what each reload puts in its place. */
  reportConfiguration(inForce: ConfigurationInForce): void;
  /** Resolves with the address where the supervisor listens, which on a restart may be an earlier one. */
  listen(address: ListeningAddress, logLevel: LogLevel): Promise<ListeningAddress>;
  /** From now on connections come, each with a client that may have waited for it. */
  serve(take: (socket: Socket) => void): void;
  /** Written to the channel before it returns: it arrives although the process ends at the next instruction. */
  reportActivity(activity: Activity): void;
  reportLifted(modelId: string): void;
  /** Called for each order to read the configuration again, also for one that came before this. */
  onReload(reload: () => void): void;
  /** Resolves with the signal, or with null when the supervisor itself has ended; then nothing more comes from it. */
  readonly stopped: Promise<string | null>;
}

/** Null where this process is not a supervisor's worker. To be called once, before anything starts other processes. */
export function connectToSupervisor(): WorkerLink | null {
  const supervisedBy = process.env[supervisedVariable];
  // Processes that the worker starts are no workers.
  delete process.env[supervisedVariable];
  if (supervisedBy === undefined || process.send === undefined) return null;
  return new Link(JSON.parse(supervisedBy) as SupervisedBy);
}

class Link implements WorkerLink {
  readonly quarantined: ReadonlyMap<string, string>;
  readonly #hasConfiguration: boolean;
  readonly #configuration: Deferred<ConfigurationInForce> = deferred<ConfigurationInForce>();
  readonly #stop = deferred<string | null>();
  readonly stopped = this.#stop.promise;
  readonly #listening: Deferred<ListeningAddress> = deferred<ListeningAddress>();
  #take: (socket: Socket) => void = (socket) => socket.destroy();
  #isReloadDue = false;
  #reload = () => {
    this.#isReloadDue = true;
  };

  constructor({ quarantined, hasConfiguration }: SupervisedBy) {
    this.quarantined = new Map(quarantined);
    this.#hasConfiguration = hasConfiguration;
    process.on("message", (message, handle) =>
      this.#receive(message as SupervisorMessage, handle as Socket | undefined),
    );
    process.once("disconnect", () => this.#stop.resolve(null));
    // A terminal and some process managers signal the supervisor and this process; the supervisor's word counts.
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  }

  async configurationInForce(): Promise<ConfigurationInForce | null> {
    if (!this.#hasConfiguration) return null;
    this.#send({ type: "configuration_wanted" });
    return this.#configuration.promise;
  }

  reportConfiguration({ configuration, readAtMs }: ConfigurationInForce): void {
    if (JSON.stringify(configuration).length > largestConfiguration) return;
    this.#send({ type: "configured", configuration, readAtMs });
  }

  async listen(address: ListeningAddress, logLevel: LogLevel): Promise<ListeningAddress> {
    this.#send({ type: "listen", ...address, logLevel });
    return this.#listening.promise;
  }

  serve(take: (socket: Socket) => void): void {
    this.#take = take;
    this.#send({ type: "ready" });
  }

  reportActivity({ loading, generating }: Activity): void {
    this.#send({ type: "activity", loading, generating });
  }

  reportLifted(modelId: string): void {
    this.#send({ type: "lifted", modelId });
  }

  onReload(reload: () => void): void {
    this.#reload = reload;
    if (this.#isReloadDue) reload();
  }

  #receive(message: SupervisorMessage, socket: Socket | undefined): void {
    switch (message.type) {
      case "listening":
        this.#listening.resolve({ host: message.host, port: message.port });
        break;
      case "cannot_listen":
        this.#listening.reject(Object.assign(new Error(message.message), { code: message.code ?? undefined }));
        break;
      case "configuration":
        this.#configuration.resolve({ configuration: message.configuration, readAtMs: message.readAtMs });
        break;
      case "connection":
        // Acknowledged before the first byte is read from it, so that another worker could still have it whole.
        this.#send({ type: "taken", connection: message.connection });
        // None where the client broke off on the way.
        if (socket !== undefined) this.#take(socket);
        break;
      case "stop":
        this.#stop.resolve(message.signal);
        break;
      case "reload":
        this.#reload();
        break;
      case "ping":
        this.#send({ type: "pong" });
        break;
    }
  }

  #send(message: WorkerMessage): void {
    // The callback takes the error of a channel whose other end is gone; "disconnect" tells of that.
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  }
}
