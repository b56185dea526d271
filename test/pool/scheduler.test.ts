// Event sequences against the scheduler. The world beside this file checks the invariants after every event.
import { describe, expect, it } from "vitest";
import { isProgressing } from "../../src/pool/scheduler.ts";
import type { ModelPhase } from "../../src/pool/scheduler-events.ts";
import { loadFailure, World } from "./scheduler-world.ts";

const small = { needBytes: 4 };
const half = { needBytes: 5 };

describe("loading", () => {
  it("is shared by all requests for the model, and reserved before it starts", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    const first = world.request("a");
    const second = world.request("a");
    world.inspected("a");
    const third = world.request("a");
    expect(world.effects.filter(({ type }) => type === "startLoad")).toEqual([
      { type: "startLoad", modelId: "a", reservedBytes: 4, contextTokens: 1024, wantedTokens: 1024 },
    ]);
    expect(world.scheduler.reservedBytes).toBe(4);
    world.loadSucceeded("a");
    expect([first, second, third].map((id) => world.outcomes.get(id))).toEqual(["granted", "granted", "granted"]);
    world.request("a");
    const grants = world.effects.filter((effect) => effect.type === "grant");
    expect(grants.map(({ hit }) => hit)).toEqual([false, false, false, true]);
  });

  it("that fails refuses its own waiters only; the next request tries again", () => {
    const world = new World({ a: half, b: half }, { budgetBytes: 10 });
    const failing = [world.request("a"), world.request("a")];
    const other = world.request("b");
    world.inspected("a");
    world.inspected("b");
    world.loadFailed("a");
    expect(failing.map((id) => world.refusalOf(id))).toEqual([loadFailure, loadFailure]);
    expect(world.scheduler.snapshot()[0]).toMatchObject({ phase: "absent", failure: loadFailure, reservedBytes: 0 });
    world.loadSucceeded("b");
    expect(world.outcomes.get(other)).toBe("granted");
    world.fireBackoffTimer("a");
    world.lease("a");
    expect(world.scheduler.snapshot()[0]).toMatchObject({ phase: "loaded", failure: null });
  });

  it("that fails makes room for who waits", () => {
    const world = new World({ a: { needBytes: 8 }, b: half }, { budgetBytes: 10 });
    world.request("a");
    world.inspected("a");
    const waiter = world.request("b");
    world.inspected("b");
    world.loadFailed("a");
    world.loadSucceeded("b");
    expect(world.outcomes.get(waiter)).toBe("granted");
  });

  it("is not begun for a file that cannot be used, and the failure is forgotten with the file", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    const missing = { kind: "missing", reason: "a.gguf does not exist" } as const;
    const request = world.request("a");
    world.inspectFailed("a", missing);
    expect(world.refusalOf(request)).toEqual(missing);
    expect(world.in("loading")).toEqual([]);
    world.handle({ type: "fileSeen", modelId: "a", failure: null });
    expect(world.scheduler.snapshot()[0]?.failure).toBeNull();
    world.handle({ type: "fileSeen", modelId: "a", failure: missing });
    expect(world.scheduler.snapshot()[0]?.failure).toEqual(missing);
    world.request("a");
    world.inspected("a");
    expect(world.scheduler.snapshot()[0]).toMatchObject({ phase: "loading", failure: null });
    world.loadSucceeded("a");
    world.handle({ type: "fileSeen", modelId: "a", failure: missing });
    expect(world.scheduler.snapshot()[0]?.failure).toBeNull();
  });

  it("that nobody waits for any more is completed where nobody needs the memory", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    const request = world.request("a");
    world.inspected("a");
    world.leave(request);
    expect(world.isAbandonedLoad("a")).toBe(false);
    world.loadSucceeded("a");
    expect(world.outcomes.get(world.request("a"))).toBe("granted");
  });

  it.each(["fails", "succeeds all the same"])(
    "that nobody waits for is abandoned for who needs its memory; it %s",
    (how) => {
      const world = new World({ a: { needBytes: 8 }, b: half }, { budgetBytes: 10 });
      const left = world.request("a");
      world.inspected("a");
      const waiter = world.request("b");
      world.inspected("b");
      expect(world.isAbandonedLoad("a")).toBe(false);
      world.leave(left);
      expect(world.isAbandonedLoad("a")).toBe(true);
      // Accounted for until it has really ended.
      expect(world.in("loading")).toEqual(["a"]);
      const late = world.request("a");
      if (how === "fails") world.loadFailed("a");
      else {
        world.loadSucceeded("a");
        world.unloaded("a");
      }
      expect(world.in("loading")).toEqual(["b"]);
      world.loadSucceeded("b");
      world.inspected("a");
      expect(world.outcomes.get(late)).toBeUndefined();
      world.release(waiter);
      world.unloaded("b");
      world.loadSucceeded("a");
      expect(world.outcomes.get(late)).toBe("granted");
    },
  );

  it("is not begun for who left before: while inspected, and in the line", () => {
    const world = new World({ a: small, b: { needBytes: 8 } }, { budgetBytes: 10 });
    const inspecting = world.request("a");
    world.leave(inspecting);
    world.inspected("a");
    expect(world.memory.size).toBe(0);
    const busy = world.lease("b");
    const inLine = world.request("a");
    world.inspected("a");
    world.leave(inLine);
    world.release(busy);
    expect(world.in("loaded")).toEqual(["b"]);
    expect(world.in("loading")).toEqual([]);
  });
});

