// Which models are in memory and who may use them: a state machine without promises, timers or engine. Events go in
// through `handle`, and effects, which the caller carries out, are its only way out. May import this folder's pure files.
//
// A model's way: absent → inspecting (file and need) → inLine (for memory) → loading → [settling] → loaded → unloading →
// absent. Bytes are reserved from `startLoad` until `unloaded` or `loadFailed`, whatever happens between.
//
// Who gets memory. Models that need a load stand in one line, first come first served. The first of the line that
// does not fit is the head. For the head, victims are chosen: idle ones are unloaded at once, busy ones are draining:
// they serve those who asked before the draining began, for one swap quantum at most, and are unloaded when their last
// lease is back. So a swap serves a batch, and requests that alternate between two models do not swap each time. Those
// behind the head may load only into memory that the head does not count on, and evict nobody. Draining models come
// first when victims are chosen anew.
//
// The bound. With M models, Q the swap quantum, and G the longest lease, L, U and I the longest load, unload and
// inspection, a request that has its turn waits here at most (M + 1)(L + Q + G + U) + I + L. For its model is at most
// one load, a batch, its last leases and one unload away from absent, then is inspected and joins the line behind at most
// M − 1 others. Each head starts within L + Q + G + U: a victim that is loading finishes, its batch ends with the
// quantum, its last leases end without new ones; then it is unloaded. Nothing that comes later takes memory which the
// head counts on, but for what is tried by another process first, and goes on then, and for a load that turns out larger
// than predicted: each adds at most one L + Q + G + U, once for each file, since verdict and need are remembered. Time
// in which the machine itself lacks the memory does not count. A request with p others of its priority or a higher one
// before it in its model's queue of s slots waits at most ⌊p/s⌋ + 1 such times, and as many G.
//
// What hangs. A load or unload that does not end in time keeps its bytes, for nobody knows what it still does. Nobody
// waits for it: those who need its model or its memory are refused.
//
// What the machine has. `memorySeen` tells how much more could be taken. A load starts only into that; when it is
// negative idle models go. Models that are loading have taken an unknown part of theirs: what starts loads reckons
// that they have taken nothing yet, what refuses reckons that they have taken all.
import type { UnloadReason } from "../core/pool-event.ts";
import type { ContextOption } from "./context-option.ts";
import { chooseVictims, type EvictionCandidate, type EvictionWant } from "./eviction.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import type { ModelFailure, Refusal } from "./refusal.ts";
import type {
  ModelPhase,
  ModelSnapshot,
  SchedulerConfig,
  SchedulerEffect,
  SchedulerEvent,
  SchedulerModel,
} from "./scheduler-events.ts";

interface Waiter {
  readonly mayEvict: boolean;
  readonly keepAliveMs: number | null;
  /** Number of the event with which it came. */
  readonly asked: number;
  hasTurn: boolean;
}

interface Drain {
  /** Those who asked before this event are still served. */
  since: number;
  /** The quantum is over: they are not. */
  over: boolean;
  timerId: number | null;
}

interface ModelRecord {
  model: SchedulerModel;
  phase: ModelPhase;
  /** From the last inspection, largest context first. Means nothing while absent or inspecting. */
  options: readonly ContextOption[];
  /** The option that is or would be loaded; its need is corrected once it was measured. */
  choice: ContextOption;
  /** Measured by its last load. */
  takenBytes: number;
  /** By request id, in order of arrival. */
  readonly waiters: Map<number, Waiter>;
  /** Whether `options` holds the smaller contexts too, or only the wanted one. */
  hasAllOptions: boolean;
  /** What its options need is not all that it will need. */
  needIsLeast: boolean;
  leases: number;
  /** Null: open to everybody. */
  drain: Drain | null;
  /** Of the load under way: we gave it up. */
  abandoned: boolean;
  /** The load or unload under way has not ended in time. */
  overdue: boolean;
  /** Its file is being read into the page cache. */
  readsAhead: boolean;
  /** What is inspected or loaded is not what is wanted any more: it goes, and those who wait get the new one. */
  stale: UnloadReason | null;
  /** When it is inspected the next time it does not stand behind the others in the line. */
  goesFirst: boolean;
  /** Not in the configuration any more. */
  removed: boolean;
  /** Number of the event that made it loaded. */
  loadedAt: number;
  /** Number of the event that last granted or ended a lease; 0: never used. */
  lastUse: number;
  /** Idle time that its last use asked for; null: as configured. */
  keepAliveMs: number | null;
  idleTimerId: number | null;
  /** While it runs no load is tried. */
  backoffTimerId: number | null;
  /** Loads that failed since one succeeded. */
  failures: number;
  failure: ModelFailure | null;
  quarantine: string | null;
}

