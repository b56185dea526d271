// The files as bytes: equal seeds give equal files, an interrupted one leaves nothing, and each tensor has the format
// that llama-quantize would choose.
import { createHash } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readGgufFileInfo } from "node-llama-cpp";
import { beforeEach, describe, expect, it } from "vitest";
import { presets, type ModelShape, type PresetName } from "../../tools/synthesize/presets.ts";
import { RandomStream } from "../../tools/synthesize/random.ts";
import { countParameters, synthesize, type SynthesisOptions } from "../../tools/synthesize/synthesize.ts";
import {
  encodeRow,
  fillRandomBlocks,
  halfBits,
  rowBytes,
  type TensorType,
} from "../../tools/synthesize/tensor-types.ts";
import { tensorsOf, type Quantisation } from "../../tools/synthesize/tensors.ts";
import { buildVocabulary, type Vocabulary } from "../../tools/synthesize/vocabulary.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";

let folder: string;
beforeEach(() => {
  folder = testFolder();
});

async function make(options: Partial<SynthesisOptions> = {}): Promise<{ bytes: Buffer; reported: number }> {
  const out = join(folder, "sub", "model.gguf");
  const defaults = { like: "tiny-qwen2", quant: "q4_k", seed: 1, stable: false } as const;
  const reported = await synthesize({ ...defaults, ...options, out });
  return { bytes: await readFile(out), reported };
}