describe("eviction", () => {
  it("takes the idle model whose last use ended first", () => {
    const world = new World({ a: half, b: half, c: half }, { budgetBytes: 10 });
    const long = world.lease("a");
    world.bring("b");
    world.release(long);
    world.request("c");
    world.inspected("c");
    expect(world.in("unloading")).toEqual(["b"]);
    // Its bytes are not given away before they are back.
    expect(world.in("loading")).toEqual([]);
    world.unloaded("b");
    expect(world.in("loading")).toEqual(["c"]);
  });

  it("takes the less important of two models that were only warmed up", () => {
    const world = new World({ a: { ...half, priority: 1 }, b: { ...half, priority: 2 }, c: half }, { budgetBytes: 10 });
    for (const id of ["a", "b"]) {
      const warm = world.request(id, { mayEvict: false });
      world.inspected(id);
      world.loadSucceeded(id);
      world.release(warm);
    }
    world.request("c");
    world.inspected("c");
    expect(world.in("unloading")).toEqual(["b"]);
  });

  it("never takes a leased or a pinned model", () => {
    const world = new World(
      { a: { needBytes: 3, keep: true }, b: { needBytes: 3 }, c: { needBytes: 6 } },
      { budgetBytes: 10 },
    );
    world.bring("a");
    const busy = world.lease("b");
    world.request("c");
    world.inspected("c");
    expect(world.in("unloading")).toEqual([]);
    world.release(busy);
    expect(world.in("unloading")).toEqual(["b"]);
  });

  it("serves two waiters with one eviction where both fit then", () => {
    const world = new World({ big: { needBytes: 9 }, a: small, b: small }, { budgetBytes: 10 });
    world.bring("big");
    world.request("a");
    world.request("b");
    world.inspected("a");
    world.inspected("b");
    expect(world.in("unloading")).toEqual(["big"]);
    world.unloaded("big");
    expect(world.in("loading")).toEqual(["a", "b"]);
  });

  it("keeps to max_loaded_experts, in which the embedder does not count", () => {
    const world = new World(
      { a: small, b: small, embedder: { ...small, counted: false } },
      { budgetBytes: 100, maxLoaded: 1 },
    );
    world.bring("a", "embedder");
    world.request("b");
    world.inspected("b");
    expect(world.in("unloading")).toEqual(["a"]);
    expect(world.in("loaded")).toEqual(["embedder"]);
    world.unloaded("a");
    expect(world.in("loading")).toEqual(["b"]);
  });
});

describe("waiting for memory that busy models hold", () => {
  it("closes the victim to new leases until it is evicted", () => {
    const world = new World({ a: { needBytes: 8 }, b: { needBytes: 8 } }, { budgetBytes: 10 });
    const busy = world.lease("a");
    const waiter = world.request("b");
    world.inspected("b");
    const late = world.request("a");
    expect(world.outcomes.get(late)).toBeUndefined();
    world.release(busy);
    world.unloaded("a");
    world.inspected("a");
    world.loadSucceeded("b");
    expect(world.outcomes.get(waiter)).toBe("granted");
    world.release(waiter);
    world.unloaded("b");
    world.loadSucceeded("a");
    expect(world.outcomes.get(late)).toBe("granted");
  });

  it("opens the victim again when the waiter leaves", () => {
    const world = new World({ a: { needBytes: 8 }, b: { needBytes: 8 } }, { budgetBytes: 10 });
    world.lease("a");
    const waiter = world.request("b");
    world.inspected("b");
    const late = world.request("a");
    world.leave(waiter);
    expect(world.outcomes.get(late)).toBe("granted");
  });

  it("spares the busy victim when an idle one turns up", () => {
    const world = new World({ a: half, b: half, c: half }, { budgetBytes: 10 });
    const first = world.lease("a");
    const second = world.lease("b");
    world.request("c");
    world.inspected("c");
    const closed = world.scheduler.snapshot().find(({ draining }) => draining)?.modelId;
    expect(closed).toBe("a");
    world.release(second);
    expect(world.in("unloading")).toEqual(["b"]);
    expect(world.outcomes.get(world.request("a"))).toBe("granted");
    world.release(first);
  });

  it("grants those who waited for a victim's load before it is evicted", () => {
    const world = new World({ a: { needBytes: 8 }, b: { needBytes: 8 } }, { budgetBytes: 10 });
    const loading = world.request("a");
    world.inspected("a");
    world.request("b");
    world.inspected("b");
    world.loadSucceeded("a");
    expect(world.outcomes.get(loading)).toBe("granted");
    expect(world.outcomes.get(world.request("a"))).toBeUndefined();
    world.release(loading);
    expect(world.in("unloading")).toEqual(["a"]);
  });

  it("lets those behind load into memory that the head does not count on, and only there", () => {
    const world = new World(
      { a: { needBytes: 7 }, head: { needBytes: 8 }, fits: { needBytes: 2 }, large: { needBytes: 3 } },
      { budgetBytes: 10 },
    );
    world.lease("a");
    world.request("head");
    world.inspected("head");
    world.request("large");
    world.inspected("large");
    expect(world.in("loading")).toEqual([]);
    world.request("fits");
    world.inspected("fits");
    expect(world.in("loading")).toEqual(["fits"]);
  });

  it("lets them load into what the head does not need beside that which is on its way back", () => {
    const world = new World(
      { idle: { needBytes: 6 }, head: { needBytes: 8 }, fits: { needBytes: 2 } },
      { budgetBytes: 10 },
    );
    world.bring("idle");
    world.request("head");
    world.inspected("head");
    expect(world.in("unloading")).toEqual(["idle"]);
    world.request("fits");
    world.inspected("fits");
    expect(world.in("loading")).toEqual(["fits"]);
  });

  it("leaves the place of max_loaded_experts to the head as well", () => {
    const world = new World(
      { embedder: { needBytes: 8, counted: false }, head: { needBytes: 8 }, fits: { needBytes: 2 } },
      { budgetBytes: 10, maxLoaded: 1 },
    );
    const busy = world.lease("embedder");
    world.request("head");
    world.inspected("head");
    world.request("fits");
    world.inspected("fits");
    expect(world.in("loading")).toEqual([]);
    world.release(busy);
    world.unloaded("embedder");
    expect(world.in("loading")).toEqual(["head"]);
  });

  it("serves the line in order of arrival", () => {
    const world = new World({ a: { needBytes: 9 }, b: { needBytes: 9 }, c: { needBytes: 9 } }, { budgetBytes: 10 });
    const busy = world.lease("a");
    const second = world.request("b");
    world.inspected("b");
    const third = world.request("c");
    world.inspected("c");
    world.release(busy);
    world.unloaded("a");
    world.loadSucceeded("b");
    expect([second, third].map((id) => world.outcomes.get(id))).toEqual(["granted", undefined]);
  });
});

