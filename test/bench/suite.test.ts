// The protocol, the verdicts, the result file and what is made of it.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { format } from "prettier";
import { describe, expect, it } from "vitest";
import { type Comparison, isMet, pairRatios, ratioOf } from "../../bench/comparison.ts";
import { takeTurns } from "../../bench/protocol.ts";
import { describeRun, replaceSection, resultSection } from "../../bench/report/markdown.ts";
import { ratioPlot } from "../../bench/report/ratio-plot.ts";
import { failures, quantity, resultRows } from "../../bench/report/rows.ts";
import { readResult, resultFileName, type SuiteResult, writeResult } from "../../bench/result-file.ts";
import { testFolder } from "../support/temporary-folder.ts";

const speed: Comparison = {
  title: "decode, 1 stream",
  unit: "tokens/s",
  better: "higher",
  ours: [[44, 46, 45], [40], [50]],
  against: "llama-server",
  other: [[45], [50], [40]],
  target: 1,
};
const time: Comparison = { ...speed, title: "TTFT", unit: "ms", better: "lower", ours: [[120]], other: [[60]] };

describe("turns", () => {
  it("are A B A B, each round's number handed on", async () => {
    const order: string[] = [];
    const take = (name: string) => async (round: number) => {
      order.push(`${name}${round}`);
      return round;
    };
    expect(await takeTurns(2, { ours: take("a"), peer: take("b") })).toEqual({ ours: [0, 1], peer: [0, 1] });
    expect(order).toEqual(["a0", "b0", "a1", "b1"]);
  });
});

describe("a comparison", () => {
  it("is the median of the rounds' ratios of medians, above 1 where this project is better", () => {
    expect(pairRatios(speed)).toEqual([1, 0.8, 1.25]);
    expect(ratioOf(speed)).toBe(1);
    expect(ratioOf(time)).toBe(0.5);
  });

  it("meets its target at the ratio itself, and misses it without a result", () => {
    expect(isMet(speed)).toBe(true);
    expect(isMet({ ...speed, target: 1.01 })).toBe(false);
    expect(isMet({ ...speed, target: null })).toBeNull();
    expect(isMet({ ...speed, ours: [[44], [], [50]] })).toBe(false);
    expect(isMet({ ...speed, ours: [], other: [] })).toBe(false);
    expect(isMet({ ...speed, other: [[0], [0], [0]] })).toBe(false);
  });

  it("of nothing with nothing is a draw: no token read where none had to be", () => {
    expect(ratioOf({ ...time, ours: [[0]], other: [[0]] })).toBe(1);
  });
});

const result: SuiteResult = {
  startedAt: "2026-11-21T10:00:00.000Z",
  seconds: 12.5,
  arguments: ["--quick"],
  rounds: 3,
  isQuick: true,
  model: { file: "m.gguf", sizeBytes: 2 ** 20 },
  peer: { version: "0.5.0", hasSameKernels: false },
  environment: {
    cpu: "Intel(R) Xeon(R) Processor @ 2.60GHz",
    architecture: "x86-64",
    logicalCores: 2,
    physicalCores: 2,
    threads: 2,
    memoryBytes: 2 ** 34,
    governor: null,
    kernel: "6.1",
    loadAverage: 0.1,
    commit: "1a2b3c4",
    node: "v20.20.2",
    nodeLlamaCpp: "3.22.1",
    llamaCpp: "v0.5.0",
  },
  workloads: [
    { name: "decode-1", seconds: 5, comparisons: [speed, time, { ...time, target: null }], error: null },
    { name: "prefill-512", seconds: 1, comparisons: [], error: "the server ended | with code 1:\nlast words" },
  ],
};

