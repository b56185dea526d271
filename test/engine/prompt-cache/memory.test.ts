// What the cache keeps, finds and drops in memory; no files here.
import { describe, expect, it } from "vitest";
import { conversation, entryFor, keep, loaded, openCache, stateOf, tokensOf } from "./cache-under-test.ts";

describe("find", () => {
  it("takes the longest common prefix, of the same model alone", async () => {
    const { cache } = await openCache();
    keep(cache, "m", tokensOf(1, 2, 3, 9), 100);
    keep(cache, "m", tokensOf(1, 2, 3, 4, 8), 100);
    keep(cache, "other", tokensOf(1, 2, 3, 4, 5), 100);
    const found = cache.find("m", [1, 2, 3, 4, 5, 6]);
    expect(found?.prefixTokens).toBe(4);
    expect(found?.entry.tokens).toEqual(tokensOf(1, 2, 3, 4, 8));
    expect(cache.find("m", tokensOf(2))).toBeNull();
    expect(cache.find("unknown", [1, 2])).toBeNull();
    expect(cache.find("m", [])).toBeNull();
  });

  it("counts a state only from the length on from which it is of use", async () => {
    const { cache } = await openCache();
    keep(cache, "m", tokensOf(1, 2, 3, 4), 100, 3);
    expect(cache.find("m", [1, 2, 9])).toBeNull();
    expect(cache.find("m", [1, 2, 3, 9])?.prefixTokens).toBe(3);
    keep(cache, "m", tokensOf(1, 2, 8), 100, 1);
    expect(cache.find("m", [1, 2, 9])?.prefixTokens).toBe(2);
  });

  it("prefers the smaller of two equally good states", async () => {
    const { cache } = await openCache();
    keep(cache, "m", tokensOf(1, 2, 7), 200);
    keep(cache, "m", tokensOf(1, 2, 8), 100);
    keep(cache, "m", tokensOf(1, 2, 9), 300);
    expect(cache.find("m", [1, 2, 3])?.entry.sizeBytes).toBe(100);
    // More in common counts for more than size.
    keep(cache, "m", tokensOf(1, 2, 3, 7), 400);
    keep(cache, "m", tokensOf(1, 6), 50);
    expect(cache.find("m", [1, 2, 3])?.entry.sizeBytes).toBe(400);
  });
});

