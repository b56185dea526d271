// The pool over the fake engine: what callers of acquire, warmUp, status and close see. No test sleeps.
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import { EnginePool, type EnginePoolOptions, type PoolModel } from "../../src/pool/model-pool.ts";
import type { Lease, ModelPool } from "../../src/pool/pool.ts";
import { FakeEngine, type FakeEngineOptions } from "../support/fake-engine.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { fakePoolOptions } from "../support/pool-options.ts";

interface Bench {
  readonly engine: FakeEngine;
  readonly clock: ManualClock;
  /** Leases are tracked: see afterEach. */
  readonly pool: ModelPool;
  readonly enginePool: EnginePool;
  readonly options: EnginePoolOptions;
  readonly acquire: (modelId: string, signal?: AbortSignal, priority?: number) => Promise<Lease>;
  readonly stateOf: (modelId: string) => string | undefined;
}

type ModelOptions = Partial<Pick<PoolModel, "priority" | "keep" | "minContextTokens">> &
  Partial<Pick<PoolModel["spec"], "slots" | "contextTokens">>;

let engines: FakeEngine[] = [];
afterEach(() => {
  const violations = engines.flatMap((engine) => engine.violations);
  engines = [];
  if (violations.length > 0) throw new Error(`the pool broke a promise to the engine: ${violations.join("; ")}`);
});

function bench(
  models: Readonly<Record<string, ModelOptions>>,
  engineOptions: FakeEngineOptions = {},
  poolOptions: Partial<EnginePoolOptions> = {},
): Bench {
  const engine = new FakeEngine(engineOptions);
  engines.push(engine);
  const clock = new ManualClock();
  const described = Object.entries(models).map(
    ([id, { slots = 1, priority = 3, keep = false, minContextTokens = null, contextTokens = null }]): PoolModel => ({
      id,
      spec: { path: `${id}.gguf`, purpose: "text", contextTokens, slots },
      minContextTokens,
      priority,
      keep,
    }),
  );
  const options = { ...fakePoolOptions(engine, clock, described), budgetBytes: 2000, ...poolOptions };
  const enginePool = new EnginePool(options);
  const pool = engine.trackLeases(enginePool);
  return {
    engine,
    clock,
    pool,
    enginePool,
    options,
    acquire: (modelId, signal = new AbortController().signal, priority = 0) =>
      pool.acquire(modelId, { signal, priority }),
    stateOf: (modelId) => pool.status().models.find((model) => model.modelId === modelId)?.state,
  };
}