/** Who is hurt when a model goes. */
const tier = { idle: 0, draining: 1, leased: 2, loading: 3 } as const;

const firstBackoffMs = 1000;
const longestBackoffMs = 300_000;
const nothingChosen: ContextOption = { contextTokens: 0, needBytes: 0 };

export class Scheduler {
  #config: SchedulerConfig;
  readonly #ledger: MemoryLedger;
  readonly #records = new Map<string, ModelRecord>();
  /** Models that wait for memory, first come first. */
  #line: ModelRecord[] = [];
  /** Granted and not yet released. */
  readonly #leases = new Map<
    number,
    { readonly record: ModelRecord; readonly isUse: boolean; readonly keepAliveMs: number | null }
  >();
  /** Events handled so far: the clock by which recency is measured. */
  #now = 0;
  /** What the machine could give beyond what loaded models have taken; see the head of this file. */
  #headroomBytes = Infinity;
  #closing: "no" | "closing" | "closed" = "no";
  #effects: SchedulerEffect[] = [];

  constructor(models: readonly SchedulerModel[], config: SchedulerConfig) {
    this.#config = config;
    this.#ledger = new MemoryLedger(config.budgetBytes - config.processBytes);
    for (const model of models) this.#records.set(model.id, newRecord(model));
  }

  /** Takes one event in and returns what is to be done, in this order. Throws on an event that cannot be. */
  handle(event: SchedulerEvent): readonly SchedulerEffect[] {
    this.#now += 1;
    this.#effects = [];
    this.#apply(event);
    if (this.#closing === "no") {
      this.#renew();
      this.#settle();
      this.#serveLine();
      this.#shed();
      this.#grantWaiters();
      this.#updateIdleTimers();
      this.#updateBatchTimers();
      this.#updateReadAhead();
      this.#forgetRemoved();
    } else {
      this.#updateReadAhead();
      this.#continueClosing();
    }
    return this.#effects;
  }

  get reservedBytes(): number {
    return this.#ledger.reservedBytes;
  }

