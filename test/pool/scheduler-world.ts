// The world around the scheduler, for tests: it takes the effects, keeps its own books of what is in memory, leased and
// waiting, and throws as soon as an effect or a snapshot breaks an invariant. It never asks the scheduler what is true.
import type { ModelFailure, Refusal } from "../../src/pool/refusal.ts";
import {
  isProgressing,
  Scheduler,
  type SchedulerConfig,
  type SchedulerEffect,
  type SchedulerEvent,
  type SchedulerModel,
  type UnloadReason,
} from "../../src/pool/scheduler.ts";

export interface WorldModel {
  readonly needBytes: number;
  /** Default: as predicted. */
  readonly measuredBytes?: number;
  readonly priority?: number;
  readonly keep?: boolean;
  readonly counted?: boolean;
}

export type Outcome = "granted" | "released" | "left" | Refusal;

interface MemoryEntry {
  state: "loading" | "loaded" | "unloading";
  reservedBytes: number;
  /** Once loaded. */
  measuredBytes: number | null;
  abandoned: boolean;
  unloadReason: UnloadReason | null;
  readonly leases: Set<number>;
}

export const loadFailure: ModelFailure = { kind: "load_failed", reason: "out of luck", permanent: false };

export class World {
  readonly scheduler: Scheduler;
  readonly models: Readonly<Record<string, WorldModel>>;
  readonly config: SchedulerConfig;
  /** Every effect so far. */
  readonly effects: SchedulerEffect[] = [];
  readonly inspecting = new Set<string>();
  readonly memory = new Map<string, MemoryEntry>();
  /** Waiting request → its model. */
  readonly waiting = new Map<number, string>();
  readonly outcomes = new Map<number, Outcome>();
  readonly timers = new Map<string, number>();
  drained = false;
  draining = false;
  readonly #requestModels = new Map<number, string>();
  /** What a load measured is what the next inspection says, as the pool does. */
  readonly #needs = new Map<string, number>();

  constructor(
    models: Readonly<Record<string, WorldModel>>,
    config: Partial<SchedulerConfig> & { budgetBytes: number },
  ) {
    this.models = models;
    this.config = { maxLoaded: null, autoUnloadAfterMs: null, ...config };
    const described = Object.entries(models).map(
      ([id, { priority = 3, keep = false, counted = true }]): SchedulerModel => {
        return { id, priority, keep, counted };
      },
    );
    this.scheduler = new Scheduler(described, this.config);
  }

  request(modelId: string, mayEvict = true): number {
    const requestId = this.#requestModels.size + 1;
    this.#requestModels.set(requestId, modelId);
    this.waiting.set(requestId, modelId);
    this.handle({ type: "requested", modelId, requestId, mayEvict });
    return requestId;
  }

  leave(requestId: number): void {
    if (!this.waiting.delete(requestId)) throw new Error(`request ${requestId} does not wait`);
    this.outcomes.set(requestId, "left");
    this.handle({ type: "abandoned", requestId });
  }

