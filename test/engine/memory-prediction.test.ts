// What a model will take: which weights are rewritten, whether its file is mapped, what is counted and never touched.
import { GgmlType } from "node-llama-cpp";
import { describe, expect, it } from "vitest";
import type { GgufFile } from "../../src/engine/llama/gguf-file.ts";
import { planWeights, uncountedBytes, untouchedBytes } from "../../src/engine/llama/memory-prediction.ts";
import { repackedTensors, type WeightTensor } from "../../src/engine/llama/repacked-bytes.ts";

const x86 = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | AVX512 = 1 | LLAMAFILE = 1 | REPACK = 1";
const arm = "CPU : NEON = 1 | ARM_FMA = 1 | DOTPROD = 1 | REPACK = 1";
const oldArm = "CPU : NEON = 1 | ARM_FMA = 1 | REPACK = 1";

const tensor = (
  name: string,
  type: GgmlType,
  dimensions: readonly number[] = [256, 512],
  bytes = 1000,
): WeightTensor => ({
  name,
  type,
  dimensions,
  bytes,
});

describe("rewritten weights", () => {
  it.each([
    [GgmlType.Q4_0, x86, true],
    [GgmlType.Q4_K, x86, true],
    [GgmlType.Q6_K, x86, false],
    [GgmlType.Q8_0, x86, false],
    [GgmlType.F16, x86, false],
    [GgmlType.Q4_0, arm, true],
    [GgmlType.Q6_K, arm, true],
    [GgmlType.Q8_0, arm, true],
    [GgmlType.F16, arm, false],
    [GgmlType.Q4_0, oldArm, false],
    [GgmlType.Q4_0, x86.replace("REPACK = 1", "REPACK = 0"), false],
  ])("type %i with %s: %s", (type, systemInfo, expected) => {
    expect(repackedTensors([tensor("blk.0.ffn_up.weight", type)], systemInfo)).toHaveLength(expected ? 1 : 0);
  });

  it("are matrices with a whole number of interleaved rows, not vectors, nor embeddings that are only looked up", () => {
    const names = (tensors: readonly WeightTensor[]) => repackedTensors(tensors, x86).map(({ name }) => name);
    const output = tensor("output.weight", GgmlType.Q4_0);
    const embedding = tensor("token_embd.weight", GgmlType.Q4_0);
    expect(names([tensor("blk.0.attn_norm.weight", GgmlType.Q4_0, [256])])).toEqual([]);
    expect(names([tensor("blk.0.ffn_up.weight", GgmlType.Q4_0, [256, 12])])).toEqual([]);
    expect(names([embedding, output])).toEqual(["output.weight"]);
    expect(names([embedding])).toEqual(["token_embd.weight"]);
  });
});

describe("the way weights come into memory", () => {
  const plain = tensor("blk.0.attn_q.weight", GgmlType.F16, [256, 512], 9600);

  it("is a mapped file where nothing, or next to nothing, is rewritten", () => {
    expect(planWeights([plain], x86)).toEqual({ mapped: true, repackedBytes: 0, largestRepackedBytes: 0 });
    const little = tensor("blk.0.ffn_up.weight", GgmlType.Q4_0, [256, 512], 400);
    expect(planWeights([plain, little], x86)).toEqual({ mapped: true, repackedBytes: 400, largestRepackedBytes: 400 });
  });

  it("is a file that is read where originals and copies would both stay", () => {
    const copied = [600, 800].map((bytes) => tensor("blk.0.ffn_up.weight", GgmlType.Q4_0, [256, 512], bytes));
    expect(planWeights([plain, ...copied], x86)).toEqual({
      mapped: false,
      repackedBytes: 1400,
      largestRepackedBytes: 800,
    });
  });
});

describe("beyond llama.cpp's count", () => {
  const file = (tokens: number, merges: number, tensors: readonly WeightTensor[] = []) =>
    ({ vocabulary: { tokens, merges }, tensors }) as unknown as GgufFile;
  const context = { contextTokens: 4096, slots: 1, batchTokens: 512, embeddings: false, ranking: false };

  it("a larger vocabulary takes more", () => {
    expect(uncountedBytes(file(200_000, 200_000))).toBeGreaterThan(uncountedBytes(file(200_000, 0)));
    expect(uncountedBytes(file(200_000, 0))).toBeGreaterThan(uncountedBytes(file(32_000, 0)));
  });

  it("the logits of tokens that nobody asks for are never written, unless other values use their place", () => {
    const layers = [tensor("blk.0.ffn_up.weight", GgmlType.Q4_0, [1024, 4096])];
    const bytes = untouchedBytes(file(200_000, 0, layers), context);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(511 * 200_000 * 4);
    expect(untouchedBytes(file(200_000, 0, layers), { ...context, slots: 8 })).toBeLessThan(bytes);
    expect(untouchedBytes(file(512, 0, layers), context)).toBe(0);
    expect(untouchedBytes(file(200_000, 0, layers), { ...context, embeddings: true })).toBe(0);
    const experts = [tensor("blk.0.ffn_up_exps.weight", GgmlType.Q4_0, [1024, 4096, 8])];
    expect(untouchedBytes(file(200_000, 0, experts), context)).toBe(0);
  });
});
