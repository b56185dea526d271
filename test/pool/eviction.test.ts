// Which idle models are unloaded to make room: examples of the order, and properties of every choice.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseVictims, type EvictionCandidate } from "../../src/pool/eviction.ts";

function candidate(id: string, bytes: number, rest: Partial<EvictionCandidate> = {}): EvictionCandidate {
  return { id, bytes, counted: true, tier: 0, lastUse: 0, priority: 3, ...rest };
}

describe("chooseVictims", () => {
  const old = candidate("old", 10, { lastUse: 1 });
  const middle = candidate("middle", 5, { lastUse: 2 });
  const recent = candidate("recent", 20, { lastUse: 3 });
  it.each([
    { name: "nothing is wanted", of: [old, recent], bytes: 0, places: 0, victims: [] },
    { name: "less than nothing is wanted", of: [old], bytes: -5, places: -1, victims: [] },
    { name: "nobody is there, nothing wanted", of: [], bytes: 0, places: 0, victims: [] },
    { name: "nobody is there", of: [], bytes: 1, places: 0, victims: null },
    { name: "the least recently used is enough", of: [recent, middle, old], bytes: 10, places: 0, victims: ["old"] },
    {
      name: "two are needed, in order of use",
      of: [recent, middle, old],
      bytes: 11,
      places: 0,
      victims: ["old", "middle"],
    },
    { name: "all are needed", of: [recent, middle, old], bytes: 35, places: 0, victims: ["old", "middle", "recent"] },
    { name: "all are not enough", of: [recent, middle, old], bytes: 36, places: 0, victims: null },
    { name: "a large one spares the small ones", of: [recent, middle, old], bytes: 20, places: 0, victims: ["recent"] },
    {
      name: "a spared one may be any of them",
      of: [recent, middle, old],
      bytes: 30,
      places: 0,
      victims: ["old", "recent"],
    },
    { name: "only a place is wanted", of: [middle, old], bytes: 0, places: 1, victims: ["old"] },
    {
      name: "a place, and the oldest holds none",
      of: [middle, candidate("embedder", 1, { counted: false, lastUse: 0 })],
      bytes: 0,
      places: 1,
      victims: ["middle"],
    },
    {
      name: "a higher tier only where the lower does not do",
      of: [candidate("busy", 50, { tier: 1, lastUse: 0 }), old],
      bytes: 10,
      places: 0,
      victims: ["old"],
    },
    {
      name: "equal use: the less important goes",
      of: [candidate("first", 5, { priority: 1 }), candidate("last", 5, { priority: 5 })],
      bytes: 5,
      places: 0,
      victims: ["last"],
    },
  ])("$name", ({ of, bytes, places, victims }) => {
    expect(chooseVictims(of, { bytes, places })).toEqual(victims);
  });

  it("is enough, never more than needed, and null only where all together are not enough", () => {
    const candidates = fc.uniqueArray(
      fc.record({
        id: fc.string({ minLength: 1, maxLength: 3 }),
        bytes: fc.nat(50),
        counted: fc.boolean(),
        tier: fc.nat(2),
        lastUse: fc.nat(5),
        priority: fc.integer({ min: 1, max: 5 }),
      }),
      { selector: ({ id }) => id, maxLength: 7 },
    );
    const sums = (chosen: readonly EvictionCandidate[]) => ({
      bytes: chosen.reduce((sum, { bytes }) => sum + bytes, 0),
      places: chosen.filter(({ counted }) => counted).length,
    });
    fc.assert(
      fc.property(candidates, fc.nat(150), fc.nat(1), (of, bytes, places) => {
        const isEnough = (chosen: readonly EvictionCandidate[]) =>
          sums(chosen).bytes >= bytes && sums(chosen).places >= places;
        const victims = chooseVictims(of, { bytes, places });
        expect(victims !== null).toBe(isEnough(of));
        if (victims === null) return;
        const chosen = of.filter(({ id }) => victims.includes(id));
        expect(isEnough(chosen)).toBe(true);
        for (const spared of chosen) expect(isEnough(chosen.filter((victim) => victim !== spared))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
  it("spares the more recent of two that are not both needed", () => {
    const of = [3, 4, 10].map((bytes, n) => ({ id: `m${n}`, bytes, counted: true, tier: 0, lastUse: n, priority: 3 }));
    expect(chooseVictims(of, { bytes: 12, places: 0 })).toEqual(["m0", "m2"]);
  });
});