describe("a swap", () => {
  const big = { needBytes: 8 };

  it("serves those who asked before it was wanted, one after the other, and nobody else", () => {
    const world = new World({ a: big, b: big }, { budgetBytes: 10 });
    const first = world.lease("a");
    const queued = [1, 2].map(() => world.request("a", { hasTurn: false }));
    const waiter = world.request("b");
    world.inspected("b");
    const late = world.request("a", { hasTurn: false });
    world.release(first);
    // Between the end of one turn and the begin of the next nobody holds it; it is not taken for idle.
    expect(world.in("unloading")).toEqual([]);
    for (const request of queued) {
      world.turn(request);
      expect(world.outcomes.get(request)).toBe("granted");
      world.release(request);
    }
    expect(world.in("unloading")).toEqual(["a"]);
    world.turn(late);
    world.unloaded("a");
    world.inspected("a");
    world.loadSucceeded("b");
    expect(world.outcomes.get(waiter)).toBe("granted");
    world.release(waiter);
    world.unloaded("b");
    world.loadSucceeded("a");
    expect(world.outcomes.get(late)).toBe("granted");
    expect(world.batchTimers.size).toBe(0);
  });

  it("is not put off for longer than the quantum", () => {
    const world = new World({ a: big, b: big }, { budgetBytes: 10 });
    const first = world.lease("a");
    const queued = world.request("a", { hasTurn: false });
    world.request("b");
    world.inspected("b");
    world.fireBatchTimer("a");
    world.turn(queued);
    expect(world.outcomes.get(queued)).toBeUndefined();
    world.release(first);
    expect(world.in("unloading")).toEqual(["a"]);
  });

  it("needs two loads for eight requests of each model, whatever their order", () => {
    const world = new World({ a: big, b: big }, { budgetBytes: 10 });
    const order = Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? "a" : "b"));
    const queues: Record<string, number[]> = { a: [], b: [] };
    for (const id of order) queues[id]?.push(world.request(id, { hasTurn: queues[id].length === 0 }));
    const serve = (id: string) => {
      for (const request of queues[id] ?? []) {
        if (world.outcomes.get(request) === undefined) world.turn(request);
        world.release(request);
      }
    };
    world.inspected("a");
    world.inspected("b");
    world.loadSucceeded("a");
    serve("a");
    world.unloaded("a");
    world.loadSucceeded("b");
    serve("b");
    expect(world.effects.filter(({ type }) => type === "startLoad")).toHaveLength(2);
    expect(world.waiting.size).toBe(0);
  });

  it("counts as early whoever waits when the load ends: a load is not for nothing", () => {
    const world = new World({ a: big, b: big }, { budgetBytes: 10 });
    const early = world.request("a");
    world.inspected("a");
    world.request("b");
    world.inspected("b");
    const late = world.request("a");
    world.leave(early);
    world.loadSucceeded("a");
    expect(world.outcomes.get(late)).toBe("granted");
  });
});

describe("a smaller context", () => {
  const smaller = [
    { contextTokens: 512, needBytes: 7 },
    { contextTokens: 256, needBytes: 5 },
  ];

  it("is taken where the wanted one can never fit, and not because others are in memory", () => {
    const world = new World(
      { pinned: { needBytes: 4, keep: true }, idle: { needBytes: 4 }, a: { needBytes: 9, smaller } },
      { budgetBytes: 10 },
    );
    world.bring("idle");
    world.request("a");
    world.inspected("a");
    world.unloaded("idle");
    expect(world.effects.at(-1)).toMatchObject({ type: "startLoad", contextTokens: 1024, wantedTokens: 1024 });
    world.loadSucceeded("a");
    const beside = new World(
      { pinned: { needBytes: 4, keep: true }, a: { needBytes: 9, smaller } },
      { budgetBytes: 10 },
    );
    beside.bring("pinned");
    beside.request("a");
    beside.inspected("a");
    expect(beside.effects.at(-1)).toEqual({ type: "inspect", modelId: "a", withSmaller: true });
    beside.inspected("a");
    expect(beside.effects.at(-1)).toMatchObject({ type: "startLoad", contextTokens: 256, wantedTokens: 1024 });
  });

  it("does not help a model whose smallest is too large: the refusal names both", () => {
    const world = new World({ a: { needBytes: 9, smaller } }, { budgetBytes: 4 });
    const request = world.request("a");
    world.inspected("a");
    world.inspected("a");
    expect(world.refusalOf(request)).toMatchObject({
      kind: "larger_than_budget",
      needBytes: 9,
      smallest: { contextTokens: 256, needBytes: 5 },
    });
  });
});

describe("a file that another process tries first", () => {
  it("is inspected again then, and keeps its place before those who came later", () => {
    const world = new World({ a: { needBytes: 6 }, b: { needBytes: 8 } }, { budgetBytes: 10 });
    world.request("a");
    world.inspected("a");
    world.request("b");
    world.inspected("b");
    world.proven("a");
    // Meanwhile the memory is free, and the next may have it.
    expect(world.in("loading")).toEqual(["b"]);
    world.inspected("a");
    const later = new World({ a: { needBytes: 6 }, busy: { needBytes: 7 }, b: { needBytes: 8 } }, { budgetBytes: 10 });
    later.request("a");
    later.inspected("a");
    later.proven("a");
    const busy = later.lease("busy");
    later.request("b");
    later.inspected("b");
    later.inspected("a");
    later.release(busy);
    later.unloaded("busy");
    expect(later.in("loading")).toEqual(["a"]);
  });
});

describe("back-off", () => {
  it("refuses without looking at the file until it ends, for twice as long after each failure", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    const delays: (number | undefined)[] = [];
    for (let failures = 1; failures <= 3; failures += 1) {
      world.request("a");
      world.inspected("a");
      world.loadFailed("a");
      delays.push(world.backoffTimers.get("a")?.delayMs);
      const inspections = world.effects.filter(({ type }) => type === "inspect").length;
      expect(world.refusalOf(world.request("a"))).toEqual({ kind: "backing_off", failure: loadFailure });
      expect(world.effects.filter(({ type }) => type === "inspect")).toHaveLength(inspections);
      world.fireBackoffTimer("a");
    }
    expect(delays).toEqual([1000, 2000, 4000]);
    world.bring("a");
    world.handle({ type: "unloadRequested", modelId: "a" });
    world.unloaded("a");
    world.request("a");
    world.inspected("a");
    world.loadFailed("a");
    expect(world.backoffTimers.get("a")?.delayMs).toBe(1000);
  });

  it("is not ended by a look at the file", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    world.request("a");
    world.inspected("a");
    world.loadFailed("a");
    world.handle({ type: "fileSeen", modelId: "a", failure: { kind: "missing", reason: "gone" } });
    world.handle({ type: "fileSeen", modelId: "a", failure: null });
    expect(world.refusalOf(world.request("a"))).toEqual({ kind: "backing_off", failure: loadFailure });
  });

  it("is ended by an operator", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    world.request("a");
    world.inspected("a");
    world.loadFailed("a");
    world.lift("a");
    expect(world.backoffTimers.size).toBe(0);
    world.lease("a");
  });

  it("never exceeds five minutes", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    for (let failures = 1; failures <= 12; failures += 1) {
      world.request("a");
      world.inspected("a");
      world.loadFailed("a");
      if (failures < 12) world.fireBackoffTimer("a");
    }
    expect(world.backoffTimers.get("a")?.delayMs).toBe(300_000);
  });
});