describe("reserve", () => {
  it("gives the bytes back as they were written", async () => {
    const { cache } = await openCache();
    const tokens = conversation(1, 5);
    expect(keep(cache, "m", tokens, 1234)).toBe(true);
    expect(await loaded(cache, "m", tokens)).toEqual(stateOf(tokens, 1234));
    expect(cache.status()).toMatchObject({ hits: 1, misses: 0, entries: 1, ramBytes: 1234 + 20 });
  });

  it("copies the tokens", async () => {
    const { cache } = await openCache();
    const tokens = tokensOf(1, 2, 3);
    const room = cache.reserve("m", tokens, 10, 1);
    tokens.fill(7);
    room?.keep();
    expect(cache.find("m", [1, 2, 3])?.prefixTokens).toBe(3);
  });

  it("lets a conversation that goes on supersede its beginning", async () => {
    const { cache, memory } = await openCache();
    keep(cache, "m", tokensOf(1, 2), 100);
    keep(cache, "other", tokensOf(1, 2), 100);
    keep(cache, "m", tokensOf(1, 9), 100);
    keep(cache, "m", tokensOf(1, 2, 3), 150);
    expect(cache.status().entries).toBe(3);
    expect(memory.bytes).toBe(350);
    expect(cache.find("m", [1, 2])?.entry.tokens).toEqual(tokensOf(1, 2, 3));
  });

  it("wants nothing that is covered, and counts that as use", async () => {
    const { cache, memory } = await openCache({ ramBytes: 10_000, folder: null });
    keep(cache, "m", tokensOf(1, 2, 3), 4000);
    keep(cache, "m", tokensOf(5, 6), 4000);
    expect(cache.reserve("m", tokensOf(1, 2, 3), 4000, 1)).toBeNull();
    expect(cache.reserve("m", tokensOf(1, 2), 4000, 1)).toBeNull();
    expect(memory.buffers).toBe(2);
    keep(cache, "m", tokensOf(7, 8), 4000);
    expect(cache.find("m", tokensOf(5, 6))).toBeNull();
    expect(cache.find("m", tokensOf(1, 2))).not.toBeNull();
  });

  it("keeps the beginning where the longer state is of no use to it", async () => {
    const { cache } = await openCache();
    keep(cache, "m", tokensOf(1, 2), 100, 1);
    keep(cache, "m", tokensOf(1, 2, 3, 4), 100, 3);
    expect(cache.status().entries).toBe(2);
    expect(cache.find("m", [1, 2, 9])?.entry.tokens).toEqual(tokensOf(1, 2));
    // Of use from the end of the one before: that one may go.
    keep(cache, "m", tokensOf(1, 2, 3, 4, 5, 6), 100, 4);
    expect(cache.status().entries).toBe(2);
    expect(keep(cache, "m", tokensOf(1, 2, 3), 100, 2)).toBe(true);
  });

  it("drops what was used longest ago, and counts loading as use", async () => {
    const { cache, memory } = await openCache({ ramBytes: 10_000 });
    for (const id of [1, 2, 3]) keep(cache, "m", conversation(id, 2), 3000);
    await loaded(cache, "m", conversation(1, 2));
    keep(cache, "m", conversation(4, 2), 3000);
    expect([1, 2, 3, 4].map((id) => cache.find("m", conversation(id, 2)) !== null)).toEqual([true, false, true, true]);
    expect(memory.mostBytes).toBe(9000);
  });

  it("does not take what cannot fit, and drops nothing for it", async () => {
    const { cache, memory } = await openCache({ ramBytes: 10_000 });
    keep(cache, "m", tokensOf(1), 3000);
    expect(cache.reserve("m", tokensOf(2), 9_997, 1)).toBeNull();
    expect(cache.reserve("m", conversation(3, 313), 1, 1)).toBeNull();
    const lease = await cache.load(entryFor(cache, "m", [1]));
    expect(cache.reserve("m", tokensOf(2), 7_000, 1)).toBeNull();
    lease?.release();
    expect(memory.bytes).toBe(3000);
    expect(keep(cache, "m", tokensOf(2), 9_992, 1)).toBe(true);
    expect(memory.bytes).toBe(9_992);
  });

  it("keeps a bounded number of states", async () => {
    const { cache, memory } = await openCache();
    for (let id = 1; id <= 1030; id += 1) keep(cache, "m", tokensOf(id), 1);
    expect(cache.status().entries).toBe(1024);
    expect(memory.buffers).toBe(1024);
    expect(cache.find("m", [6])).toBeNull();
    expect(cache.find("m", [7])).not.toBeNull();
  });

  it.each([
    [0, 1],
    [-1, 1],
    [1.5, 1],
    [Number.NaN, 1],
    [100, 0],
    [100, 4],
    [100, 1.5],
  ])("refuses a state of %d bytes that is of use from token %d on", async (sizeBytes, minPrefixTokens) => {
    const { cache } = await openCache();
    expect(cache.reserve("m", tokensOf(1, 2, 3), sizeBytes, minPrefixTokens)).toBeNull();
  });

  it("counts memory that is being filled, and gives it back when it is discarded", async () => {
    const { cache, memory } = await openCache({ ramBytes: 10_000 });
    const room = cache.reserve("m", tokensOf(1), 6000, 1);
    expect(cache.status()).toMatchObject({ ramBytes: 6004, entries: 0 });
    expect(cache.reserve("m", tokensOf(2), 6000, 1)).toBeNull();
    room?.discard();
    room?.keep();
    room?.discard();
    expect(cache.status()).toMatchObject({ ramBytes: 0, entries: 0 });
    expect(memory.buffers).toBe(0);
  });

  it("keeps one of two states of the same tokens that were filled at the same time", async () => {
    const { cache, memory } = await openCache();
    const rooms = [1, 2].map(() => cache.reserve("m", tokensOf(1, 2), 100, 1));
    for (const room of rooms) room?.keep();
    expect(memory.buffers).toBe(1);
    expect(cache.status()).toMatchObject({ entries: 1, ramBytes: 108 });
    const [longer, shorter] = [tokensOf(1, 2, 3, 4), tokensOf(1, 2, 3)].map((of) => cache.reserve("m", of, 100, 1));
    longer?.keep();
    shorter?.keep();
    expect(memory.buffers).toBe(1);
    expect(cache.status()).toMatchObject({ entries: 1, ramBytes: 116 });
  });

  it("lives with an allocation that fails", async () => {
    const { cache, warnings } = await openCache({
      allocate: () => {
        throw new Error("out of memory");
      },
    });
    expect(keep(cache, "m", tokensOf(1), 2048)).toBe(false);
    expect(keep(cache, "m", tokensOf(1), 2048)).toBe(false);
    expect(warnings).toEqual(["no memory for a conversation of 2.0 KiB: out of memory"]);
    expect(cache.status().ramBytes).toBe(0);
  });
});

