// Random worlds and random event sequences. The world beside this file throws when an invariant breaks; here stand the
// two promises about the future: every request ends, and none waits longer than the bound that scheduler.ts states.
// A failure prints its seed and path; run it again with `fc.assert(property, { seed, path })`.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { World, type WorldModel } from "./scheduler-world.ts";

const missing = { kind: "missing", reason: "gone" } as const;

const anyModel: fc.Arbitrary<WorldModel> = fc
  .record({
    needBytes: fc.integer({ min: 1, max: 12 }),
    measuredBytes: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
    priority: fc.integer({ min: 1, max: 5 }),
    keep: fc.nat(5).map((n) => n === 0),
    counted: fc.boolean(),
    smallerBytes: fc.option(fc.integer({ min: 1, max: 11 }), { nil: undefined }),
  })
  .map(({ measuredBytes, smallerBytes, ...model }) => {
    const hasSmaller = smallerBytes !== undefined && smallerBytes < model.needBytes;
    return {
      ...model,
      ...(measuredBytes === undefined ? {} : { measuredBytes }),
      ...(hasSmaller ? { smaller: [{ contextTokens: 512, needBytes: smallerBytes }] } : {}),
    };
  });

const anyWorld = fc.record({
  models: fc.array(anyModel, { minLength: 1, maxLength: 5 }),
  budgetBytes: fc.integer({ min: 5, max: 20 }),
  maxLoaded: fc.option(fc.integer({ min: 1, max: 3 })),
  autoUnloadAfterMs: fc.option(fc.constant(1000)),
});

/** What may happen next in this world; good ends are listed twice, so that sequences get somewhere. */
function possibleSteps(world: World, turnless: Set<number>, choice: number): (() => void)[] {
  const steps: (() => void)[] = [];
  // Numbers that a step needs beside itself come from the same choice.
  const some = (least: number, most: number) => least + (choice % (most - least + 1));
  for (const id of world.configuredIds) {
    steps.push(() => world.request(id));
    steps.push(() => world.request(id, { keepAliveMs: [0, 500, Infinity][some(0, 2)] ?? 0 }));
    steps.push(() => void turnless.add(world.request(id, { hasTurn: false })));
    if (!world.draining) steps.push(() => world.request(id, { mayEvict: false }));
    for (const failure of [null, missing]) steps.push(() => world.handle({ type: "fileSeen", modelId: id, failure }));
    steps.push(() => world.handle({ type: "unloadRequested", modelId: id }));
  }
  for (const id of world.waiting.keys()) steps.push(() => world.leave(id));
  for (const id of world.inspecting.keys()) steps.push(() => world.inspectFailed(id, missing));
  for (const id of world.in("loading")) steps.push(() => world.loadFailed(id));
  for (const id of world.in("loading")) if (!world.wasProven.has(id)) steps.push(() => world.proven(id));
  for (const id of world.in("loaded")) steps.push(() => world.fileChanged(id));
  for (const id of world.idleTimers.keys()) steps.push(() => world.fireIdleTimer(id));
  for (const id of world.batchTimers.keys()) steps.push(() => world.fireBatchTimer(id));
  for (const id of world.backoffTimers.keys()) steps.push(() => world.fireBackoffTimer(id));
  if (!world.draining) {
    for (const id of world.in("loading")) if (!world.hangs(id)) steps.push(() => world.loadTimesOut(id));
    for (const id of world.in("unloading")) if (!world.hangs(id)) steps.push(() => world.unloadTakesLong(id));
    for (const id of world.quarantined) steps.push(() => world.lift(id));
    const id = world.configuredIds[some(0, 4)];
    if (id !== undefined) {
      steps.push(() => world.quarantine(id));
      steps.push(() => world.reconfigure(world.configured, { budgetBytes: some(3, 20) }, [id]));
      steps.push(() => world.reconfigure(world.configured, { maxLoaded: some(1, 3), autoUnloadAfterMs: 500 }, []));
      steps.push(() => world.reconfigure(without(world.configured, id), {}, []));
    }
    const extra = { ...world.configured, extra: { needBytes: some(1, 9) } };
    const isKnown = world.scheduler.snapshot().some(({ modelId }) => modelId === "extra");
    steps.push(() => world.reconfigure(extra, {}, isKnown ? ["extra"] : []));
    steps.push(() => world.seeMemory(some(-6, 20)));
    steps.push(() => world.seeMemory(null));
  }
  const good = completions(world, turnless);
  return [...steps, ...good, ...good];
}

