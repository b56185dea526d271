// Weights whose best token wins by a wide margin on every CPU and in every quantisation, for tests that compare tokens.
// May import families.ts, presets.ts, random.ts, tensors.ts and vocabulary.ts.
//
// 1024 printable tokens stand for pairs (a, b) of numbers below 32, embedded as two codes that are rows of a Hadamard
// matrix, so orthogonal. In the first block one head attends to the token itself and another to the one before it (by
// rotary position alone: queries and keys are constants), and they add the codes of the next token, which is
// (π1(b), π2(a of the token before)). So the text depends on the last two tokens, the KV cache and the positions, and
// is known in advance (`stableSuccessor`). Everything else is faint noise. The head is the embedding itself, which
// suits the architectures that tie them.
import { tokenTypes } from "./families.ts";
import type { ModelShape } from "./presets.ts";
import { RandomStream } from "./random.ts";
import { embeddingFactor, specialTokenScale } from "./tensors.ts";
import type { Vocabulary } from "./vocabulary.ts";

const codes = 32;
const codeWidth = 64;
/** Columns of the residual stream: a constant and its opposite (so that the mean is 0), then the two codes. */
const constantAt = 0;
const firstCodeAt = 64;
const secondCodeAt = 128;
const constant = 4;
/** How much stronger than the present token's code the next one's is written. */
const successorGain = 4;
/** Logits between the best token and any other, about. */
const margin = 20;
const rotaryPairs = 8;
/** Attention score that one perfectly aligned pair contributes. */
const pairScore = 15;
/** Share of the random weights that is left. */
const noise = 0.1;

export interface StableWeights {
  /** Deviation of a tensor's noise, given that of the plain random weights. */
  readonly noiseSigma: (name: string, sigma: number) => number;
  /** A constant tensor's value, or undefined for the usual one. */
  readonly constantOf: (name: string) => number | undefined;
  /** Overwrites in a row (prefilled with noise) what carries the signal. */
  readonly editRow: (name: string, row: number, values: Float32Array) => void;
}

/** Ids of the tokens that stable weights produce: ordinary pieces with a letter or digit, in a seeded order. */
export function stableTokens(vocabulary: Vocabulary, seed: number): number[] {
  const ordinary = vocabulary.tokens.flatMap((text, id) =>
    vocabulary.types[id] === tokenTypes.normal && /^[Ġ▁]?[A-Za-z0-9]+$/u.test(text) ? [id] : [],
  );
  const random = new RandomStream(`${seed}:stable tokens`);
  for (let index = ordinary.length - 1; index > 0; index -= 1) {
    const other = random.below(index + 1);
    [ordinary[index], ordinary[other]] = [ordinary[other] ?? 0, ordinary[index] ?? 0];
  }
  return ordinary.slice(0, codes * codes);
}

const first = (place: number): number => Math.floor(place / codes) % codes;
const second = (place: number): number => place % codes;
// Composed, the two are a permutation with one cycle of all 32: the text repeats after 96 tokens.
const nextFirst = (secondOfLast: number): number => (5 * secondOfLast + 3) % codes;
const nextSecond = (firstOfPrevious: number): number => (9 * firstOfPrevious + 2) % codes;

/** The token that stable weights put after the two given ids (the last two of any prompt of at least two tokens). */
export function stableSuccessor(vocabulary: Vocabulary, seed: number): (previous: number, last: number) => number {
  const tokens = stableTokens(vocabulary, seed);
  const places = placesOf(tokens, vocabulary.tokens.length);
  return (previous, last) => {
    const place = nextFirst(second(places[last] ?? 0)) * codes + nextSecond(first(places[previous] ?? 0));
    return tokens[place] ?? 0;
  };
}

/** The pair of each token as one number; tokens that are never produced share the pairs of others. */
function placesOf(tokens: readonly number[], vocabularySize: number): Uint16Array {
  const places = Uint16Array.from({ length: vocabularySize }, (_, id) => (id * 7) % (codes * codes));
  for (const [place, id] of tokens.entries()) places[id] = place;
  return places;
}

