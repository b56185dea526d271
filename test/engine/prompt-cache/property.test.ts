// Whatever happens in whatever order: memory within its limit, the bytes that were kept, freed once each.
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { StateLease, Reservation } from "../../../src/engine/prompt-cache/prompt-cache.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { type CacheUnderTest, fillState, openCache, stateOf, tokensOf } from "./cache-under-test.ts";

const limits = { ramBytes: 20_000, diskBytes: 30_000, maxAgeMs: 2000 };

/** Few tokens and short, so that conversations often share a beginning. */
const tokens = fc
  .array(fc.integer({ min: 1, max: 2 }), { minLength: 2, maxLength: 4 })
  .map((list) => tokensOf(...list));
const model = fc.constantFrom("a", "a", "a", "b");
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("reserve" as const),
      model,
      tokens,
      sizeBytes: fc.integer({ min: 1, max: 9000 }),
      minPrefixTokens: fc.integer({ min: 1, max: 2 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("end" as const),
      isKept: fc.integer({ min: 0, max: 4 }).map((drawn) => drawn > 0),
    }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("load" as const), model, tokens, isWaitedFor: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("release" as const) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("ticks" as const), count: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 400 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("forget" as const), model }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("disk" as const), bytes: fc.integer({ min: 0, max: limits.diskBytes }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("restart" as const) }) },
);

/** A state's bytes must be told apart by model and size too. */
const contentOf = (model: string, tokens: Int32Array, sizeBytes: number): Int32Array =>
  tokensOf(model.charCodeAt(0), sizeBytes, ...tokens);

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** A cache as it lives through one run, restarts included, and all that is out of it at the moment. */
class Run {
  readonly #options: { readonly folder: string; readonly clock: ManualClock };
  #under: CacheUnderTest;
  #filled: { readonly room: Reservation; readonly content: Int32Array }[] = [];
  readonly #leases: { readonly lease: StateLease; readonly expected: Uint8Array }[] = [];
  readonly #loading = new Set<Promise<void>>();
  loads = 0;
  spills = 0;

  private constructor(options: { folder: string; clock: ManualClock }, under: CacheUnderTest) {
    this.#options = options;
    this.#under = under;
  }

  static async start(folder: string): Promise<Run> {
    const options = { folder, clock: new ManualClock() };
    return new Run(options, await openCache({ ...limits, ...options }));
  }

  async play(step: Action): Promise<void> {
    const { cache } = this.#under;
    switch (step.type) {
      case "reserve": {
        const room = cache.reserve(step.model, step.tokens, step.sizeBytes, step.minPrefixTokens);
        if (room === null) break;
        const content = contentOf(step.model, step.tokens, step.sizeBytes);
        fillState(room.bytes, content);
        this.#filled.push({ room, content });
        break;
      }
      case "end": {
        const ended = this.#filled.shift();
        if (step.isKept) ended?.room.keep();
        else ended?.room.discard();
        break;
      }
      case "load":
        await this.#load(step);
        break;
      case "release":
        this.#leases.shift()?.lease.release();
        break;
      case "ticks":
        for (let count = 0; count < step.count; count += 1) {
          await new Promise((resolve) => setImmediate(resolve));
          this.check();
        }
        break;
      case "wait":
        this.#options.clock.advance(step.ms);
        break;
      case "forget":
        cache.forgetModel(step.model);
        assert.equal(cache.find(step.model, tokensOf(1, 2, 3)), null);
        break;
      case "disk":
        cache.setLimits({ ...limits, diskBytes: step.bytes });
        break;
      case "restart":
        await this.end();
        this.#under = await openCache({ ...limits, ...this.#options });
        break;
    }
    this.check();
  }

  check(): void {
    const { cache, memory } = this.#under;
    const status = cache.status();
    assert(memory.bytes <= limits.ramBytes);
    assert(status.ramBytes >= memory.bytes);
    assert(status.ramBytes <= limits.ramBytes);
    // A file that is being written when the limit is lowered is given up a moment later.
    assert(status.diskBytes <= limits.diskBytes);
    for (const { lease, expected } of this.#leases) assert.equal(Buffer.compare(lease.bytes, expected), 0);
  }

  /** What is out comes back after the end. */
  async end(): Promise<void> {
    const { cache, memory, warnings } = this.#under;
    await Promise.all(this.#loading);
    await cache.close(1e9);
    for (const { lease } of this.#leases.splice(0)) lease.release();
    for (const { room } of this.#filled.splice(0)) room.keep();
    assert.equal(memory.buffers, 0);
    assert.deepEqual(warnings, []);
    assert.equal(cache.status().damaged, 0);
    const files = readdirSync(this.#options.folder).map((name) => statSync(path.join(this.#options.folder, name)).size);
    const bytesOnDisk = files.reduce((sum, sizeBytes) => sum + sizeBytes, 0);
    assert.equal(bytesOnDisk, cache.status().diskBytes);
    assert(bytesOnDisk <= cache.status().diskLimitBytes);
    this.spills += cache.status().spills;
  }

  async #load(step: Extract<Action, { type: "load" }>): Promise<void> {
    const { cache } = this.#under;
    const found = cache.find(step.model, step.tokens);
    if (found === null) return;
    const { entry, prefixTokens } = found;
    assert(prefixTokens >= entry.minPrefixTokens);
    assert.deepEqual(entry.tokens.subarray(0, prefixTokens), step.tokens.subarray(0, prefixTokens));
    const content = contentOf(step.model, entry.tokens, entry.sizeBytes);
    const load = (async () => {
      const lease = await cache.load(entry);
      if (lease === null) return;
      this.loads += 1;
      this.#leases.push({ lease, expected: stateOf(content, lease.bytes.length) });
      this.check();
    })();
    this.#loading.add(load);
    if (step.isWaitedFor) await load;
  }
}

it("any order of keeping, loading, forgetting and starting again", async () => {
  const root = testFolder();
  const seen = { runs: 0, loads: 0, spills: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 100, size: "max" }), async (actions) => {
      seen.runs += 1;
      const run = await Run.start(path.join(root, String(seen.runs)));
      for (const step of actions) await run.play(step);
      await run.end();
      seen.loads += run.loads;
      seen.spills += run.spills;
    }),
    { numRuns: 300 },
  );
  // The runs were about something.
  expect(seen.loads).toBeGreaterThan(200);
  expect(seen.spills).toBeGreaterThan(200);
});
