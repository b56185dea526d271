// What supervisor and worker say to each other over the channel between them. May import core/ types.
import type { LogLevel } from "../core/log.ts";

/** Which models are being loaded and which are leased: the suspects, should the process end now. */
export interface Activity {
  readonly loading: readonly string[];
  readonly generating: readonly string[];
}

/** Where the supervisor listens. */
export interface ListeningAddress {
  readonly host: string;
  readonly port: number;
}

/** What a worker serves by, kept for the one that comes after it. */
export interface ConfigurationInForce {
  /** The worker's own, in JSON's terms. It may hold API keys: it is not printed and not put into an environment. */
  readonly configuration: unknown;
  /** Milliseconds since 1970. */
  readonly readAtMs: number;
}

export type WorkerMessage =
  /** The configuration is read: listen there, unless the socket is already open. Answered by listening or cannot_listen. */
  | (ListeningAddress & { readonly type: "listen"; readonly logLevel: LogLevel })
  /** Answered by configuration. */
  | { readonly type: "configuration_wanted" }
  /** Serves by this from now on. */
  | (ConfigurationInForce & { readonly type: "configured" })
  /** Connections may come. */
  | { readonly type: "ready" }
  /** The worker has its own copy of this connection. */
  | { readonly type: "taken"; readonly connection: number }
  | (Activity & { readonly type: "activity" })
  /** An operator ended this model's quarantine. */
  | { readonly type: "lifted"; readonly modelId: string }
  | { readonly type: "pong" };

export type SupervisorMessage =
  | (ListeningAddress & { readonly type: "listening" })
  | { readonly type: "cannot_listen"; readonly code: string | null; readonly message: string }
  | (ConfigurationInForce & { readonly type: "configuration" })
  /** Carries the socket beside it. */
  | { readonly type: "connection"; readonly connection: number }
  | { readonly type: "stop"; readonly signal: string }
  | { readonly type: "reload" }
  | { readonly type: "ping" };

/** The environment variable that tells a worker what it is; its value is a SupervisedBy as JSON. */
export const supervisedVariable = "GGUF_EXPERTS_SUPERVISED";

export interface SupervisedBy {
  /** Model id and reason. */
  readonly quarantined: readonly (readonly [string, string])[];
  /** A worker before this one has served: what it served by can be asked for. */
  readonly hasConfiguration: boolean;
}
