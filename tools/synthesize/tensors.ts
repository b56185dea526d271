// The tensors of each architecture: names, shapes, formats, and how random weights are scaled so that activations stay
// near 1 and no special token ever wins. May import presets.ts and tensor-types.ts.
import type { ModelShape } from "./presets.ts";
import { tensorFormats, type TensorType } from "./tensor-types.ts";

/** What `--quant` may say. */
export const quantisations = ["f16", "q8_0", "q4_0", "q4_k", "q6_k"] as const;

export type Quantisation = (typeof quantisations)[number];

/** Where the values come from: deviation `sigma` around 0, or `value` throughout, or one value a column. */
export type TensorFill =
  | { readonly kind: "random"; readonly sigma: number }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "listed"; readonly values: readonly number[] };

export interface Tensor {
  readonly name: string;
  readonly columns: number;
  /** 1 and `isVector` for a tensor of one dimension. */
  readonly rows: number;
  readonly isVector: boolean;
  readonly type: TensorType;
  readonly fill: TensorFill;
  /** Rows belong to tokens: those of special tokens are scaled down to `specialTokenScale`. */
  readonly rowsAreTokens: boolean;
}

/** Small enough that a special token's logit never is the greatest, large enough to tell the tokens apart. */
export const specialTokenScale = 0.1;

/** Standard deviation of the logits that random weights give. */
const logitDeviation = 3;
/** Root mean square of what the embedding puts into the residual stream; all blocks together add about 1. */
const inputScale = 0.02;
/**
 * Queries and keys are larger than 1, so that attention picks out few tokens, and what it adds is small beside the
 * feed-forward part: otherwise the mean over a long prompt drowns the last token and the text repeats one word.
 */
const queryKeyGain = 2;
const attentionGain = 0.2;