describe("a result file", () => {
  it("is read as it was written, and stands as prettier wants it", async () => {
    const path = join(testFolder(), "new", "r.json");
    await writeResult(path, result);
    expect(await readResult(path)).toEqual(result);
    const text = await readFile(path, "utf8");
    expect(await format(text, { parser: "json", printWidth: 120 })).toBe(text);
  });

  it("bears day, processor and commit in its name", () => {
    expect(resultFileName(result)).toBe("2026-11-21-intel-xeon-1a2b3c4.json");
    const elsewhere = { ...result.environment, cpu: "neoverse-v2", commit: null };
    expect(resultFileName({ ...result, environment: elsewhere })).toBe("2026-11-21-neoverse-v2-no-commit.json");
  });

  it.each([
    ["{", /is no JSON/],
    ['{"startedAt":1}', /is no result of this bench: startedAt: /],
  ])("that holds %j is refused in a line", async (text, message) => {
    const path = join(testFolder(), "r.json");
    await writeFile(path, text);
    await expect(readResult(path)).rejects.toThrow(message);
  });
});

describe("a report", () => {
  it("has a row for each comparison, and says where one falls short or failed", () => {
    expect(resultRows(result)).toEqual([
      ["decode, 1 stream", "45.0 tokens/s", "llama-server", "45.0 tokens/s", "1.00", "1.00 0.80 1.25", "1.00", "yes"],
      ["TTFT", "120 ms", "llama-server", "60.0 ms", "0.50", "0.50", "1.00", "**no**"],
      ["TTFT", "120 ms", "llama-server", "60.0 ms", "0.50", "0.50", "", ""],
      ["prefill-512", "failed", "", "", "", "", "", "**no**"],
    ]);
    expect(failures(result)).toEqual(["prefill-512 failed: the server ended | with code 1: last words"]);
  });

  it("writes each unit as people read it", () => {
    expect(quantity(3 * 2 ** 30, "bytes")).toBe("3.0 GiB");
    expect(quantity(12.34e9, "bytes/s")).toBe("12.3 GB/s");
    expect(quantity(1234.5, "requests/s")).toBe("1235 requests/s");
    expect(quantity(7, "answers")).toBe("7 answers");
    expect(quantity(null, "ms")).toBe("-");
  });

  it("takes its place between the page's markers, whatever was there, and tables stay tables", () => {
    const section = resultSection(result, { plot: "results/r.svg", samples: "results/r.json" });
    expect(section.split("\n").filter((line) => line.startsWith("| "))).toHaveLength(6);
    expect(section).toContain("\nprefill-512 failed: the server ended | with code 1: last words\n");
    const page =
      "# Bench\n\n<!-- results: written by `npm run bench -- report FILE` -->\nold\n<!-- end of results -->\nrest\n";
    const replaced = replaceSection(page, section);
    expect(replaced).toContain("![Ratios by workload](results/r.svg)");
    expect(replaced).not.toContain("old");
    expect(replaced.endsWith("<!-- end of results -->\nrest\n")).toBe(true);
    expect(replaceSection(replaced, section)).toBe(replaced);
    expect(() => replaceSection("# Bench\n", section)).toThrow(/no place for results/);
  });

  it("says on what was measured, and that kernels differ", () => {
    expect(describeRun(result)).toMatch(/2 cores, 2 threads; load average before 0\.10; m\.gguf \(1\.0 MiB\)/);
    expect(describeRun(result)).toMatch(/OTHER CPU kernels; 3 rounds, quick\.$/);
  });

  it("draws a bar for each comparison in the colour of its verdict, escaped", () => {
    const unsafe = { ...speed, title: "a < b & c" };
    const svg = ratioPlot({ workloads: [{ name: "x", seconds: 1, comparisons: [unsafe, time], error: null }] });
    expect(svg).toContain("a &lt; b &amp; c, against llama-server");
    expect(svg.match(/#2e7d4f/g)).toHaveLength(1);
    expect(svg.match(/#b3372f/g)).toHaveLength(1);
    const empty = { ...speed, ours: [[]], other: [[]] };
    expect(ratioPlot({ workloads: [{ name: "x", seconds: 1, comparisons: [empty], error: null }] })).toContain(
      "no result",
    );
  });
});
