// The benchmarks' verdicts and texts.
import { describe, expect, it } from "vitest";
import { batchHolds, batchRatio, type BatchRun } from "../../bench/batch.ts";
import { serverSentEvents } from "../../bench/client.ts";
import { readArguments, UsageError } from "../../bench/command-line.ts";
import type { MemorySample } from "../../bench/memory-sampler.ts";
import { plot, table } from "../../bench/plot.ts";
import { Progress } from "../../bench/progress.ts";
import { judgeMemory, swapTimes } from "../../bench/swap-report.ts";

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

describe("arguments", () => {
  it("have defaults for each benchmark", () => {
    expect(readArguments(["swap"])).toMatchObject({ budgetBytes: 8 * 2 ** 30, requests: 40, order: "round-robin" });
    expect(readArguments(["batch", "--pairs", "5"])).toMatchObject({ budgetBytes: 3 * 2 ** 30, requests: 8, pairs: 5 });
    expect(readArguments([])).toBe("help");
  });

  it.each([
    [["swop"], /"swop" is no benchmark/],
    [["swap", "--budget", "lots"], /--budget is "lots"; allowed: an amount/],
    [["swap", "--order", "sorted"], /--order is "sorted"; allowed: one of round-robin, random, alternating/],
    [["swap", "--requests", "0"], /--requests is "0"; allowed: a whole number of at least 1/],
    [["swap", "--models", "a.gguf"], /at least two files/],
    [["batch", "--models", "a.gguf,b.gguf,c.gguf"], /two files/],
    [["swap", "--nonsense"], /--nonsense/],
  ])("%j are refused", (argv, message) => {
    expect(() => readArguments(argv)).toThrow(UsageError);
    expect(() => readArguments(argv)).toThrow(message);
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

describe("a stream of events", () => {
  it("is cut at blank lines wherever the network cut it, up to [DONE]", async () => {
    const text = ': heartbeat\n\ndata: {"a":"á"}\n\ndata: 2\n\ndata: [DONE]\n\ndata: 3\n\n';
    const bytes = new TextEncoder().encode(text);
    const body = (async function* () {
      for (let start = 0; start < bytes.length; start += 5) yield bytes.subarray(start, start + 5);
    })();
    const events: string[] = [];
    for await (const event of serverSentEvents(body)) events.push(event);
    expect(events).toEqual(['{"a":"á"}', "2"]);
  });
});
