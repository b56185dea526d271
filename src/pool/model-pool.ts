// The pool over a real engine: the thin shell that carries out what the scheduler decides. A request takes its turn in
// its model's queue first, then asks the scheduler for a lease; both go back with `release`.
// May import this folder, engine/ (interfaces) and core/.
import type { Clock } from "../core/clock.ts";
import { deferred, type Deferred } from "../core/deferred.ts";
import { AbandonedError, messageOf, modelNotFound, PublicError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Engine, LoadedModel, LoadSpec, ModelFileInfo } from "../engine/engine.ts";
import type { ModelFiles } from "../engine/model-files.ts";
import type { AcquireOptions, Lease, ModelPool, ModelState, ModelStatus, PoolStatus } from "./pool.ts";
import { TurnQueue, type Turn } from "./queue.ts";
import { refusalError, refusalMessage, type Refusal } from "./refusal.ts";
import {
  isProgressing,
  Scheduler,
  type ModelSnapshot,
  type SchedulerEffect,
  type SchedulerEvent,
} from "./scheduler.ts";

/** A model as the pool sees it: an expert, or the embedder. */
export interface PoolModel {
  readonly id: string;
  /** `slots` is also how many leases may be out at the same time. */
  readonly spec: LoadSpec;
  /** 1 (first) to 5 (last): of two models never used, the less important one is evicted first. */
  readonly priority: number;
  /** Loaded once, never evicted. */
  readonly keep: boolean;
}

export interface EnginePoolOptions {
  readonly engine: Pick<Engine, "load" | "predictBytes">;
  readonly files: Pick<ModelFiles, "look">;
  readonly models: readonly PoolModel[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly budgetBytes: number;
  /** Text models in memory at the same time; null: as many as fit. */
  readonly maxLoadedExperts: number | null;
  /** Null: never. */
  readonly autoUnloadAfterMs: number | null;
  /** Requests that may wait for a turn on one model; more get 429. Default 64. */
  readonly maxWaiting?: number;
}

/** The parts of a model that the scheduler does not see. */
interface ModelParts {
  readonly model: PoolModel;
  readonly queue: TurnQueue;
  loaded: LoadedModel | null;
  /** The load under way, or the last one. */
  load: { readonly startedMs: number; readonly abort: AbortController; progress: number } | null;
  /** What the file, as it was then, needs: predicted, and once it was loaded measured. */
  need: { readonly info: ModelFileInfo; bytes: number } | null;
  cancelIdleTimer: (() => void) | null;
}

interface PendingRequest {
  readonly askedMs: number;
  readonly granted: Deferred<Grant>;
}

interface Grant {
  readonly model: LoadedModel;
  /** Of the time since the request was made. */
  readonly loadMs: number;
}

export class EnginePool implements ModelPool {
  readonly #options: EnginePoolOptions;
  readonly #scheduler: Scheduler;
  readonly #parts = new Map<string, ModelParts>();
  readonly #pending = new Map<number, PendingRequest>();
  readonly #counters = { loads: 0, loadFailures: 0, evictions: 0, hits: 0 };
  readonly #drained = deferred<void>();
  #requestIds = 0;
  #closing = false;

  constructor(options: EnginePoolOptions) {
    this.#options = options;
    const { models, clock, maxWaiting = 64, budgetBytes, maxLoadedExperts, autoUnloadAfterMs } = options;
    this.#scheduler = new Scheduler(
      models.map(({ id, priority, keep, spec }) => ({ id, priority, keep, counted: spec.purpose === "text" })),
      { budgetBytes, maxLoaded: maxLoadedExperts, autoUnloadAfterMs },
    );
    for (const model of models) {
      const queue = new TurnQueue({ modelId: model.id, slots: model.spec.slots, maxWaiting, clock });
      this.#parts.set(model.id, { model, queue, loaded: null, load: null, need: null, cancelIdleTimer: null });
    }
  }

