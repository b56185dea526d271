// `npm run bench`: runs a benchmark and prints what it found. May import every neighbour.
import { batchHolds, batchReport, runBatch } from "./batch.ts";
import { type BenchArguments, help, readArguments, UsageError } from "./command-line.ts";
import { type BenchModel, givenModels, shapedExperts, shapedModels } from "./model-set.ts";
import { judgeMemory, swapReport } from "./swap-report.ts";
import { runSwap } from "./swap.ts";

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
    return (await (wanted.mode === "swap" ? swap(wanted) : batch(wanted))) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function swap(wanted: BenchArguments): Promise<boolean> {
  const models = await modelsOf(wanted, shapedExperts);
  const result = await runSwap({ ...wanted, models }, process.stderr, stop.signal);
  process.stdout.write(`${swapReport(result)}\n`);
  const isAnswered = result.answers.length === wanted.requests && result.answers.every(({ error }) => error === null);
  return judgeMemory(result.samples, wanted.budgetBytes).holds && isAnswered;
}

async function batch(wanted: BenchArguments): Promise<boolean> {
  const [first, second] = await modelsOf(wanted, ["phi4_fast", "qwen_coder"]);
  if (first === undefined || second === undefined) throw new Error("batch needs two models");
  const result = await runBatch({ ...wanted, models: [first, second] }, process.stderr, stop.signal);
  process.stdout.write(`${batchReport(result)}\n`);
  return batchHolds(result);
}

function modelsOf(
  { models, folder, quant }: BenchArguments,
  defaults: Parameters<typeof shapedModels>[0],
): Promise<BenchModel[]> {
  if (models !== null) return givenModels(models);
  return shapedModels(defaults, folder, quant, process.stderr, stop.signal);
}
