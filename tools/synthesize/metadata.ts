// The metadata of a synthesized file: shape, rotary settings, tokenizer and chat template under GGUF's names.
// May import families.ts, gguf-header.ts, presets.ts, tensors.ts and vocabulary.ts.
import { families } from "./families.ts";
import type { MetadataValue } from "./gguf-header.ts";
import type { ModelShape } from "./presets.ts";
import type { Quantisation } from "./tensors.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** llama.cpp's numbers for `general.file_type`; the K-quantisation is the small mixture's (Q4_K_S). */
const fileTypes: Readonly<Record<Quantisation, number>> = { f16: 1, q4_0: 2, q8_0: 7, q4_k: 14, q6_k: 18 };

/** llama.cpp's `llama_pooling_type`. */
const poolings = { first: 2, last: 3, head: 4 } as const;

type Entry = readonly [key: string, value: MetadataValue];

const uint32 = (key: string, value: number): Entry => [key, { type: "uint32", value }];
const float32 = (key: string, value: number): Entry => [key, { type: "float32", value }];
const bool = (key: string, value: boolean): Entry => [key, { type: "bool", value }];
const string = (key: string, value: string): Entry => [key, { type: "string", value }];

export function metadataOf(
  shape: ModelShape,
  vocabulary: Vocabulary,
  quantisation: Quantisation,
  seed: number,
  stable: boolean,
): Entry[] {
  const weights = stable ? "stable test weights" : "random weights";
  return [
    string("general.architecture", shape.architecture),
    string("general.type", "model"),
    string("general.name", `${shape.title} (synthetic, ${weights}, seed ${seed})`),
    uint32("general.file_type", fileTypes[quantisation]),
    uint32("general.quantization_version", 2),
    ...shapeEntries(shape),
    ...tokenizerEntries(shape, vocabulary),
  ];
}

function shapeEntries(shape: ModelShape): Entry[] {
  const at = shape.architecture;
  const usesLayerNorm = at === "bert" || at === "command-r";
  const epsilonKey = usesLayerNorm ? "layer_norm_epsilon" : "layer_norm_rms_epsilon";
  const entries: Entry[] = [
    uint32(`${at}.context_length`, shape.context),
    uint32(`${at}.embedding_length`, shape.width),
    uint32(`${at}.block_count`, shape.blocks),
    uint32(`${at}.feed_forward_length`, shape.feedForward),
    uint32(`${at}.vocab_size`, shape.vocabularySize),
    uint32(`${at}.attention.head_count`, shape.heads),
    uint32(`${at}.attention.head_count_kv`, shape.kvHeads),
    float32(`${at}.attention.${epsilonKey}`, shape.normEpsilon),
  ];
  const vectors: Entry[] = [];
  if (shape.pooling !== undefined) vectors.push(uint32(`${at}.pooling_type`, poolings[shape.pooling]));
  if (shape.classes !== undefined) {
    vectors.push([`${at}.classifier.output_labels`, { type: "strings", value: shape.classes }]);
  }
  if (at === "bert") {
    const attention = bool("bert.attention.causal", false);
    return [...entries, attention, ...vectors, uint32("tokenizer.ggml.token_type_count", 2)];
  }
  entries.push(
    ...vectors,
    uint32(`${at}.attention.key_length`, shape.headWidth),
    uint32(`${at}.attention.value_length`, shape.headWidth),
    uint32(`${at}.rope.dimension_count`, shape.ropeWidth),
    float32(`${at}.rope.freq_base`, shape.ropeBase),
  );
  if (shape.slidingWindow !== undefined) entries.push(uint32(`${at}.attention.sliding_window`, shape.slidingWindow));
  if (shape.ropeLinearFactor !== undefined) {
    entries.push(
      string(`${at}.rope.scaling.type`, "linear"),
      float32(`${at}.rope.scaling.factor`, shape.ropeLinearFactor),
    );
  }
  if (shape.logitScale !== undefined) entries.push(float32(`${at}.logit_scale`, shape.logitScale));
  if (shape.originalContext !== undefined) {
    const factor = Math.sqrt(1 + Math.log(shape.context / shape.originalContext) / Math.log(shape.originalContext));
    entries.push(
      uint32(`${at}.rope.scaling.original_context_length`, shape.originalContext),
      float32(`${at}.rope.scaling.attn_factor`, factor),
    );
  }
  return entries;
}

function tokenizerEntries(shape: ModelShape, vocabulary: Vocabulary): Entry[] {
  const family = families[shape.architecture];
  const entries: Entry[] = [
    string("tokenizer.ggml.model", family.tokenizer),
    string("tokenizer.ggml.pre", family.preTokenizer),
    ["tokenizer.ggml.tokens", { type: "strings", value: vocabulary.tokens }],
    ["tokenizer.ggml.token_type", { type: "int32s", value: vocabulary.types }],
  ];
  if (vocabulary.scores !== undefined) {
    entries.push(["tokenizer.ggml.scores", { type: "float32s", value: vocabulary.scores }]);
  }
  if (vocabulary.merges !== undefined) {
    entries.push(["tokenizer.ggml.merges", { type: "strings", value: vocabulary.merges }]);
  }
  for (const [role, id] of Object.entries(vocabulary.roles))
    entries.push(uint32(`tokenizer.ggml.${role}_token_id`, id));
  entries.push(bool("tokenizer.ggml.add_bos_token", family.addBos));
  if (family.tokenizer === "llama") {
    // Mistral's tokenizer puts a space before the text, Gemma's does not.
    entries.push(bool("tokenizer.ggml.add_eos_token", false));
    entries.push(bool("tokenizer.ggml.add_space_prefix", shape.architecture === "llama"));
  }
  if (shape.rankingTemplate !== undefined) {
    entries.push(string("tokenizer.chat_template.rerank", shape.rankingTemplate));
  }
  if (family.chatTemplate !== undefined) entries.push(string("tokenizer.chat_template", family.chatTemplate));
  return entries;
}
