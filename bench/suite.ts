// The suite: workloads one after the other, each with its own fresh processes; what one of them lacks stops no other. May
// import its neighbours except main.ts and command-line.ts.
import { stat } from "node:fs/promises";
import { basename, isAbsolute } from "node:path";
import type { Quantisation } from "../tools/synthesize/tensors.ts";
import { readEnvironment } from "./environment.ts";
import { givenModels, shapedExperts, shapedModel, shapedModels } from "./model-set.ts";
import { locatePeer, type Peer } from "./peer/locate.ts";
import type { ProgressOutput } from "./progress.ts";
import type { SuiteResult, WorkloadResult } from "./result-file.ts";
import type { BenchContext, Workload } from "./workloads/workload.ts";

export interface SuiteOptions {
  readonly workloads: readonly Workload[];
  /** Null: the shape of Qwen2.5 0.5B. */
  readonly model: string | null;
  /** Where files of real shapes are, or are written when missing. */
  readonly folder: string;
  readonly quant: Quantisation;
  readonly peer: string | null;
  readonly cacheFolder: string;
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly arguments: readonly string[];
}

const shape = "qwen2.5-0.5b";

export async function runSuite(
  options: SuiteOptions,
  output: ProgressOutput,
  signal: AbortSignal,
): Promise<SuiteResult> {
  const environment = readEnvironment();
  const { folder, quant, rounds, isQuick } = options;
  const [given] = options.model === null ? [] : await givenModels([options.model]);
  const model = given ?? (await shapedModel(shape, 0, folder, quant, output, signal));
  let foundPeer: Peer | undefined;
  const peer = async () => (foundPeer ??= await locatePeer(options.peer, options.cacheFolder, output, signal));
  const startedAt = new Date();
  const results: WorkloadResult[] = [];
  for (const [index, workload] of options.workloads.entries()) {
    signal.throwIfAborted();
    const position = `${index + 1}/${options.workloads.length} ${workload.name}`;
    const context: BenchContext = {
      rounds,
      isQuick,
      model,
      otherModel: () => shapedModel(shape, 1, folder, quant, output, signal),
      expertModels: () => shapedModels(shapedExperts, folder, quant, output, signal),
      peer,
      threads: environment.threads,
      onStep: (what) => void output.write(`${position}: ${what}\n`),
      output,
      signal,
    };
    results.push(await runWorkload(workload, context));
  }
  return {
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    // Where things lie on somebody's machine is nobody else's business.
    arguments: options.arguments.map((argument) => (isAbsolute(argument) ? basename(argument) : argument)),
    rounds,
    isQuick,
    model: { file: basename(model.path), sizeBytes: (await stat(model.path)).size },
    peer: foundPeer === undefined ? null : { version: foundPeer.version, hasSameKernels: foundPeer.hasSameKernels },
    environment,
    workloads: results,
  };
}

async function runWorkload(workload: Workload, context: BenchContext): Promise<WorkloadResult> {
  const startMs = performance.now();
  const seconds = () => (performance.now() - startMs) / 1000;
  try {
    const comparisons = await workload.run(context);
    return { name: workload.name, seconds: seconds(), comparisons, error: null };
  } catch (error) {
    context.signal.throwIfAborted();
    const message = error instanceof Error ? error.message : String(error);
    context.output.write(`${workload.name} failed: ${message}\n`);
    return { name: workload.name, seconds: seconds(), comparisons: [], error: message };
  }
}