describe("load", () => {
  it("does not drop leased states to make place: that would make none", async () => {
    const { cache } = await openCache({ ramBytes: 10_000 });
    for (const id of [1, 2]) keep(cache, "m", conversation(id, 2), 4000);
    const lease = await cache.load(entryFor(cache, "m", conversation(1, 2)));
    await loaded(cache, "m", conversation(2, 2));
    keep(cache, "m", conversation(3, 2), 4000);
    expect([1, 2, 3].map((id) => cache.find("m", conversation(id, 2)) !== null)).toEqual([true, false, true]);
    lease?.release();
  });

  it("leaves a leased state alone until it is released, whatever happens to its entry", async () => {
    const { cache, memory } = await openCache({ ramBytes: 10_000 });
    const tokens = conversation(1, 3);
    keep(cache, "m", tokens, 4000);
    const entry = entryFor(cache, "m", tokens);
    const [one, two] = await Promise.all([cache.load(entry), cache.load(entry)]);
    cache.forgetModel("m");
    expect(keep(cache, "m", conversation(2, 3), 5900)).toBe(true);
    one?.release();
    one?.release();
    expect(two?.bytes).toEqual(stateOf(tokens, 4000));
    expect(memory.buffers).toBe(2);
    two?.release();
    expect(memory.buffers).toBe(1);
    expect(await cache.load(entry)).toBeNull();
    expect(cache.status()).toMatchObject({ hits: 2, misses: 1, entries: 1 });
  });
});

describe("forgetModel", () => {
  it("drops the states of one model", async () => {
    const { cache, memory } = await openCache();
    keep(cache, "a", tokensOf(1), 100);
    keep(cache, "a", tokensOf(2), 100);
    keep(cache, "b", tokensOf(1), 100);
    cache.forgetModel("a");
    expect(cache.find("a", [1])).toBeNull();
    expect(cache.find("b", [1])).not.toBeNull();
    expect(memory.bytes).toBe(100);
  });
});

describe("age", () => {
  it("drops what was not used for long", async () => {
    const { cache, clock, memory } = await openCache({ maxAgeMs: 1000 });
    keep(cache, "m", tokensOf(1), 100);
    keep(cache, "m", tokensOf(2), 100);
    clock.advance(600);
    await loaded(cache, "m", tokensOf(1));
    clock.advance(600);
    expect(cache.find("m", [2])).toBeNull();
    expect(cache.find("m", [1])).not.toBeNull();
    expect(memory.buffers).toBe(1);
  });
});

describe("setLimits", () => {
  const limits = { diskBytes: 0, maxAgeMs: 1e9 };

  it("drops at once what is too much, and leased states when they are released", async () => {
    const { cache, memory } = await openCache({ ramBytes: 10_000 });
    for (const id of [1, 2, 3]) keep(cache, "m", conversation(id, 2), 3000);
    const lease = await cache.load(entryFor(cache, "m", conversation(1, 2)));
    cache.setLimits({ ...limits, ramBytes: 4000 });
    expect(memory.bytes).toBe(3000);
    cache.setLimits({ ...limits, ramBytes: 2000 });
    expect(lease?.bytes).toEqual(stateOf(conversation(1, 2), 3000));
    lease?.release();
    expect(memory.bytes).toBe(0);
    expect(cache.status()).toMatchObject({ ramBytes: 0, ramLimitBytes: 2000, entries: 0 });
  });

  it("drops states whose tokens take too much of the memory", async () => {
    const { cache } = await openCache({ ramBytes: 10_000 });
    for (const id of [1, 2, 3]) keep(cache, "m", conversation(id, 100), 100);
    expect(cache.status()).toMatchObject({ entries: 3, ramBytes: 1500 });
    keep(cache, "m", conversation(4, 100), 100);
    expect(cache.status()).toMatchObject({ entries: 3, ramBytes: 1500 });
    cache.setLimits({ ...limits, ramBytes: 6400 });
    expect(cache.status()).toMatchObject({ entries: 2, ramBytes: 1000 });
    expect(cache.find("m", conversation(4, 100))).not.toBeNull();
  });

  it("keeps nothing at 0, and keeps again above", async () => {
    const { cache, memory } = await openCache();
    keep(cache, "m", tokensOf(1), 100);
    cache.setLimits({ ...limits, ramBytes: 0 });
    expect(memory.buffers).toBe(0);
    expect(keep(cache, "m", tokensOf(1), 100)).toBe(false);
    cache.setLimits({ ...limits, ramBytes: 1000 });
    expect(keep(cache, "m", tokensOf(1), 100)).toBe(true);
  });
});

describe("close", () => {
  it("frees everything; leased and reserved states when they come back", async () => {
    const { cache, memory } = await openCache();
    keep(cache, "m", tokensOf(1), 100);
    keep(cache, "m", tokensOf(2), 100);
    const lease = await cache.load(entryFor(cache, "m", [1]));
    const room = cache.reserve("m", tokensOf(3), 100, 1);
    await cache.close(1000);
    expect(memory.buffers).toBe(2);
    lease?.release();
    room?.keep();
    expect(memory.buffers).toBe(0);
    expect(cache.find("m", [2])).toBeNull();
    expect(keep(cache, "m", tokensOf(4), 100)).toBe(false);
    expect(cache.status()).toMatchObject({ ramBytes: 0, entries: 0 });
    await cache.close(1000);
  });
});