/** Until everything that needs no further event has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function refusalOf(acquiring: Promise<unknown>): Promise<PublicError> {
  const error = await acquiring.then(
    () => new Error("it was not refused"),
    (reason: unknown) => reason,
  );
  if (error instanceof PublicError) return error;
  throw error;
}

describe("acquire", () => {
  it("loads on first use, then grants at once, and tells what was waited for", async () => {
    const { engine, clock, acquire, pool } = bench({ a: {} }, { manual: { load: true } });
    const acquiring = acquire("a");
    const load = await engine.nextLoad();
    expect(load.spec.path).toBe("a.gguf");
    clock.advance(30);
    load.succeed(900);
    const lease = await acquiring;
    expect(lease).toMatchObject({ modelId: "a", queueMs: 0, loadMs: 30 });
    expect(lease.model).toMatchObject({ kind: "text", residentBytes: 900 });
    const second = acquire("a");
    clock.advance(20);
    lease.release();
    expect(await second).toMatchObject({ queueMs: 20, loadMs: 0 });
    expect(pool.status()).toMatchObject({
      budgetBytes: 2000,
      reservedBytes: 900,
      counters: { loads: 1, loadFailures: 0, evictions: 0, hits: 1 },
    });
  });

  it("shares one load among the slots", async () => {
    const { engine, acquire } = bench({ a: { slots: 2 } }, { manual: { load: true } });
    const acquiring = [acquire("a"), acquire("a")];
    (await engine.nextLoad()).succeed();
    await Promise.all(acquiring);
    expect(engine.loadCount("a.gguf")).toBe(1);
  });

  it("gives each model as many leases as it has slots, and turns by priority", async () => {
    const { acquire } = bench({ a: { slots: 2 } });
    const order: string[] = [];
    const first = await acquire("a");
    await acquire("a");
    const none = new AbortController().signal;
    const later = acquire("a", none, 0).then((lease) => (order.push("later"), lease.release()));
    const urgent = acquire("a", none, 5).then((lease) => (order.push("urgent"), lease.release()));
    await settled();
    expect(order).toEqual([]);
    first.release();
    await Promise.all([later, urgent]);
    expect(order).toEqual(["urgent", "later"]);
  });

  it("evicts the idle model that was used least recently", async () => {
    const { engine, acquire, pool, stateOf } = bench({ a: {}, b: {}, c: {} });
    for (const id of ["a", "b", "a"]) (await acquire(id)).release();
    (await acquire("c")).release();
    expect(engine.disposeCount("b.gguf")).toBe(1);
    expect(["a", "b", "c"].map(stateOf)).toEqual(["loaded", "available", "loaded"]);
    expect(pool.status().counters.evictions).toBe(1);
  });

  it("waits for a busy model's lease, and then for its memory, before it loads", async () => {
    const { engine, acquire, stateOf } = bench({ a: {}, b: {} }, { manual: { dispose: true } }, { budgetBytes: 1500 });
    const busy = await acquire("a");
    const acquiring = acquire("b");
    await settled();
    expect(engine.disposeCount("a.gguf")).toBe(0);
    busy.release();
    const dispose = await engine.nextDispose();
    await settled();
    expect(stateOf("a")).toBe("unloading");
    expect(engine.loadCount("b.gguf")).toBe(0);
    dispose.finish();
    expect((await acquiring).modelId).toBe("b");
  });

  it("serves two models in turn although both have steady traffic", async () => {
    const { acquire, engine } = bench({ a: {}, b: {} }, {}, { budgetBytes: 1500 });
    const served = { a: 0, b: 0 };
    const client = async (id: "a" | "b") => {
      for (let n = 0; n < 5; n += 1) {
        const lease = await acquire(id);
        await settled();
        lease.release();
        served[id] += 1;
      }
    };
    await Promise.all([client("a"), client("a"), client("b"), client("b")]);
    expect(served).toEqual({ a: 10, b: 10 });
    expect(engine.usedBytes).toBe(1000);
  });

  it("remembers what a file measured, for the next load of the same file", async () => {
    const files = { "a.gguf": { predictedBytes: 1000, measuredBytes: 1400 } };
    const { engine, acquire, pool } = bench({ a: {}, b: {} }, { files, manual: { load: true } }, { budgetBytes: 1500 });
    const first = acquire("a");
    const firstLoad = await engine.nextLoad();
    expect(pool.status().reservedBytes).toBe(1000);
    firstLoad.succeed();
    (await first).release();
    const other = acquire("b");
    (await engine.nextLoad()).succeed();
    (await other).release();
    const again = acquire("a");
    const secondLoad = await engine.nextLoad();
    expect(pool.status().reservedBytes).toBe(1400);
    secondLoad.succeed();
    (await again).release();
    // Another file takes its place: what the old one measured says nothing about it.
    engine.define("a.gguf", { predictedBytes: 1200, measuredBytes: 1200 });
    const evictor = acquire("b");
    (await engine.nextLoad()).succeed();
    (await evictor).release();
    const changed = acquire("a");
    const thirdLoad = await engine.nextLoad();
    expect(pool.status().reservedBytes).toBe(1200);
    thirdLoad.succeed();
    (await changed).release();
  });
});

describe("giving up", () => {
  it("is too late after the grant: the turn ends with the release, not with the signal", async () => {
    const { acquire, pool } = bench({ a: {} });
    const caller = new AbortController();
    const lease = await acquire("a", caller.signal);
    const next = acquire("a");
    caller.abort();
    await settled();
    expect(pool.status().models[0]).toMatchObject({ state: "loaded", leases: 1, waiting: 1 });
    lease.release();
    (await next).release();
  });

  it("before the start takes no place", async () => {
    const { acquire, engine } = bench({ a: {} });
    await expect(acquire("a", AbortSignal.abort())).rejects.toBeInstanceOf(AbandonedError);
    expect(engine.loadCount("a.gguf")).toBe(0);
  });

  it("when the turn has just begun asks for no load", async () => {
    const { acquire, engine } = bench({ a: {} }, { manual: { load: true } });
    const caller = new AbortController();
    const leaving = acquire("a", caller.signal);
    caller.abort();
    await expect(leaving).rejects.toBeInstanceOf(AbandonedError);
    expect(engine.loadCount("a.gguf")).toBe(0);
  });

  it("while waiting for a turn leaves the queue at once, and the turn of who holds it is untouched", async () => {
    const { acquire, pool } = bench({ a: {} });
    const holder = await acquire("a");
    const caller = new AbortController();
    const leaving = acquire("a", caller.signal);
    const patient = acquire("a");
    expect(pool.status().models[0]).toMatchObject({ leases: 1, waiting: 2 });
    caller.abort();
    await expect(leaving).rejects.toBeInstanceOf(AbandonedError);
    expect(pool.status().models[0]).toMatchObject({ leases: 1, waiting: 1 });
    holder.release();
    (await patient).release();
    expect(pool.status().models[0]).toMatchObject({ leases: 0, waiting: 0 });
  });

  it("while loading frees the turn for the next, who gets the same load", async () => {
    const { acquire, engine } = bench({ a: {} }, { manual: { load: true } });
    const caller = new AbortController();
    const leaving = acquire("a", caller.signal);
    const patient = acquire("a");
    const load = await engine.nextLoad();
    caller.abort();
    await expect(leaving).rejects.toBeInstanceOf(AbandonedError);
    expect(load.abandoned).toBe(false);
    load.succeed();
    (await patient).release();
    expect(engine.loadCount("a.gguf")).toBe(1);
  });

  it("on a load whose memory another needs stops it, and the memory counts until it has stopped", async () => {
    const { acquire, engine, pool, stateOf } = bench(
      { a: {}, b: {} },
      { manual: { load: true } },
      { budgetBytes: 1500 },
    );
    const caller = new AbortController();
    const leaving = acquire("a", caller.signal);
    const load = await engine.nextLoad();
    const other = acquire("b");
    await settled();
    caller.abort();
    await expect(leaving).rejects.toBeInstanceOf(AbandonedError);
    expect(load.abandoned).toBe(true);
    await settled();
    expect([stateOf("a"), pool.status().reservedBytes, engine.untakenLoads]).toEqual(["loading", 1000, 0]);
    load.fail();
    (await engine.nextLoad()).succeed();
    (await other).release();
    expect(pool.status()).toMatchObject({ reservedBytes: 1000, counters: { loads: 1, loadFailures: 0 } });
    expect(stateOf("a")).toBe("available");
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 8, 10])(
    "between the turn and the lease keeps nothing (%i microtasks on)",
    async (depth) => {
      const { acquire, pool } = bench({ a: {} });
      const holder = await acquire("a");
      const caller = new AbortController();
      const leaving = acquire("a", caller.signal);
      holder.release();
      for (let n = 0; n < depth; n += 1) await Promise.resolve();
      caller.abort();
      await leaving.then(
        (lease) => lease.release(),
        (error: unknown) => expect(error).toBeInstanceOf(AbandonedError),
      );
      (await acquire("a")).release();
      expect(pool.status().models[0]).toMatchObject({ leases: 0, waiting: 0 });
    },
  );
});

describe("many callers", () => {
  it("that come, give up and release in any order are all answered, and leave nothing behind", async () => {
    const call = fc.record({
      model: fc.constantFrom("a", "b", "c", "d"),
      startsAt: fc.nat(6),
      leavesAfter: fc.option(fc.nat(8)),
      holdsFor: fc.nat(4),
    });
    const turns = async (count: number) => {
      for (let n = 0; n < count; n += 1) await settled();
    };
    const property = fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 25, size: "max" }), async (calls) => {
      const files = { "b.gguf": { measuredBytes: 1200 }, "c.gguf": { loadError: new Error("broken") } };
      const { acquire, engine, pool, clock } = bench({ a: { slots: 2 }, b: {}, c: {}, d: {} }, { files });
      const answers = calls.map(async ({ model, startsAt, leavesAfter, holdsFor }) => {
        await turns(startsAt);
        const caller = new AbortController();
        if (leavesAfter !== null) void turns(leavesAfter).then(() => caller.abort());
        try {
          const lease = await acquire(model, caller.signal);
          await turns(holdsFor);
          lease.release();
        } catch (error) {
          const isExpected = error instanceof PublicError ? error.code === "model_load_failed" : caller.signal.aborted;
          if (!isExpected) throw error;
        }
      });
      await Promise.all(answers);
      await settled();
      for (const model of pool.status().models) expect(model).toMatchObject({ leases: 0, waiting: 0 });
      await pool.close(1000);
      expect([engine.usedBytes, pool.status().reservedBytes, clock.pendingTimers]).toEqual([0, 0, 0]);
    });
    await fc.assert(property, { numRuns: 300 });
  });
});

describe("release", () => {
  it("does nothing the second time, and says so in the log", async () => {
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (_fields: unknown, message: string) => errors.push(message) };
    const { enginePool } = bench({ a: { slots: 2 } }, {}, { logger });
    const options = { signal: new AbortController().signal };
    const lease = await enginePool.acquire("a", options);
    await enginePool.acquire("a", options);
    lease.release();
    lease.release();
    expect(enginePool.status().models[0]?.leases).toBe(1);
    expect(errors).toEqual(["a lease was released twice; the second time did nothing"]);
  });
});

describe("refusals", () => {
  it("404 for a model that the pool does not have", async () => {
    const { acquire } = bench({ a: {}, b: {} });
    const error = await refusalOf(acquire("c"));
    expect(error).toMatchObject({ status: 404, code: "model_not_found" });
    expect(error.message).toContain("a, b");
  });

  it("404 for a missing file, with its path; later the file is there", async () => {
    const { acquire, engine, stateOf, enginePool } = bench({ a: {} }, { files: { "a.gguf": { file: "missing" } } });
    await enginePool.refreshFiles();
    expect(stateOf("a")).toBe("missing");
    const error = await refusalOf(acquire("a"));
    expect(error).toMatchObject({ status: 404, code: "model_file_missing", shouldRetry: false });
    expect(error.message).toBe("The model file of a is missing: a.gguf does not exist");
    engine.define("a.gguf", { file: "present" });
    await enginePool.refreshFiles();
    expect(stateOf("a")).toBe("available");
    (await acquire("a")).release();
  });

  it("503 for an invalid file, with the reason", async () => {
    const files = { "a.gguf": { file: "invalid", reason: "a.gguf ends within its header" } } as const;
    const { acquire, stateOf, pool } = bench({ a: {} }, { files });
    const error = await refusalOf(acquire("a"));
    expect(error).toMatchObject({ status: 503, code: "model_invalid", shouldRetry: false });
    expect(error.message).toContain("a.gguf ends within its header");
    expect(stateOf("a")).toBe("failed");
    expect(pool.status().models[0]?.lastError).toBe(error.message);
  });

  it("503 when the load fails, to all who wait for it; the next request tries again", async () => {
    const { acquire, clock, engine, pool, stateOf } = bench({ a: {}, b: {} }, { manual: { load: true } });
    // The second waits for a turn: it hears of it just as soon.
    const waiting = [acquire("a"), acquire("a")].map(refusalOf);
    (await engine.nextLoad()).fail(new Error("no memory for the KV cache"));
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ status: 503, code: "model_load_failed", shouldRetry: true, retryAfterS: 1 });
      expect(error.message).toBe("a could not be loaded: no memory for the KV cache");
    }
    const during = await refusalOf(acquire("a"));
    expect(during).toMatchObject({ status: 503, code: "model_load_failed", retryAfterS: 1 });
    expect(during.message).toContain("no memory for the KV cache. It is not tried again yet");
    expect(engine.untakenLoads).toBe(0);
    expect(pool.status().models[0]?.retryAtMs).toBe(clock.epochMs() + 1000);
    expect(stateOf("a")).toBe("failed");
    expect(pool.status()).toMatchObject({ reservedBytes: 0, counters: { loads: 0, loadFailures: 1 } });
    clock.advance(1000);
    const again = acquire("a");
    (await engine.nextLoad()).succeed();
    (await again).release();
    expect(pool.status().models[0]).toMatchObject({ state: "loaded", lastError: null });
  });

  it("503 without retry when the engine says that this file can never be loaded", async () => {
    const loadError = new PublicError("unknown architecture", {
      status: 503,
      type: "unavailable_error",
      code: "model_invalid",
      shouldRetry: false,
    });
    const { acquire } = bench({ a: {} }, { files: { "a.gguf": { loadError } } });
    expect(await refusalOf(acquire("a"))).toMatchObject({ status: 503, shouldRetry: false, retryAfterS: null });
  });

  it("507 at once for a model larger than the budget, with the three numbers", async () => {
    const files = { "pinned.gguf": { predictedBytes: 1024 }, "big.gguf": { predictedBytes: 3072 } };
    const { acquire } = bench({ pinned: { keep: true }, big: {} }, { files }, { budgetBytes: 4000 });
    await acquire("pinned");
    const error = await refusalOf(acquire("big"));
    expect(error).toMatchObject({ status: 507, code: "insufficient_memory", shouldRetry: false });
    expect(error.message).toContain("big needs 3.0 KiB, the RAM budget is 3.9 KiB, and pinned models hold 1.0 KiB");
    expect(error.message).toContain("ram_budget of at least 4.0 KiB");
  });

  it("429 when too many wait, with an estimate from the turns measured", async () => {
    const { acquire, clock } = bench({ a: {} }, {}, { maxWaiting: 2 });
    const first = await acquire("a");
    clock.advance(20_000);
    first.release();
    await settled();
    await acquire("a");
    void acquire("a");
    void acquire("a");
    const error = await refusalOf(acquire("a"));
    expect(error).toMatchObject({ status: 429, code: "queue_full", retryAfterS: 20, shouldRetry: true });
    expect(error.message).toBe("a is busy: 2 requests wait already, at most 2 may.");
  });

  it("frees the turn after a refusal", async () => {
    const { acquire } = bench({ a: {} }, { files: { "a.gguf": { file: "missing" } } });
    const refusals = await Promise.all([acquire("a"), acquire("a"), acquire("a")].map(refusalOf));
    expect(refusals.map(({ code }) => code)).toEqual(Array(3).fill("model_file_missing"));
  });
});

describe("reading ahead", () => {
  const budget = { budgetBytes: 1500 };

  it("reads a file while its model waits for memory, and until it is loaded", async () => {
    const { engine, acquire } = bench({ a: {}, b: {} }, {}, budget);
    const busy = await acquire("a");
    engine.define("b.gguf", { manual: { load: true } });
    const acquiring = acquire("b");
    await settled();
    expect([...engine.readingAhead]).toEqual(["b.gguf"]);
    busy.release();
    const load = await engine.nextLoad();
    expect([...engine.readingAhead]).toEqual(["b.gguf"]);
    load.succeed();
    await acquiring;
    expect([...engine.readingAhead]).toEqual([]);
  });

  it("stops when who waited has left, and when the pool closes", async () => {
    const { engine, acquire, enginePool } = bench({ a: {}, b: {} }, {}, budget);
    const busy = await acquire("a");
    const client = new AbortController();
    const leaving = acquire("b", client.signal);
    await settled();
    client.abort();
    await expect(leaving).rejects.toThrow(AbandonedError);
    expect([...engine.readingAhead]).toEqual([]);
    const refused = acquire("b");
    await settled();
    expect([...engine.readingAhead]).toEqual(["b.gguf"]);
    const closing = enginePool.close(1000);
    await expect(refused).rejects.toThrow(PublicError);
    expect([...engine.readingAhead]).toEqual([]);
    busy.release();
    await closing;
  });

  it("leaves to a load under way what it may still take", async () => {
    const machine = { availableBytes: () => 5000, memoryReserveBytes: 300 };
    const { engine, acquire } = bench({ a: {} }, { manual: { load: true } }, machine);
    const acquiring = acquire("a");
    const load = await engine.nextLoad();
    expect(engine.readAheadRoom?.availableBytes()).toBe(4000);
    expect(engine.readAheadRoom?.reserveBytes).toBe(300);
    load.succeed();
    await acquiring;
  });

  it("at the start reads the next model's file while one is loaded, and none that then finds no room", async () => {
    const { engine, enginePool } = bench({ a: {}, b: {}, c: {} }, { manual: { load: true } });
    const warming = enginePool.warmUp(["a", "b", "c"]);
    const first = await engine.nextLoad();
    expect([...engine.readingAhead]).toEqual(["b.gguf", "a.gguf"]);
    first.succeed();
    const second = await engine.nextLoad();
    expect([...engine.readingAhead]).toEqual(["b.gguf", "c.gguf"]);
    second.succeed();
    await warming;
    expect([...engine.readingAhead]).toEqual([]);
    await enginePool.warmUp(["c", "a"]);
    expect([...engine.readingAhead]).toEqual([]);
  });
});

describe("warmUp", () => {
  it("loads in the given order as far as the budget reaches, and evicts nobody", async () => {
    const { engine, enginePool, stateOf } = bench({ a: {}, b: {}, c: {} });
    await enginePool.warmUp(["c", "a", "b"]);
    expect(["a", "b", "c"].map(stateOf)).toEqual(["loaded", "available", "loaded"]);
    expect(engine.disposeCount("c.gguf")).toBe(0);
  });

  it("goes on after a failure", async () => {
    const { enginePool, stateOf } = bench({ a: {}, b: {} }, { files: { "a.gguf": { file: "missing" } } });
    await enginePool.warmUp(["a", "b"]);
    expect(["a", "b"].map(stateOf)).toEqual(["missing", "loaded"]);
  });
});

describe("auto unload", () => {
  it("unloads after the idle time, counted from the end of the last use", async () => {
    const { acquire, clock, engine, stateOf } = bench({ a: {} }, {}, { autoUnloadAfterMs: 1000 });
    const lease = await acquire("a");
    clock.advance(5000);
    lease.release();
    clock.advance(500);
    const again = await acquire("a");
    expect(clock.pendingTimers).toBe(0);
    again.release();
    clock.advance(999);
    expect(stateOf("a")).toBe("loaded");
    clock.advance(1);
    await settled();
    expect([stateOf("a"), engine.disposeCount("a.gguf")]).toEqual(["available", 1]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("a file that was never loaded here", () => {
  it("is tried by another process first, within the reservation, and measured then", async () => {
    const files = { "a.gguf": { proven: false, predictedBytes: 1500 } };
    const { engine, acquire, pool } = bench({ a: {} }, { files });
    (await acquire("a")).release();
    (await acquire("a")).release();
    expect(engine.proofs).toEqual(["a.gguf"]);
    const types = pool.events().map(({ type }) => type);
    expect(types).toEqual(["proof_started", "proof_finished", "load_started", "load_finished"]);
    expect(pool.status().counters.loads).toBe(1);
  });

  it("and ends that process is refused with the reason, and never comes near this one", async () => {
    const flaw = "a.gguf: a process that tried to load it was ended by SIGSEGV";
    const { engine, acquire, stateOf } = bench({ a: {}, b: {} }, { files: { "a.gguf": { proven: false, flaw } } });
    const error = await refusalOf(acquire("a"));
    expect(error).toMatchObject({ status: 503, code: "model_invalid", shouldRetry: false });
    expect(error.message).toContain(flaw);
    expect([engine.loadCount("a.gguf"), stateOf("a")]).toEqual([0, "failed"]);
    (await acquire("b")).release();
  });
});

describe("what the events tell beside the unloads", () => {
  it("a load's progress every two seconds, and a full queue", async () => {
    const { acquire, clock, engine, pool } = bench({ a: {} }, { manual: { load: true } }, { maxWaiting: 0 });
    const first = acquire("a");
    const load = await engine.nextLoad();
    for (const share of [0.1, 0.2, 0.3]) {
      load.progress(share);
      clock.advance(1000);
    }
    load.succeed();
    await first;
    expect((await refusalOf(acquire("a"))).status).toBe(429);
    expect(pool.events()).toMatchObject([
      { type: "load_started" },
      { type: "load_progress", share: 0.3 },
      { type: "load_finished" },
      { type: "refused", code: "queue_full" },
    ]);
  });

  it("507 for a file that alone is too large says so before anybody has tried it", async () => {
    const { acquire, engine } = bench({ a: {} }, { files: { "a.gguf": { proven: false, predictedBytes: 3000 } } });
    const error = await refusalOf(acquire("a"));
    expect(error).toMatchObject({ status: 507, code: "insufficient_memory" });
    expect(error.message).toContain("needs more than 2.9 KiB");
    expect(engine.proofs).toEqual([]);
  });
});

describe("a smaller context", () => {
  const files = {
    "a.gguf": { predictedBytes: 3000, measuredBytes: 1900, predictedBytesOf: { 2048: 2500, 1024: 1900 } },
  };

  it("is taken where the wanted one can never fit, and shown", async () => {
    const models = { a: { contextTokens: 4096, minContextTokens: 512 } };
    const { acquire, pool } = bench(models, { files });
    const lease = await acquire("a");
    expect(lease.model.contextTokens).toBe(1024);
    expect(pool.status().models[0]).toMatchObject({ contextTokens: 1024, reducedFromTokens: 4096 });
    expect(pool.events().map(({ type }) => type)).toContain("context_reduced");
  });

  it("is not taken below what the configuration allows: 507 with the numbers of both", async () => {
    const { acquire } = bench({ a: { contextTokens: 4096, minContextTokens: 2048 } }, { files });
    const error = await refusalOf(acquire("a"));
    expect(error).toMatchObject({ status: 507, code: "insufficient_memory", shouldRetry: false });
    expect(error.message).toContain("2048 tokens");
  });
});

describe("a load that takes too long", () => {
  it("is given up: 503 with the reason; when it ends it is thrown away", async () => {
    const { acquire, clock, engine, pool } = bench({ a: {} }, { manual: { load: true } }, { loadTimeoutMs: 5000 });
    const waiting = refusalOf(acquire("a"));
    const load = await engine.nextLoad();
    clock.advance(5000);
    expect(await waiting).toMatchObject({ status: 503, code: "model_load_failed", retryAfterS: 1 });
    expect(load.abandoned).toBe(true);
    expect(pool.status()).toMatchObject({ reservedBytes: 1000, models: [{ state: "loading" }] });
    load.succeed();
    await settled();
    expect(pool.status()).toMatchObject({ reservedBytes: 0, models: [{ state: "failed" }] });
    expect(engine.disposeCount("a.gguf")).toBe(1);
  });
});

describe("a file that changes under its model", () => {
  it("is loaded anew before the next lease", async () => {
    const { acquire, clock, engine } = bench({ a: {} });
    (await acquire("a")).release();
    engine.define("a.gguf", {});
    (await acquire("a")).release();
    // Looked at once a second, not at each request.
    expect(engine.loadCount("a.gguf")).toBe(1);
    clock.advance(1000);
    (await acquire("a")).release();
    expect(engine.loadCount("a.gguf")).toBe(2);
  });
});

describe("quarantine", () => {
  it("keeps a model from the engine until it is lifted", async () => {
    const quarantined = new Map([["a", "the process was ended by SIGSEGV twice while it was generating"]]);
    const { acquire, engine, pool, stateOf } = bench({ a: {}, b: {} }, {}, { quarantined });
    const error = await refusalOf(acquire("a"));
    expect(error).toMatchObject({ status: 503, code: "model_quarantined", shouldRetry: false });
    expect(error.message).toContain("SIGSEGV twice");
    expect(stateOf("a")).toBe("failed");
    expect(pool.status().models[0]).toMatchObject({ quarantined: true, lastError: error.message });
    (await acquire("b")).release();
    expect(engine.loadCount("a.gguf")).toBe(0);
    expect([pool.lift("a"), pool.lift("a")]).toEqual([true, false]);
    (await acquire("a")).release();
  });
});

describe("peek", () => {
  it("shows a model from its load to the moment at which its unloading begins", async () => {
    const { acquire, engine, pool } = bench({ a: {} }, { manual: { load: true, dispose: true } });
    expect(pool.peek("a")).toBeNull();
    const acquiring = acquire("a");
    const load = await engine.nextLoad();
    expect(pool.peek("a")).toBeNull();
    load.succeed();
    const lease = await acquiring;
    expect(pool.peek("a")).toBe(lease.model);
    lease.release();
    expect(pool.peek("a")).toBe(lease.model);
    pool.unload("a");
    expect(pool.peek("a")).toBeNull();
    (await engine.nextDispose()).finish();
    expect(pool.peek("x")).toBeNull();
  });
});

describe("unload", () => {
  it("frees an idle model, and leaves one that is used or pinned", async () => {
    const { acquire, pool, stateOf } = bench({ a: {}, pinned: { keep: true } });
    expect(pool.unload("a")).toBe("not_loaded");
    (await acquire("pinned")).release();
    const lease = await acquire("a");
    expect([pool.unload("a"), pool.unload("pinned")]).toEqual(["busy", "busy"]);
    lease.release();
    expect(pool.unload("a")).toBe("unloading");
    await settled();
    expect(stateOf("a")).toBe("available");
    expect(() => pool.unload("x")).toThrow(/does not exist/);
  });
});

describe("the machine's memory", () => {
  it("is looked at once a second; where it is short idle models go", async () => {
    let availableBytes = 10_000;
    const { acquire, clock, pool, stateOf } = bench(
      { a: {}, b: {} },
      {},
      { availableBytes: () => availableBytes, memoryReserveBytes: 500 },
    );
    (await acquire("a")).release();
    const busy = await acquire("b");
    availableBytes = 400;
    clock.advance(1000);
    await settled();
    expect([stateOf("a"), stateOf("b")]).toEqual(["available", "loaded"]);
    expect(pool.events().find(({ type }) => type === "unload_started")).toMatchObject({ reason: "memory_pressure" });
    expect(pool.status().machineAvailableBytes).toBe(400);
    const error = await refusalOf(acquire("a"));
    expect(error).toMatchObject({ status: 503, code: "machine_memory_short", shouldRetry: true });
    busy.release();
  });
});

describe("a look at the machine's memory while a model loads", () => {
  it("does not count the load twice when it ends", async () => {
    let availableBytes = 1900;
    const { acquire, clock, engine, stateOf } = bench(
      { a: {}, b: {} },
      { manual: { load: true } },
      { availableBytes: () => availableBytes, memoryReserveBytes: 100 },
    );
    const first = acquire("a");
    (await engine.nextLoad()).succeed(800);
    (await first).release();
    availableBytes = 1100;
    const second = acquire("b");
    const load = await engine.nextLoad();
    availableBytes = 150;
    clock.advance(1000);
    load.succeed(950);
    (await second).release();
    expect([stateOf("a"), stateOf("b")]).toEqual(["loaded", "loaded"]);
  });
});

describe("activity", () => {
  it("is told before the engine loads and before a lease is out, and after both", async () => {
    const told: unknown[] = [];
    const { acquire, engine } = bench(
      { a: {} },
      { manual: { load: true } },
      { onActivity: (activity) => void told.push(activity) },
    );
    const acquiring = acquire("a");
    const load = await engine.nextLoad();
    expect(told).toEqual([{ loading: ["a"], generating: [] }]);
    load.succeed();
    const lease = await acquiring;
    expect(told.slice(1)).toContainEqual({ loading: [], generating: ["a"] });
    lease.release();
    expect(told.at(-1)).toEqual({ loading: [], generating: [] });
  });
});

describe("reconfigure", () => {
  const settingsOf = ({ options }: Bench, models: readonly PoolModel[]) => ({ ...options, models });

  it("adds, changes and removes without dropping a request", async () => {
    const house = bench({ a: {}, b: {} });
    const [a, b] = house.options.models;
    if (a === undefined || b === undefined) throw new Error("two models are described");
    const runningA = await house.acquire("a");
    const runningB = await house.acquire("b");
    const waitingA = house.acquire("a");
    const waitingB = house.acquire("b");
    const changedA = { ...a, spec: { ...a.spec, path: "a2.gguf" } };
    const c = { ...b, id: "c", spec: { ...b.spec, path: "c.gguf" } };
    expect(house.enginePool.reconfigure(settingsOf(house, [changedA, c]))).toEqual({
      added: ["c"],
      changed: ["a"],
      removed: ["b"],
    });
    expect(await refusalOf(house.acquire("b"))).toMatchObject({ status: 404, code: "model_not_found" });
    runningA.release();
    const newA = await waitingA;
    expect(newA.model.file.path).toBe("a2.gguf");
    runningB.release();
    (await waitingB).release();
    newA.release();
    (await house.acquire("c")).release();
    await settled();
    expect(house.pool.status().models.map(({ modelId }) => modelId)).toEqual(["a", "c"]);
    expect([house.engine.isLoaded("a.gguf"), house.engine.isLoaded("b.gguf")]).toEqual([false, false]);
  });

  it("takes back a model that was about to go", async () => {
    const house = bench({ a: {} });
    const running = await house.acquire("a");
    house.enginePool.reconfigure(settingsOf(house, []));
    expect(house.enginePool.reconfigure(settingsOf(house, house.options.models)).added).toEqual(["a"]);
    running.release();
    (await house.acquire("a")).release();
    expect(house.engine.loadCount("a.gguf")).toBe(1);
  });

  it("changes the number of slots at once", async () => {
    const house = bench({ a: {} });
    const first = await house.acquire("a");
    const second = house.acquire("a");
    const [a] = house.options.models;
    if (a === undefined) throw new Error("a model is described");
    house.enginePool.reconfigure(settingsOf(house, [{ ...a, spec: { ...a.spec, slots: 2 } }]));
    first.release();
    const [again, other] = await Promise.all([second, house.acquire("a")]);
    again.release();
    other.release();
    expect(house.engine.loadCount("a.gguf")).toBe(2);
  });
});

describe("eight requests for each of two models that do not fit together", () => {
  it("need one swap, in whatever order they come", async () => {
    const { acquire, engine } = bench({ a: {}, b: {} }, {}, { budgetBytes: 1500 });
    const ids = Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? "a" : "b"));
    const serve = async (id: string) => {
      const lease = await acquire(id);
      await settled();
      lease.release();
    };
    await Promise.all(ids.map(serve));
    expect([engine.loadCount("a.gguf"), engine.loadCount("b.gguf")]).toEqual([1, 1]);
  });
});

describe("details that nothing else holds", () => {
  it("asks the machine anew before each load", async () => {
    let availableBytes = 10_000;
    const { acquire } = bench({ a: {} }, {}, { availableBytes: () => availableBytes });
    availableBytes = 100;
    expect(await refusalOf(acquire("a"))).toMatchObject({ code: "machine_memory_short" });
  });
  it("counts what an unloaded model gave back once", async () => {
    const files = { "h.gguf": { predictedBytes: 1500, manual: { load: true } }, "k.gguf": { manual: { load: true } } };
    let usedBytes = () => 0;
    const house = bench(
      { a: {}, h: {}, k: {} },
      { files },
      { budgetBytes: 5000, availableBytes: () => 2000 - usedBytes() },
    );
    usedBytes = () => house.engine.usedBytes;
    const busy = await house.acquire("a");
    void house.acquire("h");
    await settled();
    void house.acquire("k");
    await settled();
    busy.release();
    await settled();
    await settled();
    expect([house.engine.loadCount("h.gguf"), house.engine.loadCount("k.gguf")]).toEqual([1, 0]);
  });
  it("tells each request its own share of a load, and of the wait before it", async () => {
    const { acquire, clock, engine } = bench(
      { a: {}, b: { slots: 2 } },
      { files: { "b.gguf": { manual: { load: true } } } },
      { budgetBytes: 1500 },
    );
    const busy = await acquire("a");
    const first = acquire("b");
    await settled();
    clock.advance(50);
    busy.release();
    const load = await engine.nextLoad();
    clock.advance(10);
    const second = acquire("b");
    await settled();
    clock.advance(20);
    load.succeed();
    expect(await first).toMatchObject({ queueMs: 50, loadMs: 30 });
    expect(await second).toMatchObject({ queueMs: 0, loadMs: 20 });
  });
  it("says how long an evicted model was idle", async () => {
    const { acquire, clock, pool } = bench({ a: {}, b: {} }, {}, { budgetBytes: 1500 });
    (await acquire("a")).release();
    clock.advance(700);
    (await acquire("b")).release();
    expect(pool.events().find(({ type }) => type === "unload_started")).toMatchObject({
      modelId: "a",
      idleMs: 700,
      forModelId: "b",
      waiting: 1,
    });
  });
  it("offers a smaller context beside pinned models", async () => {
    const files = {
      "a.gguf": { predictedBytes: 3000, measuredBytes: 1900, predictedBytesOf: { 2048: 2500, 1024: 1900 } },
    };
    const { acquire } = bench(
      { p: { keep: true }, a: { contextTokens: 4096, minContextTokens: 512 } },
      { files },
      { budgetBytes: 3000 },
    );
    await acquire("p");
    expect((await acquire("a")).model.contextTokens).toBe(1024);
  });
  it("429 reckons with all slots", async () => {
    const { acquire, clock } = bench({ a: { slots: 2 } }, {}, { maxWaiting: 0 });
    const first = await acquire("a");
    clock.advance(20_000);
    first.release();
    await settled();
    await acquire("a");
    await acquire("a");
    expect((await refusalOf(acquire("a"))).retryAfterS).toBe(10);
  });

  it("a quarantine outlives a configuration without its model, and a lift ends it for good", async () => {
    const house = bench({ a: {}, b: {} }, {}, { quarantined: new Map([["a", "SIGSEGV twice"]]) });
    const all = house.options.models;
    const without = { ...house.options, models: all.slice(1) };
    house.enginePool.reconfigure(without);
    house.enginePool.reconfigure({ ...house.options, models: all });
    expect(await refusalOf(house.acquire("a"))).toMatchObject({ code: "model_quarantined" });
    house.pool.lift("a");
    house.enginePool.reconfigure(without);
    house.enginePool.reconfigure({ ...house.options, models: all });
    (await house.acquire("a")).release();
  });
  it("what one slot took says nothing about two", async () => {
    const files = { "a.gguf": { predictedBytes: 1000, measuredBytes: 700 } };
    const house = bench({ a: {} }, { files, manual: { load: true } });
    const first = house.acquire("a");
    (await house.engine.nextLoad()).succeed();
    (await first).release();
    const [a] = house.options.models;
    if (a === undefined) throw new Error("a model is described");
    house.enginePool.reconfigure({ ...house.options, models: [{ ...a, spec: { ...a.spec, slots: 2 } }] });
    const second = house.acquire("a");
    const load = await house.engine.nextLoad();
    expect(house.pool.status().reservedBytes).toBe(1000);
    load.succeed();
    (await second).release();
  });
  it("predicts no smaller context where the wanted one has room", async () => {
    const { acquire, engine } = bench({ a: { contextTokens: 4096, minContextTokens: 512 } });
    let predictions = 0;
    const predict = engine.predictBytes.bind(engine);
    engine.predictBytes = async (spec) => {
      predictions += 1;
      return predict(spec);
    };
    (await acquire("a")).release();
    expect(predictions).toBe(1);
  });
});

describe("status", () => {
  it("shows a load's progress, who waits, and what is pinned", async () => {
    const { acquire, engine, pool } = bench({ a: { keep: true } }, { manual: { load: true } });
    const acquiring = [acquire("a"), acquire("a")];
    const load = await engine.nextLoad();
    load.progress(0.4);
    expect(pool.status().models).toEqual([
      {
        modelId: "a",
        state: "loading",
        reservedBytes: 1000,
        leases: 0,
        waiting: 2,
        loadProgress: 0.4,
        lastError: null,
        pinned: true,
        retryAtMs: null,
        quarantined: false,
        contextTokens: 4096,
        reducedFromTokens: null,
      },
    ]);
    expect(pool.status().progressing).toBe(true);
    load.succeed();
    await acquiring[0];
    expect(pool.status()).toMatchObject({ progressing: true, models: [{ leases: 1, waiting: 1, loadProgress: null }] });
  });
});

describe("close", () => {
  it("refuses new work and what waits, lets leases finish, then disposes each model once", async () => {
    const { acquire, engine, pool } = bench({ a: {}, b: { keep: true } });
    (await acquire("b")).release();
    const busy = await acquire("a");
    const queued = refusalOf(acquire("a"));
    let closed = false;
    const closing = pool.close(60_000).then(() => (closed = true));
    expect(await queued).toMatchObject({ status: 503, code: "draining" });
    expect(await refusalOf(acquire("a"))).toMatchObject({ status: 503, code: "draining" });
    await settled();
    expect([closed, engine.disposeCount("a.gguf"), engine.disposeCount("b.gguf")]).toEqual([false, 0, 1]);
    busy.release();
    await closing;
    expect(engine.disposeCount("a.gguf")).toBe(1);
    expect(engine.usedBytes).toBe(0);
  });

  it("gives up at the deadline and leaves the leased model alone", async () => {
    const { acquire, clock, engine, pool } = bench({ a: {} });
    const busy = await acquire("a");
    const closing = pool.close(1000);
    clock.advance(1000);
    await closing;
    expect(engine.isLoaded("a.gguf")).toBe(true);
    busy.release();
    await pool.close(1000);
    expect(engine.isLoaded("a.gguf")).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it("stops a load and waits for its real end", async () => {
    const { acquire, engine, pool } = bench({ a: {} }, { manual: { load: true } });
    const waiting = refusalOf(acquire("a"));
    const load = await engine.nextLoad();
    let closed = false;
    const closing = pool.close(60_000).then(() => (closed = true));
    expect(await waiting).toMatchObject({ code: "draining" });
    expect([load.abandoned, closed]).toEqual([true, false]);
    // Too late to stop it: it succeeds, and is unloaded.
    load.succeed();
    await closing;
    expect([engine.disposeCount("a.gguf"), engine.usedBytes]).toEqual([1, 0]);
  });

  it("resolves at once where nothing was loaded", async () => {
    const { pool, clock } = bench({ a: {} });
    await pool.close(60_000);
    expect(clock.pendingTimers).toBe(0);
  });
});
