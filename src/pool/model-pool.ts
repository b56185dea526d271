// The pool over a real engine: the thin shell that carries out what the scheduler decides. A request is known to the
// scheduler from the start, takes its turn in its model's queue, and is granted a lease when it has both turn and model.
// May import this folder, engine/ (interfaces) and core/.
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../core/clock.ts";
import { deferred, type Deferred } from "../core/deferred.ts";
import { AbandonedError, messageOf, modelNotFound, PublicError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { PoolEvent } from "../core/pool-event.ts";
import { wantedContextTokens } from "../engine/context-size.ts";
import type { Engine, LoadedModel, LoadSpec, ModelFileInfo } from "../engine/engine.ts";
import type { FileIdentity, FileMemory } from "../engine/file-memory.ts";
import type { ModelFiles } from "../engine/model-files.ts";
import { EventLog } from "./event-log.ts";
import { type LoadOptions, loadOptions } from "./load-options.ts";
import type { AcquireOptions, Lease, ModelPool, ModelState, ModelStatus, PoolStatus } from "./pool.ts";
import { TurnQueue } from "./queue.ts";
import { refusalError, refusalMessage, type ModelFailure, type Refusal } from "./refusal.ts";
import { isProgressing, Scheduler } from "./scheduler.ts";
import type { ModelSnapshot, SchedulerConfig, SchedulerEffect, SchedulerEvent } from "./scheduler-events.ts";

/** A model as the pool sees it: an expert, or the embedder. */
export interface PoolModel {
  readonly id: string;
  /** `slots` is also how many leases may be out at the same time. */
  readonly spec: LoadSpec;
  /** Where the wanted context can never fit, smaller ones down to this are tried; null: none. */
  readonly minContextTokens: number | null;
  /** 1 (first) to 5 (last): of two models never used, the less important one is evicted first. */
  readonly priority: number;
  /** Once loaded, never evicted. */
  readonly keep: boolean;
}

/** What a new configuration may change. */
export interface PoolSettings {
  readonly models: readonly PoolModel[];
  readonly budgetBytes: number;
  /** Of the budget, what is not the models': the process itself, and the conversations that it keeps. */
  readonly processBytes: number;
  /** Text models in memory at the same time; null: as many as fit. */
  readonly maxLoadedExperts: number | null;
  /** Null: never. */
  readonly autoUnloadAfterMs: number | null;
  /** A load that takes longer has failed. */
  readonly loadTimeoutMs: number;
  /** Requests that may wait for a turn on one model; more get 429. */
  readonly maxWaiting: number;
  /** How long a model whose memory is needed goes on serving those who asked before. */
  readonly swapQuantumMs: number;
}

export interface Activity {
  /** Models that the engine is loading in this process. */
  readonly loading: readonly string[];
  /** Models of which a lease is out. */
  readonly generating: readonly string[];
}

export interface EnginePoolOptions extends PoolSettings {
  readonly engine: Pick<Engine, "description" | "load" | "predictBytes">;
  readonly files: Pick<ModelFiles, "look" | "prove" | "isProven" | "stillThere" | "readAhead">;
  readonly fileMemory: Pick<FileMemory, "needBytes" | "rememberNeedBytes">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What machine and control group can still give, freshly read; null: unknown. Asked before loads and once a second. */
  readonly availableBytes: () => number | null;
  /** Below this, idle models go. */
  readonly memoryReserveBytes: number;
  readonly onEvent: (event: PoolEvent) => void;
  /** Told before the engine begins to load or a lease is handed out, and after either ended. */
  readonly onActivity: (activity: Activity) => void;
  /** Models that must not be touched, and why. */
  readonly quarantined: ReadonlyMap<string, string>;
}

/** The parts of a model that the scheduler does not see. */
interface ModelParts {
  model: PoolModel;
  readonly queue: TurnQueue;
  /** What its file was at the last inspection or load. */
  file: { readonly info: ModelFileInfo; readonly identity: FileIdentity } | null;
  loaded: LoadedModel | null;
  /** The load under way, or the last one. */
  load: Load | null;
  /** Ends the reading of its file into the page cache; null: it is not read. */
  readAhead: AbortController | null;
  /** The last attempt ended with the file tried by another process: the load itself follows. */
  wasPrepared: boolean;
  /** When its file was last compared with what is loaded. */
  fileCheckedMs: number;
  fileCheck: Promise<void> | null;
  lastReleasedMs: number | null;
  retryAtMs: number | null;
  /** It has left the configuration: only those who wait already are served. */
  removed: boolean;
}

interface Load {
  readonly startedMs: number;
  /** From the trial by another process on, where there was one. */
  readonly waitedSinceMs: number;
  readonly abort: AbortController;
  /** In this process, not by the one that tries a file first. */
  isHere: boolean;
  progress: number;
  /** When its progress was last told as an event. */
  toldMs: number;
  endedMs: number | null;
}

interface PendingRequest {
  readonly modelId: string;
  readonly askedMs: number;
  readonly granted: Deferred<Grant>;
  /** Aborted when it is refused while it waits for its turn. */
  readonly refused: AbortController;
}

interface Grant {
  readonly model: LoadedModel;
  readonly queueMs: number;
  readonly loadMs: number;
}

/** Between two events of one load's progress. */
const progressEventMs = 2000;
const memoryLookMs = 1000;
const fileCheckMs = 1000;
/** An inspection reads a header and predicts; one that takes longer hangs. */
const inspectionLimitMs = 60_000;
/** An unload that takes longer counts no longer as progress. */
const unloadLimitMs = 60_000;

export class EnginePool implements ModelPool {
  readonly #options: EnginePoolOptions;
  #settings: PoolSettings;
  readonly #scheduler: Scheduler;
  readonly #parts = new Map<string, ModelParts>();
  readonly #pending = new Map<number, PendingRequest>();
  /** Cancels the scheduler's timers, by model and timer id. */
  readonly #timers = new Map<string, () => void>();
  readonly #counters = { loads: 0, loadFailures: 0, evictions: 0, hits: 0 };
  readonly #closed = deferred<void>();
  readonly #log: EventLog;
  #availableBytes: number | null = null;
  /** Those that are not configured too: they may be some day. */
  readonly #quarantined: Map<string, string>;
  #requestIds = 0;
  #closing = false;
  #activity = "";

  constructor(options: EnginePoolOptions) {
    this.#options = options;
    this.#settings = options;
    this.#log = new EventLog(options.clock, (event) => {
      try {
        options.onEvent(event);
      } catch (error) {
        // Whoever only listens must not break what it listens to.
        options.logger.error({ event: event.type, reason: messageOf(error) }, "an event of the pool was not taken");
      }
    });
    this.#scheduler = new Scheduler(options.models.map(schedulerModel), schedulerConfig(options));
    for (const model of options.models) this.#parts.set(model.id, this.#newParts(model));
    this.#quarantined = new Map(options.quarantined);
    for (const { id } of options.models) this.#quarantine(id);
    this.#lookAtMemory(0);
    // A machine that does not tell will not begin to.
    if (this.#availableBytes !== null) this.#keepLooking();
  }

  async acquire(modelId: string, { signal, priority = 0, keepAliveMs }: AcquireOptions): Promise<Lease> {
    const before = this.#configured(modelId);
    if (before.fileCheck !== null || this.#isFileCheckDue(before)) await this.#checkFile(before);
    const parts = this.#configured(modelId);
    // From here to the queue nothing is awaited: otherwise many at once would all find room.
    if (signal.aborted) throw new AbandonedError();
    this.#checkRoom(parts);
    const options = { mayEvict: true, hasTurn: false, keepAliveMs: keepAliveMs ?? null };
    const { requestId, pending, stopListening } = this.#request(modelId, signal, options);
    try {
      const turn = await parts.queue.enter(pending.refused.signal, priority);
      try {
        this.#dispatch({ type: "turn", requestId });
        const grant = await pending.granted.promise;
        turn.restartClock();
        return { modelId, ...grant, release: this.#releaseOnce(requestId, parts, () => turn.end()) };
      } catch (error) {
        turn.end();
        throw error;
      }
    } finally {
      stopListening();
    }
  }

  /**
   * Loads models one after the other, in this order, as far as they fit beside what is loaded; nothing is evicted.
   * Never rejects: what cannot be loaded is logged and tried again by the first request for it.
   */
  async warmUp(modelIds: readonly string[]): Promise<void> {
    for (const [index, modelId] of modelIds.entries()) {
      try {
        this.#configured(modelId);
        const options = { mayEvict: false, hasTurn: true, keepAliveMs: null };
        const { requestId, pending } = this.#request(modelId, new AbortController().signal, options);
        const next = this.#parts.get(modelIds[index + 1] ?? "");
        // While this one's load computes, the disk reads for the next.
        if (next !== undefined && next.loaded === null) this.#readAhead(next);
        await pending.granted.promise;
        this.#dispatch({ type: "released", requestId });
        this.#tellActivity();
      } catch (error) {
        const parts = this.#parts.get(modelId);
        if (parts !== undefined) this.#stopReadAhead(parts);
        this.#options.logger.warn({ modelId }, `not loaded at the start: ${messageOf(error)}`);
      }
    }
  }

  /**
   * Looks at the files of all models: `status` knows those that are missing or invalid before they are used, and what was
   * loaded from a file that is another one now is loaded anew by the next request.
   */
  async refreshFiles(): Promise<void> {
    const { files } = this.#options;
    const looks = [...this.#parts.values()].map(async (parts) => {
      const { id, spec } = parts.model;
      const look = await files.look(spec.path, spec.purpose);
      const failure = look.state === "present" ? null : { kind: look.state, reason: look.reason };
      if (this.#parts.get(id) === parts) this.#dispatch({ type: "fileSeen", modelId: id, failure });
      await this.#checkFile(parts);
    });
    await Promise.all(looks);
  }

  /**
   * From now on these models and limits. No request is dropped: a changed model finishes its leases, is unloaded and loads
   * anew for those who wait; a removed one serves those who wait and goes. Returns ids.
   */
  reconfigure(settings: PoolSettings): {
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  } {
    this.#settings = settings;
    const added: string[] = [];
    const changed: string[] = [];
    const removed: string[] = [];
    /** Must be loaded anew. */
    const changedIds: string[] = [];
    const wanted = new Map(settings.models.map((model) => [model.id, model]));
    for (const [id, parts] of this.#parts) {
      if (wanted.has(id)) continue;
      if (!parts.removed) removed.push(id);
      parts.removed = true;
    }
    for (const model of settings.models) {
      const parts = this.#parts.get(model.id);
      if (parts === undefined) {
        this.#parts.set(model.id, this.#newParts(model));
        added.push(model.id);
        continue;
      }
      const isSame =
        isDeepStrictEqual(parts.model.spec, model.spec) && parts.model.minContextTokens === model.minContextTokens;
      if (parts.removed) added.push(model.id);
      else if (!isSame) changed.push(model.id);
      if (!isSame) {
        changedIds.push(model.id);
        parts.file = null;
      }
      parts.removed = false;
      parts.model = model;
      parts.queue.configure({ slots: model.spec.slots, maxWaiting: settings.maxWaiting });
    }
    const models = settings.models.map(schedulerModel);
    this.#dispatch({ type: "reconfigured", models, config: schedulerConfig(settings), changedIds });
    this.#log.add({ type: "reconfigured", added, changed, removed });
    for (const id of added) this.#quarantine(id);
    return { added, changed, removed };
  }

  peek(modelId: string): LoadedModel | null {
    // Taken away before it is disposed, so that what is seen here is alive until the next task.
    return this.#parts.get(modelId)?.loaded ?? null;
  }

  status(): PoolStatus {
    const snapshots = this.#scheduler.snapshot();
    return {
      budgetBytes: this.#settings.budgetBytes,
      processBytes: this.#settings.processBytes,
      reservedBytes: this.#scheduler.reservedBytes,
      machineAvailableBytes: this.#availableBytes,
      models: snapshots.map((snapshot) => this.#modelStatus(snapshot)),
      counters: { ...this.#counters },
      progressing: isProgressing(snapshots),
    };
  }

  events(): readonly PoolEvent[] {
    return this.#log.events;
  }

  unload(modelId: string): "unloading" | "busy" | "not_loaded" {
    this.#configured(modelId);
    const { phase, leases, waiting, keep } = this.#snapshot(modelId);
    if (phase === "unloading") return "unloading";
    if (phase !== "loaded") return phase === "loading" || phase === "settling" ? "busy" : "not_loaded";
    if (leases > 0 || waiting > 0 || keep) return "busy";
    this.#dispatch({ type: "unloadRequested", modelId });
    return "unloading";
  }

  lift(modelId: string): boolean {
    const parts = this.#configured(modelId);
    const { quarantine, backingOff } = this.#snapshot(modelId);
    parts.retryAtMs = null;
    this.#quarantined.delete(modelId);
    this.#dispatch({ type: "lifted", modelId });
    if (quarantine !== null) this.#log.add({ type: "quarantine_lifted", modelId });
    return quarantine !== null || backingOff;
  }

  async close(deadlineMs: number): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#dispatch({ type: "close" });
      for (const parts of this.#parts.values()) this.#stopReadAhead(parts);
    }
    const deadline = deferred<void>();
    const cancel = this.#options.clock.setTimer(deadlineMs, () => deadline.resolve());
    await Promise.race([this.#closed.promise, deadline.promise]);
    cancel();
  }

  #quarantine(modelId: string): void {
    const reason = this.#quarantined.get(modelId);
    if (reason === undefined) return;
    this.#dispatch({ type: "quarantined", modelId, reason });
    this.#log.add({ type: "quarantined", modelId, reason });
  }

  #newParts(model: PoolModel): ModelParts {
    const { clock } = this.#options;
    const { maxWaiting } = this.#settings;
    return {
      model,
      queue: new TurnQueue({ modelId: model.id, slots: model.spec.slots, maxWaiting, clock }),
      file: null,
      loaded: null,
      load: null,
      readAhead: null,
      wasPrepared: false,
      fileCheckedMs: -Infinity,
      fileCheck: null,
      lastReleasedMs: null,
      retryAtMs: null,
      removed: false,
    };
  }

  #configured(modelId: string): ModelParts {
    const parts = this.#parts.get(modelId);
    if (parts !== undefined && !parts.removed) return parts;
    const known = [...this.#parts.values()].filter(({ removed }) => !removed);
    throw modelNotFound(
      modelId,
      known.map(({ model }) => model.id),
    );
  }

  #of(modelId: string): ModelParts {
    const parts = this.#parts.get(modelId);
    if (parts === undefined) throw new Error(`the pool has no model ${modelId}`);
    return parts;
  }

  #snapshot(modelId: string): ModelSnapshot {
    const snapshot = this.#scheduler.snapshot().find((one) => one.modelId === modelId);
    if (snapshot === undefined) throw new Error(`the scheduler knows no model ${modelId}`);
    return snapshot;
  }

  #checkRoom({ model, queue }: ModelParts): void {
    try {
      queue.checkRoom();
    } catch (error) {
      this.#log.add({ type: "refused", modelId: model.id, code: "queue_full", reason: messageOf(error) });
      throw error;
    }
  }

  #isFileCheckDue({ loaded, fileCheckedMs }: ModelParts): boolean {
    return loaded !== null && this.#options.clock.nowMs() - fileCheckedMs >= fileCheckMs;
  }

  /** A file that was cut while it is mapped ends the process when it is read: it must not be used any more. */
  async #checkFile(parts: ModelParts): Promise<void> {
    parts.fileCheck ??= this.#compareFile(parts).finally(() => {
      parts.fileCheck = null;
    });
    await parts.fileCheck;
  }

  async #compareFile(parts: ModelParts): Promise<void> {
    const { clock, files, logger } = this.#options;
    const { loaded, file } = parts;
    if (loaded === null || file === null) return;
    parts.fileCheckedMs = clock.nowMs();
    const change = await files.stillThere(file.identity);
    if (change === null || parts.loaded !== loaded) return;
    logger.warn({ modelId: parts.model.id }, `${change}; it is loaded anew`);
    this.#dispatch({ type: "fileChanged", modelId: parts.model.id });
  }

  /** Tells the scheduler; `granted` settles when it has decided. */
  #request(
    modelId: string,
    signal: AbortSignal,
    options: { readonly mayEvict: boolean; readonly hasTurn: boolean; readonly keepAliveMs: number | null },
  ): { readonly requestId: number; readonly pending: PendingRequest; readonly stopListening: () => void } {
    if (signal.aborted) throw new AbandonedError();
    this.#requestIds += 1;
    const requestId = this.#requestIds;
    const granted = deferred<Grant>();
    // It may be refused while nobody listens yet: its turn is waited for first.
    granted.promise.catch(() => {});
    const pending = { modelId, askedMs: this.#options.clock.nowMs(), granted, refused: new AbortController() };
    this.#pending.set(requestId, pending);
    const onAbort = () => {
      // Once it was granted it is not pending any more, and the caller has a lease to give back.
      if (!this.#settle(requestId, new AbandonedError())) return;
      this.#dispatch({ type: "abandoned", requestId });
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#dispatch({ type: "requested", modelId, requestId, ...options });
    return { requestId, pending, stopListening: () => signal.removeEventListener("abort", onAbort) };
  }

  /** Ends a request that waits, wherever it waits. False: it does not. */
  #settle(requestId: number, error: Error): boolean {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return false;
    this.#pending.delete(requestId);
    pending.granted.reject(error);
    pending.refused.abort(error);
    return true;
  }

  #releaseOnce(requestId: number, parts: ModelParts, endTurn: () => void): () => void {
    let released = false;
    return () => {
      const modelId = parts.model.id;
      if (released) {
        this.#options.logger.error({ modelId, requestId }, "a lease was released twice; the second time did nothing");
        return;
      }
      released = true;
      parts.lastReleasedMs = this.#options.clock.nowMs();
      this.#dispatch({ type: "released", requestId });
      endTurn();
      this.#tellActivity();
    };
  }

  #dispatch(event: SchedulerEvent): void {
    for (const effect of this.#scheduler.handle(event)) this.#carryOut(effect);
  }

  #carryOut(effect: SchedulerEffect): void {
    switch (effect.type) {
      case "inspect":
        void this.#inspect(this.#of(effect.modelId), effect.withSmaller);
        break;
      case "startLoad": {
        const { modelId, reservedBytes, contextTokens, wantedTokens } = effect;
        if (contextTokens < wantedTokens) {
          this.#log.add({ type: "context_reduced", modelId, wantedTokens, contextTokens });
        }
        void this.#load(this.#of(modelId), reservedBytes, contextTokens);
        break;
      }
      case "abandonLoad":
        this.#log.add({ type: "load_abandoned", modelId: effect.modelId, forModelId: effect.forModelId });
        this.#of(effect.modelId).load?.abort.abort(new AbandonedError());
        break;
      case "startUnload":
        if (effect.reason === "evicted") this.#counters.evictions += 1;
        void this.#unload(this.#of(effect.modelId), effect);
        break;
      case "grant":
        this.#grant(this.#of(effect.modelId), effect.requestId, effect.hit);
        break;
      case "reject":
        this.#reject(effect.modelId, effect.requestId, effect.refusal);
        break;
      case "readAhead":
        this.#readAhead(this.#of(effect.modelId));
        break;
      case "stopReadAhead":
        this.#stopReadAhead(this.#of(effect.modelId));
        break;
      case "drainStarted": {
        const { modelId, forModelId } = effect;
        const { leases } = this.#snapshot(modelId);
        const waiting = forModelId === null ? 0 : this.#snapshot(forModelId).waiting;
        this.#log.add({ type: "draining_started", modelId, forModelId, leases, waiting });
        break;
      }
      case "drainEnded":
        break;
      case "startIdleTimer":
        this.#startTimer("idleTimerFired", effect, effect.delayMs);
        break;
      case "startBatchTimer":
        this.#startTimer("batchTimerFired", effect, this.#settings.swapQuantumMs);
        break;
      case "startBackoffTimer":
        this.#backOff(this.#of(effect.modelId), effect);
        break;
      case "cancelTimer":
        this.#timers.get(`${effect.modelId}:${effect.timerId}`)?.();
        this.#timers.delete(`${effect.modelId}:${effect.timerId}`);
        break;
      case "memoryShort":
        this.#log.add({
          type: "memory_short",
          availableBytes: this.#availableBytes ?? 0,
          wantedBytes: effect.wantedBytes,
        });
        break;
      case "forgotten":
        this.#parts.delete(effect.modelId);
        break;
      case "closed":
        this.#closed.resolve();
        break;
    }
  }

  async #inspect(parts: ModelParts, withSmaller: boolean): Promise<void> {
    const { clock } = this.#options;
    const { id: modelId, spec } = parts.model;
    let isOver = false;
    const end = (event: SchedulerEvent) => {
      if (isOver) return;
      isOver = true;
      cancelTimer();
      this.#lookAtMemory(0);
      this.#dispatch(event);
    };
    // A network folder may never answer: those who wait are told, and whatever comes later is ignored.
    const cancelTimer = clock.setTimer(inspectionLimitMs, () => {
      const reason = `${spec.path} could not be examined within ${inspectionLimitMs / 1000} s`;
      end({ type: "inspectFailed", modelId, failure: { kind: "load_failed", reason, permanent: false } });
    });
    try {
      const look = await this.#options.files.look(spec.path, spec.purpose);
      if (look.state === "present") {
        parts.file = look;
        const found = await this.#optionsOf(parts.model, look, withSmaller);
        const isLeast = !this.#options.files.isProven(look.identity, spec.purpose);
        end({ type: "inspected", modelId, ...found, isLeast });
      } else {
        end({ type: "inspectFailed", modelId, failure: { kind: look.state, reason: look.reason } });
      }
    } catch (error) {
      end({ type: "inspectFailed", modelId, failure: { kind: "invalid", reason: messageOf(error) } });
    }
  }

  async #optionsOf(
    { spec, minContextTokens }: PoolModel,
    { info, identity }: { readonly info: ModelFileInfo; readonly identity: FileIdentity },
    withSmaller: boolean,
  ): Promise<LoadOptions> {
    const { engine, fileMemory, files } = this.#options;
    // Native code may not see a file that was not tried by another process: until then its size must do.
    if (!files.isProven(identity, spec.purpose)) {
      const contextTokens = wantedContextTokens(spec.contextTokens, info.trainContextTokens);
      return { options: [{ contextTokens, needBytes: info.sizeBytes }], isComplete: true };
    }
    return loadOptions({
      spec,
      info,
      minContextTokens,
      withSmaller,
      needBytes: async (contextTokens) =>
        fileMemory.needBytes(identity, this.#needKey(spec, contextTokens)) ??
        (await engine.predictBytes({ ...spec, contextTokens })),
    });
  }

  /** All on which the need of one file depends. */
  #needKey({ purpose, slots }: LoadSpec, contextTokens: number): string {
    const { name, systemInfo } = this.#options.engine.description;
    const engine = createHash("sha256").update(`${name}\n${systemInfo}`).digest("hex").slice(0, 12);
    return `${purpose} ${contextTokens}x${slots} ${engine}`;
  }

  async #load(parts: ModelParts, reservedBytes: number, contextTokens: number): Promise<void> {
    const { clock, engine, files } = this.#options;
    const { loadTimeoutMs } = this.#settings;
    const { id: modelId, spec } = parts.model;
    const { file } = parts;
    const { waiting } = this.#snapshot(modelId);
    const load: Load = {
      startedMs: clock.nowMs(),
      // Those who wait do not care which process it was.
      waitedSinceMs: (parts.wasPrepared ? parts.load?.startedMs : undefined) ?? clock.nowMs(),
      abort: new AbortController(),
      isHere: false,
      progress: 0,
      toldMs: clock.nowMs(),
      endedMs: null,
    };
    parts.load = load;
    const { signal } = load.abort;
    const cancelTimer = clock.setTimer(loadTimeoutMs, () => {
      const reason = `it took longer than ${loadTimeoutMs / 1000} s (lazy_loading.load_timeout_s)`;
      this.#counters.loadFailures += 1;
      this.#dispatch({ type: "loadTimedOut", modelId, failure: { kind: "load_failed", reason, permanent: false } });
    });
    let event: SchedulerEvent;
    try {
      if (file === null) throw new Error(`${modelId} is loaded without having been inspected`);
      if (!files.isProven(file.identity, spec.purpose)) {
        this.#log.add({ type: "proof_started", modelId, reservedBytes, waiting });
        await files.prove(spec.path, spec.purpose, signal);
        this.#log.add({ type: "proof_finished", modelId, proofMs: Math.round(clock.nowMs() - load.startedMs) });
        event = { type: "proven", modelId };
      } else if ((await files.stillThere(file.identity)) === null) {
        load.isHere = true;
        this.#log.add({ type: "load_started", modelId, reservedBytes, contextTokens, waiting });
        this.#tellActivity();
        const onProgress = (share: number) => {
          load.progress = share;
          const nowMs = clock.nowMs();
          if (share >= 1 || nowMs - load.toldMs < progressEventMs) return;
          load.toldMs = nowMs;
          this.#log.add({ type: "load_progress", modelId, share });
        };
        parts.loaded = await engine.load({ ...spec, contextTokens }, { signal, onProgress });
        parts.fileCheckedMs = clock.nowMs();
        event = { type: "loadSucceeded", modelId, measuredBytes: parts.loaded.residentBytes };
      } else {
        // It waited for memory for long, and is another file now: it must be looked at, and perhaps tried, first.
        event = { type: "proven", modelId };
      }
    } catch (error) {
      const failure = await this.#failureOf(spec, error);
      if (!signal.aborted) this.#counters.loadFailures += 1;
      event = { type: "loadFailed", modelId, failure };
    }
    cancelTimer();
    load.isHere = false;
    load.endedMs = clock.nowMs();
    if (event.type === "loadSucceeded" && file !== null) {
      const { measuredBytes } = event;
      this.#options.fileMemory.rememberNeedBytes(file.identity, this.#needKey(spec, contextTokens), measuredBytes);
      this.#loadEnded(modelId, load, reservedBytes, measuredBytes);
      // What it took is gone from the look already, and `loadSucceeded` takes it off.
      this.#lookAtMemory(-measuredBytes);
    }
    parts.wasPrepared = event.type === "proven";
    this.#dispatch(event);
    this.#tellActivity();
  }

  #loadEnded(modelId: string, load: Load, predictedBytes: number, measuredBytes: number): void {
    this.#counters.loads += 1;
    const loadMs = Math.round(this.#options.clock.nowMs() - load.startedMs);
    this.#log.add({ type: "load_finished", modelId, predictedBytes, measuredBytes, loadMs });
  }

  async #failureOf({ path, purpose }: LoadSpec, error: unknown): Promise<ModelFailure & { readonly reason: string }> {
    const look = await this.#options.files.look(path, purpose);
    if (look.state !== "present") return { kind: look.state, reason: look.reason };
    const permanent = error instanceof PublicError && !error.shouldRetry;
    return { kind: "load_failed", reason: messageOf(error), permanent };
  }

  async #unload(parts: ModelParts, effect: SchedulerEffect & { readonly type: "startUnload" }): Promise<void> {
    const { clock, logger } = this.#options;
    const { loaded, lastReleasedMs } = parts;
    const { modelId, reason, forModelId } = effect;
    const { reservedBytes: bytes } = this.#snapshot(modelId);
    const startedMs = clock.nowMs();
    const idleMs = lastReleasedMs === null ? null : startedMs - lastReleasedMs;
    const waiting = forModelId === null ? 0 : this.#snapshot(forModelId).waiting;
    this.#log.add({ type: "unload_started", modelId, reason, bytes, idleMs, forModelId, waiting });
    parts.loaded = null;
    const cancelTimer = clock.setTimer(unloadLimitMs, () => {
      logger.error(
        { modelId },
        `unloading has not ended after ${unloadLimitMs / 1000} s; its memory is not given away`,
      );
      this.#dispatch({ type: "unloadOverdue", modelId });
    });
    try {
      await loaded?.dispose();
    } catch (error) {
      logger.error({ modelId, reason: messageOf(error) }, "unloading failed; its memory is taken as freed");
    }
    cancelTimer();
    this.#log.add({ type: "unload_finished", modelId, bytes, unloadMs: Math.round(clock.nowMs() - startedMs) });
    // What came back is in the look already, and `unloaded` adds it.
    this.#lookAtMemory(loaded?.residentBytes ?? 0);
    this.#dispatch({ type: "unloaded", modelId });
  }

  #readAhead(parts: ModelParts): void {
    if (parts.readAhead !== null || this.#closing) return;
    const { files, memoryReserveBytes } = this.#options;
    const abort = new AbortController();
    parts.readAhead = abort;
    const room = { availableBytes: () => this.#availableForPageCache(), reserveBytes: memoryReserveBytes };
    void files.readAhead(parts.model.spec.path, room, abort.signal);
  }

  #stopReadAhead(parts: ModelParts): void {
    parts.readAhead?.abort();
    parts.readAhead = null;
  }

  /** What loads under way may still take is not for the page cache. */
  #availableForPageCache(): number | null {
    const availableBytes = this.#options.availableBytes();
    const loading = this.#scheduler.snapshot().filter(({ phase }) => phase === "loading");
    return availableBytes === null ? null : availableBytes - loading.reduce((sum, one) => sum + one.reservedBytes, 0);
  }

  #grant(parts: ModelParts, requestId: number, hit: boolean): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined || parts.loaded === null) {
      throw new Error(`a grant of ${parts.model.id} for request ${requestId}, which is gone, or without a model`);
    }
    this.#pending.delete(requestId);
    if (hit) this.#counters.hits += 1;
    const nowMs = this.#options.clock.nowMs();
    const { load } = parts;
    const loadMs =
      hit || load === null ? 0 : Math.max(0, (load.endedMs ?? nowMs) - Math.max(load.waitedSinceMs, pending.askedMs));
    const queueMs = nowMs - pending.askedMs - loadMs;
    this.#log.add({ type: "granted", modelId: parts.model.id, hit, queueMs, loadMs });
    this.#tellActivity();
    pending.granted.resolve({ model: parts.loaded, queueMs, loadMs });
  }

  #reject(modelId: string, requestId: number, refusal: Refusal): void {
    const { retryAtMs } = this.#of(modelId);
    const isBackOff = refusal.kind === "backing_off" || refusal.kind === "load_failed";
    const waitS = retryAtMs === null ? 0 : Math.ceil((retryAtMs - this.#options.clock.epochMs()) / 1000);
    const error = refusalError(modelId, refusal, isBackOff && waitS > 0 ? waitS : undefined);
    this.#log.add({ type: "refused", modelId, code: error.code, reason: error.message });
    this.#settle(requestId, error);
  }

  #startTimer(
    type: "idleTimerFired" | "batchTimerFired" | "backoffTimerFired",
    { modelId, timerId }: { readonly modelId: string; readonly timerId: number },
    delayMs: number,
  ): void {
    const key = `${modelId}:${timerId}`;
    const cancel = this.#options.clock.setTimer(delayMs, () => {
      this.#timers.delete(key);
      this.#dispatch({ type, modelId, timerId });
    });
    this.#timers.set(key, cancel);
  }

  #backOff(parts: ModelParts, effect: SchedulerEffect & { readonly type: "startBackoffTimer" }): void {
    const { modelId, delayMs, failures } = effect;
    parts.retryAtMs = this.#options.clock.epochMs() + delayMs;
    this.#startTimer("backoffTimerFired", effect, delayMs);
    const { failure } = this.#snapshot(modelId);
    const reason = failure === null ? "" : "reason" in failure ? failure.reason : refusalMessage(modelId, failure);
    this.#log.add({ type: "load_failed", modelId, reason, failures, retryAfterMs: delayMs });
  }

  /** Tells the scheduler what the machine has. `returnedBytes`: of that, what `unloaded` will add on its own. */
  #lookAtMemory(returnedBytes: number): void {
    const { availableBytes, memoryReserveBytes } = this.#options;
    this.#availableBytes = availableBytes();
    const headroomBytes =
      this.#availableBytes === null ? null : this.#availableBytes - memoryReserveBytes - returnedBytes;
    this.#dispatch({ type: "memorySeen", headroomBytes });
  }

  #keepLooking(): void {
    this.#options.clock.setTimer(memoryLookMs, () => {
      if (this.#closing) return;
      this.#lookAtMemory(0);
      this.#keepLooking();
    });
  }

  /** What this process is doing with which model, for whoever has to explain its death. */
  #tellActivity(): void {
    const loading: string[] = [];
    for (const [modelId, { load }] of this.#parts) if (load?.isHere === true) loading.push(modelId);
    const activity = { loading, generating: this.#scheduler.leasedIds };
    const text = JSON.stringify(activity);
    if (text === this.#activity) return;
    this.#activity = text;
    this.#options.onActivity(activity);
  }

  #modelStatus(snapshot: ModelSnapshot): ModelStatus {
    const { model, load, file, retryAtMs } = this.#of(snapshot.modelId);
    const { contextTokens, wantedTokens, quarantine, failure } = snapshot;
    const trained = file?.info.trainContextTokens;
    return {
      modelId: snapshot.modelId,
      state: stateOf(snapshot),
      reservedBytes: snapshot.reservedBytes,
      leases: snapshot.leases,
      waiting: snapshot.waiting,
      loadProgress: snapshot.phase === "loading" && load?.isHere === true ? load.progress : null,
      lastError: lastErrorOf(snapshot.modelId, quarantine, failure),
      pinned: snapshot.keep,
      retryAtMs: snapshot.backingOff ? retryAtMs : null,
      quarantined: quarantine !== null,
      contextTokens:
        contextTokens ?? (trained === undefined ? null : wantedContextTokens(model.spec.contextTokens, trained)),
      reducedFromTokens: contextTokens !== null && wantedTokens !== contextTokens ? wantedTokens : null,
    };
  }
}

function schedulerModel({ id, priority, keep, spec }: PoolModel) {
  return { id, priority, keep, counted: spec.purpose === "text" };
}

function schedulerConfig(settings: PoolSettings): SchedulerConfig {
  const { budgetBytes, processBytes, maxLoadedExperts, autoUnloadAfterMs } = settings;
  return { budgetBytes, processBytes, maxLoaded: maxLoadedExperts, autoUnloadAfterMs };
}

function lastErrorOf(modelId: string, quarantine: string | null, failure: ModelFailure | null): string | null {
  if (quarantine !== null) return refusalMessage(modelId, { kind: "quarantined", reason: quarantine });
  return failure === null ? null : refusalMessage(modelId, failure);
}

function stateOf({ phase, failure, quarantine }: ModelSnapshot): ModelState {
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
      if (quarantine !== null) return "failed";
      if (failure === null) return "available";
      return failure.kind === "missing" ? "missing" : "failed";
  }
}
