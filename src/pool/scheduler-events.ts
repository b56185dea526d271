// The scheduler's language: what it is told, what it asks for, what it shows. Types only.
// May import this folder's and core's types.
import type { UnloadReason } from "../core/pool-event.ts";
import type { ContextOption } from "./context-option.ts";
import type { ModelFailure, Refusal } from "./refusal.ts";

export interface SchedulerModel {
  readonly id: string;
  /** 1 (first) to 5 (last). */
  readonly priority: number;
  /** Never evicted once loaded. */
  readonly keep: boolean;
  /** Whether it takes a place of `maxLoaded`. */
  readonly counted: boolean;
}

export interface SchedulerConfig {
  readonly budgetBytes: number;
  /** Of the budget, what the process takes without any model. */
  readonly processBytes: number;
  /** Counted models in memory at the same time; null: as many as fit. */
  readonly maxLoaded: number | null;
  /** Idle time after which a model is unloaded; null: never. */
  readonly autoUnloadAfterMs: number | null;
}

export type SchedulerEvent =
  | {
      readonly type: "requested";
      readonly modelId: string;
      readonly requestId: number;
      /** False: is refused (`no_room`) rather than push another model out, and does not count as a use. */
      readonly mayEvict: boolean;
      /** False: waits in its model's queue first; `turn` says when it is through. */
      readonly hasTurn: boolean;
      /** Idle time after which its model is unloaded when this was the last use; Infinity: never. Null: as configured. */
      readonly keepAliveMs: number | null;
    }
  /** A request has a turn on its model: from now on it may be granted. */
  | { readonly type: "turn"; readonly requestId: number }
  /** The caller left before its grant. */
  | { readonly type: "abandoned"; readonly requestId: number }
  /** A granted request is done; the engine has stopped working for it. */
  | { readonly type: "released"; readonly requestId: number }
  | {
      /** Answers `inspect`. */
      readonly type: "inspected";
      readonly modelId: string;
      /** Largest context first, at least one; a smaller one is taken only where it must be. */
      readonly options: readonly ContextOption[];
      /** There are no others. */
      readonly isComplete: boolean;
      /** It takes at least so much: how much exactly is known once another process has tried the file. */
      readonly isLeast: boolean;
    }
  | { readonly type: "inspectFailed"; readonly modelId: string; readonly failure: ModelFailure }
  /** These two and `proven` answer `startLoad`, one of them exactly once, also after `abandonLoad`. */
  | { readonly type: "loadSucceeded"; readonly modelId: string; readonly measuredBytes: number }
  | { readonly type: "loadFailed"; readonly modelId: string; readonly failure: ModelFailure }
  /** Instead of a load another process has tried the file: it is fine, and what it really needs can be said now. */
  | { readonly type: "proven"; readonly modelId: string }
  /** The load takes too long; its end, when it comes, still answers `startLoad`. */
  | { readonly type: "loadTimedOut"; readonly modelId: string; readonly failure: ModelFailure }
  /** Answers `startUnload`: the memory is back. */
  | { readonly type: "unloaded"; readonly modelId: string }
  /** An unload takes too long: it counts no longer as progress. */
  | { readonly type: "unloadOverdue"; readonly modelId: string }
  /** Somebody looked at the file of a model that may not be in use: null where nothing is wrong with it. */
  | { readonly type: "fileSeen"; readonly modelId: string; readonly failure: ModelFailure | null }
  /** The file of a loaded model is another one now. */
  | { readonly type: "fileChanged"; readonly modelId: string }
  | { readonly type: "idleTimerFired"; readonly modelId: string; readonly timerId: number }
  | { readonly type: "batchTimerFired"; readonly modelId: string; readonly timerId: number }
  | { readonly type: "backoffTimerFired"; readonly modelId: string; readonly timerId: number }
  /** What the machine could still give now, less what it must keep; negative where it is short. Null: unknown. */
  | { readonly type: "memorySeen"; readonly headroomBytes: number | null }
  /** An operator wants it out of memory; does nothing unless it is idle. */
  | { readonly type: "unloadRequested"; readonly modelId: string }
  /** It may not be loaded, for this reason, until it is lifted. */
  | { readonly type: "quarantined"; readonly modelId: string; readonly reason: string }
  /** Ends a quarantine and any back-off. */
  | { readonly type: "lifted"; readonly modelId: string }
  | {
      readonly type: "reconfigured";
      readonly models: readonly SchedulerModel[];
      readonly config: SchedulerConfig;
      /** Of those known before: must be loaded anew. */
      readonly changedIds: readonly string[];
    }
  /** No new work; what is leased may finish; everything is unloaded. */
  | { readonly type: "close" };

