// Percentiles, and the window over the latest values.
import { describe, expect, it } from "vitest";
import { percentiles, RecentValues } from "../../src/telemetry/percentiles.ts";

describe("percentiles", () => {
  it.each([
    [[], null],
    [[5], { p50: 5, p95: 5 }],
    [[2, 1], { p50: 1, p95: 2 }],
    [Array.from({ length: 100 }, (_, index) => 100 - index), { p50: 50, p95: 95 }],
    [[10, 9, 100], { p50: 10, p95: 100 }],
  ])("of %j", (values, expected) => {
    expect(percentiles(values)).toEqual(expected);
  });
});

describe("RecentValues", () => {
  it("looks at the latest, and remembers the greatest of all", () => {
    const values = new RecentValues(3);
    expect(values.spread()).toBe(null);
    values.add(100);
    expect(values.spread()).toEqual({ p50: 100, p95: 100, max: 100 });
    for (const value of [1, 2]) values.add(value);
    expect(values.spread()).toEqual({ p50: 2, p95: 100, max: 100 });
    values.add(3);
    expect(values.spread()).toEqual({ p50: 2, p95: 3, max: 100 });
  });
});
