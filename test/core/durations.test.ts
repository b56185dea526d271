// Spans of time as clients send them and as people read them.
import { describe, expect, it } from "vitest";
import { formatDuration, parseDurationMs } from "../../src/core/durations.ts";

describe("parseDurationMs", () => {
  it.each([
    [0, 0],
    [30, 30_000],
    [1.5, 1500],
    [-1, -1000],
    [Infinity, Infinity],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["2.s", 2000],
    ["300ms", 300],
    ["1m30s500ms", 90_500],
    ["1500us", 1.5],
    ["2000µs", 2],
    ["2000μs", 2],
    ["1000000ns", 1],
    ["-1m", -60_000],
    ["+5m", 300_000],
    [" 5m ", 300_000],
    ["0", 0],
    ["-0", 0],
    ["0s", 0],
    ["300", 300_000],
    ["-1", -1000],
  ])("reads %j", (duration, ms) => {
    expect(parseDurationMs(duration)).toBe(ms);
  });

  it.each(["", " ", "m", "5 m", "5x", "5M", "1h 30m", "--1m", "1h-30m", "forever", "1e3s", "1..5s", ".s", "5d", "∞"])(
    "%j is none",
    (duration) => {
      expect(parseDurationMs(duration)).toBe(undefined);
    },
  );

  it("takes no time over a hostile text", () => {
    expect(parseDurationMs(`${"1".repeat(100_000)}x`)).toBe(undefined);
    expect(parseDurationMs(`${"1m".repeat(50_000)}x`)).toBe(undefined);
    expect(parseDurationMs(Number.NaN)).toBe(undefined);
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0 ms"],
    [999.4, "999 ms"],
    [1000, "1.0 s"],
    [9949, "9.9 s"],
    [9951, "10 s"],
    [41_000, "41 s"],
    [119_400, "119 s"],
    [120_000, "2 min"],
    [5_400_000, "90 min"],
    [7_200_000, "2 h"],
    [9_000_000, "2 h 30 min"],
  ])("writes %d ms as %j", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
