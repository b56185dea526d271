// The benchmarks' arguments: defaults, and what a wrong one is told.
import { describe, expect, it } from "vitest";
import { help, readArguments, UsageError } from "../../bench/command-line.ts";
import { workloads } from "../../bench/workloads/all.ts";

describe("arguments", () => {
  it("none means all workloads, three rounds, the default files and peer", () => {
    expect(readArguments([])).toEqual({
      mode: "suite",
      workloads,
      model: null,
      peer: null,
      out: null,
      folder: ".cache/bench-models",
      quant: "q4_0",
      rounds: 3,
      isQuick: false,
    });
  });

  it("a quick run has one round, where no number is named", () => {
    expect(readArguments(["--quick"])).toMatchObject({ isQuick: true, rounds: 1 });
    expect(readArguments(["--quick", "--rounds", "2"])).toMatchObject({ isQuick: true, rounds: 2 });
  });

  it("named workloads run in the suite's order, each once", () => {
    const wanted = readArguments(["prefill-512", "decode-4", "decode-4"]);
    expect(wanted).toMatchObject({ workloads: [{ name: "decode-4" }, { name: "prefill-512" }] });
  });

  it("swap and batch have defaults of their own; a report has its file", () => {
    expect(readArguments(["swap"])).toMatchObject({ budgetBytes: 8 * 2 ** 30, requests: 40, order: "round-robin" });
    expect(readArguments(["batch", "--pairs", "5"])).toMatchObject({ budgetBytes: 3 * 2 ** 30, requests: 8, pairs: 5 });
    expect(readArguments(["report", "a.json"])).toEqual({ mode: "report", file: "a.json" });
  });

  it("help names every workload, each once", () => {
    expect(readArguments(["decode-1", "--help"])).toBe("help");
    for (const { name } of workloads) expect(help.match(new RegExp(`^  ${name} `, "gm"))).toHaveLength(1);
  });

  it.each([
    [["swop"], /"swop" is no workload; there are decode-1, .*; and swap, batch, report/],
    [["--rounds", "0"], /--rounds is "0"; allowed: a whole number of at least 1/],
    [["--quant", "q9"], /--quant is "q9"; allowed: one of f16, /],
    [["--peer", ""], /--peer is ""; allowed: a path/],
    [["--pairs", "3"], /--pairs belongs to batch, not to workloads/],
    [["swap", "--quick"], /--quick belongs to workloads, not to swap/],
    [["report"], /report takes one result file; received none/],
    [["report", "a.json", "b.json"], /report takes one result file; received "a.json" "b.json"/],
    [["swap", "decode-1"], /swap runs alone; received also "decode-1"/],
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
