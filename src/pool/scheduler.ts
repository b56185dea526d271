// Which models are in memory and who may use them: a state machine without promises, timers or engine. Events go in
// through `handle`, and effects, which the caller carries out, are its only way out. May import this folder's pure files.
//
// A model's way: absent → inspecting (file and need) → inLine (for memory) → loading → [settling] → loaded → unloading →
// absent. Bytes are reserved from `startLoad` until `unloaded` or `loadFailed`, whatever happens between.
//
// Who gets memory. Models that need a load stand in one line, first come first served. The first of the line that
// does not fit is the head. For the head, victims are chosen: idle ones are unloaded at once, busy ones are draining:
// they get no new lease, and are unloaded when their last one is back. Those behind the head may load only into memory
// that the head does not count on, and evict nobody. Draining models come first when victims are chosen anew, so none
// of them escapes as long as its memory is needed.
//
// The bound. With M models, and G the longest lease, L, U and I the longest load, unload and inspection, a request
// waits here at most (M + 1)(L + G + U) + I + L. For its model is at most one load, its leases and one unload away from
// absent, then is inspected and joins the line behind at most M − 1 others. Each head starts within L + G + U: a victim
// that is loading finishes, and what its waiters are granted then ends without new leases; then it is unloaded. Nothing
// that comes later takes memory which the head counts on. A load that turns out larger than predicted may: each adds
// at most one L + G + U, once for each file when the measured need is remembered.
// (A place in the model's own queue, before a request comes here, is worth one such wait for each round of its slots.)
import { chooseVictims, type EvictionCandidate, type EvictionWant } from "./eviction.ts";
import { MemoryLedger } from "./memory-ledger.ts";
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
  /** Counted models in memory at the same time; null: as many as fit. */
  readonly maxLoaded: number | null;
  /** Idle time after which a model is unloaded; null: never. */
  readonly autoUnloadAfterMs: number | null;
}

export type SchedulerEvent =
  /** `mayEvict: false`: is refused (`no_room`) rather than push another model out, and does not count as a use. */
  | { readonly type: "requested"; readonly modelId: string; readonly requestId: number; readonly mayEvict: boolean }
  /** The caller left before its grant. */
  | { readonly type: "abandoned"; readonly requestId: number }
  /** A granted request is done; the engine has stopped working for it. */
  | { readonly type: "released"; readonly requestId: number }
  /** Answers `inspect`. */
  | { readonly type: "inspected"; readonly modelId: string; readonly needBytes: number }
  | { readonly type: "inspectFailed"; readonly modelId: string; readonly failure: ModelFailure }
  /** Answer `startLoad`, one of them exactly once, also after `abandonLoad`. */
  | { readonly type: "loadSucceeded"; readonly modelId: string; readonly measuredBytes: number }
  | { readonly type: "loadFailed"; readonly modelId: string; readonly failure: ModelFailure }
  /** Answers `startUnload`: the memory is back. */
  | { readonly type: "unloaded"; readonly modelId: string }
  /** Somebody looked at the file of a model that may not be in use: null where nothing is wrong with it. */
  | { readonly type: "fileSeen"; readonly modelId: string; readonly failure: ModelFailure | null }
  | { readonly type: "idleTimerFired"; readonly modelId: string; readonly timerId: number }
  /** No new work; what is leased may finish; everything is unloaded. */
  | { readonly type: "drain" };

export type UnloadReason = "evicted" | "idle" | "larger_than_predicted" | "abandoned" | "draining";

export type SchedulerEffect =
  | { readonly type: "inspect"; readonly modelId: string }
  | { readonly type: "startLoad"; readonly modelId: string; readonly reservedBytes: number }
  /** Nobody waits for this load and another model needs its memory; it stays accounted for until it ends. */
  | { readonly type: "abandonLoad"; readonly modelId: string }
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
  | { readonly type: "startIdleTimer"; readonly modelId: string; readonly timerId: number; readonly delayMs: number }
  | { readonly type: "cancelIdleTimer"; readonly modelId: string; readonly timerId: number }
  /** After `drain`: nothing is in memory any more. */
  | { readonly type: "drained" };