  async acquire(modelId: string, { signal, priority = 0 }: AcquireOptions): Promise<Lease> {
    const parts = this.#parts.get(modelId);
    if (parts === undefined) throw modelNotFound(modelId, [...this.#parts.keys()]);
    if (this.#closing) throw refusalError(modelId, { kind: "draining" });
    const askedMs = this.#options.clock.nowMs();
    const turn = await parts.queue.enter(signal, priority);
    const requestId = this.#nextRequestId();
    try {
      const { model, loadMs } = await this.#request(requestId, modelId, signal, true);
      const queueMs = this.#options.clock.nowMs() - askedMs - loadMs;
      return { modelId, model, queueMs, loadMs, release: this.#releaseOnce(requestId, modelId, turn) };
    } catch (error) {
      turn.end();
      throw error;
    }
  }

  /**
   * Loads models one after the other, in this order, as far as they fit beside what is loaded; nothing is evicted.
   * Never rejects: what cannot be loaded is logged and tried again by the first request for it.
   */
  async warmUp(modelIds: readonly string[]): Promise<void> {
    for (const modelId of modelIds) {
      const requestId = this.#nextRequestId();
      try {
        await this.#request(requestId, modelId, new AbortController().signal, false);
        this.#dispatch({ type: "released", requestId });
      } catch (error) {
        this.#options.logger.warn({ modelId }, `not loaded at the start: ${messageOf(error)}`);
      }
    }
  }

  /** Looks at the files of all models, so that `status` knows those that are missing or invalid before they are used. */
  async refreshFiles(): Promise<void> {
    const { files } = this.#options;
    const looks = [...this.#parts.values()].map(async ({ model }) => {
      const look = await files.look(model.spec.path);
      const failure = look.state === "present" ? null : { kind: look.state, reason: look.reason };
      this.#dispatch({ type: "fileSeen", modelId: model.id, failure });
    });
    await Promise.all(looks);
  }

  status(): PoolStatus {
    const snapshots = this.#scheduler.snapshot();
    const queued = [...this.#parts.values()].reduce((sum, { queue }) => sum + queue.waiting, 0);
    return {
      budgetBytes: this.#scheduler.budgetBytes,
      reservedBytes: this.#scheduler.reservedBytes,
      models: snapshots.map((snapshot) => this.#modelStatus(snapshot)),
      counters: { ...this.#counters },
      progressing: isProgressing(snapshots, queued),
    };
  }

  async close(deadlineMs: number): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      for (const { model, queue } of this.#parts.values()) {
        queue.refuseWaiting(refusalError(model.id, { kind: "draining" }));
      }
      this.#dispatch({ type: "drain" });
    }
    const deadline = deferred<void>();
    const cancel = this.#options.clock.setTimer(deadlineMs, () => deadline.resolve());
    await Promise.race([this.#drained.promise, deadline.promise]);
    cancel();
  }

  #nextRequestId(): number {
    this.#requestIds += 1;
    return this.#requestIds;
  }

  /** Asks the scheduler; resolves when the lease is granted. */
  async #request(requestId: number, modelId: string, signal: AbortSignal, mayEvict: boolean): Promise<Grant> {
    if (signal.aborted) throw new AbandonedError();
    const granted = deferred<Grant>();
    this.#pending.set(requestId, { askedMs: this.#options.clock.nowMs(), granted });
    const onAbort = () => {
      // Once it was granted it is not pending any more, and the caller has a lease to give back.
      if (!this.#pending.delete(requestId)) return;
      granted.reject(new AbandonedError());
      this.#dispatch({ type: "abandoned", requestId });
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#dispatch({ type: "requested", modelId, requestId, mayEvict });
    try {
      return await granted.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #releaseOnce(requestId: number, modelId: string, turn: Turn): () => void {
    let released = false;
    return () => {
      if (released) {
        this.#options.logger.error({ modelId, requestId }, "a lease was released twice; the second time did nothing");
        return;
      }
      released = true;
      this.#dispatch({ type: "released", requestId });
      turn.end();
    };
  }

  #dispatch(event: SchedulerEvent): void {
    for (const effect of this.#scheduler.handle(event)) this.#carryOut(effect);
  }

  #carryOut(effect: SchedulerEffect): void {
    switch (effect.type) {
      case "inspect":
        void this.#inspect(this.#of(effect.modelId));
        break;
      case "startLoad":
        void this.#load(this.#of(effect.modelId), effect.reservedBytes);
        break;
      case "abandonLoad":
        this.#of(effect.modelId).load?.abort.abort(new AbandonedError());
        break;
      case "startUnload":
        if (effect.reason === "evicted") this.#counters.evictions += 1;
        this.#options.logger.info(
          { modelId: effect.modelId, reason: effect.reason, forModelId: effect.forModelId },
          "unloading",
        );
        void this.#unload(this.#of(effect.modelId));
        break;
      case "grant":
        if (effect.hit) this.#counters.hits += 1;
        this.#grant(this.#of(effect.modelId), effect.requestId, effect.hit);
        break;
      case "reject":
        this.#reject(effect.modelId, effect.requestId, effect.refusal);
        break;
      case "startIdleTimer":
        this.#startIdleTimer(this.#of(effect.modelId), effect.timerId, effect.delayMs);
        break;
      case "cancelIdleTimer":
        this.#of(effect.modelId).cancelIdleTimer?.();
        break;
      case "drained":
        this.#drained.resolve();
        break;
    }
  }

  #of(modelId: string): ModelParts {
    const parts = this.#parts.get(modelId);
    if (parts === undefined) throw new Error(`the pool has no model ${modelId}`);
    return parts;
  }

  async #inspect(parts: ModelParts): Promise<void> {
    const { id, spec } = parts.model;
    const { files, engine } = this.#options;
    let event: SchedulerEvent;
    try {
      const look = await files.look(spec.path);
      if (look.state !== "present") {
        event = { type: "inspectFailed", modelId: id, failure: { kind: look.state, reason: look.reason } };
      } else {
        // ModelFiles gives the same object as long as the file is the same.
        if (parts.need?.info !== look.info) {
          parts.need = { info: look.info, bytes: await engine.predictBytes(spec) };
        }
        event = { type: "inspected", modelId: id, needBytes: parts.need.bytes };
      }
    } catch (error) {
      event = { type: "inspectFailed", modelId: id, failure: { kind: "invalid", reason: messageOf(error) } };
    }
    this.#dispatch(event);
  }

  async #load(parts: ModelParts, reservedBytes: number): Promise<void> {
    const { engine, clock, logger } = this.#options;
    const { id: modelId, spec } = parts.model;
    const load = { startedMs: clock.nowMs(), abort: new AbortController(), progress: 0 };
    parts.load = load;
    logger.info({ modelId, reservedBytes }, "loading");
    let event: SchedulerEvent;
    try {
      const onProgress = (share: number) => {
        load.progress = share;
      };
      parts.loaded = await engine.load(spec, { signal: load.abort.signal, onProgress });
      const measuredBytes = parts.loaded.residentBytes;
      if (parts.need !== null) parts.need.bytes = measuredBytes;
      this.#counters.loads += 1;
      logger.info({ modelId, measuredBytes, loadMs: Math.round(clock.nowMs() - load.startedMs) }, "loaded");
      event = { type: "loadSucceeded", modelId, measuredBytes };
    } catch (error) {
      if (load.abort.signal.aborted) {
        logger.info({ modelId }, "load abandoned");
      } else {
        this.#counters.loadFailures += 1;
        logger.error({ modelId, reason: messageOf(error) }, "load failed");
      }
      const permanent = error instanceof PublicError && !error.shouldRetry;
      event = { type: "loadFailed", modelId, failure: { kind: "load_failed", reason: messageOf(error), permanent } };
    }
    this.#dispatch(event);
  }

  async #unload(parts: ModelParts): Promise<void> {
    const { loaded } = parts;
    const { id: modelId } = parts.model;
    parts.loaded = null;
    try {
      await loaded?.dispose();
    } catch (error) {
      this.#options.logger.error(
        { modelId, reason: messageOf(error) },
        "unloading failed; its memory is taken as freed",
      );
    }
    this.#dispatch({ type: "unloaded", modelId });
  }

