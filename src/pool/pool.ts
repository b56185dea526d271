// The pool as its users see it: who may use which model when, and what is in memory. Interfaces only; model-pool.ts is
// the implementation. May import engine/ (interfaces), experts/ and core/.
import type { PoolEvent } from "../core/pool-event.ts";
import type { LoadedModel } from "../engine/engine.ts";

export interface AcquireOptions {
  /** Gives up the place in the queue, or the wait for a load; has no effect once the lease is granted. */
  readonly signal: AbortSignal;
  /** Higher goes first among those that wait for the same model. Default 0. */
  readonly priority?: number;
  /**
   * How long the model stays in memory after this use when no other follows: 0 unloads it at once, Infinity keeps it until
   * its memory is needed. Absent: what the configuration says.
   */
  readonly keepAliveMs?: number | undefined;
}

/** The right to use a loaded model until `release`; a leased model is never disposed. */
export interface Lease {
  readonly modelId: string;
  readonly model: LoadedModel;
  /** Time spent waiting for a turn and for memory. */
  readonly queueMs: number;
  /** Time spent waiting for this model's load; 0 where it was in memory. */
  readonly loadMs: number;
  /** Call exactly once, after the engine has really stopped working for this lease. */
  release(): void;
}

export type ModelState =
  /** In memory. */
  | "loaded"
  | "loading"
  | "unloading"
  /** On disk, can be loaded. */
  | "available"
  /** Its file is not there. */
  | "missing"
  /** Its last load failed, and it is tried again after its back-off; or it is quarantined. */
  | "failed";

export interface ModelStatus {
  readonly modelId: string;
  readonly state: ModelState;
  /** Bytes reserved in the budget: predicted while loading, measured once loaded. 0 when not in memory. */
  readonly reservedBytes: number;
  readonly leases: number;
  readonly waiting: number;
  /** Share loaded, 0 to 1, while loading; null also while another process tries the file first. */
  readonly loadProgress: number | null;
  readonly lastError: string | null;
  readonly pinned: boolean;
  /** Loading is not tried before; milliseconds since the Unix epoch. Null: whenever it is asked for. */
  readonly retryAtMs: number | null;
  /** Ended the process twice: it stays `failed` until an operator lifts it. */
  readonly quarantined: boolean;
  /** Tokens of each slot's context: as loaded, or as it would be. Null where not known yet. */
  readonly contextTokens: number | null;
  /** Tokens that were asked for, where memory made it less; else null. */
  readonly reducedFromTokens: number | null;
}

export interface PoolStatus {
  readonly budgetBytes: number;
  /** Of the budget, what the process itself is counted with. */
  readonly processBytes: number;
  readonly reservedBytes: number;
  /** What the machine and its control group could still give at the last look; null where they do not tell. */
  readonly machineAvailableBytes: number | null;
  readonly models: readonly ModelStatus[];
  readonly counters: {
    readonly loads: number;
    readonly loadFailures: number;
    readonly evictions: number;
    /** Leases granted on a model that was already in memory. */
    readonly hits: number;
  };
  /** False when requests wait and nothing runs, loads or unloads: the pool makes no progress. */
  readonly progressing: boolean;
}

export interface ModelPool {
  /**
   * Waits for a turn, and for the model to be in memory. Rejects with AbandonedError when the signal fires first, and
   * with a PublicError: 404 (file missing), 429 (queue full), 503 (load failed, backing off, quarantined, draining), 507
   * (larger than the budget).
   */
  acquire(modelId: string, options: AcquireOptions): Promise<Lease>;
  /**
   * The model where it is in memory, without a lease: it may be used before the caller gives up control (`await`, `yield`), and
   * for what generates nothing alone. Null: not in memory.
   */
  peek(modelId: string): LoadedModel | null;
  status(): PoolStatus;
  /** The newest of what happened, oldest first; at most a thousand. Grants are not kept. */
  events(): readonly PoolEvent[];
  /** Unloads an idle model now. "busy": it is leased, waited for or pinned; nothing was done. Throws 404 for an unknown one. */
  unload(modelId: string): "unloading" | "busy" | "not_loaded";
  /** Ends a quarantine and any back-off: the next request loads it. False: there was none. Throws 404 for an unknown one. */
  lift(modelId: string): boolean;
  /**
   * Refuses new work and all that still waits, disposes each model when its leases are back, and resolves when none is
   * left or `deadlineMs` milliseconds from now; a leased model is not disposed then either. Never rejects.
   */
  close(deadlineMs: number): Promise<void>;
}
