// The shapes that can be synthesized: the published configurations of real models, and a tiny one of each
// architecture. Imports nothing.

export type Architecture = "qwen2" | "qwen3" | "llama" | "gemma3" | "phi3" | "command-r" | "bert";

export interface ModelShape {
  readonly architecture: Architecture;
  /** Words for people: `general.name` of the file. */
  readonly title: string;
  readonly blocks: number;
  /** Width of the residual stream (hidden size). */
  readonly width: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headWidth: number;
  /** Rotated values of each head; 0 for architectures with learned positions. */
  readonly ropeWidth: number;
  readonly ropeBase: number;
  /** Tokens the model is said to be trained for. */
  readonly context: number;
  readonly normEpsilon: number;
  /** The output head is the token embedding itself. */
  readonly tied: boolean;
  readonly vocabularySize: number;
  /** Gemma: tokens that five of six layers can look back. */
  readonly slidingWindow?: number;
  /** Gemma: positions of the global layers are divided by this. */
  readonly ropeLinearFactor?: number;
  /** Command-R: logits are multiplied by this. */
  readonly logitScale?: number;
  /** Phi: context before long-context rotation factors apply. */
  readonly originalContext?: number;
  /** What vectors are made of: the first token's, the last one's, or a classification head's. Absent: the architecture's own. */
  readonly pooling?: "first" | "last" | "head";
  /** Names of what the classification head tells apart; absent with a head: it gives one score. */
  readonly classes?: readonly string[];
  /** Query and document as the prompt of a reranker. */
  readonly rankingTemplate?: string;
}

const tinyShape = {
  blocks: 4,
  width: 256,
  feedForward: 384,
  heads: 4,
  kvHeads: 2,
  headWidth: 64,
  ropeWidth: 64,
  context: 2048,
  vocabularySize: 2048,
} as const;

const qwen2 = {
  architecture: "qwen2",
  ropeBase: 1e6,
  context: 32_768,
  normEpsilon: 1e-6,
  vocabularySize: 151_936,
} as const;
const qwen3 = { ...qwen2, architecture: "qwen3" } as const;
const llama = { architecture: "llama", ropeBase: 1e6, normEpsilon: 1e-5, tied: false } as const;
const gemma3 = { architecture: "gemma3", ropeBase: 1e6, normEpsilon: 1e-6, tied: true } as const;
const phi3 = { architecture: "phi3", ropeBase: 1e4, normEpsilon: 1e-5, tied: true } as const;
const commandR = {
  architecture: "command-r",
  ropeBase: 1e4,
  normEpsilon: 1e-5,
  tied: true,
  logitScale: 0.125,
} as const;
const bert = {
  architecture: "bert",
  ropeWidth: 0,
  ropeBase: 0,
  context: 512,
  normEpsilon: 1e-12,
  tied: true,
  pooling: "first",
} as const;

export const presets = {
  "phi-4-mini": {
    ...phi3,
    title: "Phi 4 mini",
    blocks: 32,
    width: 3072,
    feedForward: 8192,
    heads: 24,
    kvHeads: 8,
    headWidth: 128,
    ropeWidth: 96,
    context: 131_072,
    originalContext: 4096,
    vocabularySize: 200_064,
  },
  "mistral-7b": {
    ...llama,
    title: "Mistral 7B v0.3",
    blocks: 32,
    width: 4096,
    feedForward: 14_336,
    heads: 32,
    kvHeads: 8,
    headWidth: 128,
    ropeWidth: 128,
    context: 32_768,
    vocabularySize: 32_768,
  },
  "qwen2.5-0.5b": {
    ...qwen2,
    title: "Qwen2.5 0.5B",
    blocks: 24,
    width: 896,
    feedForward: 4864,
    heads: 14,
    kvHeads: 2,
    headWidth: 64,
    ropeWidth: 64,
    tied: true,
  },
  "qwen2.5-1.5b": {
    ...qwen2,
    title: "Qwen2.5 1.5B",
    blocks: 28,
    width: 1536,
    feedForward: 8960,
    heads: 12,
    kvHeads: 2,
    headWidth: 128,
    ropeWidth: 128,
    tied: true,
  },
  "qwen2.5-7b": {
    ...qwen2,
    title: "Qwen2.5 7B",
    blocks: 28,
    width: 3584,
    feedForward: 18_944,
    heads: 28,
    kvHeads: 4,
    headWidth: 128,
    ropeWidth: 128,
    tied: false,
    vocabularySize: 152_064,
  },
  "gemma3-4b": {
    ...gemma3,
    title: "Gemma 3 4B",
    blocks: 34,
    width: 2560,
    feedForward: 10_240,
    heads: 8,
    kvHeads: 4,
    headWidth: 256,
    ropeWidth: 256,
    context: 131_072,
    slidingWindow: 1024,
    ropeLinearFactor: 8,
    vocabularySize: 262_144,
  },
  "aya-expanse-8b": {
    ...commandR,
    title: "Aya Expanse 8B",
    blocks: 32,
    width: 4096,
    feedForward: 14_336,
    heads: 32,
    kvHeads: 8,
    headWidth: 128,
    ropeWidth: 128,
    context: 8192,
    vocabularySize: 256_000,
  },
  "bge-small": {
    ...bert,
    title: "BGE small",
    blocks: 12,
    width: 384,
    feedForward: 1536,
    heads: 12,
    kvHeads: 12,
    headWidth: 32,
    vocabularySize: 30_522,
  },
  "tiny-qwen2": { ...qwen2, ...tinyShape, title: "Tiny qwen2", tied: true },
  "tiny-llama": { ...llama, ...tinyShape, title: "Tiny llama" },
  // Six blocks, so that one of them is global.
  "tiny-gemma3": { ...gemma3, ...tinyShape, title: "Tiny gemma3", blocks: 6, slidingWindow: 64 },
  // Not "phi3" in the title: llama.cpp would look for the old Phi 3 tokens in the vocabulary.
  "tiny-phi3": { ...phi3, ...tinyShape, title: "Tiny Phi 4", ropeWidth: 48 },
  "tiny-command-r": { ...commandR, ...tinyShape, title: "Tiny command-r" },
  "tiny-bert": { ...tinyShape, ...bert, title: "Tiny bert", kvHeads: 4 },
  "tiny-reranker": { ...tinyShape, ...bert, title: "Tiny reranker", kvHeads: 4, pooling: "head" },
  "tiny-qwen3-embedder": { ...qwen3, ...tinyShape, title: "Tiny qwen3 embedder", tied: true, pooling: "last" },
  "tiny-qwen3-reranker": {
    ...qwen3,
    ...tinyShape,
    title: "Tiny qwen3 reranker",
    tied: true,
    pooling: "head",
    classes: ["yes", "no"],
    rankingTemplate:
      "<|im_start|>system\nDoes the document answer the query? Say yes or no.<|im_end|>\n" +
      "<|im_start|>user\nQuery: {query}\nDocument: {document}<|im_end|>\n<|im_start|>assistant\n",
  },
} as const satisfies Readonly<Record<string, ModelShape>>;

export type PresetName = keyof typeof presets;
export type TinyPresetName = Extract<PresetName, `tiny-${string}`>;

export function isPresetName(name: string): name is PresetName {
  return Object.hasOwn(presets, name);
}
