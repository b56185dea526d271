// Who changes places with whom, so that streams that decode together are neighbours.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exchangeFor, runsOf } from "../../src/engine/llama/sequence-neighbours.ts";

describe("runs", () => {
  it("are of ids without a gap", () => {
    expect(runsOf([])).toEqual([]);
    expect(runsOf([0, 1, 3, 5, 6])).toEqual([
      { first: 0, last: 1 },
      { first: 3, last: 3 },
      { first: 5, last: 6 },
    ]);
  });
});

describe("an exchange", () => {
  it("moves a lone stream next to the longest run", () => {
    expect(exchangeFor([0, 2], new Set([1]))).toEqual({ from: 2, to: 1 });
    expect(exchangeFor([0, 2, 3], new Set([1]))).toEqual({ from: 0, to: 1 });
    expect(exchangeFor([0, 4, 5], new Set([2, 6]))).toEqual({ from: 0, to: 6 });
  });

  it("is none where all are neighbours, or nothing free is near", () => {
    expect(exchangeFor([1, 2, 3], new Set([0, 4]))).toBeNull();
    expect(exchangeFor([0, 3], new Set([2]))).toBeNull();
    expect(exchangeFor([], new Set([0]))).toBeNull();
  });

  it("leads, repeated, to one run where there is nothing but streams that decode and free sequences", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(15), { minLength: 1 }), (chosen) => {
        let decoding = [...chosen].sort((left, right) => left - right);
        for (let moves = 0; moves < 16; moves++) {
          const taken = new Set(decoding);
          const free = new Set(Array.from({ length: 16 }, (_, id) => id).filter((id) => !taken.has(id)));
          const exchange = exchangeFor(decoding, free);
          if (exchange === null) break;
          expect(taken.has(exchange.from) && free.has(exchange.to)).toBe(true);
          decoding = decoding
            .map((id) => (id === exchange.from ? exchange.to : id))
            .sort((left, right) => left - right);
        }
        expect(runsOf(decoding)).toHaveLength(1);
      }),
    );
  });
});