describe("a load that takes too long", () => {
  it("is given up, refuses those who wait, and stays accounted for until it ends", () => {
    const world = new World({ a: { needBytes: 8 }, b: small }, { budgetBytes: 10 });
    const waiter = world.request("a");
    world.inspected("a");
    world.loadTimesOut("a");
    expect(world.refusalOf(waiter)).toEqual(loadFailure);
    expect(world.scheduler.reservedBytes).toBe(8);
    world.fireBackoffTimer("a");
    expect(world.refusalOf(world.request("a"))).toEqual({ kind: "stuck", modelIds: ["a"], heldBytes: 8 });
    // Nothing that needs its memory waits for it.
    const other = world.request("b");
    world.inspected("b");
    expect(world.refusalOf(other)).toEqual({ kind: "stuck", modelIds: ["a"], heldBytes: 8 });
    expect(isProgressing(world.scheduler.snapshot())).toBe(false);
    world.loadFailed("a");
    expect(isProgressing(world.scheduler.snapshot())).toBe(true);
    world.bring("b");
    world.request("a");
    world.inspected("a");
    expect(world.in("unloading")).toEqual(["b"]);
  });

  it("makes others go in place of what it holds", () => {
    const world = new World({ a: half, b: half, c: half }, { budgetBytes: 10 });
    world.bring("b");
    world.request("a");
    world.inspected("a");
    world.loadTimesOut("a");
    world.request("c");
    world.inspected("c");
    expect(world.in("unloading")).toEqual(["b"]);
  });

  it("and succeeds in the end is unloaded", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    world.request("a");
    world.inspected("a");
    world.loadTimesOut("a");
    world.loadSucceeded("a");
    expect(world.unloadReason("a")).toBe("abandoned");
  });
});

describe("keep-alive of a request", () => {
  it("overrides the configured time, for its own last use", () => {
    const world = new World({ a: small }, { budgetBytes: 10, autoUnloadAfterMs: 1000 });
    world.release(world.request("a", { keepAliveMs: 5000 }) && lastGranted(world, "a"));
    expect(lastIdleDelay(world)).toBe(5000);
    world.release(world.request("a"));
    expect(lastIdleDelay(world)).toBe(1000);
    world.release(world.request("a", { keepAliveMs: Infinity }));
    expect(world.idleTimers.size).toBe(0);
    world.release(world.request("a", { keepAliveMs: 0 }));
    expect(world.unloadReason("a")).toBe("idle");
  });

  it("of 0 unloads nothing that others wait for", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    const first = world.request("a", { keepAliveMs: 0 });
    world.inspected("a");
    world.loadSucceeded("a");
    const queued = world.request("a", { hasTurn: false });
    world.release(first);
    expect(world.in("loaded")).toEqual(["a"]);
    world.turn(queued);
    world.release(queued);
    expect(world.in("loaded")).toEqual(["a"]);
  });
});

function lastGranted(world: World, modelId: string): number {
  world.inspected(modelId);
  world.loadSucceeded(modelId);
  return world.leasesOf(modelId)[0] ?? -1;
}

function lastIdleDelay(world: World): number | undefined {
  return world.effects.filter((effect) => effect.type === "startIdleTimer").at(-1)?.delayMs;
}

describe("the machine's memory", () => {
  it("that is short makes idle models go, least recently used first, and only as many as are needed", () => {
    const world = new World({ a: small, b: small, c: small }, { budgetBytes: 20 });
    world.bring("a", "b");
    const busy = world.lease("c");
    world.seeMemory(-3);
    expect(world.in("unloading")).toEqual(["a"]);
    expect(world.unloadReason("a")).toBe("memory_pressure");
    world.seeMemory(-3);
    expect(world.in("unloading")).toEqual(["a"]);
    world.unloaded("a");
    expect(world.in("loaded")).toEqual(["b", "c"]);
    world.release(busy);
  });

  it("that lacks what the budget allows puts a load off until busy models are gone, or refuses it", () => {
    const world = new World({ a: small, b: small, big: { needBytes: 9 } }, { budgetBytes: 20 });
    const busy = world.lease("a");
    world.seeMemory(3);
    const waiter = world.request("b");
    world.inspected("b");
    expect(world.in("loading")).toEqual([]);
    const refused = world.request("big");
    world.inspected("big");
    expect(world.refusalOf(refused)).toEqual({
      kind: "machine_short",
      needBytes: 9,
      machineBytes: 7,
      budgetBytes: 20,
    });
    world.release(busy);
    world.unloaded("a");
    world.loadSucceeded("b");
    expect(world.outcomes.get(waiter)).toBe("granted");
  });

  it("that comes back starts the load", () => {
    const world = new World({ a: small, b: small }, { budgetBytes: 20 });
    world.lease("a");
    world.seeMemory(3);
    world.request("b");
    world.inspected("b");
    world.seeMemory(4);
    expect(world.in("loading")).toEqual(["b"]);
  });

  it("that is short is not told as too small a budget", () => {
    const smaller = [{ contextTokens: 512, needBytes: 6 }];
    const world = new World({ a: { needBytes: 12, smaller } }, { budgetBytes: 10 });
    world.seeMemory(3);
    const request = world.request("a");
    world.inspected("a");
    world.inspected("a");
    expect(world.refusalOf(request)).toMatchObject({ kind: "machine_short", needBytes: 6 });
  });

  it("makes nobody go for what a load under way has perhaps taken already", () => {
    const world = new World({ idle: small, loading: small, next: small }, { budgetBytes: 20 });
    world.bring("idle");
    world.seeMemory(10);
    world.request("loading");
    world.inspected("loading");
    world.seeMemory(6);
    world.request("next");
    world.inspected("next");
    expect([world.in("unloading"), world.in("loading")]).toEqual([[], ["loading"]]);
    world.loadSucceeded("loading");
    world.seeMemory(6);
    expect(world.in("loading")).toEqual(["next"]);
  });

  it("is not counted twice while a load takes it", () => {
    const world = new World({ a: small, b: small }, { budgetBytes: 20 });
    world.seeMemory(6);
    world.request("a");
    world.request("b");
    world.inspected("a");
    world.inspected("b");
    expect(world.in("loading")).toEqual(["a"]);
    world.loadSucceeded("a");
    expect(world.in("loading")).toEqual([]);
  });
});