export type ModelPhase = "absent" | "inspecting" | "inLine" | "loading" | "settling" | "loaded" | "unloading";

export interface ModelSnapshot {
  readonly modelId: string;
  readonly phase: ModelPhase;
  readonly reservedBytes: number;
  readonly leases: number;
  readonly waiting: number;
  readonly failure: ModelFailure | null;
  readonly keep: boolean;
  /** In memory or about to be, gets no new leases: its memory is needed. */
  readonly draining: boolean;
}

interface Waiter {
  readonly mayEvict: boolean;
}

interface ModelRecord {
  readonly model: SchedulerModel;
  phase: ModelPhase;
  /** Predicted once inspected, measured once loaded. Means nothing while absent or inspecting. */
  needBytes: number;
  /** By request id, in order of arrival. */
  readonly waiters: Map<number, Waiter>;
  leases: number;
  draining: boolean;
  /** Of the load under way: we gave it up. */
  abandoned: boolean;
  /** Number of the event that last granted or ended a lease; 0: never used. */
  lastUse: number;
  timerId: number | null;
  failure: ModelFailure | null;
}

/** Who is hurt when a model goes. */
const tier = { idle: 0, draining: 1, leased: 2, loading: 3 } as const;

export class Scheduler {
  readonly #config: SchedulerConfig;
  readonly #ledger: MemoryLedger;
  readonly #records = new Map<string, ModelRecord>();
  /** Models that wait for memory, first come first. */
  #line: ModelRecord[] = [];
  /** Granted and not yet released. */
  readonly #leases = new Map<number, { readonly record: ModelRecord; readonly isUse: boolean }>();
  /** Events handled so far: the clock by which recency is measured. */
  #now = 0;
  #drain: "no" | "draining" | "drained" = "no";
  #effects: SchedulerEffect[] = [];