  #grant(parts: ModelParts, requestId: number, hit: boolean): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined || parts.loaded === null) {
      throw new Error(`a grant of ${parts.model.id} for request ${requestId}, which is gone, or without a model`);
    }
    this.#pending.delete(requestId);
    const nowMs = this.#options.clock.nowMs();
    const loadMs = hit || parts.load === null ? 0 : nowMs - Math.max(parts.load.startedMs, pending.askedMs);
    pending.granted.resolve({ model: parts.loaded, loadMs });
  }

  #reject(modelId: string, requestId: number, refusal: Refusal): void {
    this.#pending.get(requestId)?.granted.reject(refusalError(modelId, refusal));
    this.#pending.delete(requestId);
  }

  #startIdleTimer(parts: ModelParts, timerId: number, delayMs: number): void {
    parts.cancelIdleTimer = this.#options.clock.setTimer(delayMs, () => {
      this.#dispatch({ type: "idleTimerFired", modelId: parts.model.id, timerId });
    });
  }

  #modelStatus(snapshot: ModelSnapshot): ModelStatus {
    const { queue, load } = this.#of(snapshot.modelId);
    return {
      modelId: snapshot.modelId,
      state: stateOf(snapshot),
      reservedBytes: snapshot.reservedBytes,
      leases: snapshot.leases,
      waiting: queue.waiting + snapshot.waiting,
      loadProgress: snapshot.phase === "loading" ? (load?.progress ?? 0) : null,
      lastError: snapshot.failure === null ? null : refusalMessage(snapshot.modelId, snapshot.failure),
      pinned: snapshot.keep,
    };
  }
}

function stateOf({ phase, failure }: ModelSnapshot): ModelState {
  switch (phase) {
    case "loaded":
    case "unloading":
    case "loading":
      return phase;
    case "settling":
      return "loading";
    case "absent":
    case "inspecting":
    case "inLine":
      if (failure === null) return "available";
      return failure.kind === "missing" ? "missing" : "failed";
  }
}