interface TimerEffect {
  readonly modelId: string;
  readonly timerId: number;
}

export type SchedulerEffect =
  /** `withSmaller`: the wanted context cannot fit, what do the smaller ones take that the configuration allows? */
  | { readonly type: "inspect"; readonly modelId: string; readonly withSmaller: boolean }
  | {
      readonly type: "startLoad";
      readonly modelId: string;
      readonly reservedBytes: number;
      readonly contextTokens: number;
      /** What was asked for; larger than `contextTokens` where only that fits. */
      readonly wantedTokens: number;
    }
  /** Nobody waits for this load any more, or not for this one; it stays accounted for until it ends. */
  | { readonly type: "abandonLoad"; readonly modelId: string; readonly forModelId: string | null }
  /** `forModelId`: who gets the memory; null where nobody waits for it. */
  | {
      readonly type: "startUnload";
      readonly modelId: string;
      readonly reason: UnloadReason;
      readonly forModelId: string | null;
    }
  /** `hit`: the model was in memory when the request came. */
  | { readonly type: "grant"; readonly modelId: string; readonly requestId: number; readonly hit: boolean }
  | { readonly type: "reject"; readonly modelId: string; readonly requestId: number; readonly refusal: Refusal }
  /** Its load waits or runs: its file is wanted in the page cache, until `stopReadAhead`, which comes once for each. */
  | { readonly type: "readAhead"; readonly modelId: string }
  | { readonly type: "stopReadAhead"; readonly modelId: string }
  /** Its memory is needed: it serves those who asked before, as long as the batch timer allows, and then goes. */
  | { readonly type: "drainStarted"; readonly modelId: string; readonly forModelId: string | null }
  | { readonly type: "drainEnded"; readonly modelId: string }
  | (TimerEffect & { readonly type: "startIdleTimer"; readonly delayMs: number })
  /** `backoffTimerFired` after `delayMs`: until then its load is not tried again. */
  | (TimerEffect & { readonly type: "startBackoffTimer"; readonly delayMs: number; readonly failures: number })
  /** `batchTimerFired` after the swap quantum. */
  | (TimerEffect & { readonly type: "startBatchTimer" })
  | (TimerEffect & { readonly type: "cancelTimer" })
  /** The machine is short of memory: idle models go. */
  | { readonly type: "memoryShort"; readonly wantedBytes: number }
  /** It has left the configuration, and nothing of it is left. */
  | { readonly type: "forgotten"; readonly modelId: string }
  /** After `close`: nothing is in memory any more. */
  | { readonly type: "closed" };

export type ModelPhase = "absent" | "inspecting" | "inLine" | "loading" | "settling" | "loaded" | "unloading";

export interface ModelSnapshot {
  readonly modelId: string;
  readonly phase: ModelPhase;
  readonly reservedBytes: number;
  readonly leases: number;
  /** In its queue, for memory or for its load. */
  readonly waiting: number;
  readonly failure: ModelFailure | null;
  readonly keep: boolean;
  /** In memory or about to be, and its memory is needed: see `drainStarted`. */
  readonly draining: boolean;
  /** Its load or unload has not ended in time. */
  readonly overdue: boolean;
  readonly backingOff: boolean;
  /** Why it may not be loaded. */
  readonly quarantine: string | null;
  /** Of the load under way or of the loaded model; else null. */
  readonly contextTokens: number | null;
  readonly wantedTokens: number | null;
}
