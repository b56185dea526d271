// The models of a benchmark: the five experts in their real shapes with generated weights, or the caller's own files.
// May import tools/synthesize, progress.ts and src/core.
import { access } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { formatBytes } from "../src/core/bytes.ts";
import type { PresetName } from "../tools/synthesize/presets.ts";
import { synthesize } from "../tools/synthesize/synthesize.ts";
import type { Quantisation } from "../tools/synthesize/tensors.ts";
import { Progress, type ProgressOutput } from "./progress.ts";

export interface BenchModel {
  readonly expertId: string;
  readonly path: string;
}

const realShapes = {
  qwen_coder: "qwen2.5-1.5b",
  phi4_fast: "phi-4-mini",
  gemma3_multimodal: "gemma3-4b",
  mistral_balanced: "mistral-7b",
  aya_expanse_multilingual: "aya-expanse-8b",
} as const satisfies Record<string, PresetName>;

export type ShapedExpert = keyof typeof realShapes;
export const shapedExperts = Object.keys(realShapes) as ShapedExpert[];

/** Writes the files that are not in `folder` yet. */
export async function shapedModels(
  experts: readonly ShapedExpert[],
  folder: string,
  quant: Quantisation,
  output: ProgressOutput,
  signal: AbortSignal,
): Promise<BenchModel[]> {
  const models: BenchModel[] = [];
  for (const expertId of experts) {
    const path = await shapedFile(realShapes[expertId], 0, folder, quant, output, signal);
    models.push({ expertId, path });
  }
  return models;
}

async function shapedFile(
  like: PresetName,
  seed: number,
  folder: string,
  quant: Quantisation,
  output: ProgressOutput,
  signal: AbortSignal,
): Promise<string> {
  const path = join(resolve(folder), `${like}-${quant}${seed === 0 ? "" : `-seed${seed}`}.gguf`);
  if (await exists(path)) return path;
  const progress = new Progress(output, `writing ${basename(path)}`);
  const onProgress = (writtenBytes: number, totalBytes: number) =>
    progress.update(writtenBytes / totalBytes, `of ${formatBytes(totalBytes)}`);
  await synthesize({ like, quant, out: path, seed, stable: false, signal, onProgress });
  progress.end();
  return path;
}

/** The text models of a suite: a file in a real model's shape. `seed` tells two of the same shape apart. */
export async function shapedModel(
  like: PresetName,
  seed: number,
  folder: string,
  quant: Quantisation,
  output: ProgressOutput,
  signal: AbortSignal,
): Promise<BenchModel> {
  const expertId = seed === 0 ? like : `${like}-seed${seed}`;
  return { expertId, path: await shapedFile(like, seed, folder, quant, output, signal) };
}

/** A demonstration model of models/demo. */
export function demoModel(name: string): BenchModel {
  return {
    expertId: `demo-${name}`,
    path: fileURLToPath(new URL(`../models/demo/demo-${name}.gguf`, import.meta.url)),
  };
}

/** A real model of 260,000 parameters. */
export const storiesModel: BenchModel = {
  expertId: "stories260K",
  path: fileURLToPath(new URL("../test/data/stories260K.gguf", import.meta.url)),
};

/** The caller's files, each an expert that bears its file's name. */
export async function givenModels(paths: readonly string[]): Promise<BenchModel[]> {
  const models = paths.map((path) => ({ expertId: expertIdOf(path), path: resolve(path) }));
  for (const { path } of models)
    if (!(await exists(path))) throw new Error(`--models names ${path}, which is not there`);
  return models;
}

function expertIdOf(path: string): string {
  return basename(path, ".gguf").replaceAll(/[^A-Za-z0-9._:@+-]/g, "-");
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
