// The world around the scheduler, for tests: it takes the effects, keeps its own books of what is in memory, leased and
// waiting, and throws as soon as an effect or a snapshot breaks an invariant. It never asks the scheduler what is true.
import type { UnloadReason } from "../../src/core/pool-event.ts";
import type { ContextOption } from "../../src/pool/context-option.ts";
import type { ModelFailure, Refusal } from "../../src/pool/refusal.ts";
import { isProgressing, Scheduler } from "../../src/pool/scheduler.ts";
import type {
  SchedulerConfig,
  SchedulerEffect,
  SchedulerEvent,
  SchedulerModel,
} from "../../src/pool/scheduler-events.ts";

export interface WorldModel {
  readonly needBytes: number;
  /** Default: as predicted. */
  readonly measuredBytes?: number;
  readonly priority?: number;
  readonly keep?: boolean;
  readonly counted?: boolean;
  /** Other contexts that the configuration allows, largest first; `needBytes` is that of 1,024 tokens. */
  readonly smaller?: readonly ContextOption[];
}

/** What a request may ask for beside its model. */
export interface WorldRequest {
  readonly mayEvict?: boolean;
  readonly hasTurn?: boolean;
  readonly keepAliveMs?: number | null;
}

export type Outcome = "granted" | "released" | "left" | Refusal;

interface MemoryEntry {
  state: "loading" | "loaded" | "unloading";
  reservedBytes: number;
  /** Once loaded. */
  measuredBytes: number | null;
  readonly contextTokens: number;
  abandoned: boolean;
  timedOut: boolean;
  unloadReason: UnloadReason | null;
  readonly leases: Set<number>;
}

/** The machine's memory as the world keeps it: what nobody has taken, apart from its models. */
interface WorldMachine {
  headroomBytes: number;
}

export const loadFailure: ModelFailure = { kind: "load_failed", reason: "out of luck", permanent: false };

export class World {
  readonly scheduler: Scheduler;
  /** Those configured now and those that were. */
  models: Readonly<Record<string, WorldModel>>;
  config: SchedulerConfig;
  /** Null: the machine does not tell. */
  machine: WorldMachine | null = null;
  /** Every effect so far, but for reading ahead: see `readingAhead`. */
  readonly effects: SchedulerEffect[] = [];
  /** Whether the smaller contexts are asked for too. */
  readonly inspecting = new Map<string, boolean>();
  readonly memory = new Map<string, MemoryEntry>();
  /** Waiting request → its model. */
  readonly waiting = new Map<number, string>();
  readonly outcomes = new Map<number, Outcome>();
  /** Running timers by model. */
  readonly idleTimers = new Map<string, number>();
  readonly batchTimers = new Map<string, number>();
  readonly backoffTimers = new Map<string, { readonly timerId: number; readonly delayMs: number }>();
  readonly quarantined = new Set<string>();
  readonly wasProven = new Set<string>();
  /** Models whose files are being read into the page cache. */
  readonly readingAhead = new Set<string>();
  /** Draining models → the requests that they may still serve. */
  readonly closed = new Map<string, Set<number>>();
  /** Ids that are not configured any more. */
  readonly removed = new Set<string>();
  /** The budget was made smaller than what was reserved: it holds again once that is gone. */
  overBudget = false;
  drained = false;
  draining = false;
  readonly #requestModels = new Map<number, string>();
  /** What a load measured is what the next inspection says, as the pool does. */
  readonly #needs = new Map<string, number>();
  readonly #turnless = new Set<number>();
  /** Models one of whose requests named a keep-alive time. */
  readonly #keepAlives = new Set<string>();
  /** A load may be abandoned although requests wait: they get another one. */
  #mayAbandonWaiters = false;

  constructor(
    models: Readonly<Record<string, WorldModel>>,
    config: Partial<SchedulerConfig> & { budgetBytes: number },
  ) {
    this.models = models;
    this.config = { processBytes: 0, maxLoaded: null, autoUnloadAfterMs: null, ...config };
    this.scheduler = new Scheduler(described(models), this.config);
  }

