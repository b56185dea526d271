// Event sequences against the scheduler. The world beside this file checks the invariants after every event.
import { describe, expect, it } from "vitest";
import { isProgressing, type ModelPhase } from "../../src/pool/scheduler.ts";
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
      { type: "startLoad", modelId: "a", reservedBytes: 4 },
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
      const warm = world.request(id, false);
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
      pinnedBytes: 4,
    });
    expect(world.scheduler.snapshot().some(({ draining }) => draining)).toBe(false);
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

describe("warm-up", () => {
  it("evicts nobody", () => {
    const world = new World({ a: half, b: { needBytes: 6 } }, { budgetBytes: 10 });
    world.bring("a");
    const warm = world.request("b", false);
    world.inspected("b");
    expect(world.refusalOf(warm)).toEqual({ kind: "no_room", needBytes: 6, freeBytes: 5 });
    expect(world.in("loaded")).toEqual(["a"]);
  });

  it("is joined by a request that may evict", () => {
    const world = new World({ a: half, b: { needBytes: 6 } }, { budgetBytes: 10 });
    world.bring("a");
    const warm = world.request("b", false);
    const request = world.request("b");
    world.inspected("b");
    world.unloaded("a");
    world.loadSucceeded("b");
    expect([warm, request].map((id) => world.outcomes.get(id))).toEqual(["granted", "granted"]);
  });
});

describe("auto unload", () => {
  it("unloads what has been idle for the time, which each use starts anew", () => {
    const world = new World({ a: small }, { budgetBytes: 10, autoUnloadAfterMs: 1000 });
    const busy = world.lease("a");
    expect(world.timers.size).toBe(0);
    world.release(busy);
    const firstTimer = world.timers.get("a");
    expect(firstTimer).toBeDefined();
    world.bring("a");
    expect(world.timers.get("a")).not.toBe(firstTimer);
    // The first timer was cancelled; should it fire all the same, it means nothing.
    world.handle({ type: "idleTimerFired", modelId: "a", timerId: firstTimer ?? -1 });
    expect(world.in("loaded")).toEqual(["a"]);
    world.fireTimer("a");
    expect(world.unloadReason("a")).toBe("idle");
  });

  it("never unloads a pinned model", () => {
    const world = new World({ a: { ...small, keep: true } }, { budgetBytes: 10, autoUnloadAfterMs: 1000 });
    world.bring("a");
    expect(world.timers.size).toBe(0);
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
    world.handle({ type: "inspected", modelId: "e", needBytes: 4 });
    world.loadSucceeded("c");
    world.unloaded("c");
    expect(world.drained).toBe(false);
    world.release(busy);
    world.unloaded("b");
    expect(world.drained).toBe(true);
    expect(world.timers.size).toBe(0);
  });

  it("is over at once where nothing is in memory", () => {
    const world = new World({ a: small }, { budgetBytes: 10 });
    world.drain();
    expect(world.drained).toBe(true);
  });
});

describe("isProgressing", () => {
  const model = (phase: ModelPhase, leases: number, waiting: number) => {
    const rest = { modelId: "a", reservedBytes: 0, failure: null, keep: false, draining: false };
    return { ...rest, phase, leases, waiting };
  };
  it.each([
    { name: "nobody waits", models: [model("loaded", 0, 0)], queued: 0, expected: true },
    { name: "a lease is out", models: [model("loaded", 1, 0), model("inLine", 0, 1)], queued: 0, expected: true },
    { name: "a load is under way", models: [model("loading", 0, 1)], queued: 0, expected: true },
    {
      name: "an unload is under way",
      models: [model("unloading", 0, 0), model("inLine", 0, 1)],
      queued: 0,
      expected: true,
    },
    {
      name: "waits in the line, nothing runs",
      models: [model("loaded", 0, 0), model("inLine", 0, 1)],
      queued: 0,
      expected: false,
    },
    { name: "waits for an idle model", models: [model("loaded", 0, 1)], queued: 0, expected: false },
    { name: "waits for a turn that nobody holds", models: [model("loaded", 0, 0)], queued: 1, expected: false },
  ])("$name: $expected", ({ models, queued, expected }) => {
    expect(isProgressing(models, queued)).toBe(expected);
  });
});

describe("events that cannot be", () => {
  it.each([
    { name: "an unknown model", event: { type: "requested", modelId: "x", requestId: 1, mayEvict: true } },
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
