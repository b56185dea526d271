// Tiny synthesized models for any test: made on first use, kept in .cache/test-models, shared by all workers.
// May import tools/synthesize.
import { access } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TinyPresetName } from "../../tools/synthesize/presets.ts";
import { hasStableWeights, synthesize } from "../../tools/synthesize/synthesize.ts";
import type { Quantisation } from "../../tools/synthesize/tensors.ts";

export type { TinyPresetName } from "../../tools/synthesize/presets.ts";

/** Part of every cached name: raise it whenever the synthesizer's bytes change on purpose. */
const cacheVersion = 3;

const cacheFolder = fileURLToPath(new URL("../../.cache/test-models/", import.meta.url));

export interface TinyModelOptions {
  /** Default q4_0. */
  readonly quant?: Quantisation;
  /** Default true where the preset has such weights: tokens that every CPU agrees on. */
  readonly stable?: boolean;
  /** Default 0. */
  readonly seed?: number;
}

/** The path of a tiny model file; several workers may ask at once (each writes a file of its own and renames it). */
export async function tinyModel(name: TinyPresetName, options: TinyModelOptions = {}): Promise<string> {
  const { quant = "q4_0", stable = hasStableWeights(name), seed = 0 } = options;
  const path = join(cacheFolder, `${name}-${quant}${stable ? "-stable" : ""}-seed${seed}-v${cacheVersion}.gguf`);
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists) await synthesize({ like: name, quant, stable, seed, out: path });
  return path;
}