describe("a quarantined model", () => {
  it("is not touched, and the others serve, until it is lifted", () => {
    const world = new World({ a: small, b: small }, { budgetBytes: 10 });
    const waiting = world.request("a");
    world.inspected("a");
    world.quarantine("a");
    expect(world.refusalOf(waiting)).toEqual({ kind: "quarantined", reason: "it crashed twice" });
    world.loadSucceeded("a");
    world.unloaded("a");
    expect(world.refusalOf(world.request("a"))).toMatchObject({ kind: "quarantined" });
    world.bring("b");
    world.lift("a");
    world.bring("a");
  });
});

describe("a new configuration", () => {
  const models = { a: small, b: small };

  it("adds, and forgets what nobody uses", () => {
    const world = new World(models, { budgetBytes: 10 });
    world.bring("a", "b");
    world.reconfigure({ b: small, c: small }, {}, []);
    expect(world.unloadReason("a")).toBe("removed");
    world.unloaded("a");
    expect(world.effects.at(-1)).toEqual({ type: "forgotten", modelId: "a" });
    world.bring("c");
    expect(() => world.request("a")).toThrow(/knows no model a/);
  });

  it("drops no request of a removed model, whether it runs or waits", () => {
    const world = new World(models, { budgetBytes: 10 });
    const running = world.lease("a");
    const queued = world.request("a", { hasTurn: false });
    const loading = world.request("b");
    world.reconfigure({}, {}, []);
    world.release(running);
    world.turn(queued);
    expect(world.outcomes.get(queued)).toBe("granted");
    world.release(queued);
    world.unloaded("a");
    world.inspected("b");
    world.loadSucceeded("b");
    expect(world.outcomes.get(loading)).toBe("granted");
    world.release(loading);
    expect(world.unloadReason("b")).toBe("removed");
  });

  it("loads a changed model anew for those who wait, after those who use it", () => {
    const world = new World(models, { budgetBytes: 10 });
    const running = world.lease("a");
    world.reconfigure({ a: { needBytes: 6 }, b: small }, {}, ["a"]);
    const next = world.request("a");
    expect(world.outcomes.get(next)).toBeUndefined();
    world.release(running);
    world.unloaded("a");
    world.inspected("a");
    expect(world.effects.at(-1)).toMatchObject({ type: "startLoad", reservedBytes: 6 });
    world.loadSucceeded("a");
    expect(world.outcomes.get(next)).toBe("granted");
  });

  it.each(["inspecting", "in the line", "loading", "settling"])("starts a model anew that is %s", (phase) => {
    const models = { a: { needBytes: 3, measuredBytes: 9 }, b: { needBytes: 4 }, big: { needBytes: 8 } };
    const world = new World(models, { budgetBytes: 10 });
    if (phase === "in the line") world.lease("big");
    else world.bring("b");
    const request = world.request("a");
    if (phase !== "inspecting") world.inspected("a");
    if (phase === "settling") world.loadSucceeded("a");
    world.reconfigure({ ...models, a: { needBytes: 2 } }, {}, ["a"]);
    if (phase === "inspecting") world.inspected("a");
    if (phase === "loading") world.loadFailed("a");
    if (phase === "settling") world.unloaded("a");
    world.inspected("a");
    expect(world.effects.at(-1)).toMatchObject({ type: "startLoad", modelId: "a", reservedBytes: 2 });
    world.loadSucceeded("a");
    expect(world.outcomes.get(request)).toBe("granted");
  });

  it("with a smaller budget makes models go until it holds, busy ones when they are done", () => {
    const world = new World(models, { budgetBytes: 10 });
    const busy = world.lease("a");
    world.bring("b");
    world.reconfigure(models, { budgetBytes: 3 }, []);
    expect(world.in("unloading")).toEqual(["b"]);
    world.unloaded("b");
    expect(world.in("loaded")).toEqual(["a"]);
    world.release(busy);
    expect(world.in("unloading")).toEqual(["a"]);
  });
});

describe("a file that changed under a loaded model", () => {
  it("is looked at anew before anybody else uses it", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    const running = world.lease("a");
    world.handle({ type: "fileChanged", modelId: "a" });
    const next = world.request("a");
    world.release(running);
    expect(world.unloadReason("a")).toBe("file_changed");
    world.unloaded("a");
    world.inspectFailed("a", { kind: "invalid", reason: "a.gguf is truncated" });
    expect(world.refusalOf(next)).toEqual({ kind: "invalid", reason: "a.gguf is truncated" });
  });
});

describe("a request of higher priority that comes late", () => {
  it("holds nobody up: it is served with the batch", () => {
    const world = new World({ a: { needBytes: 8 }, b: { needBytes: 8 } }, { budgetBytes: 10 });
    const first = world.lease("a");
    const early = world.request("a", { hasTurn: false });
    world.request("b");
    world.inspected("b");
    const late = world.request("a", { hasTurn: false });
    world.turn(late);
    world.release(first);
    expect(world.outcomes.get(late)).toBe("granted");
    world.turn(early);
    world.release(late);
    expect(world.in("unloading")).toEqual([]);
    world.release(early);
    expect(world.in("unloading")).toEqual(["a"]);
  });
});

describe("a pinned model that is removed", () => {
  it("keeps nobody out for good", () => {
    const models = { pinned: { needBytes: 6, keep: true }, a: { needBytes: 8 } };
    const world = new World(models, { budgetBytes: 10 });
    const running = world.lease("pinned");
    world.reconfigure({ a: models.a }, {}, []);
    const waiter = world.request("a");
    world.inspected("a");
    world.release(running);
    world.unloaded("pinned");
    world.loadSucceeded("a");
    expect(world.outcomes.get(waiter)).toBe("granted");
  });
});

describe("a budget that pinned models alone exceed", () => {
  it("makes what is idle go, and keeps nobody from what stays", () => {
    const models = { pinned: { needBytes: 6, keep: true }, idle: { needBytes: 1 }, busy: { needBytes: 2 } };
    const world = new World(models, { budgetBytes: 10 });
    world.bring("pinned", "idle");
    world.lease("busy");
    world.reconfigure(models, { budgetBytes: 4 }, []);
    expect(world.in("unloading")).toEqual(["idle"]);
    expect(world.outcomes.get(world.request("busy"))).toBe("granted");
    expect(world.outcomes.get(world.request("pinned"))).toBe("granted");
  });
});

