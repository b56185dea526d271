// The benchmarks' arithmetic and orders.
import { describe, expect, it } from "vitest";
import { median, orders, percentile, sequenceOf } from "../../bench/statistics.ts";

describe("percentiles", () => {
  it("are values of the sample, by the nearest rank, in whatever order it comes", () => {
    const values = [5, 1, 4, 2, 3];
    expect(percentile(values, 0)).toBe(1);
    expect(percentile(values, 0.5)).toBe(3);
    expect(percentile(values, 0.99)).toBe(5);
    expect(percentile(values, 1)).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2);
    expect(values).toEqual([5, 1, 4, 2, 3]);
  });

  it("of nothing are null", () => {
    expect(percentile([], 0.5)).toBeNull();
  });
});

describe("orders", () => {
  it("round-robin takes each in turn", () => {
    expect(sequenceOf(["a", "b", "c"], "round-robin", 5, 0)).toEqual(["a", "b", "c", "a", "b"]);
  });

  it("alternating goes to and fro between the last two", () => {
    expect(sequenceOf(["a", "b", "c"], "alternating", 4, 0)).toEqual(["c", "b", "c", "b"]);
  });

  it("random is the same for a seed, reaches all, and never repeats at once", () => {
    const choices = ["a", "b", "c", "d", "e"];
    const picked = sequenceOf(choices, "random", 200, 7);
    expect(picked).toEqual(sequenceOf(choices, "random", 200, 7));
    expect(picked).not.toEqual(sequenceOf(choices, "random", 200, 8));
    expect([...new Set(picked)].sort()).toEqual(choices);
    expect(picked.some((choice, index) => choice === picked[index - 1])).toBe(false);
  });

  it.each(orders)("%s copes with a single choice", (order) => {
    expect(sequenceOf(["a"], order, 3, 1)).toEqual(["a", "a", "a"]);
  });
});
