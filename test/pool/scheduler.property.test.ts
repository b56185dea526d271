// Random worlds and random event sequences. The world beside this file throws when an invariant breaks; here stand the
// two promises about the future: every request ends, and none waits longer than the bound that scheduler.ts states.
// A failure prints its seed and path; run it again with `fc.assert(property, { seed, path })`.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { World, type WorldModel } from "./scheduler-world.ts";

const missing = { kind: "missing", reason: "gone" } as const;

const anyModel: fc.Arbitrary<WorldModel> = fc.record({
  needBytes: fc.integer({ min: 1, max: 12 }),
  measuredBytes: fc.integer({ min: 1, max: 12 }),
  priority: fc.integer({ min: 1, max: 5 }),
  keep: fc.nat(5).map((n) => n === 0),
  counted: fc.boolean(),
});

const anyWorld = fc.record({
  models: fc.array(anyModel, { minLength: 1, maxLength: 5 }),
  budgetBytes: fc.integer({ min: 5, max: 20 }),
  maxLoaded: fc.option(fc.integer({ min: 1, max: 3 })),
  autoUnloadAfterMs: fc.option(fc.constant(1000)),
});

/** What may happen next in this world; good ends are listed twice, so that sequences get somewhere. */
function possibleSteps(world: World): (() => void)[] {
  const steps: (() => void)[] = [];
  for (const id of Object.keys(world.models)) {
    steps.push(() => world.request(id));
    if (!world.draining) steps.push(() => world.request(id, false));
    steps.push(() => world.handle({ type: "fileSeen", modelId: id, failure: null }));
  }
  for (const id of world.waiting.keys()) steps.push(() => world.leave(id));
  for (const id of world.inspecting) steps.push(() => world.inspectFailed(id, missing));
  for (const id of world.in("loading")) steps.push(() => world.loadFailed(id));
  for (const id of world.timers.keys()) steps.push(() => world.fireTimer(id));
  return [...steps, ...completions(world), ...completions(world)];
}

/** Everything under way that can come to its good end. */
function completions(world: World): (() => void)[] {
  return [
    ...[...world.inspecting].map((id) => () => world.inspected(id)),
    ...world.in("loading").map((id) => () => world.loadSucceeded(id)),
    ...world.in("unloading").map((id) => () => world.unloaded(id)),
    ...world.in("loaded").flatMap((id) => world.leasesOf(id).map((lease) => () => world.release(lease))),
  ];
}

/** Lets everything end, without new requests. */
function quiesce(world: World): void {
  for (let step = 0; step < 10_000; step += 1) {
    const next = completions(world)[0];
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
        for (const choice of choices) {
          const steps = possibleSteps(world);
          steps[choice % steps.length]?.();
        }
        if (drains) world.drain();
        quiesce(world);
        expect([...world.waiting]).toEqual([]);
        expect(world.drained).toBe(drains);
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
}

/**
 * Clients that never pause: each requests its model again in the tick in which its lease ended. `shares` gives how long
 * each thing takes, as a share of its longest time. Returns the longest wait of any request, in ticks.
 */
function longestWait(
  world: World,
  clients: Readonly<Record<string, number>>,
  durations: Durations,
  shares: readonly number[],
  ticks: number,
): number {
  const agenda = new Map<number, (() => void)[]>();
  const askedAt = new Map<number, number>();
  let now = 0;
  let seen = 0;
  let draws = 0;
  let longest = 0;
  const later = (longestTicks: number, task: () => void) => {
    draws += 1;
    const at = now + Math.max(1, Math.ceil(longestTicks * (shares[draws % shares.length] ?? 1)));
    agenda.set(at, [...(agenda.get(at) ?? []), task]);
  };
  const request = (id: string) => {
    // The world numbers requests from 1; the grant may come within this very call.
    askedAt.set(askedAt.size + 1, now);
    world.request(id);
  };
  const followEffects = () => {
    for (; seen < world.effects.length; seen += 1) {
      const effect = world.effects[seen];
      if (effect?.type === "inspect") later(durations.inspection, () => world.inspected(effect.modelId));
      if (effect?.type === "startLoad") later(durations.load, () => world.loadSucceeded(effect.modelId));
      if (effect?.type === "startUnload") later(durations.unload, () => world.unloaded(effect.modelId));
      if (effect?.type === "reject") throw new Error(`rejected: ${JSON.stringify(effect.refusal)}`);
      if (effect?.type !== "grant") continue;
      longest = Math.max(longest, now - (askedAt.get(effect.requestId) ?? 0));
      later(durations.lease, () => {
        world.release(effect.requestId);
        request(effect.modelId);
      });
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
  for (const requestId of world.waiting.keys()) longest = Math.max(longest, now - (askedAt.get(requestId) ?? 0));
  return longest;
}

function bound(models: number, { lease, load, unload, inspection }: Durations): number {
  return (models + 1) * (load + lease + unload) + inspection + load;
}

describe("steady traffic", () => {
  it("starves nobody: the bound of scheduler.ts holds", () => {
    const model = fc.record({ needBytes: fc.integer({ min: 1, max: 10 }), clients: fc.nat(3) });
    const traffic = fc.record({
      models: fc.array(model, { minLength: 2, maxLength: 5 }),
      budgetBytes: fc.integer({ min: 10, max: 20 }),
      maxLoaded: fc.option(fc.integer({ min: 1, max: 3 })),
      lease: fc.integer({ min: 1, max: 12 }),
      load: fc.integer({ min: 1, max: 12 }),
      unload: fc.integer({ min: 1, max: 4 }),
      inspection: fc.integer({ min: 1, max: 2 }),
      shares: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }),
    });
    const property = fc.property(traffic, ({ models, budgetBytes, maxLoaded, shares, ...durations }) => {
      const world = new World(named(models), { budgetBytes, maxLoaded });
      const clients = Object.fromEntries(models.map(({ clients }, index) => [`m${index}`, clients]));
      const waited = longestWait(world, clients, durations, shares, 300);
      expect(waited).toBeLessThanOrEqual(bound(models.length, durations));
    });
    fc.assert(property, { numRuns: 500 });
  });
});