describe("a model that cannot fit", () => {
  it("is refused at once with the three numbers, also while others are busy", () => {
    const world = new World(
      { pinned: { needBytes: 4, keep: true }, busy: half, big: { needBytes: 7 } },
      { budgetBytes: 10 },
    );
    world.bring("pinned");
    world.lease("busy");
    const request = world.request("big");
    world.inspected("big");
    expect(world.refusalOf(request)).toEqual({
      kind: "larger_than_budget",
      needBytes: 7,
      budgetBytes: 10,
      processBytes: 0,
      pinnedBytes: 4,
      smallest: { contextTokens: 1024, needBytes: 7 },
      isLeast: false,
    });
    expect(world.scheduler.snapshot().some(({ draining }) => draining)).toBe(false);
  });

  it("has what the process itself leaves of the budget", () => {
    const world = new World({ a: small, b: small }, { budgetBytes: 10, processBytes: 3 });
    world.bring("a");
    world.request("b");
    world.inspected("b");
    expect(world.in("unloading")).toEqual(["a"]);
    const alone = new World({ a: { needBytes: 8 } }, { budgetBytes: 10, processBytes: 3 });
    const request = alone.request("a");
    alone.inspected("a");
    expect(alone.refusalOf(request)).toMatchObject({ kind: "larger_than_budget", processBytes: 3 });
  });

  it("is refused when a pinned model takes its memory while it waits", () => {
    const world = new World(
      { a: { needBytes: 8 }, big: { needBytes: 9 }, pinned: { needBytes: 2, keep: true } },
      { budgetBytes: 10 },
    );
    const busy = world.lease("a");
    world.request("pinned");
    const request = world.request("big");
    world.inspected("pinned");
    world.inspected("big");
    expect(world.refusalOf(request)).toMatchObject({ kind: "larger_than_budget", pinnedBytes: 2 });
    world.release(busy);
  });

  it("is refused when pinned models hold every place", () => {
    const world = new World({ a: { ...small, keep: true }, b: small }, { budgetBytes: 10, maxLoaded: 1 });
    world.bring("a");
    const request = world.request("b");
    world.inspected("b");
    expect(world.refusalOf(request)).toEqual({ kind: "no_place", maxLoaded: 1 });
  });
});

describe("a load that measures otherwise than predicted", () => {
  it("gives back what it does not need, to who waits", () => {
    const world = new World({ a: { needBytes: 8, measuredBytes: 5 }, b: half }, { budgetBytes: 10 });
    world.request("a");
    world.inspected("a");
    world.request("b");
    world.inspected("b");
    world.loadSucceeded("a");
    expect(world.in("loading")).toEqual(["b"]);
  });

  it("takes free memory", () => {
    const world = new World({ a: { needBytes: 5, measuredBytes: 9 } }, { budgetBytes: 10 });
    world.lease("a");
    expect(world.scheduler.reservedBytes).toBe(9);
  });

  it("makes idle models go, and is granted when their bytes are back", () => {
    const world = new World({ idle: half, a: { needBytes: 4, measuredBytes: 7 } }, { budgetBytes: 10 });
    world.bring("idle");
    const request = world.request("a");
    world.inspected("a");
    world.loadSucceeded("a");
    expect(world.in("unloading")).toEqual(["idle"]);
    expect(world.outcomes.get(request)).toBeUndefined();
    world.unloaded("idle");
    expect(world.outcomes.get(request)).toBe("granted");
  });

  it("makes nobody go where nobody waits for it any more", () => {
    const world = new World({ idle: half, a: { needBytes: 4, measuredBytes: 7 } }, { budgetBytes: 10 });
    world.bring("idle");
    const request = world.request("a");
    world.inspected("a");
    world.leave(request);
    world.loadSucceeded("a");
    expect(world.in("unloading")).toEqual(["a"]);
    expect(world.in("loaded")).toEqual(["idle"]);
  });

  it("does not count on what another such model takes", () => {
    const idle = { needBytes: 2 };
    const grows = { needBytes: 3, measuredBytes: 5 };
    const world = new World({ x: idle, y: idle, a: grows, b: grows }, { budgetBytes: 10 });
    world.bring("x", "y");
    for (const id of ["a", "b"]) {
      world.request(id);
      world.inspected(id);
    }
    world.loadSucceeded("a");
    world.loadSucceeded("b");
    expect(world.in("unloading")).toEqual(["x", "y"]);
  });

  it("is not what the head of the line counts on: that one makes room of its own", () => {
    const world = new World(
      { x: { needBytes: 2 }, y: { needBytes: 3 }, a: { needBytes: 5, measuredBytes: 7 }, b: { needBytes: 2 } },
      { budgetBytes: 10 },
    );
    world.bring("x", "y");
    world.request("a");
    world.inspected("a");
    world.loadSucceeded("a");
    expect(world.in("unloading")).toEqual(["x"]);
    world.request("b");
    world.inspected("b");
    expect(world.in("unloading")).toEqual(["x", "y"]);
  });

  it("comes before those in the line", () => {
    const world = new World({ idle: half, a: { needBytes: 4, measuredBytes: 7 }, b: half }, { budgetBytes: 10 });
    world.bring("idle");
    const request = world.request("a");
    world.inspected("a");
    world.loadSucceeded("a");
    world.request("b");
    world.inspected("b");
    world.unloaded("idle");
    expect(world.outcomes.get(request)).toBe("granted");
    expect(world.in("loading")).toEqual([]);
  });

  it("is unloaded again where only busy models could make room, and waits for them the next time", () => {
    const world = new World({ busy: half, a: { needBytes: 4, measuredBytes: 7 } }, { budgetBytes: 10 });
    const busy = world.lease("busy");
    const request = world.request("a");
    world.inspected("a");
    world.loadSucceeded("a");
    expect(world.refusalOf(request)).toEqual({
      kind: "larger_than_predicted",
      measuredBytes: 7,
      predictedBytes: 4,
      budgetBytes: 10,
    });
    expect(world.unloadReason("a")).toBe("larger_than_predicted");
    expect(world.outcomes.get(busy)).toBe("granted");
    world.unloaded("a");
    const again = world.request("a");
    world.inspected("a");
    world.release(busy);
    world.unloaded("busy");
    world.loadSucceeded("a");
    expect(world.outcomes.get(again)).toBe("granted");
  });

  it("is refused for good where it exceeds the budget alone", () => {
    const world = new World({ a: { needBytes: 4, measuredBytes: 11 } }, { budgetBytes: 10 });
    const request = world.request("a");
    world.inspected("a");
    world.loadSucceeded("a");
    expect(world.refusalOf(request)).toMatchObject({ kind: "larger_than_budget", needBytes: 11 });
    world.unloaded("a");
    const again = world.request("a");
    world.inspected("a");
    expect(world.refusalOf(again)).toMatchObject({ kind: "larger_than_budget", needBytes: 11 });
  });
});