  request(modelId: string, { mayEvict = true, hasTurn = true, keepAliveMs = null }: WorldRequest = {}): number {
    const requestId = this.#requestModels.size + 1;
    this.#requestModels.set(requestId, modelId);
    this.waiting.set(requestId, modelId);
    if (!hasTurn) this.#turnless.add(requestId);
    if (keepAliveMs !== null) this.#keepAlives.add(modelId);
    this.handle({ type: "requested", modelId, requestId, mayEvict, hasTurn, keepAliveMs });
    return requestId;
  }

  turn(requestId: number): void {
    this.#turnless.delete(requestId);
    this.handle({ type: "turn", requestId });
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
    const withSmaller = taken(this.inspecting, modelId);
    const all = this.options(modelId);
    const options = withSmaller ? all : all.slice(0, 1);
    this.handle({ type: "inspected", modelId, options, isComplete: options.length === all.length, isLeast: false });
  }

  options(modelId: string): ContextOption[] {
    const { needBytes, smaller = [] } = this.#model(modelId);
    return [{ contextTokens: 1024, needBytes }, ...smaller].map((option) => ({
      ...option,
      needBytes: this.#needs.get(`${modelId}:${option.contextTokens}`) ?? option.needBytes,
    }));
  }

  inspectFailed(modelId: string, failure: ModelFailure): void {
    taken(this.inspecting, modelId);
    this.handle({ type: "inspectFailed", modelId, failure });
  }

