// The benchmarks' verdicts and texts.
import { describe, expect, it } from "vitest";
import { batchHolds, batchRatio, type BatchRun } from "../../bench/swap/batch.ts";
import type { MemorySample } from "../../bench/processes/memory-sampler.ts";
import { plot, table } from "../../bench/plot.ts";
import { Progress } from "../../bench/progress.ts";
import { judgeMemory, swapTimes } from "../../bench/swap/swap-report.ts";

const sample = (anonymousBytes: number, modelPageBytes = 0): MemorySample => ({
  atMs: 0,
  anonymousBytes,
  modelPageBytes,
  childBytes: 1e9,
});

describe("the verdict on memory", () => {
  it("counts anonymous bytes and model pages together, children not", () => {
    const verdict = judgeMemory([sample(50), sample(60, 44), sample(100), sample(100, 1)], 100);
    expect(verdict).toEqual({ maxBytes: 104, maxShare: 1.04, overShare: 0.5, holds: true });
  });

  it("fails above 105 %, and where nothing was seen", () => {
    expect(judgeMemory([sample(105)], 100).holds).toBe(true);
    expect(judgeMemory([sample(106)], 100).holds).toBe(false);
    expect(judgeMemory([], 100).holds).toBe(false);
  });
});

describe("a swap", () => {
  const event = (second: number, type: string, expert_id: string, for_expert_id: string | null = null) => ({
    sequence: second,
    at: new Date(second * 1000).toISOString(),
    type,
    expert_id,
    for_expert_id,
  });

  it("lasts from the first unload for an expert's sake to the end of its load", () => {
    const events = [
      event(1, "load_finished", "a"),
      event(2, "unload_started", "a", "c"),
      event(3, "unload_started", "b", "c"),
      event(9, "load_finished", "c"),
      event(10, "unload_started", "c"),
      event(11, "load_finished", "b"),
      event(12, "unload_started", "b", "c"),
      event(14, "load_finished", "c"),
    ];
    expect(swapTimes(events)).toEqual([7000, 2000]);
  });
});

describe("the verdict on batching", () => {
  const run = (tokensPerSecond: number, errors = 0): BatchRun => ({ tokensPerSecond, loads: 1, longestMs: 1, errors });

  it("is the ratio of medians", () => {
    const result = { alternating: [run(1), run(8), run(9)], sorted: [run(10), run(10), run(100)] };
    expect(batchRatio(result)).toBe(0.8);
    expect(batchHolds(result)).toBe(true);
    expect(batchHolds({ alternating: [run(7)], sorted: [run(10)] })).toBe(false);
    expect(batchHolds({ alternating: [run(10, 1)], sorted: [run(10)] })).toBe(false);
    expect(batchHolds({ alternating: [], sorted: [] })).toBe(false);
  });
});

describe("text", () => {
  it("a plot shows the highest of each stretch, and the limit", () => {
    const text = plot([0, 10, 0, 5, 0, 0], { columns: 3, rows: 2, limit: 5, label: String });
    expect(text.split("\n")).toEqual(["10 ┤█──", " 0 │██"]);
  });

  it("a table is as wide as its contents", () => {
    expect(
      table([
        ["a", "b"],
        ["long", "12"],
      ]),
    ).toBe("a      b\nlong  12");
  });

  it("progress is a line for each tenth where nobody looks on", () => {
    const lines: string[] = [];
    const progress = new Progress({ write: (line: string) => lines.push(line) }, "swap");
    for (let share = 0; share <= 1; share += 1 / 64) progress.update(share, "done");
    expect(lines).toHaveLength(11);
    expect(lines[3]).toMatch(/^swap: 3\d % done\n$/);
  });
});