describe("reading ahead", () => {
  it("begins when a load has to wait for memory, and ends with the load", () => {
    const world = new World({ a: half, b: { needBytes: 8 } }, { budgetBytes: 10 });
    const busy = world.lease("a");
    world.request("b");
    expect([...world.readingAhead]).toEqual([]);
    world.inspected("b");
    expect([...world.readingAhead]).toEqual(["b"]);
    world.release(busy);
    world.unloaded("a");
    expect(world.in("loading")).toEqual(["b"]);
    expect([...world.readingAhead]).toEqual(["b"]);
    world.loadSucceeded("b");
    expect([...world.readingAhead]).toEqual([]);
  });

  it("ends when nobody waits any more, and turns to the next of the line", () => {
    const world = new World({ a: { needBytes: 8 }, b: { needBytes: 8 }, c: { needBytes: 8 } }, { budgetBytes: 10 });
    world.lease("a");
    const first = world.request("b");
    const second = world.request("c");
    world.inspected("b");
    world.inspected("c");
    expect([...world.readingAhead]).toEqual(["b"]);
    world.leave(first);
    expect([...world.readingAhead]).toEqual(["c"]);
    world.leave(second);
    expect([...world.readingAhead]).toEqual([]);
  });

  it("ends with a load that is given up, that fails, or that hangs", () => {
    const world = new World({ a: { needBytes: 3 }, b: { needBytes: 3 }, c: { needBytes: 3 } }, { budgetBytes: 10 });
    for (const id of ["a", "b", "c"]) {
      world.request(id);
      world.inspected(id);
    }
    expect([...world.readingAhead]).toEqual(["a", "b", "c"]);
    world.loadFailed("a");
    world.quarantine("b");
    world.loadTimesOut("c");
    expect([...world.readingAhead]).toEqual([]);
  });

  it("ends at the end", () => {
    const world = new World({ a: { needBytes: 8 }, b: { needBytes: 8 } }, { budgetBytes: 10 });
    world.lease("a");
    world.request("b");
    world.inspected("b");
    world.drain();
    expect([...world.readingAhead]).toEqual([]);
  });
});

describe("warm-up", () => {
  it("evicts nobody", () => {
    const world = new World({ a: half, b: { needBytes: 6 } }, { budgetBytes: 10 });
    world.bring("a");
    const warm = world.request("b", { mayEvict: false });
    world.inspected("b");
    expect(world.refusalOf(warm)).toEqual({ kind: "no_room", needBytes: 6, freeBytes: 5 });
    expect(world.in("loaded")).toEqual(["a"]);
  });

  it("is joined by a request that may evict", () => {
    const world = new World({ a: half, b: { needBytes: 6 } }, { budgetBytes: 10 });
    world.bring("a");
    const warm = world.request("b", { mayEvict: false });
    const request = world.request("b");
    world.inspected("b");
    world.unloaded("a");
    world.loadSucceeded("b");
    expect([warm, request].map((id) => world.outcomes.get(id))).toEqual(["granted", "granted"]);
  });
});

describe("auto unload", () => {
  it("takes a new time for what is idle already", () => {
    const models = { a: small };
    const world = new World(models, { budgetBytes: 10, autoUnloadAfterMs: 1000 });
    world.bring("a");
    world.reconfigure(models, { autoUnloadAfterMs: 7 }, []);
    expect(lastIdleDelay(world)).toBe(7);
  });

  it("unloads what has been idle for the time, which each use starts anew", () => {
    const world = new World({ a: small }, { budgetBytes: 10, autoUnloadAfterMs: 1000 });
    const busy = world.lease("a");
    expect(world.idleTimers.size).toBe(0);
    world.release(busy);
    const firstTimer = world.idleTimers.get("a");
    expect(firstTimer).toBeDefined();
    world.bring("a");
    expect(world.idleTimers.get("a")).not.toBe(firstTimer);
    // The first timer was cancelled; should it fire all the same, it means nothing.
    world.handle({ type: "idleTimerFired", modelId: "a", timerId: firstTimer ?? -1 });
    expect(world.in("loaded")).toEqual(["a"]);
    world.fireIdleTimer("a");
    expect(world.unloadReason("a")).toBe("idle");
  });

  it("never unloads a pinned model", () => {
    const world = new World({ a: { ...small, keep: true } }, { budgetBytes: 10, autoUnloadAfterMs: 1000 });
    world.bring("a");
    expect(world.idleTimers.size).toBe(0);
  });
});

describe("drain", () => {
  it("refuses what waits, finishes what is leased, and unloads all, pinned ones too", () => {
    const world = new World(
      { a: { needBytes: 3, keep: true }, b: { needBytes: 3 }, c: { needBytes: 4 }, d: small, e: small },
      { budgetBytes: 10, autoUnloadAfterMs: 1000 },
    );
    world.bring("a");
    const busy = world.lease("b");
    const loading = world.request("c");
    world.inspected("c");
    const inLine = world.request("d");
    world.inspected("d");
    const inspecting = world.request("e");
    world.drain();
    for (const id of [loading, inLine, inspecting]) expect(world.refusalOf(id)).toEqual({ kind: "draining" });
    expect(world.isAbandonedLoad("c")).toBe(true);
    expect(world.in("unloading")).toEqual(["a"]);
    expect(world.refusalOf(world.request("b"))).toEqual({ kind: "draining" });
    world.unloaded("a");
    world.handle({ type: "inspected", modelId: "e", options: world.options("e"), isComplete: true, isLeast: false });
    world.loadSucceeded("c");
    world.unloaded("c");
    expect(world.drained).toBe(false);
    world.release(busy);
    world.unloaded("b");
    expect(world.drained).toBe(true);
    expect(world.idleTimers.size).toBe(0);
  });

  it("is over at once where nothing is in memory", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    world.drain();
    expect(world.drained).toBe(true);
  });
});

