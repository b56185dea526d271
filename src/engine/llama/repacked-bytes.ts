// Which weights llama.cpp rewrites for this CPU's instructions at load: the rewritten copies stand in anonymous memory,
// beside the mapped file where one is mapped. The rules are those of llama.cpp v0.5.0 (ggml-cpu/repack.cpp). Pure.
import { GgmlType } from "node-llama-cpp";

export interface WeightTensor {
  readonly name: string;
  /** Innermost first, as in the file. */
  readonly dimensions: readonly number[];
  readonly type: GgmlType;
  readonly bytes: number;
}

type Rule = (has: (feature: string) => boolean) => number | null;

const onArm: (rows: number) => Rule = (rows) => (has) => (has("DOTPROD") || has("MATMUL_INT8") ? rows : null);
const onAvx2: Rule = (has) => (has("AVX2") ? 8 : null);
const first =
  (...rules: readonly Rule[]): Rule =>
  (has) =>
    rules.map((rule) => rule(has)).find((rows) => rows !== null) ?? null;

/** For each type the number of rows that are interleaved; null where this CPU rewrites none of that type. */
const rowsInterleaved: Partial<Record<GgmlType, Rule>> = {
  [GgmlType.Q4_0]: first(onAvx2, onArm(4)),
  [GgmlType.Q4_K]: first(onAvx2, onArm(8)),
  [GgmlType.Q2_K]: (has) => (has("AVX512") ? 8 : null),
  [GgmlType.Q5_K]: onArm(8),
  [GgmlType.Q6_K]: onArm(8),
  [GgmlType.IQ4_NL]: first(onAvx2, onArm(4)),
  [GgmlType.MXFP4]: first(onAvx2, onArm(4)),
  [GgmlType.Q8_0]: onArm(4),
};

/** The weights that are rewritten. `systemInfo` is llama.cpp's own line of features, for example `AVX2 = 1 | REPACK = 1`. */
export function repackedTensors(tensors: readonly WeightTensor[], systemInfo: string): WeightTensor[] {
  const has = (feature: string) => new RegExp(`\\b${feature} = 1\\b`).test(systemInfo);
  if (!has("REPACK")) return [];
  const hasOwnOutput = tensors.some(({ name }) => name === "output.weight");
  return tensors.filter(({ name, dimensions, type }) => {
    // Embeddings are looked up, not multiplied; where they serve as the output matrix too, that use has a copy.
    const isLookedUp = /^(token|position)_(embd|types)\./.test(name);
    const isMultiplied = dimensions.length >= 2 && (!isLookedUp || (name.startsWith("token_embd.") && !hasOwnOutput));
    const rows = rowsInterleaved[type]?.(has) ?? null;
    return isMultiplied && rows !== null && (dimensions[1] ?? 0) % rows === 0;
  });
}
