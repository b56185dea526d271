// `npm run bench`: runs what the arguments name and prints what it found. May import every neighbour.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { help, readArguments, type SuiteArguments, type SwapArguments, UsageError } from "./command-line.ts";
import { isMet } from "./comparison.ts";
import { type BenchModel, givenModels, shapedExperts, shapedModels } from "./model-set.ts";
import { table } from "./plot.ts";
import { describeRun } from "./report/markdown.ts";
import { failures, resultRows, rowTitles } from "./report/rows.ts";
import { writeReport } from "./report/write-report.ts";
import { resultFileName, writeResult } from "./result-file.ts";
import { runSuite } from "./suite.ts";
import { batchHolds, batchReport, runBatch } from "./swap/batch.ts";
import { judgeMemory, swapReport } from "./swap/swap-report.ts";
import { runSwap } from "./swap/swap.ts";

const resultsFolder = fileURLToPath(new URL("results", import.meta.url));
const cacheFolder = fileURLToPath(new URL("../.cache", import.meta.url));

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<0 | 1 | 2> {
  try {
    const wanted = readArguments(argv);
    if (wanted === "help") {
      process.stdout.write(help);
      return 0;
    }
    switch (wanted.mode) {
      case "suite":
        return (await suite(wanted, argv)) ? 0 : 1;
      case "swap":
        return (await swap(wanted)) ? 0 : 1;
      case "batch":
        return (await batch(wanted)) ? 0 : 1;
      case "report":
        for (const path of await writeReport(wanted.file)) process.stdout.write(`${path}\n`);
        return 0;
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(stop.signal.aborted ? "bench: stopped\n" : `bench: ${message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function suite(wanted: SuiteArguments, argv: readonly string[]): Promise<boolean> {
  const result = await runSuite({ ...wanted, cacheFolder, arguments: argv }, process.stderr, stop.signal);
  const path = wanted.out ?? join(resultsFolder, resultFileName(result));
  await writeResult(path, result);
  const rows = resultRows(result).map((row) => row.map((cell) => cell.replaceAll("**", "")));
  const parts = [describeRun(result), table([rowTitles, ...rows]), ...failures(result), path];
  process.stdout.write(`${parts.join("\n\n")}\n`);
  return result.workloads.every(
    ({ comparisons, error }) => error === null && comparisons.every((each) => isMet(each) !== false),
  );
}

async function swap(wanted: SwapArguments): Promise<boolean> {
  const models = await modelsOf(wanted, shapedExperts);
  const result = await runSwap({ ...wanted, models }, process.stderr, stop.signal);
  process.stdout.write(`${swapReport(result)}\n`);
  const isAnswered = result.answers.length === wanted.requests && result.answers.every(({ error }) => error === null);
  return judgeMemory(result.samples, wanted.budgetBytes).holds && isAnswered;
}

async function batch(wanted: SwapArguments): Promise<boolean> {
  const [first, second] = await modelsOf(wanted, ["phi4_fast", "qwen_coder"]);
  if (first === undefined || second === undefined) throw new Error("batch needs two models");
  const result = await runBatch({ ...wanted, models: [first, second] }, process.stderr, stop.signal);
  process.stdout.write(`${batchReport(result)}\n`);
  return batchHolds(result);
}

function modelsOf(
  { models, folder, quant }: SwapArguments,
  defaults: Parameters<typeof shapedModels>[0],
): Promise<BenchModel[]> {
  if (models !== null) return givenModels(models);
  return shapedModels(defaults, folder, quant, process.stderr, stop.signal);
}