describe("details that nothing else holds", () => {
  it("a proof gives the front place once only", () => {
    const world = new World({ a: { needBytes: 6 }, b: { needBytes: 8 }, c: { needBytes: 8 } }, { budgetBytes: 10 });
    const first = world.request("a");
    world.inspected("a");
    world.proven("a");
    world.inspected("a");
    world.loadSucceeded("a");
    world.release(first);
    world.handle({ type: "unloadRequested", modelId: "a" });
    world.unloaded("a");
    const busy = world.lease("b");
    for (const id of ["c", "a"]) {
      world.request(id);
      world.inspected(id);
    }
    world.release(busy);
    world.unloaded("b");
    expect(world.in("loading")).toEqual(["c"]);
  });
  it("lift forgets how often it failed", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    for (const end of [() => world.fireBackoffTimer("a"), () => world.lift("a"), () => {}]) {
      world.request("a");
      world.inspected("a");
      world.loadFailed("a");
      end();
    }
    expect(world.backoffTimers.get("a")?.delayMs).toBe(1000);
  });
  it("a load that ends after its configuration changed says so", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    world.request("a");
    world.inspected("a");
    world.reconfigure({ a: small }, {}, ["a"]);
    world.loadSucceeded("a");
    expect(world.unloadReason("a")).toBe("reconfigured");
  });
  it("a loading victim stays the victim when another one becomes leased", () => {
    const world = new World({ a: half, c: half, h: half }, { budgetBytes: 10 });
    for (const id of ["a", "c", "h"]) {
      world.request(id);
      world.inspected(id);
    }
    expect([...world.closed.keys()]).toEqual(["a"]);
    world.loadSucceeded("c");
    expect([...world.closed.keys()]).toEqual(["a"]);
  });
  it("of two busy models the one granted longer ago drains", () => {
    const world = new World({ a: half, b: half, h: half }, { budgetBytes: 10 });
    world.lease("b");
    world.lease("a");
    world.request("h");
    world.inspected("h");
    expect([...world.closed.keys()]).toEqual(["b"]);
  });
  it("a keep-alive time does not outlive its load", () => {
    const world = new World({ a: small }, { budgetBytes: 10, autoUnloadAfterMs: 1000 });
    world.bring("a");
    world.release(world.request("a", { keepAliveMs: Infinity }));
    world.handle({ type: "unloadRequested", modelId: "a" });
    world.unloaded("a");
    const warm = world.request("a", { mayEvict: false });
    world.inspected("a");
    world.loadSucceeded("a");
    world.release(warm);
    expect(world.idleTimers.has("a")).toBe(true);
  });
  it("counts on a load that was given up before it takes another victim", () => {
    const world = new World({ a: half, b: half, h: half }, { budgetBytes: 10 });
    const left = world.request("a");
    world.inspected("a");
    world.leave(left);
    world.bring("b");
    world.request("h");
    world.inspected("h");
    expect(world.isAbandonedLoad("a")).toBe(true);
    world.handle({ type: "fileSeen", modelId: "h", failure: null });
    expect(world.in("loaded")).toEqual(["b"]);
  });
  it("looks again where the file of the old configuration is missing", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    const request = world.request("a");
    world.reconfigure({ a: small }, {}, ["a"]);
    world.inspectFailed("a", { kind: "missing", reason: "gone" });
    expect(world.refusalOf(request)).toBeNull();
    world.inspected("a");
    world.loadSucceeded("a");
    expect(world.outcomes.get(request)).toBe("granted");
  });
  it("fewer places make no more models go than there are too many", () => {
    const models = { a: { needBytes: 1 }, b: { needBytes: 1 }, c: { needBytes: 1 } };
    const world = new World(models, { budgetBytes: 10 });
    world.bring("a", "b", "c");
    world.reconfigure(models, { maxLoaded: 1 }, []);
    world.handle({ type: "fileSeen", modelId: "a", failure: null });
    expect(world.in("loaded")).toEqual(["c"]);
  });

  it("fewer places make idle models go", () => {
    const models = { a: small, b: small };
    const world = new World(models, { budgetBytes: 10 });
    world.bring("a", "b");
    world.reconfigure(models, { maxLoaded: 1 }, []);
    expect(world.in("unloading")).toEqual(["a"]);
  });
  it("memory short is told", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    world.bring("a");
    world.seeMemory(-3);
    expect(world.effects).toContainEqual({ type: "memoryShort", wantedBytes: 3 });
  });
});

describe("isProgressing", () => {
  const model = (phase: ModelPhase, leases: number, waiting: number, overdue = false) => ({
    modelId: "a",
    reservedBytes: 0,
    failure: null,
    keep: false,
    draining: false,
    backingOff: false,
    quarantine: null,
    contextTokens: null,
    wantedTokens: null,
    phase,
    leases,
    waiting,
    overdue,
  });
  it.each([
    { name: "nobody waits", models: [model("loaded", 0, 0)], expected: true },
    { name: "a lease is out", models: [model("loaded", 1, 0), model("inLine", 0, 1)], expected: true },
    { name: "a load is under way", models: [model("loading", 0, 1)], expected: true },
    { name: "an unload is under way", models: [model("unloading", 0, 0), model("inLine", 0, 1)], expected: true },
    {
      name: "waits in the line, nothing runs",
      models: [model("loaded", 0, 0), model("inLine", 0, 1)],
      expected: false,
    },
    { name: "waits for an idle model", models: [model("loaded", 0, 1)], expected: false },
    { name: "waits for a load that hangs", models: [model("loading", 0, 1, true)], expected: false },
    {
      name: "waits for an unload that hangs",
      models: [model("unloading", 0, 0, true), model("inLine", 0, 1)],
      expected: false,
    },
  ])("$name: $expected", ({ models, expected }) => {
    expect(isProgressing(models)).toBe(expected);
  });
});

describe("events that cannot be", () => {
  const unknownModel = {
    type: "requested",
    modelId: "x",
    requestId: 1,
    mayEvict: true,
    hasTurn: true,
    keepAliveMs: null,
  } as const;
  it.each([
    { name: "an unknown model", event: unknownModel },
    { name: "a lease that does not exist", event: { type: "released", requestId: 7 } },
    {
      name: "the end of a load that was not started",
      event: { type: "loadSucceeded", modelId: "a", measuredBytes: 1 },
    },
    { name: "the end of an unload that was not started", event: { type: "unloaded", modelId: "a" } },
  ] as const)("throw: $name", ({ event }) => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    expect(() => world.scheduler.handle(event)).toThrow(/scheduler knows no|holds no lease|needs it to be/);
  });
});