export function stableWeights(shape: ModelShape, vocabulary: Vocabulary, seed: number): StableWeights {
  const { width, heads, kvHeads, headWidth, architecture } = shape;
  const tokens = stableTokens(vocabulary, seed);
  const places = placesOf(tokens, vocabulary.tokens.length);
  const produced = new Set(tokens);
  const embeddingScale = 1 / embeddingFactor(shape);

  // After the first norm every token looks alike but for its codes.
  const normalised = 1 / Math.sqrt((2 * constant ** 2 + 2 * codeWidth) / width);
  // Heads 0 and the first of the second key-value head: itself, and the token before.
  const previousHead = heads / kvHeads;
  const amplitude = Math.sqrt(pairScore * Math.sqrt(headWidth));
  // Gemma normalises queries and keys: the amplitude comes from those norms.
  const headNorm = amplitude / Math.sqrt(headWidth / rotaryPairs);
  const toConstant = amplitude / (constant * normalised);

  const finalRms = Math.sqrt((2 * constant ** 2 + 2 * codeWidth * (1 + successorGain ** 2)) / width);
  // The runner-up shares one code with the best token and the other with the present one.
  const rawMargin = (codeWidth * (successorGain - 1) * embeddingScale) / finalRms;

  const writeRotary = (values: Float32Array, row: number, distance: number): void => {
    values.fill(0);
    const isAdjacent = architecture === "llama" || architecture === "command-r";
    const pair = isAdjacent ? row >> 1 : row % (shape.ropeWidth / 2);
    if (row >= shape.ropeWidth || pair >= rotaryPairs) return;
    const angle = -distance * shape.ropeBase ** ((-2 * pair) / shape.ropeWidth);
    const isSecondOfPair = isAdjacent ? row % 2 === 1 : row >= shape.ropeWidth / 2;
    values[constantAt] = toConstant * (isSecondOfPair ? Math.sin(angle) : Math.cos(angle));
  };
  const writeQuery = (values: Float32Array, row: number): void => {
    const head = Math.floor(row / headWidth);
    if (head === 0) writeRotary(values, row, 0);
    if (head === previousHead) writeRotary(values, row % headWidth, 1);
  };
  const writeKey = (values: Float32Array, row: number): void => writeRotary(values, row % headWidth, 0);
  const writeValue = (values: Float32Array, row: number): void => {
    const head = Math.floor(row / headWidth);
    if (head > 1) return;
    values.fill(0);
    values[(head === 0 ? secondCodeAt : firstCodeAt) + (row % headWidth)] = 1;
  };
  const writeOutput = (values: Float32Array, row: number): void => {
    const writesFirst = row >= firstCodeAt && row < firstCodeAt + codeWidth;
    const writesSecond = row >= secondCodeAt && row < secondCodeAt + codeWidth;
    values.fill(0);
    if (!writesFirst && !writesSecond) return;
    const from = writesFirst ? 0 : previousHead * headWidth;
    const translate = writesFirst ? nextFirst : nextSecond;
    const bit = row % codeWidth;
    for (let column = 0; column < codeWidth; column += 1) {
      let sum = 0;
      for (let code = 0; code < codes; code += 1) sum += codeBit(translate(code), bit) * codeBit(code, column);
      values[from + column] = (successorGain / normalised / codeWidth) * sum;
    }
  };
  const writeEmbedding = (values: Float32Array, id: number): void => {
    const scale = embeddingScale * (produced.has(id) ? 1 : specialTokenScale);
    values.fill(0);
    values[constantAt] = constant * scale;
    values[constantAt + 1] = -constant * scale;
    for (let bit = 0; bit < codeWidth; bit += 1) {
      values[firstCodeAt + bit] = codeBit(first(places[id] ?? 0), bit) * scale;
      values[secondCodeAt + bit] = codeBit(second(places[id] ?? 0), bit) * scale;
    }
  };

  const queryRows = heads * headWidth;
  const kvRows = kvHeads * headWidth;
  const writers: Readonly<Record<string, (values: Float32Array, row: number) => void>> = {
    "token_embd.weight": writeEmbedding,
    "output.weight": writeEmbedding,
    "blk.0.attn_q.weight": writeQuery,
    "blk.0.attn_k.weight": writeKey,
    "blk.0.attn_v.weight": writeValue,
    "blk.0.attn_qkv.weight": (values, row) => {
      if (row < queryRows) writeQuery(values, row);
      else if (row < queryRows + kvRows) writeKey(values, row - queryRows);
      else writeValue(values, row - queryRows - kvRows);
    },
    "blk.0.attn_output.weight": writeOutput,
  };

  return {
    noiseSigma: (name, sigma) => (name.endsWith(".bias") ? 0 : sigma * noise),
    constantOf: (name) => {
      if (name === "output_norm.weight") return margin / rawMargin / (shape.logitScale ?? 1);
      if (/^blk\.0\.attn_[qk]_norm\./.test(name)) return headNorm;
      // What the first block adds has the codes in half the columns: its root mean square is 1 before this.
      if (name === "blk.0.post_attention_norm.weight") return successorGain / Math.sqrt(width / (2 * codeWidth));
      return /^blk\.\d+\.post_/.test(name) ? noise ** 2 : undefined;
    },
    editRow: (name, row, values) => writers[name]?.(values, row),
  };
}

/** Bit `bit` (±1) of code `code`: row code + 1 of the 64 × 64 Hadamard matrix, whose sum is 0. */
function codeBit(code: number, bit: number): number {
  let shared = (code + 1) & bit;
  let parity = 0;
  for (; shared > 0; shared >>= 1) parity ^= shared & 1;
  return parity === 0 ? 1 : -1;
}
