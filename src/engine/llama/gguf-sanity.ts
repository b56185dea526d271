// Values in a GGUF header that make llama.cpp end the process instead of refusing the file: they are refused here first.
// The list holds what was seen to crash. Pure; may import core/ (types).
import type { GgufHeader } from "../../core/gguf-walk.ts";

type HeaderValues = GgufHeader["metadata"];

const largestSize = 2 ** 24;
/** llama.cpp's LLAMA_MAX_LAYERS. */
const mostBlocks = 512;
const longestTemplateCharacters = 2 ** 20;
const deepestTemplateNesting = 500;

/** One sentence without the file's name; null where nothing is wrong. */
export function headerProblem(values: HeaderValues): string | null {
  const architecture = values.get("general.architecture");
  if (typeof architecture !== "string")
    return "names no model architecture: the file is cut short or no language model";
  return (
    sizeProblem(values, architecture) ??
    specialTokenProblem(values) ??
    templateProblem(values.get("tokenizer.chat_template"))
  );
}

function sizeProblem(values: HeaderValues, architecture: string): string | null {
  const names = [
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
  ];
  const sizes = new Map<string, number>();
  for (const name of names) {
    const value = values.get(`${architecture}.${name}`);
    // Some models give a list, one entry for each layer.
    if (typeof value !== "number" && typeof value !== "bigint") continue;
    const size = Number(value);
    const largest = name === "block_count" ? mostBlocks : largestSize;
    if (!(Number.isInteger(size) && size >= 1 && size <= largest)) {
      return `gives ${size} for ${architecture}.${name}; allowed: 1 to ${largest}`;
    }
    sizes.set(name, size);
  }
  const [embedding = 0, heads, keyHeads] = [
    sizes.get("embedding_length"),
    sizes.get("attention.head_count"),
    sizes.get("attention.head_count_kv"),
  ];
  // Where the heads' size is given on its own, it need not divide the embedding.
  if (heads !== undefined && !values.has(`${architecture}.attention.key_length`) && embedding % heads !== 0) {
    return `gives ${heads} heads, which do not divide the embedding's ${embedding}`;
  }
  if (heads !== undefined && keyHeads !== undefined && heads % keyHeads !== 0) {
    return `gives ${keyHeads} key heads, which do not divide its ${heads} heads`;
  }
  for (const name of ["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"]) {
    const epsilon = values.get(`${architecture}.${name}`);
    if (typeof epsilon === "number" && !(epsilon >= 0 && epsilon < 1)) {
      return `gives ${epsilon} for ${architecture}.${name}; allowed: 0 to 1`;
    }
  }
  return null;
}

/** 2^32 - 1 is how files say "none". */
const noToken = 2 ** 32 - 1;

function specialTokenProblem(values: HeaderValues): string | null {
  const tokens = values.get("tokenizer.ggml.tokens");
  const size = typeof tokens === "object" ? tokens.length : 0;
  for (const [key, value] of values) {
    if (!/^tokenizer\.ggml\..*token_id$/.test(key) || (typeof value !== "number" && typeof value !== "bigint"))
      continue;
    const id = Number(value);
    if (!(id >= 0 && id < size) && id !== noToken && id !== -1) {
      return `gives ${id} for ${key}, but its vocabulary has ${size} tokens`;
    }
  }
  return null;
}

/** llama.cpp's template parser calls itself for each level: one too many ends the process. */
function templateProblem(template: unknown): string | null {
  if (template === undefined) return null;
  if (typeof template !== "string") return "holds a chat template that is no text";
  if (template.length > longestTemplateCharacters) {
    return `holds a chat template of ${template.length} characters; allowed: ${longestTemplateCharacters}`;
  }
  let depth = 0;
  for (const character of template) {
    if ("([{".includes(character)) depth += 1;
    else if (")]}".includes(character)) depth = Math.max(0, depth - 1);
    if (depth > deepestTemplateNesting) {
      return `holds a chat template nested deeper than ${deepestTemplateNesting} levels`;
    }
  }
  return null;
}