  /** Ids of the models of which a lease is out. */
  get leasedIds(): readonly string[] {
    const ids: string[] = [];
    for (const { model, leases } of this.#records.values()) if (leases > 0) ids.push(model.id);
    return ids;
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
      draining: record.drain !== null,
      overdue: record.overdue,
      backingOff: record.backoffTimerId !== null,
      quarantine: record.quarantine,
      contextTokens: isInMemory(record) ? record.choice.contextTokens : null,
      wantedTokens: isInMemory(record) ? (record.options[0]?.contextTokens ?? null) : null,
    }));
  }

  #apply(event: SchedulerEvent): void {
    switch (event.type) {
      case "requested": {
        const { mayEvict, hasTurn, keepAliveMs } = event;
        const waiter = { mayEvict, hasTurn, keepAliveMs, asked: this.#now };
        this.#onRequested(this.#record(event.modelId), event.requestId, waiter);
        break;
      }
      case "turn":
        this.#onTurn(event.requestId);
        break;
      case "abandoned":
        this.#onAbandoned(event.requestId);
        break;
      case "released":
        this.#onReleased(event.requestId);
        break;
      case "inspected":
        this.#onInspected(this.#record(event.modelId), event);
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
      case "proven":
        this.#onProven(this.#record(event.modelId, "loading"));
        break;
      case "loadTimedOut":
        this.#onLoadTimedOut(this.#record(event.modelId, "loading"), event.failure);
        break;
      case "unloaded":
        this.#onUnloaded(this.#record(event.modelId, "unloading"));
        break;
      case "unloadOverdue":
        this.#hang(this.#record(event.modelId, "unloading"));
        break;
      case "fileSeen":
        this.#onFileSeen(this.#record(event.modelId), event.failure);
        break;
      case "fileChanged":
        if (isHeld(this.#record(event.modelId))) this.#record(event.modelId).stale = "file_changed";
        break;
      case "idleTimerFired":
        this.#onIdleTimer(this.#record(event.modelId), event.timerId);
        break;
      case "batchTimerFired":
        this.#onBatchTimer(this.#record(event.modelId), event.timerId);
        break;
      case "backoffTimerFired":
        this.#onBackoffTimer(this.#record(event.modelId), event.timerId);
        break;
      case "memorySeen":
        this.#headroomBytes = event.headroomBytes ?? Infinity;
        break;
      case "unloadRequested":
        this.#onUnloadRequested(this.#record(event.modelId));
        break;
      case "quarantined":
        this.#onQuarantined(this.#record(event.modelId), event.reason);
        break;
      case "lifted":
        this.#onLifted(this.#record(event.modelId));
        break;
      case "reconfigured":
        this.#onReconfigured(event.models, event.config, event.changedIds);
        break;
      case "close":
        this.#onClose();
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

  #onRequested(record: ModelRecord, requestId: number, waiter: Waiter): void {
    const refusal = this.#refusalNow(record);
    if (refusal !== null) {
      this.#reject(record, requestId, refusal);
      return;
    }
    record.waiters.set(requestId, waiter);
    if (record.phase === "absent") this.#inspect(record);
  }

  /** Why nobody may even wait for this model now. */
  #refusalNow(record: ModelRecord): Refusal | null {
    if (this.#closing !== "no") return { kind: "draining" };
    if (record.quarantine !== null) return { kind: "quarantined", reason: record.quarantine };
    if (record.overdue)
      return { kind: "stuck", modelIds: [record.model.id], heldBytes: this.#ledger.of(record.model.id) };
    if (record.backoffTimerId !== null && record.failure !== null) {
      return { kind: "backing_off", failure: record.failure };
    }
    return null;
  }

  #onTurn(requestId: number): void {
    for (const record of this.#records.values()) {
      const waiter = record.waiters.get(requestId);
      if (waiter !== undefined) waiter.hasTurn = true;
    }
  }

  #onAbandoned(requestId: number): void {
    for (const record of this.#records.values()) record.waiters.delete(requestId);
  }

  #onReleased(requestId: number): void {
    const lease = this.#leases.get(requestId);
    if (lease === undefined) throw new Error(`request ${requestId} holds no lease`);
    this.#leases.delete(requestId);
    lease.record.leases -= 1;
    if (!lease.isUse) return;
    lease.record.lastUse = this.#now;
    lease.record.keepAliveMs = lease.keepAliveMs;
  }

  #onInspected(
    record: ModelRecord,
    { options, isComplete, isLeast }: SchedulerEvent & { readonly type: "inspected" },
  ): void {
    // A drain has made it absent in the meantime, or everyone who wanted it has left.
    if (record.phase !== "inspecting") return;
    forgetFileFailure(record);
    if (record.waiters.size === 0) {
      this.#stayAbsent(record);
      return;
    }
    if (record.stale !== null) {
      this.#inspect(record);
      return;
    }
    const [first] = options;
    if (first === undefined) throw new Error(`no way to load ${record.model.id} was found`);
    record.phase = "inLine";
    record.options = options;
    record.hasAllOptions = isComplete;
    record.needIsLeast = isLeast;
    record.choice = first;
    if (record.goesFirst) this.#line.unshift(record);
    else this.#line.push(record);
    record.goesFirst = false;
  }

  #onInspectFailed(record: ModelRecord, failure: ModelFailure): void {
    if (record.phase !== "inspecting") return;
    if (record.stale !== null && record.waiters.size > 0) {
      this.#inspect(record);
      return;
    }
    record.failure = failure;
    this.#rejectAll(record, failure);
    this.#stayAbsent(record);
  }

  /** Nobody waits for it any more: nothing of the attempt is left. */
  #stayAbsent(record: ModelRecord): void {
    record.phase = "absent";
    record.stale = null;
    record.goesFirst = false;
  }

  #onLoadSucceeded(record: ModelRecord, measuredBytes: number): void {
    record.takenBytes = measuredBytes;
    this.#headroomBytes -= measuredBytes;
    record.overdue = false;
    if (record.abandoned) {
      this.#unload(record, record.stale ?? "abandoned", null);
      return;
    }
    record.failure = null;
    record.failures = 0;
    record.choice = { ...record.choice, needBytes: measuredBytes };
    if (measuredBytes <= this.#ledger.of(record.model.id)) this.#becomeLoaded(record);
    else record.phase = "settling";
  }

  #onLoadFailed(record: ModelRecord, failure: ModelFailure): void {
    if (!record.abandoned) this.#failLoad(record, failure);
    this.#becomeAbsent(record);
  }

  /** It keeps its place: first among those that wait for memory. */
  #onProven(record: ModelRecord): void {
    record.goesFirst = true;
    this.#becomeAbsent(record);
  }

  #onLoadTimedOut(record: ModelRecord, failure: ModelFailure): void {
    if (!record.abandoned) {
      this.#failLoad(record, failure);
      this.#abandonLoad(record, null);
    }
    this.#hang(record);
  }

  /** Its load or unload may never end: nobody waits for that. */
  #hang(record: ModelRecord): void {
    record.overdue = true;
    const heldBytes = this.#ledger.of(record.model.id);
    this.#rejectAll(record, { kind: "stuck", modelIds: [record.model.id], heldBytes });
  }

  /** All who wait hear of it, and it is not tried again for a time that doubles with each failure. */
  #failLoad(record: ModelRecord, failure: ModelFailure): void {
    record.failure = failure;
    record.failures += 1;
    this.#cancelBackoff(record);
    record.backoffTimerId = this.#now;
    this.#effects.push({
      type: "startBackoffTimer",
      modelId: record.model.id,
      timerId: this.#now,
      delayMs: Math.min(longestBackoffMs, firstBackoffMs * 2 ** (record.failures - 1)),
      failures: record.failures,
    });
    this.#rejectAll(record, failure);
  }

  #onUnloaded(record: ModelRecord): void {
    this.#headroomBytes += record.takenBytes;
    this.#becomeAbsent(record);
  }

  #onFileSeen(record: ModelRecord, failure: ModelFailure | null): void {
    // While it is backing off its failure is that of the load.
    if (record.phase !== "absent" || record.backoffTimerId !== null) return;
    if (failure === null) forgetFileFailure(record);
    else record.failure = failure;
  }

  #onIdleTimer(record: ModelRecord, timerId: number): void {
    if (record.idleTimerId !== timerId) return;
    record.idleTimerId = null;
    this.#unload(record, "idle", null);
  }

  #onBatchTimer({ drain }: ModelRecord, timerId: number): void {
    if (drain?.timerId !== timerId) return;
    drain.timerId = null;
    drain.over = true;
  }

  #onBackoffTimer(record: ModelRecord, timerId: number): void {
    if (record.backoffTimerId === timerId) record.backoffTimerId = null;
  }

  #onUnloadRequested(record: ModelRecord): void {
    if (this.#tierOf(record) === tier.idle && record.phase === "loaded") this.#unload(record, "requested", null);
  }

  #onQuarantined(record: ModelRecord, reason: string): void {
    record.quarantine = reason;
    this.#rejectAll(record, { kind: "quarantined", reason });
    this.#makeStale(record, "reconfigured");
  }

  #onLifted(record: ModelRecord): void {
    record.quarantine = null;
    record.failures = 0;
    record.failure = null;
    this.#cancelBackoff(record);
  }

  #onReconfigured(models: readonly SchedulerModel[], config: SchedulerConfig, changedIds: readonly string[]): void {
    this.#config = config;
    this.#ledger.budgetBytes = config.budgetBytes - config.processBytes;
    const wanted = new Set(models.map(({ id }) => id));
    for (const record of this.#records.values()) {
      record.removed = !wanted.has(record.model.id);
      // It starts anew with the time that is configured now.
      this.#cancelIdleTimer(record);
    }
    for (const model of models) {
      const record = this.#records.get(model.id);
      if (record === undefined) this.#records.set(model.id, newRecord(model));
      else record.model = model;
    }
    for (const modelId of changedIds) {
      const record = this.#record(modelId);
      record.failure = null;
      record.failures = 0;
      this.#cancelBackoff(record);
      this.#makeStale(record, "reconfigured");
    }
  }

  /** What it is, or is becoming, is not wanted any more; those who wait for it go on waiting, for the new one. */
  #makeStale(record: ModelRecord, reason: UnloadReason): void {
    switch (record.phase) {
      case "absent":
      case "unloading":
        break;
      case "inLine":
        this.#line = this.#line.filter((one) => one !== record);
        if (record.waiters.size > 0) this.#inspect(record);
        else this.#stayAbsent(record);
        break;
      case "loading":
        record.stale = reason;
        if (!record.abandoned) this.#abandonLoad(record, null);
        break;
      case "inspecting":
      case "settling":
      case "loaded":
        record.stale = reason;
        break;
    }
  }

  #onClose(): void {
    if (this.#closing !== "no") return;
    this.#closing = "closing";
    this.#line = [];
    for (const record of this.#records.values()) {
      this.#rejectAll(record, { kind: "draining" });
      this.#endDrain(record);
      this.#cancelIdleTimer(record);
      this.#cancelBackoff(record);
      if (record.phase === "inspecting" || record.phase === "inLine") record.phase = "absent";
      else if (record.phase === "loading" && !record.abandoned) this.#abandonLoad(record, null);
    }
  }

  #continueClosing(): void {
    let inMemory = 0;
    for (const record of this.#records.values()) {
      if (isHeld(record) && record.leases === 0) this.#unload(record, "draining", null);
      if (record.phase !== "absent") inMemory += 1;
    }
    if (inMemory > 0 || this.#closing === "closed") return;
    this.#closing = "closed";
    this.#effects.push({ type: "closed" });
  }

  /** Unloads what is stale or removed, once nobody uses it. */
  #renew(): void {
    for (const record of this.#records.values()) {
      if (!isHeld(record) || record.leases > 0) continue;
      if (record.stale !== null) this.#unload(record, record.stale, null);
      else if (record.removed && record.waiters.size === 0) this.#unload(record, "removed", null);
    }
  }

  #forgetRemoved(): void {
    for (const record of this.#records.values()) {
      if (!record.removed || record.phase !== "absent" || record.waiters.size > 0) continue;
      this.#cancelBackoff(record);
      this.#records.delete(record.model.id);
      this.#effects.push({ type: "forgotten", modelId: record.model.id });
    }
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
      const { needBytes } = record.choice;
      const reserved = this.#ledger.of(id);
      this.#ledger.reserve(id, Math.min(needBytes, reserved + Math.max(0, this.#ledger.freeBytes)));
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
          measuredBytes: needBytes,
          predictedBytes: reserved,
          budgetBytes: this.#config.budgetBytes,
        } as const;
        record.failure = failure;
        const impossible = this.#impossible(record, record.choice);
        this.#rejectAll(record, impossible?.kind === "larger_than_budget" ? impossible : failure);
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
      const refusal = this.#choose(record);
      const { needBytes, contextTokens } = record.choice;
      // What the head counts on of the memory and the places that are free now.
      const claimed = head === null ? { bytes: 0, places: 0 } : this.#claimOf(head);
      const spareBytes = this.#freeBytes() - claimed.bytes;
      const fits = needBytes <= spareBytes && (!record.model.counted || this.#freePlaces() - claimed.places >= 1);
      if (record.waiters.size === 0) {
        this.#stayAbsent(record);
      } else if (refusal !== null && !record.hasAllOptions) {
        // What smaller contexts take is asked only where it matters.
        record.goesFirst = true;
        this.#inspect(record, true);
      } else if (refusal !== null) {
        this.#rejectAll(record, refusal);
        this.#stayAbsent(record);
      } else if (fits) {
        record.phase = "loading";
        this.#ledger.reserve(id, needBytes);
        const wantedTokens = record.options[0]?.contextTokens ?? contextTokens;
        this.#effects.push({ type: "startLoad", modelId: id, reservedBytes: needBytes, contextTokens, wantedTokens });
      } else if ([...record.waiters.values()].every((waiter) => !waiter.mayEvict)) {
        this.#rejectAll(record, { kind: "no_room", needBytes, freeBytes: Math.max(0, spareBytes) });
        this.#stayAbsent(record);
      } else {
        this.#line.push(record);
        if (head === null) {
          head = record;
          this.#makeRoom(this.#wantOf(record), id);
        }
      }
    }
    if (head !== null) return;
    // A budget that became smaller is made good as if somebody waited for it.
    const overBytes = -this.#ledger.freeBytes - this.#leavingBytes();
    const overPlaces = -this.#freePlaces() - this.#leavingPlaces();
    if (overBytes > 0 || overPlaces > 0) this.#makeRoom({ bytes: overBytes, places: overPlaces }, null);
    else for (const record of this.#records.values()) this.#endDrain(record);
  }

  /** Takes the largest context that can fit at all; the refusal where none can. */
  #choose(record: ModelRecord): Refusal | null {
    const refusals: Refusal[] = [];
    for (const option of record.options) {
      const impossible = this.#impossible(record, option);
      if (impossible === null) {
        record.choice = option;
        return null;
      }
      refusals.push(impossible);
    }
    // What may pass is more to the point than that the largest context can never fit.
    return refusals.find(({ kind }) => kind !== "larger_than_budget") ?? refusals[0] ?? null;
  }

  /** Evicts idle models, and marks busy ones draining, so that there is room when they are gone. */
  #makeRoom(want: EvictionWant, forModelId: string | null): void {
    const candidates = this.#candidates(tier.loading);
    const victims = chooseVictims(candidates, want);
    if (victims === null && forModelId !== null) throw new Error(`no victims for ${forModelId}, although it fits`);
    if (victims === null) {
      // Pinned models hold more than the new budget: what is idle goes, and nobody is kept from what stays.
      for (const { id } of this.#candidates(tier.idle)) this.#evict(this.#record(id), null);
      for (const record of this.#records.values()) this.#endDrain(record);
      return;
    }
    for (const record of this.#records.values()) {
      const isVictim = victims.includes(record.model.id);
      const isIdle = isVictim && this.#tierOf(record) === tier.idle;
      if (isIdle) this.#evict(record, forModelId);
      else if (isVictim) this.#beginDrain(record, forModelId);
      else this.#endDrain(record);
    }
  }

  #beginDrain(record: ModelRecord, forModelId: string | null): void {
    if (record.drain !== null) return;
    record.drain = { since: this.#now, over: false, timerId: null };
    this.#effects.push({ type: "drainStarted", modelId: record.model.id, forModelId });
  }

  /** Its memory is not needed any more: it is open to everybody again. */
  #endDrain(record: ModelRecord): void {
    if (record.drain === null) return;
    this.#stopDrain(record);
    this.#effects.push({ type: "drainEnded", modelId: record.model.id });
  }

  #stopDrain(record: ModelRecord): void {
    this.#cancelTimer(record, record.drain?.timerId ?? null);
    record.drain = null;
  }

  /** Unloads idle models, least recently used first, as long as the machine is short of memory. */
  #shed(): void {
    const wantedBytes = -this.#headroomBytes - this.#returningBytes();
    if (!(wantedBytes > 0)) return;
    const idle = this.#candidates(tier.idle);
    if (idle.length === 0) return;
    this.#effects.push({ type: "memoryShort", wantedBytes });
    // As many as are needed; where all are not enough, all of them.
    const victims = chooseVictims(idle, { bytes: wantedBytes, places: 0 }) ?? idle.map(({ id }) => id);
    for (const id of victims) {
      const record = this.#record(id);
      if (record.phase === "loading") this.#abandonLoad(record, null);
      else this.#unload(record, "memory_pressure", null);
    }
  }

  /** What the head still needs beyond what is free or already on its way back. */
  #wantOf(head: ModelRecord): EvictionWant {
    const ofBudget = this.#ledger.freeBytes - this.#owedBytes() + this.#leavingBytes();
    // For a load under way nobody goes: how much of its memory is taken already, its end will tell.
    const ofMachine = this.#headroomBytes + this.#returningBytes();
    const comingPlaces = this.#freePlaces() + this.#leavingPlaces();
    return {
      bytes: head.choice.needBytes - Math.min(ofBudget, ofMachine),
      places: head.model.counted ? 1 - comingPlaces : 0,
    };
  }

  #claimOf(head: ModelRecord): EvictionWant {
    let bytes = head.choice.needBytes - this.#leavingBytes();
    let places = (head.model.counted ? 1 : 0) - this.#leavingPlaces();
    for (const record of this.#records.values()) {
      if (record.drain === null) continue;
      bytes -= this.#ledger.of(record.model.id);
      if (record.model.counted) places -= 1;
    }
    return { bytes: Math.max(0, bytes), places: Math.max(0, places) };
  }

  /** Why this model cannot be loaded so, whoever went for it. */
  #impossible(record: ModelRecord, { needBytes }: ContextOption): Refusal | null {
    const { budgetBytes, processBytes, maxLoaded } = this.#config;
    const pinned = this.#holdings(
      (other) => other !== record && isPinned(other) && !isLeaving(other) && !other.overdue,
    );
    const stuck = this.#holdings((other) => other !== record && other.overdue);
    const roomBytes = budgetBytes - processBytes - pinned.bytes;
    const room = record.model.counted && maxLoaded !== null ? maxLoaded - pinned.places : Infinity;
    if (needBytes > roomBytes) {
      const smallest = record.options.at(-1) ?? record.choice;
      const numbers = { needBytes, budgetBytes, processBytes, pinnedBytes: pinned.bytes, smallest };
      return { kind: "larger_than_budget", ...numbers, isLeast: record.needIsLeast };
    }
    if (room < 1) return { kind: "no_place", maxLoaded: maxLoaded ?? 0 };
    if (needBytes > roomBytes - stuck.bytes || room - stuck.places < 1) {
      return { kind: "stuck", modelIds: stuck.ids, heldBytes: stuck.bytes };
    }
    const others = this.#holdings((other) => other !== record);
    const machineBytes = this.#headroomBytes + others.takenBytes - pinned.takenBytes - stuck.takenBytes;
    if (needBytes > machineBytes) {
      return { kind: "machine_short", needBytes, machineBytes: Math.max(0, machineBytes), budgetBytes };
    }
    return null;
  }

  /** What models in memory hold together. `takenBytes`: what the machine would get back from them, at most. */
  #holdings(isMeant: (record: ModelRecord) => boolean) {
    const ids: string[] = [];
    let bytes = 0;
    let takenBytes = 0;
    let places = 0;
    for (const record of this.#records.values()) {
      if (!isInMemory(record) || !isMeant(record)) continue;
      ids.push(record.model.id);
      const reservedBytes = this.#ledger.of(record.model.id) + owedBytes(record, this.#ledger);
      bytes += reservedBytes;
      takenBytes += record.phase === "unloading" ? record.takenBytes : reservedBytes;
      if (record.model.counted) places += 1;
    }
    return { ids, bytes, takenBytes, places };
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
    if (isPinned(record)) return null;
    switch (record.phase) {
      case "loaded":
        if (record.drain !== null) return record.leases === 0 && !hasBatch(record) ? tier.idle : tier.draining;
        // One that waits without a lease is about to get its turn.
        return record.leases === 0 && record.waiters.size === 0 ? tier.idle : tier.leased;
      case "loading":
        if (record.abandoned) return null;
        if (record.waiters.size === 0) return tier.idle;
        return record.drain !== null ? tier.draining : tier.loading;
      case "settling":
        return record.drain !== null ? tier.draining : tier.loading;
      case "absent":
      case "inspecting":
      case "inLine":
      case "unloading":
        return null;
    }
  }

  #evict(record: ModelRecord, forModelId: string | null): void {
    if (record.phase === "loading") this.#abandonLoad(record, forModelId);
    else this.#unload(record, forModelId === null ? "budget_shrunk" : "evicted", forModelId);
  }

  #abandonLoad(record: ModelRecord, forModelId: string | null): void {
    record.abandoned = true;
    this.#stopDrain(record);
    this.#effects.push({ type: "abandonLoad", modelId: record.model.id, forModelId });
  }

  #unload(record: ModelRecord, reason: UnloadReason, forModelId: string | null): void {
    record.phase = "unloading";
    record.stale = null;
    this.#stopDrain(record);
    this.#cancelIdleTimer(record);
    this.#effects.push({ type: "startUnload", modelId: record.model.id, reason, forModelId });
  }

  #becomeLoaded(record: ModelRecord): void {
    record.phase = "loaded";
    record.loadedAt = this.#now;
    record.keepAliveMs = null;
    this.#ledger.reserve(record.model.id, record.choice.needBytes);
    // All who wait for it by now are served, also when its memory is wanted already: otherwise the load was for nothing.
    if (record.drain !== null) record.drain.since = this.#now;
  }

  #becomeAbsent(record: ModelRecord): void {
    record.phase = "absent";
    this.#stopDrain(record);
    record.abandoned = false;
    record.overdue = false;
    record.stale = null;
    this.#ledger.free(record.model.id);
    if (record.waiters.size > 0) this.#inspect(record);
  }

  #inspect(record: ModelRecord, withSmaller = false): void {
    record.phase = "inspecting";
    record.stale = null;
    this.#effects.push({ type: "inspect", modelId: record.model.id, withSmaller });
  }

  #grantWaiters(): void {
    for (const record of this.#records.values()) {
      if (record.phase !== "loaded" || record.stale !== null) continue;
      for (const [requestId, waiter] of record.waiters) {
        if (waiter.hasTurn && isServing(record)) this.#grant(record, requestId, waiter);
      }
    }
  }

  #grant(record: ModelRecord, requestId: number, { mayEvict: isUse, asked, keepAliveMs }: Waiter): void {
    record.waiters.delete(requestId);
    record.leases += 1;
    if (isUse) record.lastUse = this.#now;
    this.#leases.set(requestId, { record, isUse, keepAliveMs });
    this.#effects.push({ type: "grant", modelId: record.model.id, requestId, hit: asked > record.loadedAt });
  }

  #reject(record: ModelRecord, requestId: number, refusal: Refusal): void {
    this.#effects.push({ type: "reject", modelId: record.model.id, requestId, refusal });
  }

  #rejectAll(record: ModelRecord, refusal: Refusal): void {
    for (const requestId of record.waiters.keys()) this.#reject(record, requestId, refusal);
    record.waiters.clear();
  }

  #updateIdleTimers(): void {
    for (const record of this.#records.values()) {
      const isIdle = isHeld(record) && this.#tierOf(record) === tier.idle;
      const delayMs = record.keepAliveMs ?? this.#config.autoUnloadAfterMs ?? Infinity;
      if (!isIdle || delayMs === Infinity) {
        this.#cancelIdleTimer(record);
      } else if (delayMs <= 0) {
        this.#unload(record, "idle", null);
      } else if (record.idleTimerId === null) {
        record.idleTimerId = this.#now;
        this.#effects.push({ type: "startIdleTimer", modelId: record.model.id, timerId: this.#now, delayMs });
      }
    }
  }

  /** The quantum of a draining model runs as long as there is somebody whom it still has to serve. */
  #updateBatchTimers(): void {
    for (const record of this.#records.values()) {
      const { drain } = record;
      if (drain === null) continue;
      if (record.phase !== "loaded" || !hasBatch(record)) {
        this.#cancelTimer(record, drain.timerId);
        drain.timerId = null;
      } else if (drain.timerId === null) {
        drain.timerId = this.#now;
        this.#effects.push({ type: "startBatchTimer", modelId: record.model.id, timerId: this.#now });
      }
    }
  }

  /** Of those that wait for memory only the first: the files of more might push one another out of the page cache. */
  #updateReadAhead(): void {
    for (const record of this.#records.values()) {
      const isComing = record.phase === "loading" ? !record.abandoned && !record.overdue : record === this.#line[0];
      if (isComing === record.readsAhead) continue;
      record.readsAhead = isComing;
      this.#effects.push({ type: isComing ? "readAhead" : "stopReadAhead", modelId: record.model.id });
    }
  }

  #cancelIdleTimer(record: ModelRecord): void {
    this.#cancelTimer(record, record.idleTimerId);
    record.idleTimerId = null;
  }

  #cancelBackoff(record: ModelRecord): void {
    this.#cancelTimer(record, record.backoffTimerId);
    record.backoffTimerId = null;
  }

  #cancelTimer(record: ModelRecord, timerId: number | null): void {
    if (timerId !== null) this.#effects.push({ type: "cancelTimer", modelId: record.model.id, timerId });
  }

  /** Bytes that a load may take now: of the budget, and of the machine if what is loading had taken nothing yet. */
  #freeBytes(): number {
    // One that hangs takes no more than it has.
    const loadingBytes = this.#sumOf(({ phase, overdue }) => phase === "loading" && !overdue);
    return Math.min(this.#ledger.freeBytes, this.#headroomBytes - loadingBytes);
  }

  /** What the machine gets back from models that are on their way out. */
  #returningBytes(): number {
    let bytes = 0;
    for (const record of this.#records.values()) {
      if (!isLeaving(record)) continue;
      bytes += record.phase === "unloading" ? record.takenBytes : this.#ledger.of(record.model.id);
    }
    return bytes;
  }

  /** What settling models still lack. */
  #owedBytes(): number {
    let bytes = 0;
    for (const record of this.#records.values()) bytes += owedBytes(record, this.#ledger);
    return bytes;
  }

  /** Reserved by models that are on their way out. */
  #leavingBytes(): number {
    return this.#sumOf(isLeaving);
  }

  #sumOf(isMeant: (record: ModelRecord) => boolean): number {
    let bytes = 0;
    for (const record of this.#records.values()) if (isMeant(record)) bytes += this.#ledger.of(record.model.id);
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
 * False when requests wait, or a load or unload hangs, and nothing is under way. Only a bug, or native code that never comes
 * back, leads there, and health must show it.
 */
export function isProgressing(models: readonly ModelSnapshot[]): boolean {
  const isWaiting = models.some(({ waiting, overdue }) => waiting > 0 || overdue);
  const isUnderWay = models.some(
    ({ leases, phase, overdue }) =>
      leases > 0 || !(overdue || phase === "absent" || phase === "inLine" || phase === "loaded"),
  );
  return isUnderWay || !isWaiting;
}

function newRecord(model: SchedulerModel): ModelRecord {
  return {
    model,
    phase: "absent",
    options: [],
    choice: nothingChosen,
    takenBytes: 0,
    hasAllOptions: false,
    needIsLeast: false,
    waiters: new Map(),
    leases: 0,
    drain: null,
    abandoned: false,
    overdue: false,
    readsAhead: false,
    stale: null,
    goesFirst: false,
    removed: false,
    loadedAt: 0,
    lastUse: 0,
    keepAliveMs: null,
    idleTimerId: null,
    backoffTimerId: null,
    failures: 0,
    failure: null,
    quarantine: null,
  };
}

/**
 * Whether this model gives new leases. A draining one does as long as it has somebody to serve who asked before: then to
 * whoever has a turn, for a later one of higher priority may hold the turn that an early one waits for.
 */
function isServing(record: ModelRecord): boolean {
  return record.drain === null || hasBatch(record);
}

/** Whether a draining model has somebody to serve before it goes. */
function hasBatch({ drain, waiters }: ModelRecord): boolean {
  return drain !== null && !drain.over && [...waiters.values()].some(({ asked }) => asked < drain.since);
}

/** Loaded, whether or not its reservation is complete. */
function isHeld({ phase }: ModelRecord): boolean {
  return phase === "loaded" || phase === "settling";
}

/** Whether it has a reservation. */
function isInMemory(record: ModelRecord): boolean {
  return isHeld(record) || record.phase === "loading" || record.phase === "unloading";
}

function isPinned({ model, removed }: ModelRecord): boolean {
  return model.keep && !removed;
}

/** Its memory is on its way back; that of a load or unload that hangs is not. */
function isLeaving(record: ModelRecord): boolean {
  if (record.overdue) return false;
  return record.phase === "unloading" || (record.phase === "loading" && record.abandoned);
}

/** The file is fine now; that says nothing about a load that failed. */
function forgetFileFailure(record: ModelRecord): void {
  if (record.failure?.kind === "missing" || record.failure?.kind === "invalid") record.failure = null;
}

function owedBytes(record: ModelRecord, ledger: MemoryLedger): number {
  return record.phase === "settling" ? record.choice.needBytes - ledger.of(record.model.id) : 0;
}