  constructor(models: readonly SchedulerModel[], config: SchedulerConfig) {
    this.#config = config;
    this.#ledger = new MemoryLedger(config.budgetBytes);
    for (const model of models) {
      this.#records.set(model.id, {
        model,
        phase: "absent",
        needBytes: 0,
        waiters: new Map(),
        leases: 0,
        draining: false,
        abandoned: false,
        lastUse: 0,
        timerId: null,
        failure: null,
      });
    }
  }

  /** Takes one event in and returns what is to be done, in this order. Throws on an event that cannot be. */
  handle(event: SchedulerEvent): readonly SchedulerEffect[] {
    this.#now += 1;
    this.#effects = [];
    this.#apply(event);
    if (this.#drain === "no") {
      this.#settle();
      this.#serveLine();
      this.#grantWaiters();
      this.#updateIdleTimers();
    } else {
      this.#continueDrain();
    }
    return this.#effects;
  }

  get reservedBytes(): number {
    return this.#ledger.reservedBytes;
  }

  get budgetBytes(): number {
    return this.#ledger.budgetBytes;
  }

  snapshot(): readonly ModelSnapshot[] {
    return [...this.#records.values()].map((record) => ({
      modelId: record.model.id,
      phase: record.phase,
      reservedBytes: this.#ledger.of(record.model.id),
      leases: record.leases,
      waiting: record.waiters.size,
      failure: record.failure,
      keep: record.model.keep,
      draining: record.draining,
    }));
  }

  #apply(event: SchedulerEvent): void {
    switch (event.type) {
      case "requested":
        this.#onRequested(this.#record(event.modelId), event.requestId, event.mayEvict);
        break;
      case "abandoned":
        this.#onAbandoned(event.requestId);
        break;
      case "released":
        this.#onReleased(event.requestId);
        break;
      case "inspected":
        this.#onInspected(this.#record(event.modelId), event.needBytes);
        break;
      case "inspectFailed":
        this.#onInspectFailed(this.#record(event.modelId), event.failure);
        break;
      case "loadSucceeded":
        this.#onLoadSucceeded(this.#record(event.modelId, "loading"), event.measuredBytes);
        break;
      case "loadFailed":
        this.#onLoadFailed(this.#record(event.modelId, "loading"), event.failure);
        break;
      case "unloaded":
        this.#becomeAbsent(this.#record(event.modelId, "unloading"));
        break;
      case "fileSeen":
        this.#onFileSeen(this.#record(event.modelId), event.failure);
        break;
      case "idleTimerFired":
        this.#onIdleTimer(this.#record(event.modelId), event.timerId);
        break;
      case "drain":
        this.#onDrain();
        break;
    }
  }

  #record(modelId: string, phase?: ModelPhase): ModelRecord {
    const record = this.#records.get(modelId);
    if (record === undefined) throw new Error(`the scheduler knows no model ${modelId}`);
    if (phase !== undefined && record.phase !== phase) {
      throw new Error(`${modelId} is ${record.phase}; this event needs it to be ${phase}`);
    }
    return record;
  }

  #onRequested(record: ModelRecord, requestId: number, mayEvict: boolean): void {
    if (this.#drain !== "no") {
      this.#reject(record, requestId, { kind: "draining" });
      return;
    }
    if (isOpen(record)) {
      this.#grant(record, requestId, mayEvict, true);
      return;
    }
    record.waiters.set(requestId, { mayEvict });
    if (record.phase === "absent") this.#inspect(record);
  }

  #onAbandoned(requestId: number): void {
    for (const record of this.#records.values()) record.waiters.delete(requestId);
  }

  #onReleased(requestId: number): void {
    const lease = this.#leases.get(requestId);
    if (lease === undefined) throw new Error(`request ${requestId} holds no lease`);
    this.#leases.delete(requestId);
    lease.record.leases -= 1;
    if (lease.isUse) lease.record.lastUse = this.#now;
  }

  #onInspected(record: ModelRecord, needBytes: number): void {
    // A drain has made it absent in the meantime, or everyone who wanted it has left.
    if (record.phase !== "inspecting") return;
    forgetFileFailure(record);
    if (record.waiters.size === 0) {
      record.phase = "absent";
      return;
    }
    record.phase = "inLine";
    record.needBytes = needBytes;
    this.#line.push(record);
  }

  #onInspectFailed(record: ModelRecord, failure: ModelFailure): void {
    if (record.phase !== "inspecting") return;
    record.failure = failure;
    record.phase = "absent";
    this.#rejectAll(record, failure);
  }

  #onLoadSucceeded(record: ModelRecord, measuredBytes: number): void {
    record.failure = null;
    if (record.abandoned) {
      this.#unload(record, "abandoned", null);
      return;
    }
    record.needBytes = measuredBytes;
    if (measuredBytes <= this.#ledger.of(record.model.id)) this.#becomeLoaded(record);
    else record.phase = "settling";
  }

  #onLoadFailed(record: ModelRecord, failure: ModelFailure): void {
    if (!record.abandoned) {
      record.failure = failure;
      this.#rejectAll(record, failure);
    }
    this.#becomeAbsent(record);
  }

  #onFileSeen(record: ModelRecord, failure: ModelFailure | null): void {
    if (record.phase !== "absent") return;
    if (failure === null) forgetFileFailure(record);
    else record.failure = failure;
  }

  #onIdleTimer(record: ModelRecord, timerId: number): void {
    if (record.timerId !== timerId) return;
    record.timerId = null;
    this.#unload(record, "idle", null);
  }

  #onDrain(): void {
    if (this.#drain !== "no") return;
    this.#drain = "draining";
    this.#line = [];
    for (const record of this.#records.values()) {
      this.#rejectAll(record, { kind: "draining" });
      record.draining = false;
      this.#cancelIdleTimer(record);
      if (record.phase === "inspecting" || record.phase === "inLine") record.phase = "absent";
      else if (record.phase === "loading" && !record.abandoned) this.#abandonLoad(record);
    }
  }

  #continueDrain(): void {
    let inMemory = 0;
    for (const record of this.#records.values()) {
      const isInMemory = record.phase === "loaded" || record.phase === "settling";
      if (isInMemory && record.leases === 0) this.#unload(record, "draining", null);
      if (record.phase !== "absent") inMemory += 1;
    }
    if (inMemory > 0 || this.#drain === "drained") return;
    this.#drain = "drained";
    this.#effects.push({ type: "drained" });
  }

  /**
   * Completes the reservation of models that measured more than was reserved for them, from free memory and from idle
   * models that go for it; nobody else gets memory before. Where that cannot suffice, or somebody would have to go for a
   * newcomer that nobody waits for any more, the newcomer is unloaded again.
   */
  #settle(): void {
    let owedBefore = 0;
    for (const record of this.#records.values()) {
      if (record.phase !== "settling") continue;
      const { id } = record.model;
      const reserved = this.#ledger.of(id);
      this.#ledger.reserve(id, Math.min(record.needBytes, reserved + this.#ledger.freeBytes));
      const owed = owedBytes(record, this.#ledger);
      if (owed === 0) {
        this.#becomeLoaded(record);
        continue;
      }
      const wanted = owed + owedBefore - this.#leavingBytes();
      const victims = chooseVictims(this.#candidates(tier.idle), { bytes: wanted, places: 0 });
      if (victims === null || (victims.length > 0 && record.waiters.size === 0)) {
        const failure = {
          kind: "larger_than_predicted",
          measuredBytes: record.needBytes,
          predictedBytes: reserved,
          budgetBytes: this.#config.budgetBytes,
        } as const;
        record.failure = failure;
        this.#rejectAll(record, this.#impossible(record) ?? failure);
        this.#unload(record, "larger_than_predicted", null);
        continue;
      }
      for (const victim of victims) this.#evict(this.#record(victim), id);
      owedBefore += owed;
    }
  }

  /**
   * Starts every load of the line that may start, and makes room for the first that may not. While a settling model lacks
   * bytes nothing starts, for then none are free.
   */
  #serveLine(): void {
    const line = this.#line;
    this.#line = [];
    let head: ModelRecord | null = null;
    for (const record of line) {
      const { id } = record.model;
      const refusal = this.#impossible(record);
      // What the head counts on of the memory and the places that are free now.
      const claimed = head === null ? { bytes: 0, places: 0 } : this.#claimOf(head);
      const spareBytes = this.#ledger.freeBytes - claimed.bytes;
      const fits =
        record.needBytes <= spareBytes && (!record.model.counted || this.#freePlaces() - claimed.places >= 1);
      if (record.waiters.size === 0) {
        record.phase = "absent";
      } else if (refusal !== null) {
        record.phase = "absent";
        this.#rejectAll(record, refusal);
      } else if (fits) {
        record.phase = "loading";
        this.#ledger.reserve(id, record.needBytes);
        this.#effects.push({ type: "startLoad", modelId: id, reservedBytes: record.needBytes });
      } else if ([...record.waiters.values()].every((waiter) => !waiter.mayEvict)) {
        record.phase = "absent";
        const freeBytes = Math.max(0, spareBytes);
        this.#rejectAll(record, { kind: "no_room", needBytes: record.needBytes, freeBytes });
      } else {
        this.#line.push(record);
        if (head === null) {
          head = record;
          this.#makeRoom(record);
        }
      }
    }
    if (head === null) for (const record of this.#records.values()) record.draining = false;
  }

  /** Evicts idle models, and marks busy ones draining, so that the head of the line can load when they are gone. */
  #makeRoom(head: ModelRecord): void {
    const want = this.#wantOf(head);
    const victims =
      chooseVictims(this.#candidates(tier.idle), want) ?? chooseVictims(this.#candidates(tier.loading), want);
    if (victims === null) throw new Error(`no victims for ${head.model.id}, although it fits in the budget`);
    for (const record of this.#records.values()) {
      const isVictim = victims.includes(record.model.id);
      const isIdle = isVictim && this.#tierOf(record) === tier.idle;
      record.draining = isVictim && !isIdle;
      if (isIdle) this.#evict(record, head.model.id);
    }
  }

  /** What the head still needs beyond what is free or already on its way back. */
  #wantOf(head: ModelRecord): EvictionWant {
    const coming = this.#ledger.freeBytes - this.#owedBytes() + this.#leavingBytes();
    const comingPlaces = this.#freePlaces() + this.#leavingPlaces();
    return { bytes: head.needBytes - coming, places: head.model.counted ? 1 - comingPlaces : 0 };
  }

  #claimOf(head: ModelRecord): EvictionWant {
    let bytes = head.needBytes - this.#leavingBytes();
    let places = (head.model.counted ? 1 : 0) - this.#leavingPlaces();
    for (const record of this.#records.values()) {
      if (!record.draining) continue;
      bytes -= this.#ledger.of(record.model.id);
      if (record.model.counted) places -= 1;
    }
    return { bytes: Math.max(0, bytes), places: Math.max(0, places) };
  }

  #impossible(record: ModelRecord): Refusal | null {
    let pinnedBytes = 0;
    let pinnedPlaces = 0;
    for (const other of this.#records.values()) {
      if (other === record || !other.model.keep || !isInMemory(other) || other.phase === "unloading") continue;
      pinnedBytes += this.#ledger.of(other.model.id) + owedBytes(other, this.#ledger);
      if (other.model.counted) pinnedPlaces += 1;
    }
    const { budgetBytes, maxLoaded } = this.#config;
    if (record.needBytes > budgetBytes - pinnedBytes) {
      return { kind: "larger_than_budget", needBytes: record.needBytes, budgetBytes, pinnedBytes };
    }
    if (maxLoaded !== null && record.model.counted && pinnedPlaces >= maxLoaded) return { kind: "no_place", maxLoaded };
    return null;
  }

  /** Models that may be evicted, up to a tier. */
  #candidates(upToTier: number): EvictionCandidate[] {
    const candidates: EvictionCandidate[] = [];
    for (const record of this.#records.values()) {
      const itsTier = this.#tierOf(record);
      if (itsTier === null || itsTier > upToTier) continue;
      candidates.push({
        id: record.model.id,
        bytes: this.#ledger.of(record.model.id) + owedBytes(record, this.#ledger),
        counted: record.model.counted,
        tier: itsTier,
        lastUse: record.lastUse,
        priority: record.model.priority,
      });
    }
    return candidates;
  }

  /** Null: must not be evicted, or has nothing to bring back. */
  #tierOf(record: ModelRecord): number | null {
    if (record.model.keep) return null;
    switch (record.phase) {
      case "loaded":
        if (record.leases === 0) return tier.idle;
        return record.draining ? tier.draining : tier.leased;
      case "loading":
        if (record.abandoned) return null;
        if (record.waiters.size === 0) return tier.idle;
        return record.draining ? tier.draining : tier.loading;
      case "settling":
        return record.draining ? tier.draining : tier.loading;
      case "absent":
      case "inspecting":
      case "inLine":
      case "unloading":
        return null;
    }
  }

  #evict(record: ModelRecord, forModelId: string): void {
    if (record.phase === "loading") this.#abandonLoad(record);
    else this.#unload(record, "evicted", forModelId);
  }

  #abandonLoad(record: ModelRecord): void {
    record.abandoned = true;
    this.#effects.push({ type: "abandonLoad", modelId: record.model.id });
  }

  #unload(record: ModelRecord, reason: UnloadReason, forModelId: string | null): void {
    record.phase = "unloading";
    record.draining = false;
    this.#effects.push({ type: "startUnload", modelId: record.model.id, reason, forModelId });
  }

  #becomeLoaded(record: ModelRecord): void {
    record.phase = "loaded";
    this.#ledger.reserve(record.model.id, record.needBytes);
    // Those who waited for this load get it, also when its memory is wanted by now: otherwise it was for nothing.
    for (const [requestId, { mayEvict }] of record.waiters) this.#grant(record, requestId, mayEvict, false);
    record.waiters.clear();
  }

  #becomeAbsent(record: ModelRecord): void {
    record.phase = "absent";
    record.draining = false;
    record.abandoned = false;
    this.#ledger.free(record.model.id);
    if (record.waiters.size > 0) this.#inspect(record);
  }

  #inspect(record: ModelRecord): void {
    record.phase = "inspecting";
    this.#effects.push({ type: "inspect", modelId: record.model.id });
  }

  /** Serves those who wait for a model that was draining and is needed by nobody else any more. */
  #grantWaiters(): void {
    for (const record of this.#records.values()) {
      if (!isOpen(record)) continue;
      for (const [requestId, { mayEvict }] of record.waiters) this.#grant(record, requestId, mayEvict, true);
      record.waiters.clear();
    }
  }

  #grant(record: ModelRecord, requestId: number, isUse: boolean, hit: boolean): void {
    record.leases += 1;
    if (isUse) record.lastUse = this.#now;
    this.#leases.set(requestId, { record, isUse });
    this.#effects.push({ type: "grant", modelId: record.model.id, requestId, hit });
  }

  #reject(record: ModelRecord, requestId: number, refusal: Refusal): void {
    this.#effects.push({ type: "reject", modelId: record.model.id, requestId, refusal });
  }

  #rejectAll(record: ModelRecord, refusal: Refusal): void {
    for (const requestId of record.waiters.keys()) this.#reject(record, requestId, refusal);
    record.waiters.clear();
  }

  #updateIdleTimers(): void {
    const { autoUnloadAfterMs } = this.#config;
    if (autoUnloadAfterMs === null) return;
    for (const record of this.#records.values()) {
      const isIdle = record.phase === "loaded" && record.leases === 0 && !record.model.keep;
      if (!isIdle) {
        this.#cancelIdleTimer(record);
      } else if (record.timerId === null) {
        record.timerId = this.#now;
        const modelId = record.model.id;
        this.#effects.push({ type: "startIdleTimer", modelId, timerId: this.#now, delayMs: autoUnloadAfterMs });
      }
    }
  }

  #cancelIdleTimer(record: ModelRecord): void {
    if (record.timerId === null) return;
    this.#effects.push({ type: "cancelIdleTimer", modelId: record.model.id, timerId: record.timerId });
    record.timerId = null;
  }

  /** What settling models still lack. */
  #owedBytes(): number {
    let bytes = 0;
    for (const record of this.#records.values()) bytes += owedBytes(record, this.#ledger);
    return bytes;
  }

  /** Reserved by models that are on their way out. */
  #leavingBytes(): number {
    let bytes = 0;
    for (const record of this.#records.values()) if (isLeaving(record)) bytes += this.#ledger.of(record.model.id);
    return bytes;
  }

  #leavingPlaces(): number {
    let places = 0;
    for (const record of this.#records.values()) if (isLeaving(record) && record.model.counted) places += 1;
    return places;
  }

  #freePlaces(): number {
    let taken = 0;
    for (const record of this.#records.values()) if (isInMemory(record) && record.model.counted) taken += 1;
    return (this.#config.maxLoaded ?? Infinity) - taken;
  }
}