const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("synthesize", () => {
  it.each([false, true])("gives equal bytes for equal seeds only (stable: %s)", async (stable) => {
    const first = await make({ stable });
    const again = await make({ stable });
    const other = await make({ stable, seed: 2 });
    expect(hash(again.bytes)).toBe(hash(first.bytes));
    expect(hash(other.bytes)).not.toBe(hash(first.bytes));
    expect(first.bytes.length).toBe(first.reported);
  });

  it("reports progress up to the whole file", async () => {
    const shares: number[] = [];
    const { reported } = await make({ onProgress: (written, total) => shares.push(written / total) });
    expect(shares.at(-1)).toBe(1);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(reported).toBeGreaterThan(1e6);
  });

  it("leaves nothing behind, and the old file alone, when it is interrupted", async () => {
    const out = join(folder, "model.gguf");
    await writeFile(out, "old");
    const stop = new AbortController();
    const run = synthesize({
      like: "tiny-llama",
      quant: "f16",
      out,
      seed: 0,
      stable: false,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(run).rejects.toThrow(/abort/i);
    expect(await readdir(folder)).toEqual(["model.gguf"]);
    expect(await readFile(out, "utf8")).toBe("old");
  });

  it("writes metadata and tensors where a reader finds them", async () => {
    await make({ like: "tiny-gemma3", quant: "q6_k" });
    const info = await readGgufFileInfo(join(folder, "sub", "model.gguf"), {
      readTensorInfo: true,
      logWarnings: false,
    });
    expect(info.metadata.general.architecture).toBe("gemma3");
    expect(info.fullTensorInfo?.map(({ name }) => name)).toEqual(
      tensorsOf(presets["tiny-gemma3"], "q6_k").map(({ name }) => name),
    );
  });
});

describe("tinyModel", () => {
  it("serves callers that ask at once from one file", async () => {
    const paths = await Promise.all([1, 2, 3].map(() => tinyModel("tiny-qwen2", { quant: "q8_0", seed: 7 })));
    expect(new Set(paths).size).toBe(1);
    expect((await stat(paths[0] ?? "")).size).toBeGreaterThan(1e6);
  });
});

describe("tensorsOf", () => {
  const typesOf = (like: PresetName, quant: Quantisation): Record<string, TensorType> =>
    Object.fromEntries(tensorsOf(presets[like], quant).map(({ name, type }) => [name, type]));

  it("has the parameter counts of the real models", () => {
    const millions = (like: PresetName): number => Math.round(countParameters(presets[like]) / 1e6);
    expect(millions("qwen2.5-0.5b")).toBe(494);
    expect(millions("qwen2.5-1.5b")).toBe(1544);
    expect(millions("qwen2.5-7b")).toBe(7616);
    expect(millions("mistral-7b")).toBe(7248);
    expect(millions("phi-4-mini")).toBe(3836);
    expect(millions("gemma3-4b")).toBe(3880);
    expect(millions("aya-expanse-8b")).toBe(8028);
    expect(millions("bge-small")).toBe(33);
  });

  it("falls back where 256 does not divide the rows", () => {
    // 896 columns: not a multiple of 256; 4864 is.
    expect(typesOf("qwen2.5-0.5b", "q4_k")).toMatchObject({
      "token_embd.weight": "q8_0",
      "blk.0.attn_q.weight": "q5_0",
      "blk.0.ffn_up.weight": "q5_0",
      "blk.0.ffn_down.weight": "q4_k",
      "blk.0.attn_norm.weight": "f32",
    });
    expect(typesOf("qwen2.5-0.5b", "q6_k")).toMatchObject({ "blk.0.attn_q.weight": "q8_0" });
    expect(typesOf("qwen2.5-0.5b", "q4_0")).toMatchObject({
      "token_embd.weight": "q8_0",
      "blk.0.attn_q.weight": "q4_0",
    });
  });

  it("gives the head six bits and an embedding of its own the asked format", () => {
    expect(typesOf("mistral-7b", "q4_0")).toMatchObject({ "token_embd.weight": "q4_0", "output.weight": "q6_k" });
    expect(typesOf("mistral-7b", "q8_0")).toMatchObject({ "token_embd.weight": "q8_0", "output.weight": "q8_0" });
    expect(typesOf("gemma3-4b", "q4_k")).toMatchObject({ "token_embd.weight": "q6_k" });
    expect(typesOf("bge-small", "q4_k")).toMatchObject({ "position_embd.weight": "f32", "token_types.weight": "f32" });
  });
});

describe("vocabularies of the real sizes", () => {
  const built = new Map<ModelShape, Promise<Vocabulary>>();
  const vocabularyOf = (shape: ModelShape): Promise<Vocabulary> => {
    const vocabulary = built.get(shape) ?? buildVocabulary(shape);
    built.set(shape, vocabulary);
    return vocabulary;
  };

  it.each(Object.entries<ModelShape>(presets))("%s has unique tokens and no gaps", async (_, shape) => {
    const vocabulary = await vocabularyOf(shape);
    expect(vocabulary.tokens).toHaveLength(shape.vocabularySize);
    expect(new Set(vocabulary.tokens).size).toBe(shape.vocabularySize);
    expect(vocabulary.tokens).not.toContain("");
    expect(Math.min(...Object.values(vocabulary.roles))).toBeGreaterThanOrEqual(0);
    // A merge makes sense only when its parts and its result are tokens.
    const known = new Set(vocabulary.tokens);
    const broken = vocabulary.merges?.filter((merge) => {
      const [left, right] = merge.split(" ") as [string, string];
      return !known.has(left) || !known.has(right) || !known.has(left + right);
    });
    expect(broken ?? []).toEqual([]);
  });

  it("has the special tokens at the ids of the real models", async () => {
    const idsOf = async (like: PresetName, texts: readonly string[]): Promise<number[]> => {
      const { tokens } = await vocabularyOf(presets[like]);
      return texts.map((text) => tokens.indexOf(text));
    };
    expect(await idsOf("qwen2.5-0.5b", ["<|endoftext|>", "<|im_end|>", "<tool_call>"])).toEqual([
      151643, 151645, 151657,
    ]);
    expect(await idsOf("phi-4-mini", ["<|endoftext|>", "<|assistant|>", "<|end|>"])).toEqual([199999, 200019, 200020]);
    expect(await idsOf("mistral-7b", ["</s>", "[INST]", "<0x00>"])).toEqual([2, 3, 771]);
    expect(await idsOf("gemma3-4b", ["<bos>", "<start_of_turn>", "<end_of_turn>"])).toEqual([2, 105, 106]);
    expect(await idsOf("aya-expanse-8b", ["<BOS_TOKEN>", "<|START_OF_TURN_TOKEN|>"])).toEqual([5, 255000]);
    expect(await idsOf("bge-small", ["[UNK]", "[CLS]", "[SEP]"])).toEqual([100, 101, 102]);
  });
});

describe("tensor formats", () => {
  it("rounds to half precision as IEEE 754 says", () => {
    const known: readonly (readonly [number, number])[] = [
      [0, 0],
      [1, 0x3c00],
      [-2, 0xc000],
      [65504, 0x7bff],
      [65520, 0x7c00],
      [2 ** -14, 0x0400],
      [2 ** -24, 0x0001],
      [2 ** -26, 0x0000],
      [1 + 2 ** -11, 0x3c00],
      [1 + 3 * 2 ** -11, 0x3c02],
      [2047.9, 0x6800],
      [1 / 3, 0x3555],
    ];
    for (const [value, bits] of known) expect(halfBits(value)).toBe(bits);
  });

  it.each([
    ["f16", 0.001],
    ["q8_0", 0.01],
    ["q6_k", 0.03],
    ["q5_0", 0.07],
    ["q4_0", 0.14],
    ["q4_k", 0.1],
  ] as const)("encodes values in %s with a relative error below %f", (type, bound) => {
    const values = new Float32Array(512);
    new RandomStream("values").fillNormal(values);
    const encoded = new Uint8Array(rowBytes(type, 512));
    encodeRow(type, values, encoded, 0);
    const decoded = decode(type, encoded);
    const error = Math.hypot(...values.map((value, index) => value - (decoded[index] ?? 0)));
    expect(error / Math.hypot(...values)).toBeLessThan(bound);
  });

  it.each(["f16", "q8_0", "q6_k", "q5_0", "q4_0", "q4_k"] as const)("scales random blocks of %s", (type) => {
    const blocks = new Uint8Array(rowBytes(type, 65_536));
    fillRandomBlocks(type, blocks, 0.02, new RandomStream("blocks"));
    const decoded = decode(type, blocks);
    const mean = decoded.reduce((sum, value) => sum + value, 0) / decoded.length;
    const deviation = Math.sqrt(decoded.reduce((sum, value) => sum + (value - mean) ** 2, 0) / decoded.length);
    expect(Math.abs(mean)).toBeLessThan(0.0005);
    expect(deviation / 0.02).toBeGreaterThan(0.97);
    expect(deviation / 0.02).toBeLessThan(1.03);
  });
});

/** Reads blocks back as the format's definition says; written apart from the encoder, so that both must agree. */
function decode(type: TensorType, bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const half = (at: number): number => {
    const bits = view.getUint16(at, true);
    const exponent = (bits >> 10) & 31;
    const magnitude = exponent === 0 ? (bits & 1023) * 2 ** -24 : (1024 + (bits & 1023)) * 2 ** (exponent - 25);
    return bits >> 15 === 1 ? -magnitude : magnitude;
  };
  const byte = (at: number): number => view.getUint8(at);
  const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
  const blocks = (size: number, block: (at: number) => number[]): number[] =>
    range(bytes.length / size).flatMap((index) => block(index * size));
  switch (type) {
    case "f32":
      return blocks(4, (at) => [view.getFloat32(at, true)]);
    case "f16":
      return blocks(2, (at) => [half(at)]);
    case "q8_0":
      return blocks(34, (at) => range(32).map((index) => half(at) * view.getInt8(at + 2 + index)));
    case "q4_0":
      return blocks(18, (at) =>
        range(32).map((index) => {
          const packed = byte(at + 2 + (index % 16));
          return half(at) * ((index < 16 ? packed & 15 : packed >> 4) - 8);
        }),
      );
    case "q5_0":
      return blocks(22, (at) =>
        range(32).map((index) => {
          const packed = byte(at + 6 + (index % 16));
          const high = (view.getUint32(at + 2, true) >>> index) & 1;
          return half(at) * ((index < 16 ? packed & 15 : packed >> 4) + 16 * high - 16);
        }),
      );
    case "q4_k":
      return blocks(144, (at) =>
        range(256).map((index) => {
          const sub = index >> 5;
          const packed = (offset: number): number => byte(at + 4 + offset);
          const scale = sub < 4 ? packed(sub) & 63 : (packed(sub + 4) & 15) | ((packed(sub - 4) >> 6) << 4);
          const minimum = sub < 4 ? packed(sub + 4) & 63 : (packed(sub + 4) >> 4) | ((packed(sub) >> 6) << 4);
          const quanta = byte(at + 16 + (index >> 6) * 32 + (index & 31));
          return half(at) * scale * (sub % 2 === 0 ? quanta & 15 : quanta >> 4) - half(at + 2) * minimum;
        }),
      );
    case "q6_k":
      return blocks(210, (at) =>
        range(256).map((index) => {
          const [part, quarter, lane] = [index >> 7, (index >> 5) & 3, index & 31];
          const low = byte(at + part * 64 + (quarter & 1) * 32 + lane);
          const high = (byte(at + 128 + part * 32 + lane) >> (2 * quarter)) & 3;
          const quantum = (quarter < 2 ? low & 15 : low >> 4) | (high << 4);
          return half(at + 208) * view.getInt8(at + 192 + (index >> 4)) * (quantum - 32);
        }),
      );
  }
}