  release(requestId: number): void {
    const entry = this.memory.get(this.#requestModels.get(requestId) ?? "");
    if (entry?.leases.delete(requestId) !== true) throw new Error(`request ${requestId} holds no lease`);
    this.outcomes.set(requestId, "released");
    this.handle({ type: "released", requestId });
  }

  inspected(modelId: string): void {
    this.#take(this.inspecting, modelId);
    this.handle({ type: "inspected", modelId, needBytes: this.#needs.get(modelId) ?? this.#model(modelId).needBytes });
  }

  inspectFailed(modelId: string, failure: ModelFailure): void {
    this.#take(this.inspecting, modelId);
    this.handle({ type: "inspectFailed", modelId, failure });
  }

  loadSucceeded(modelId: string): void {
    const entry = this.#entry(modelId, "loading");
    const measuredBytes = this.#model(modelId).measuredBytes ?? this.#model(modelId).needBytes;
    this.#needs.set(modelId, measuredBytes);
    entry.state = "loaded";
    entry.measuredBytes = measuredBytes;
    this.handle({ type: "loadSucceeded", modelId, measuredBytes });
  }

  loadFailed(modelId: string): void {
    this.#entry(modelId, "loading");
    this.memory.delete(modelId);
    this.handle({ type: "loadFailed", modelId, failure: loadFailure });
  }

  unloaded(modelId: string): void {
    this.#entry(modelId, "unloading");
    this.memory.delete(modelId);
    this.handle({ type: "unloaded", modelId });
  }

  fireTimer(modelId: string): void {
    const timerId = this.timers.get(modelId);
    if (timerId === undefined) throw new Error(`no timer runs for ${modelId}`);
    this.timers.delete(modelId);
    this.handle({ type: "idleTimerFired", modelId, timerId });
  }

  drain(): void {
    this.draining = true;
    this.inspecting.clear();
    this.handle({ type: "drain" });
  }

  /** Brings a model into memory as a request does that is over at once. */
  bring(...modelIds: string[]): void {
    for (const modelId of modelIds) this.release(this.lease(modelId));
  }

  /** A lease on a model that is in memory or fits without eviction. */
  lease(modelId: string): number {
    const requestId = this.request(modelId);
    if (this.inspecting.has(modelId)) this.inspected(modelId);
    if (this.memory.get(modelId)?.state === "loading") this.loadSucceeded(modelId);
    if (this.outcomes.get(requestId) !== "granted") throw new Error(`${modelId} was not granted at once`);
    return requestId;
  }

  in(state: MemoryEntry["state"]): string[] {
    return [...this.memory].filter(([, entry]) => entry.state === state).map(([modelId]) => modelId);
  }

  leasesOf(modelId: string): number[] {
    return [...(this.memory.get(modelId)?.leases ?? [])];
  }

  isAbandonedLoad(modelId: string): boolean {
    return this.memory.get(modelId)?.abandoned === true;
  }

  refusalOf(requestId: number): Refusal | null {
    const outcome = this.outcomes.get(requestId);
    return typeof outcome === "object" ? outcome : null;
  }

  unloadReason(modelId: string): UnloadReason | null {
    return this.memory.get(modelId)?.unloadReason ?? null;
  }

  handle(event: SchedulerEvent): void {
    for (const effect of this.scheduler.handle(event)) {
      this.effects.push(effect);
      this.#carryOut(effect);
    }
    this.#check();
  }

  #carryOut(effect: SchedulerEffect): void {
    switch (effect.type) {
      case "inspect":
        insist(!this.inspecting.has(effect.modelId), `${effect.modelId} is inspected twice at the same time`);
        this.inspecting.add(effect.modelId);
        break;
      case "startLoad":
        insist(!this.memory.has(effect.modelId), `${effect.modelId} is loaded although it is in memory`);
        insist(!this.draining, `${effect.modelId} is loaded after the drain`);
        this.memory.set(effect.modelId, {
          state: "loading",
          reservedBytes: effect.reservedBytes,
          measuredBytes: null,
          abandoned: false,
          unloadReason: null,
          leases: new Set(),
        });
        break;
      case "abandonLoad": {
        const entry = this.#entry(effect.modelId, "loading");
        insist(!entry.abandoned, `the load of ${effect.modelId} is abandoned twice`);
        insist(this.#waitersOf(effect.modelId) === 0, `the load of ${effect.modelId} is abandoned while requests wait`);
        entry.abandoned = true;
        break;
      }
      case "startUnload": {
        const entry = this.#entry(effect.modelId, "loaded");
        insist(entry.leases.size === 0, `${effect.modelId} is unloaded while leased`);
        const mayGoPinned = this.draining || effect.reason === "larger_than_predicted";
        insist(this.#model(effect.modelId).keep !== true || mayGoPinned, `${effect.modelId} is pinned and unloaded`);
        entry.state = "unloading";
        entry.unloadReason = effect.reason;
        break;
      }
      case "grant": {
        insist(this.waiting.delete(effect.requestId), `request ${effect.requestId} is granted and does not wait`);
        this.#entry(effect.modelId, "loaded").leases.add(effect.requestId);
        this.outcomes.set(effect.requestId, "granted");
        break;
      }
      case "reject":
        insist(this.waiting.delete(effect.requestId), `request ${effect.requestId} is rejected and does not wait`);
        this.outcomes.set(effect.requestId, effect.refusal);
        break;
      case "startIdleTimer":
        insist(!this.timers.has(effect.modelId), `${effect.modelId} has an idle timer already`);
        this.timers.set(effect.modelId, effect.timerId);
        break;
      case "cancelIdleTimer":
        insist(this.timers.get(effect.modelId) === effect.timerId, `${effect.modelId} has no such idle timer`);
        this.timers.delete(effect.modelId);
        break;
      case "drained":
        insist(this.draining && !this.drained && this.memory.size === 0, "drained, but it is not over");
        this.drained = true;
        break;
    }
  }

  #check(): void {
    const { budgetBytes, maxLoaded, autoUnloadAfterMs } = this.config;
    const snapshot = new Map(this.scheduler.snapshot().map((model) => [model.modelId, model]));
    let reservedBytes = 0;
    let counted = 0;
    for (const [modelId, { reservedBytes: shown, leases, waiting }] of snapshot) {
      const entry = this.memory.get(modelId);
      reservedBytes += shown;
      insist(shown > 0 === (entry !== undefined), `${modelId} has ${shown} bytes reserved`);
      if (entry !== undefined && this.#model(modelId).counted !== false) counted += 1;
      insist(leases === (entry?.leases.size ?? 0), `${modelId} shows ${leases} leases`);
      insist(waiting === this.#waitersOf(modelId), `${modelId} shows ${waiting} waiting`);
      if (entry === undefined) continue;
      if (entry.state === "loading") insist(shown === entry.reservedBytes, `${modelId} reserves not what it announced`);
      if (leases > 0) insist(shown === entry.measuredBytes, `${modelId} is leased and reserves not what was measured`);
    }
    insist(reservedBytes <= budgetBytes, `${reservedBytes} bytes reserved of ${budgetBytes}`);
    insist(reservedBytes === this.scheduler.reservedBytes, "the sum of reservations is wrong");
    insist(maxLoaded === null || counted <= maxLoaded, `${counted} models in memory, at most ${maxLoaded} allowed`);
    insist(isProgressing([...snapshot.values()], 0), "requests wait and nothing is under way");
    if (autoUnloadAfterMs === null || this.draining) return;
    for (const modelId of this.in("loaded")) {
      const isIdle = this.leasesOf(modelId).length === 0 && snapshot.get(modelId)?.phase === "loaded";
      const hasTimer = this.timers.has(modelId);
      insist(hasTimer === (isIdle && this.#model(modelId).keep !== true), `${modelId}: idle timer runs is ${hasTimer}`);
    }
  }

  #waitersOf(modelId: string): number {
    return [...this.waiting.values()].filter((id) => id === modelId).length;
  }

  #model(modelId: string): WorldModel {
    const model = this.models[modelId];
    if (model === undefined) throw new Error(`no model ${modelId}`);
    return model;
  }

  #entry(modelId: string, state: MemoryEntry["state"]): MemoryEntry {
    const entry = this.memory.get(modelId);
    if (entry?.state !== state) throw new Error(`${modelId} is ${entry?.state ?? "not in memory"}, not ${state}`);
    return entry;
  }

  #take(set: Set<string>, modelId: string): void {
    if (!set.delete(modelId)) throw new Error(`${modelId} is not being inspected`);
  }
}

function insist(condition: boolean, violation: string): void {
  if (!condition) throw new Error(`invariant broken: ${violation}`);
}