/**
 * False when requests wait, here or (`queued`) for a turn, and nothing is under way that could ever serve them. Only a
 * bug leads there, and health must show it.
 */
export function isProgressing(models: readonly ModelSnapshot[], queued: number): boolean {
  const isWaiting = queued > 0 || models.some(({ waiting }) => waiting > 0);
  const isUnderWay = models.some(
    ({ leases, phase }) => leases > 0 || !(phase === "absent" || phase === "inLine" || phase === "loaded"),
  );
  return isUnderWay || !isWaiting;
}

/** Whether a new request gets its lease at once. */
function isOpen(record: ModelRecord): boolean {
  return record.phase === "loaded" && !record.draining;
}

/** Whether it has a reservation. */
function isInMemory({ phase }: ModelRecord): boolean {
  return phase === "loading" || phase === "settling" || phase === "loaded" || phase === "unloading";
}

function isLeaving(record: ModelRecord): boolean {
  return record.phase === "unloading" || (record.phase === "loading" && record.abandoned);
}

/** The file is fine now; that says nothing about a load that failed. */
function forgetFileFailure(record: ModelRecord): void {
  if (record.failure?.kind === "missing" || record.failure?.kind === "invalid") record.failure = null;
}

function owedBytes(record: ModelRecord, ledger: MemoryLedger): number {
  return record.phase === "settling" ? record.needBytes - ledger.of(record.model.id) : 0;
}