export function tensorsOf(shape: ModelShape, quantisation: Quantisation): Tensor[] {
  const { width, feedForward, heads, kvHeads, headWidth, architecture } = shape;
  const queryWidth = heads * headWidth;
  const kvWidth = kvHeads * headWidth;
  const isBert = architecture === "bert";
  // Gemma multiplies embeddings by the root of the width.
  const embeddingSigma = isBert ? 1 : inputScale / embeddingFactor(shape);
  const headSigma = shape.tied ? embeddingSigma : 1 / Math.sqrt(width);
  const branchScale = 1 / Math.sqrt(2 * shape.blocks);

  const tensors: Tensor[] = [];
  const vector = (name: string, length: number, fill: TensorFill): void => {
    tensors.push({ name, columns: length, rows: 1, isVector: true, type: "f32", fill, rowsAreTokens: false });
  };
  const norm = (name: string, value = 1, length = width): void =>
    vector(`${name}.weight`, length, { kind: "constant", value });
  const bias = (name: string, length: number): void => vector(`${name}.bias`, length, { kind: "random", sigma: 0.02 });
  const matrix = (name: string, columns: number, rows: number, gain = 1): void => {
    const type = fallback(quantisation, columns);
    const fill: TensorFill = { kind: "random", sigma: gain / Math.sqrt(columns) };
    tensors.push({ name: `${name}.weight`, columns, rows, isVector: false, type, fill, rowsAreTokens: false });
  };
  const tokenMatrix = (name: string, sigma: number, type: TensorType, rows: number, rowsAreTokens: boolean): void => {
    const fill: TensorFill = { kind: "random", sigma };
    tensors.push({ name: `${name}.weight`, columns: width, rows, isVector: false, type, fill, rowsAreTokens });
  };

  // An embedding that is also the head takes the head's format, as llama-quantize does.
  const embeddingType = shape.tied ? headType(quantisation, width) : fallback(quantisation, width);
  tokenMatrix("token_embd", embeddingSigma, embeddingType, shape.vocabularySize, !isBert);
  if (isBert) {
    tokenMatrix("position_embd", 0.2, "f32", shape.context, false);
    tokenMatrix("token_types", 0.2, "f32", 2, false);
    norm("token_embd_norm");
    bias("token_embd_norm", width);
  } else {
    norm("output_norm", logitDeviation / (headSigma * Math.sqrt(width) * (shape.logitScale ?? 1)));
    if (!shape.tied) tokenMatrix("output", headSigma, headType(quantisation, width), shape.vocabularySize, true);
  }
  if (shape.originalContext !== undefined) {
    const pairs = shape.ropeWidth / 2;
    const long = Array.from({ length: pairs }, (_, pair) => Math.min(32, 1.118 ** pair));
    vector("rope_factors_long.weight", pairs, { kind: "listed", values: long });
    vector("rope_factors_short.weight", pairs, { kind: "constant", value: 1 });
  }

  for (let block = 0; block < shape.blocks; block += 1) {
    const at = `blk.${block}`;
    if (!isBert) norm(`${at}.attn_norm`);
    if (architecture === "phi3") {
      matrix(`${at}.attn_qkv`, width, queryWidth + 2 * kvWidth, queryKeyGain);
    } else {
      for (const [part, rows] of [
        ["q", queryWidth],
        ["k", kvWidth],
        ["v", kvWidth],
      ] as const) {
        matrix(`${at}.attn_${part}`, width, rows, isBert ? 1 : queryKeyGain);
        if (architecture === "qwen2" || isBert) bias(`${at}.attn_${part}`, rows);
      }
    }
    matrix(`${at}.attn_output`, queryWidth, width, isBert ? 1 : (branchScale * attentionGain) / queryKeyGain);
    if (architecture === "gemma3") {
      norm(`${at}.attn_q_norm`, queryKeyGain, headWidth);
      norm(`${at}.attn_k_norm`, queryKeyGain, headWidth);
      norm(`${at}.post_attention_norm`, branchScale * attentionGain);
      norm(`${at}.post_ffw_norm`, branchScale);
    }
    if (architecture === "qwen3")
      for (const part of ["q", "k"]) norm(`${at}.attn_${part}_norm`, queryKeyGain, headWidth);
    if (isBert) {
      bias(`${at}.attn_output`, width);
      for (const name of ["attn_output_norm", "layer_output_norm"]) {
        norm(`${at}.${name}`);
        bias(`${at}.${name}`, width);
      }
      matrix(`${at}.ffn_up`, width, feedForward);
      bias(`${at}.ffn_up`, feedForward);
      matrix(`${at}.ffn_down`, feedForward, width);
      bias(`${at}.ffn_down`, width);
      continue;
    }
    if (architecture !== "command-r") norm(`${at}.ffn_norm`);
    if (architecture !== "phi3") matrix(`${at}.ffn_gate`, width, feedForward);
    matrix(`${at}.ffn_up`, width, architecture === "phi3" ? 2 * feedForward : feedForward);
    matrix(`${at}.ffn_down`, feedForward, width, branchScale);
  }
  if (shape.pooling === "head") {
    // Of one kind throughout: these few rows are never quantised.
    // Scores of about 1; behind a norm that suits the vocabulary's logits the rows are smaller.
    const sigma = isBert ? 1 / Math.sqrt(width) : headSigma / logitDeviation;
    const head = (name: string, rows: number): void => {
      const fill: TensorFill = { kind: "random", sigma };
      tensors.push({ name, columns: width, rows, isVector: false, type: "f32", fill, rowsAreTokens: false });
    };
    if (isBert) {
      head("cls.weight", width);
      bias("cls", width);
    }
    head("cls.output.weight", shape.classes?.length ?? 1);
    if (isBert) bias("cls.output", 1);
  }
  return tensors;
}

/** What an architecture multiplies its embeddings by. */
export function embeddingFactor(shape: ModelShape): number {
  return shape.architecture === "gemma3" ? Math.sqrt(shape.width) : 1;
}

/** The output head of a quantised file: Q6_K, or Q8_0 where that was asked for or the rows are not divisible. */
function headType(quantisation: Quantisation, columns: number): TensorType {
  if (quantisation === "f16" || quantisation === "q8_0") return quantisation;
  return columns % tensorFormats[quantisation].blockValues === 0
    ? fallback("q6_k", columns)
    : fallback("q8_0", columns);
}

/** llama-quantize's fallback for rows that are not a whole number of blocks. */
function fallback(wanted: Quantisation, columns: number): TensorType {
  const fits = (type: TensorType): boolean => columns % tensorFormats[type].blockValues === 0;
  if (fits(wanted)) return wanted;
  const smaller = wanted === "q4_k" ? "q5_0" : "q8_0";
  return (wanted === "q4_k" || wanted === "q6_k") && fits(smaller) ? smaller : "f16";
}