  loadSucceeded(modelId: string): void {
    const entry = this.#entry(modelId, "loading");
    const measuredBytes = this.#model(modelId).measuredBytes ?? entry.reservedBytes;
    this.#needs.set(`${modelId}:${entry.contextTokens}`, measuredBytes);
    entry.state = "loaded";
    if (this.closed.has(modelId)) this.closed.set(modelId, new Set(this.#waitersOf(modelId)));
    entry.measuredBytes = measuredBytes;
    entry.timedOut = false;
    if (this.machine !== null) this.machine.headroomBytes -= measuredBytes;
    this.handle({ type: "loadSucceeded", modelId, measuredBytes });
  }

  /** Only once for each model: its verdict is remembered. */
  proven(modelId: string): void {
    this.#entry(modelId, "loading");
    this.memory.delete(modelId);
    this.closed.delete(modelId);
    this.wasProven.add(modelId);
    this.handle({ type: "proven", modelId });
  }

  loadFailed(modelId: string): void {
    this.#entry(modelId, "loading");
    this.memory.delete(modelId);
    this.closed.delete(modelId);
    this.handle({ type: "loadFailed", modelId, failure: loadFailure });
  }

  unloaded(modelId: string): void {
    const { measuredBytes } = this.#entry(modelId, "unloading");
    this.memory.delete(modelId);
    if (this.machine !== null) this.machine.headroomBytes += measuredBytes ?? 0;
    this.handle({ type: "unloaded", modelId });
  }

  loadTimesOut(modelId: string): void {
    this.#entry(modelId, "loading").timedOut = true;
    this.handle({ type: "loadTimedOut", modelId, failure: loadFailure });
  }

  fireIdleTimer(modelId: string): void {
    const timerId = taken(this.idleTimers, modelId);
    this.handle({ type: "idleTimerFired", modelId, timerId });
  }

  fireBatchTimer(modelId: string): void {
    const timerId = taken(this.batchTimers, modelId);
    this.closed.set(modelId, new Set());
    this.handle({ type: "batchTimerFired", modelId, timerId });
  }

  fireBackoffTimer(modelId: string): void {
    const { timerId } = taken(this.backoffTimers, modelId);
    this.handle({ type: "backoffTimerFired", modelId, timerId });
  }

  /** The machine has this much beyond what the models in memory have taken. */
  seeMemory(headroomBytes: number | null): void {
    this.machine = headroomBytes === null ? null : { headroomBytes };
    this.handle({ type: "memorySeen", headroomBytes });
  }

  fileChanged(modelId: string): void {
    this.handle({ type: "fileChanged", modelId });
  }

  unloadTakesLong(modelId: string): void {
    this.#entry(modelId, "unloading").timedOut = true;
    this.handle({ type: "unloadOverdue", modelId });
  }

  /** Its load or unload hangs. */
  hangs(modelId: string): boolean {
    return this.memory.get(modelId)?.timedOut === true;
  }

  quarantine(modelId: string): void {
    this.quarantined.add(modelId);
    this.#mayAbandonWaiters = true;
    this.handle({ type: "quarantined", modelId, reason: "it crashed twice" });
    this.#mayAbandonWaiters = false;
  }

  get configuredIds(): string[] {
    return Object.keys(this.configured);
  }

  get configured(): Readonly<Record<string, WorldModel>> {
    return Object.fromEntries(Object.entries(this.models).filter(([id]) => !this.removed.has(id)));
  }

  lift(modelId: string): void {
    this.quarantined.delete(modelId);
    this.handle({ type: "lifted", modelId });
  }

  /** `models`: all that are configured from now on. */
  reconfigure(
    models: Readonly<Record<string, WorldModel>>,
    config: Partial<SchedulerConfig>,
    changedIds: readonly string[],
  ): void {
    for (const id of Object.keys(this.models)) if (models[id] === undefined) this.removed.add(id);
    for (const id of Object.keys(models)) this.removed.delete(id);
    this.models = { ...this.models, ...models };
    this.config = { ...this.config, ...config };
    for (const id of changedIds) {
      for (const { contextTokens } of this.options(id)) this.#needs.delete(`${id}:${contextTokens}`);
    }
    this.overBudget = true;
    this.#mayAbandonWaiters = true;
    this.handle({ type: "reconfigured", models: described(models), config: this.config, changedIds });
    this.#mayAbandonWaiters = false;
  }

  drain(): void {
    this.draining = true;
    this.inspecting.clear();
    this.handle({ type: "close" });
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
    const settling = this.scheduler.snapshot().filter(({ phase }) => phase === "settling");
    const effects = this.scheduler.handle(event);
    // Whoever waits when a load is complete is served, although it is draining.
    for (const { modelId } of settling) {
      const isLoaded = this.scheduler.snapshot().some((one) => one.modelId === modelId && one.phase === "loaded");
      if (isLoaded && this.closed.has(modelId)) this.closed.set(modelId, new Set(this.#waitersOf(modelId)));
    }
    for (const effect of effects) {
      if (effect.type !== "readAhead" && effect.type !== "stopReadAhead") this.effects.push(effect);
      this.#carryOut(effect);
    }
    this.#check();
  }

  #carryOut(effect: SchedulerEffect): void {
    switch (effect.type) {
      case "inspect":
        insist(!this.inspecting.has(effect.modelId), `${effect.modelId} is inspected twice at the same time`);
        this.inspecting.set(effect.modelId, effect.withSmaller);
        break;
      case "startLoad":
        insist(!this.memory.has(effect.modelId), `${effect.modelId} is loaded although it is in memory`);
        insist(!this.draining, `${effect.modelId} is loaded after the drain`);
        insist(!this.quarantined.has(effect.modelId), `${effect.modelId} is loaded in quarantine`);
        insist(!this.backoffTimers.has(effect.modelId), `${effect.modelId} is loaded while it should wait`);
        this.#checkChoice(effect.modelId, effect.contextTokens, effect.reservedBytes);
        this.memory.set(effect.modelId, {
          state: "loading",
          reservedBytes: effect.reservedBytes,
          contextTokens: effect.contextTokens,
          measuredBytes: null,
          abandoned: false,
          timedOut: false,
          unloadReason: null,
          leases: new Set(),
        });
        break;
      case "abandonLoad": {
        const entry = this.#entry(effect.modelId, "loading");
        insist(!entry.abandoned, `the load of ${effect.modelId} is abandoned twice`);
        insist(
          this.#waitersOf(effect.modelId).length === 0 || this.#mayAbandonWaiters,
          `the load of ${effect.modelId} is abandoned while requests wait`,
        );
        entry.abandoned = true;
        this.closed.delete(effect.modelId);
        break;
      }
      case "startUnload": {
        const entry = this.#entry(effect.modelId, "loaded");
        insist(entry.leases.size === 0, `${effect.modelId} is unloaded while leased`);
        const mayGoPinned =
          this.draining ||
          this.removed.has(effect.modelId) ||
          ["larger_than_predicted", "abandoned", "reconfigured", "removed", "file_changed"].includes(effect.reason);
        if (["idle", "requested", "memory_pressure", "budget_shrunk"].includes(effect.reason)) {
          const waits = this.#waitersOf(effect.modelId).length > 0;
          insist(!waits || this.closed.has(effect.modelId), `${effect.modelId} goes, but requests wait`);
        }
        const servable = [...(this.closed.get(effect.modelId) ?? [])].filter((id) => this.waiting.has(id));
        insist(
          effect.reason !== "evicted" || servable.length === 0,
          `${effect.modelId} goes before it has served ${servable.join(", ")}`,
        );
        this.closed.delete(effect.modelId);
        insist(this.#model(effect.modelId).keep !== true || mayGoPinned, `${effect.modelId} is pinned and unloaded`);
        entry.state = "unloading";
        entry.unloadReason = effect.reason;
        break;
      }
      case "grant": {
        insist(this.waiting.delete(effect.requestId), `request ${effect.requestId} is granted and does not wait`);
        insist(!this.#turnless.has(effect.requestId), `request ${effect.requestId} is granted without a turn`);
        const early = [...(this.closed.get(effect.modelId) ?? [effect.requestId])];
        insist(
          early.some((id) => id === effect.requestId || this.waiting.has(id)),
          `request ${effect.requestId} is granted although ${effect.modelId} is draining`,
        );
        this.#entry(effect.modelId, "loaded").leases.add(effect.requestId);
        this.outcomes.set(effect.requestId, "granted");
        break;
      }
      case "reject":
        this.#checkRefusal(effect.modelId, effect.refusal);
        insist(this.waiting.delete(effect.requestId), `request ${effect.requestId} is rejected and does not wait`);
        this.outcomes.set(effect.requestId, effect.refusal);
        break;
      case "readAhead":
        insist(!this.readingAhead.has(effect.modelId), `${effect.modelId} is read ahead already`);
        this.readingAhead.add(effect.modelId);
        break;
      case "stopReadAhead":
        insist(this.readingAhead.delete(effect.modelId), `${effect.modelId} is not read ahead`);
        break;
      case "drainStarted":
        this.closed.set(effect.modelId, new Set(this.#waitersOf(effect.modelId)));
        break;
      case "drainEnded":
        insist(this.closed.delete(effect.modelId), `${effect.modelId} was not draining`);
        break;
      case "startIdleTimer":
        insist(!this.idleTimers.has(effect.modelId), `${effect.modelId} has an idle timer already`);
        this.idleTimers.set(effect.modelId, effect.timerId);
        break;
      case "startBatchTimer":
        insist(!this.batchTimers.has(effect.modelId), `${effect.modelId} has a batch timer already`);
        this.batchTimers.set(effect.modelId, effect.timerId);
        break;
      case "startBackoffTimer":
        insist(!this.backoffTimers.has(effect.modelId), `${effect.modelId} has a backoff timer already`);
        this.backoffTimers.set(effect.modelId, effect);
        break;
      case "cancelTimer":
        insist(this.#cancelTimer(effect.modelId, effect.timerId), `${effect.modelId} has no such timer`);
        break;
      case "memoryShort":
        insist((this.machine?.headroomBytes ?? 0) < 0 || this.machine !== null, "memory is short, but nobody said so");
        break;
      case "forgotten":
        insist(this.removed.has(effect.modelId), `${effect.modelId} is forgotten and configured`);
        insist(!this.memory.has(effect.modelId), `${effect.modelId} is forgotten and in memory`);
        insist(this.#waitersOf(effect.modelId).length === 0, `${effect.modelId} is forgotten while requests wait`);
        this.quarantined.delete(effect.modelId);
        break;
      case "closed":
        insist(this.draining && !this.drained && this.memory.size === 0, "drained, but it is not over");
        this.drained = true;
        break;
    }
  }

  #check(): void {
    const { maxLoaded, autoUnloadAfterMs } = this.config;
    const budgetBytes = this.#modelsBudgetBytes;
    const snapshot = new Map(this.scheduler.snapshot().map((model) => [model.modelId, model]));
    for (const [modelId, { draining }] of snapshot) {
      insist(draining === this.closed.has(modelId), `${modelId}: draining is ${draining}`);
    }
    let reservedBytes = 0;
    let counted = 0;
    for (const [modelId, { reservedBytes: shown, leases, waiting }] of snapshot) {
      const entry = this.memory.get(modelId);
      reservedBytes += shown;
      insist(shown > 0 === (entry !== undefined), `${modelId} has ${shown} bytes reserved`);
      if (entry !== undefined && this.#model(modelId).counted !== false) counted += 1;
      insist(leases === (entry?.leases.size ?? 0), `${modelId} shows ${leases} leases`);
      insist(waiting === this.#waitersOf(modelId).length, `${modelId} shows ${waiting} waiting`);
      if (entry === undefined) continue;
      if (entry.state === "loading") insist(shown === entry.reservedBytes, `${modelId} reserves not what it announced`);
      if (leases > 0) insist(shown === entry.measuredBytes, `${modelId} is leased and reserves not what was measured`);
    }
    const isLoading = (modelId: string) => {
      const entry = this.memory.get(modelId);
      return entry?.state === "loading" && !entry.abandoned && !entry.timedOut;
    };
    for (const modelId of this.in("loading")) {
      insist(this.readingAhead.has(modelId) === isLoading(modelId), `${modelId} is loaded without being read ahead`);
    }
    const ahead = [...this.readingAhead].filter((modelId) => !isLoading(modelId));
    insist(ahead.length <= 1, `${ahead.join(" and ")} are read ahead at the same time`);
    for (const modelId of ahead) {
      const waits = !this.memory.has(modelId) && this.#waitersOf(modelId).length > 0;
      insist(waits, `${modelId} is read ahead, and nobody waits for its load`);
    }
    const fits = reservedBytes <= budgetBytes && (maxLoaded === null || counted <= maxLoaded);
    if (fits) this.overBudget = false;
    insist(reservedBytes <= budgetBytes || this.overBudget, `${reservedBytes} bytes reserved of ${budgetBytes}`);
    insist(reservedBytes === this.scheduler.reservedBytes, "the sum of reservations is wrong");
    insist(fits || this.overBudget, `${counted} models in memory, at most ${maxLoaded} allowed`);
    const isUnderWay =
      this.inspecting.size > 0 ||
      [...this.memory].some(([modelId, { state, leases }]) => {
        return leases.size > 0 || (state !== "loaded" && !this.hangs(modelId)) || this.#isSettling(modelId);
      });
    // A model that is in memory gives its next turn as soon as one ends.
    const turnComes = [...this.#turnless].some((id) => this.memory.get(this.waiting.get(id) ?? "")?.state === "loaded");
    const withTurn = [...this.waiting.keys()].filter((requestId) => !this.#turnless.has(requestId));
    insist(
      isUnderWay || turnComes || withTurn.length === 0,
      `requests ${withTurn.join(", ")} wait and nothing is under way`,
    );
    const hangs = [...this.memory.keys()].some((modelId) => this.hangs(modelId));
    const expected = isUnderWay || (this.waiting.size === 0 && !hangs);
    insist(isProgressing([...snapshot.values()]) === expected, `it says that its progress is ${!expected}`);
    if (this.draining) return;
    for (const modelId of this.in("loaded")) {
      const isIdle =
        this.leasesOf(modelId).length === 0 &&
        snapshot.get(modelId)?.phase === "loaded" &&
        this.#waitersOf(modelId).length === 0;
      const hasTimer = this.idleTimers.has(modelId);
      insist(isIdle || !hasTimer, `${modelId}: an idle timer runs while it is used`);
      if (autoUnloadAfterMs === null || this.#keepAlives.has(modelId)) continue;
      const isPinned = this.#model(modelId).keep === true && !this.removed.has(modelId);
      insist(hasTimer === (isIdle && !isPinned), `${modelId}: idle timer runs is ${hasTimer}`);
    }
  }

  /** What stands in the way of a load of this model, also if everybody went who may: in the budget, and in the machine. */
  #heldFor(modelId: string): {
    readonly pinnedBytes: number;
    readonly stuckBytes: number;
    /** What the machine would get back from those that may go. */
    readonly returnableBytes: number;
  } {
    let pinnedBytes = 0;
    let stuckBytes = 0;
    let returnableBytes = 0;
    for (const [otherId, { state, abandoned, reservedBytes, measuredBytes, timedOut }] of this.memory) {
      if (otherId === modelId) continue;
      const takenBytes = measuredBytes ?? reservedBytes;
      // One that was given up keeps what was reserved for it, whatever it measured.
      const bytes = abandoned ? reservedBytes : takenBytes;
      const isPinned = this.#model(otherId).keep === true && !this.removed.has(otherId);
      if (timedOut) stuckBytes += bytes;
      else if (isPinned && state !== "unloading" && !abandoned) pinnedBytes += bytes;
      else returnableBytes += takenBytes;
    }
    return { pinnedBytes, stuckBytes, returnableBytes };
  }

  get #modelsBudgetBytes(): number {
    return this.config.budgetBytes - this.config.processBytes;
  }

  /** Not before each larger context had been found impossible. */
  #checkChoice(modelId: string, contextTokens: number, reservedBytes: number): void {
    const { pinnedBytes, stuckBytes, returnableBytes } = this.#heldFor(modelId);
    const machineBytes = (this.machine?.headroomBytes ?? Infinity) + returnableBytes;
    const room = Math.min(this.#modelsBudgetBytes - pinnedBytes - stuckBytes, machineBytes);
    for (const option of this.options(modelId)) {
      if (option.contextTokens <= contextTokens) {
        insist(option.needBytes === reservedBytes, `${modelId} reserves ${reservedBytes}, needs ${option.needBytes}`);
        break;
      }
      // Places may be stuck as well.
      insist(option.needBytes > room, `${modelId} gets ${contextTokens} tokens; ${option.contextTokens} would fit`);
    }
    if (this.machine === null) return;
    let loadingBytes = 0;
    for (const [otherId, entry] of this.memory) {
      if (entry.state === "loading" && otherId !== modelId && !entry.timedOut) loadingBytes += entry.reservedBytes;
    }
    const free = this.machine.headroomBytes - loadingBytes;
    insist(reservedBytes <= free, `${modelId} takes ${reservedBytes} of ${free} that the machine has`);
  }

  /** "For good" is said only of what can never fit beside the pinned models, whatever its context. */
  #checkRefusal(modelId: string, refusal: Refusal): void {
    if (refusal.kind !== "larger_than_budget") return;
    const { pinnedBytes } = this.#heldFor(modelId);
    const least = Math.min(...this.options(modelId).map(({ needBytes }) => needBytes));
    const room = this.#modelsBudgetBytes - pinnedBytes;
    insist(least > room || refusal.needBytes > room, `${modelId} is refused for good, but ${least} fit in ${room}`);
  }

  #isSettling(modelId: string): boolean {
    return this.scheduler.snapshot().some((one) => one.modelId === modelId && one.phase === "settling");
  }

  #cancelTimer(modelId: string, timerId: number): boolean {
    if (this.idleTimers.get(modelId) === timerId) return this.idleTimers.delete(modelId);
    if (this.batchTimers.get(modelId) === timerId) return this.batchTimers.delete(modelId);
    return this.backoffTimers.get(modelId)?.timerId === timerId && this.backoffTimers.delete(modelId);
  }

  #waitersOf(modelId: string): number[] {
    return [...this.waiting].filter(([, id]) => id === modelId).map(([requestId]) => requestId);
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
}

function described(models: Readonly<Record<string, WorldModel>>): SchedulerModel[] {
  return Object.entries(models).map(([id, { priority = 3, keep = false, counted = true }]) => {
    return { id, priority, keep, counted };
  });
}

/** Removes and returns. */
function taken<T>(timers: Map<string, T>, modelId: string): T {
  const timer = timers.get(modelId);
  if (timer === undefined) throw new Error(`no such timer runs for ${modelId}`);
  timers.delete(modelId);
  return timer;
}

function insist(condition: boolean, violation: string): void {
  if (!condition) throw new Error(`invariant broken: ${violation}`);
}
