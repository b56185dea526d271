// What happens in the pool, as the log, the metrics, /stats and /admin/events tell it: one union, so that all of them say
// the same. Here because telemetry and pool do not know each other. Imports nothing.

/** Why a model left memory. */
export type UnloadReason =
  /** Another model needed its memory or its place. */
  | "evicted"
  /** Nobody used it for its keep-alive time. */
  | "idle"
  /** It measured more than was predicted, and no room could be made for the rest. */
  | "larger_than_predicted"
  /** Everyone who waited for its load had left. */
  | "abandoned"
  /** The machine or its control group was short of memory. */
  | "memory_pressure"
  /** A new configuration has a smaller budget, or fewer places. */
  | "budget_shrunk"
  /** Its configuration changed. */
  | "reconfigured"
  /** It left the configuration. */
  | "removed"
  /** An operator asked for it. */
  | "requested"
  /** Its file changed under it. */
  | "file_changed"
  | "draining";

interface AboutModel {
  readonly modelId: string;
}

export type PoolEventBody =
  | (AboutModel & {
      readonly type: "load_started";
      /** Predicted, or measured by an earlier load of the same file. */
      readonly reservedBytes: number;
      readonly contextTokens: number;
      /** Requests that wait for it. */
      readonly waiting: number;
    })
  | (AboutModel & {
      /** It was never loaded here: another process tries its file first. */
      readonly type: "proof_started";
      readonly reservedBytes: number;
      readonly waiting: number;
    })
  | (AboutModel & { readonly type: "proof_finished"; readonly proofMs: number })
  /** Every two seconds of a load. `share`: 0 to 1. */
  | (AboutModel & { readonly type: "load_progress"; readonly share: number })
  | (AboutModel & {
      readonly type: "load_finished";
      readonly predictedBytes: number;
      readonly measuredBytes: number;
      readonly loadMs: number;
    })
  | (AboutModel & {
      readonly type: "load_failed";
      readonly reason: string;
      /** In a row. */
      readonly failures: number;
      /** No attempt is made before. */
      readonly retryAfterMs: number;
    })
  | (AboutModel & { readonly type: "load_abandoned"; readonly forModelId: string | null })
  | (AboutModel & {
      readonly type: "unload_started";
      readonly reason: UnloadReason;
      readonly bytes: number;
      /** Since its last use ended; null: never used. */
      readonly idleMs: number | null;
      /** Who gets the memory; null where nobody waits for it. */
      readonly forModelId: string | null;
      /** Requests that wait for `forModelId`. */
      readonly waiting: number;
    })
  | (AboutModel & { readonly type: "unload_finished"; readonly bytes: number; readonly unloadMs: number })
  | (AboutModel & {
      /** It gets no new leases beyond those who asked before: its memory is needed. */
      readonly type: "draining_started";
      /** Null: the budget became smaller. */
      readonly forModelId: string | null;
      readonly leases: number;
      readonly waiting: number;
    })
  | (AboutModel & {
      readonly type: "granted";
      /** The model was in memory when the request came. */
      readonly hit: boolean;
      /** For a turn and for memory, the load not counted. */
      readonly queueMs: number;
      readonly loadMs: number;
    })
  | (AboutModel & { readonly type: "refused"; readonly code: string; readonly reason: string })
  | (AboutModel & {
      readonly type: "context_reduced";
      readonly wantedTokens: number;
      readonly contextTokens: number;
    })
  | (AboutModel & { readonly type: "quarantined"; readonly reason: string })
  | (AboutModel & { readonly type: "quarantine_lifted" })
  | {
      readonly type: "memory_short";
      /** What the machine or its control group could still give. */
      readonly availableBytes: number;
      /** What is to be unloaded. */
      readonly wantedBytes: number;
    }
  | {
      readonly type: "reconfigured";
      readonly added: readonly string[];
      readonly changed: readonly string[];
      readonly removed: readonly string[];
    };

export type PoolEvent = PoolEventBody & {
  /** 1, 2, 3 … since the start; a gap in a listing shows what the bounded log has dropped. */
  readonly sequence: number;
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
};
