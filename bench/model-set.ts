// The models of a benchmark: the five experts in their real shapes with generated weights, or the caller's own files.
// May import tools/synthesize, progress.ts and src/core.
import { access } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
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
    const like = realShapes[expertId];
    const path = join(resolve(folder), `${like}-${quant}.gguf`);
    if (!(await exists(path))) {
      const progress = new Progress(output, `writing ${basename(path)}`);
      const onProgress = (writtenBytes: number, totalBytes: number) =>
        progress.update(writtenBytes / totalBytes, `of ${formatBytes(totalBytes)}`);
      await synthesize({ like, quant, out: path, seed: 0, stable: false, signal, onProgress });
      progress.end();
    }
    models.push({ expertId, path });
  }
  return models;
}

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