function without(models: Readonly<Record<string, WorldModel>>, id: string): Record<string, WorldModel> {
  return Object.fromEntries(Object.entries(models).filter(([other]) => other !== id));
}

/** Everything under way that can come to its good end. */
function completions(world: World, turnless: Set<number>, withHung = true): (() => void)[] {
  const ends = (id: string) => withHung || !world.hangs(id);
  return [
    // One that was refused or has left has no turn to get.
    ...[...turnless].map((id) => () => {
      turnless.delete(id);
      if (world.waiting.has(id)) world.turn(id);
    }),
    ...[...world.inspecting.keys()].map((id) => () => world.inspected(id)),
    ...world
      .in("loading")
      .filter(ends)
      .map((id) => () => world.loadSucceeded(id)),
    ...world
      .in("unloading")
      .filter(ends)
      .map((id) => () => world.unloaded(id)),
    ...world.in("loaded").flatMap((id) => world.leasesOf(id).map((lease) => () => world.release(lease))),
  ];
}

/** Lets everything end that does not hang, without new requests. */
function quiesce(world: World, turnless: Set<number>): void {
  for (let step = 0; step < 10_000; step += 1) {
    const next = completions(world, turnless, false)[0];
    if (next === undefined) return;
    next();
  }
  throw new Error("it does not come to rest");
}

function named(models: readonly WorldModel[]): Record<string, WorldModel> {
  return Object.fromEntries(models.map((model, index) => [`m${index}`, model]));
}

describe("any sequence of events", () => {
  it("keeps the invariants after every step, and every request ends", () => {
    const property = fc.property(
      anyWorld,
      fc.array(fc.nat(), { minLength: 1, maxLength: 80, size: "max" }),
      fc.boolean(),
      ({ models, ...config }, choices, drains) => {
        const world = new World(named(models), config);
        const turnless = new Set<number>();
        for (const choice of choices) {
          const steps = possibleSteps(world, turnless, Math.floor(choice / 128));
          steps[choice % steps.length]?.();
        }
        if (drains) world.drain();
        quiesce(world, turnless);
        expect([...world.waiting]).toEqual([]);
        expect(world.drained).toBe(drains && ![...world.memory.keys()].some((id) => world.hangs(id)));
        expect(world.scheduler.snapshot().filter(({ draining }) => draining)).toEqual([]);
      },
    );
    fc.assert(property, { numRuns: 10_000 });
  });
});

/** Longest times, in ticks. */
interface Durations {
  readonly lease: number;
  readonly load: number;
  readonly unload: number;
  readonly inspection: number;
  readonly quantum: number;
}

interface Traffic {
  readonly slots: number;
  /** Clients that never pause: each requests its model again in the tick in which its lease ended. */
  readonly clients: Readonly<Record<string, number>>;
}

interface Wait {
  readonly ticks: number;
  /** Requests for the same model that were waiting or leased when it came. */
  readonly ahead: number;
}

