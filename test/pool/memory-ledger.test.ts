// The sums of the memory ledger, and what it refuses to reserve.
import { describe, expect, it } from "vitest";
import { MemoryLedger } from "../../src/pool/memory-ledger.ts";

describe("MemoryLedger", () => {
  it("adds up what is reserved, replaces a model's reservation, and gives it back", () => {
    const ledger = new MemoryLedger(10);
    ledger.reserve("a", 4);
    ledger.reserve("b", 6);
    expect([ledger.reservedBytes, ledger.freeBytes, ledger.of("a")]).toEqual([10, 0, 4]);
    ledger.reserve("b", 5);
    ledger.reserve("a", 5);
    expect(ledger.freeBytes).toBe(0);
    ledger.free("a");
    expect([ledger.reservedBytes, ledger.freeBytes, ledger.of("a")]).toEqual([5, 5, 0]);
  });

  it.each([6.5, 7, -1, Number.NaN, Infinity])(
    "refuses to reserve %d where 6 are free, and stays as it was",
    (bytes) => {
      const ledger = new MemoryLedger(10);
      ledger.reserve("a", 4);
      expect(() => ledger.reserve("b", bytes)).toThrow(RangeError);
      expect([ledger.reservedBytes, ledger.of("b")]).toEqual([4, 0]);
    },
  );
});