/** The waits of all requests. `shares` gives how long each thing takes, as a share of its longest time. */
function waitsUnder(
  world: World,
  { slots, clients }: Traffic,
  durations: Durations,
  shares: readonly number[],
  ticks: number,
): Wait[] {
  const agenda = new Map<number, (() => void)[]>();
  const asked = new Map<number, { readonly at: number; readonly ahead: number }>();
  const queues = new Map<string, number[]>();
  const turns = new Map<string, number>();
  const waits: Wait[] = [];
  let now = 0;
  let seen = 0;
  let draws = 0;
  const later = (longestTicks: number, task: () => void) => {
    draws += 1;
    const at = now + Math.max(1, Math.ceil(longestTicks * (shares[draws % shares.length] ?? 1)));
    agenda.set(at, [...(agenda.get(at) ?? []), task]);
  };
  const giveTurns = (id: string) => {
    const queue = queues.get(id) ?? [];
    while ((turns.get(id) ?? 0) < slots) {
      const next = queue.shift();
      if (next === undefined) return;
      turns.set(id, (turns.get(id) ?? 0) + 1);
      world.turn(next);
    }
  };
  const request = (id: string) => {
    const queue = queues.get(id) ?? [];
    // The world numbers requests from 1; the grant may come within this very call.
    asked.set(asked.size + 1, { at: now, ahead: queue.length + (turns.get(id) ?? 0) });
    queues.set(id, queue);
    queue.push(world.request(id, { hasTurn: false }));
    giveTurns(id);
  };
  const granted = (id: string, requestId: number) => {
    const { at, ahead } = asked.get(requestId) ?? { at: 0, ahead: 0 };
    waits.push({ ticks: now - at, ahead });
    later(durations.lease, () => {
      world.release(requestId);
      turns.set(id, (turns.get(id) ?? 0) - 1);
      giveTurns(id);
      request(id);
    });
  };
  const followEffects = () => {
    for (; seen < world.effects.length; seen += 1) {
      const effect = world.effects[seen];
      if (effect?.type === "inspect") later(durations.inspection, () => world.inspected(effect.modelId));
      if (effect?.type === "startLoad") later(durations.load, () => world.loadSucceeded(effect.modelId));
      if (effect?.type === "startUnload") later(durations.unload, () => world.unloaded(effect.modelId));
      if (effect?.type === "reject") throw new Error(`rejected: ${JSON.stringify(effect.refusal)}`);
      if (effect?.type === "grant") granted(effect.modelId, effect.requestId);
      if (effect?.type !== "startBatchTimer") continue;
      const { modelId, timerId } = effect;
      const at = now + durations.quantum;
      const fire = () => {
        if (world.batchTimers.get(modelId) === timerId) world.fireBatchTimer(modelId);
      };
      agenda.set(at, [...(agenda.get(at) ?? []), fire]);
    }
  };
  for (const [id, count] of Object.entries(clients)) for (let n = 0; n < count; n += 1) request(id);
  for (; now < ticks; now += 1) {
    for (const task of agenda.get(now) ?? []) {
      task();
      followEffects();
    }
    followEffects();
  }
  for (const requestId of world.waiting.keys()) {
    const { at, ahead } = asked.get(requestId) ?? { at: 0, ahead: 0 };
    waits.push({ ticks: now - at, ahead });
  }
  return waits;
}

/** As scheduler.ts states it. */
function bound(models: number, slots: number, ahead: number, longest: Durations): number {
  const { lease, load, unload, inspection, quantum } = longest;
  const once = (models + 1) * (load + quantum + lease + unload) + inspection + load;
  return (Math.floor(ahead / slots) + 1) * (once + lease);
}

describe("steady traffic", () => {
  it("starves nobody: the bound of scheduler.ts holds", () => {
    const model = fc.record({ needBytes: fc.integer({ min: 1, max: 10 }), clients: fc.nat(4) });
    const traffic = fc.record({
      models: fc.array(model, { minLength: 2, maxLength: 5 }),
      slots: fc.integer({ min: 1, max: 3 }),
      budgetBytes: fc.integer({ min: 10, max: 20 }),
      maxLoaded: fc.option(fc.integer({ min: 1, max: 3 })),
      lease: fc.integer({ min: 1, max: 12 }),
      load: fc.integer({ min: 1, max: 12 }),
      unload: fc.integer({ min: 1, max: 4 }),
      inspection: fc.integer({ min: 1, max: 2 }),
      quantum: fc.integer({ min: 1, max: 30 }),
      shares: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }),
    });
    const property = fc.property(traffic, ({ models, slots, budgetBytes, maxLoaded, shares, ...durations }) => {
      const world = new World(named(models), { budgetBytes, maxLoaded });
      const clients = Object.fromEntries(models.map(({ clients }, index) => [`m${index}`, clients]));
      for (const { ticks, ahead } of waitsUnder(world, { slots, clients }, durations, shares, 400)) {
        expect(ticks).toBeLessThanOrEqual(bound(models.length, slots, ahead, durations));
      }
    });
    fc.assert(property, { numRuns: 500 });
  });
});
