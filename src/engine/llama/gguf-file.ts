// Reads a GGUF file's header and checks that the file is whole, before anything maps or loads it: a damaged file must be a
// sentence for the operator, never an assertion in native code. The vocabulary's pieces are passed over, not kept: a
// library that lists 250,000 of them holds the event loop for half a second. May import node-llama-cpp, its
// neighbours, engine.ts, file-parts.ts and core/.
import { GgmlType, type GgufFileInfo, GgufInsights, type Llama } from "node-llama-cpp";
import { type GgufHeader, type GgufScalar, walkGguf } from "../../core/gguf-walk.ts";
import type { LoadSpec, ModelFileInfo } from "../engine.ts";
import { partPaths } from "../file-parts.ts";
import { blockLayout } from "./bindings.ts";
import { headerProblem } from "./gguf-sanity.ts";
import type { WeightTensor } from "./repacked-bytes.ts";

export interface GgufFile {
  readonly summary: ModelFileInfo;
  /** The library's view of the header. */
  readonly insights: GgufInsights;
  readonly tensors: readonly WeightTensor[];
  readonly vocabulary: { readonly tokens: number; readonly merges: number };
  /** Positions that a sliding-window layer attends to; null where every layer sees all. */
  readonly slidingWindowTokens: number | null;
  readonly reading: TextReading;
}

/** What decides how a model reads whole texts for their vectors. */
export interface TextReading {
  /** llama.cpp's `llama_pooling_type`; null: the file names none. */
  readonly pooling: number | null;
  /** Every token sees those behind it too. */
  readonly looksAhead: boolean;
  /** There are weights that make scores of vectors. */
  readonly hasClassifier: boolean;
  /** A reranker's prompt, with `{query}` and `{document}`; null: the file has none. */
  readonly rankingTemplate: string | null;
}

/** Throws an Error with a one-line reason that names the file. */
export async function readGgufFile(path: string, llama: Llama): Promise<GgufFile> {
  const first = await walkGguf(path);
  const { metadata } = first;
  const textAt = (key: string) => {
    const value = metadata.get(key);
    return typeof value === "string" ? value : null;
  };
  const problem = headerProblem(metadata);
  if (problem !== null) throw new Error(`${path} ${problem}`);
  const architecture = textAt("general.architecture") ?? "";
  const paths = partPaths(path);
  const parts = [first];
  for (const other of paths.slice(1)) parts.push(await walkGguf(other));
  const tensors = parts.flatMap((part, index) => checkTensors(paths[index] ?? path, part, llama));
  if (tensors.length === 0) throw new Error(`${path} holds no tensors`);
  const numberAt = (key: string) => Number(metadata.get(`${architecture}.${key}`) ?? 0);
  const trainContextTokens = numberAt("context_length");
  if (!(trainContextTokens > 0)) throw new Error(`${path} gives no context length for architecture ${architecture}`);
  const lengthOf = (key: string) => {
    const value = metadata.get(key);
    return typeof value === "object" ? value.length : 0;
  };
  const slidingWindow = numberAt("attention.sliding_window");
  return {
    insights: await GgufInsights.from(libraryHeader(path, architecture, first, tensors), llama),
    tensors,
    vocabulary: { tokens: lengthOf("tokenizer.ggml.tokens"), merges: lengthOf("tokenizer.ggml.merges") },
    slidingWindowTokens: slidingWindow > 0 ? slidingWindow : null,
    reading: {
      pooling: metadata.has(`${architecture}.pooling_type`) ? numberAt("pooling_type") : null,
      looksAhead: metadata.get(`${architecture}.attention.causal`) === false || looksAheadAlways.test(architecture),
      hasClassifier: tensors.some(({ name }) => name === "cls.weight" || name === "cls.output.weight"),
      rankingTemplate: textAt("tokenizer.chat_template.rerank"),
    },
    summary: {
      path,
      sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      architecture,
      name: textAt("general.name"),
      trainContextTokens,
      parameterCount: tensors.reduce((sum, { dimensions }) => sum + elementsOf(dimensions), 0),
      quantization: GgmlType[dominantType(tensors)] ?? "unknown",
      hasChatTemplate: textAt("tokenizer.chat_template") !== null,
    },
  };
}

/** llama.cpp's `llama_pooling_type`. */
const poolings = { none: 0, last: 3, rank: 4 } as const;

/** The vector is that of the last token, which sees only those before it: a text may come in several batches. */
export function readsInParts({ pooling, looksAhead }: TextReading): boolean {
  return !looksAhead && (pooling === null || pooling === poolings.none || pooling === poolings.last);
}

/** Why a file does not serve for this, as the end of a sentence about it; null where it may. */
export function readingProblem({ insights, reading }: GgufFile, purpose: LoadSpec["purpose"]): string | null {
  if (purpose === "text") return null;
  if (insights.hasEncoder && insights.hasDecoder) return "is an encoder-decoder model, which gives no vectors";
  if (purpose === "ranking") return reading.hasClassifier ? null : "is no reranker: it has no classification head";
  return reading.pooling === poolings.rank ? "is a reranker, which gives no embeddings; rerank_model takes it" : null;
}

/** Architectures that do so whatever their file says. */
const looksAheadAlways = /bert|t5|embed|dream|llada|rnd1/;

/** Throws when a tensor reaches beyond the end of the file. */
function checkTensors(path: string, { tensors, dataOffset, sizeBytes }: GgufHeader, llama: Llama): WeightTensor[] {
  return tensors.map(({ name, dimensions, type, offset }) => {
    const block = blockLayout(llama, type);
    if (block === null) throw new Error(`${path}: tensor ${name} has the unknown type ${type}`);
    const bytes = (elementsOf(dimensions) / block.elements) * block.bytes;
    const end = dataOffset + offset + bytes;
    if (!(end <= sizeBytes)) {
      throw new Error(
        `${path} is truncated: tensor ${name} ends at byte ${end}, but the file holds ${sizeBytes} bytes`,
      );
    }
    return { name, dimensions, type, bytes };
  });
}

/** What the library's own reader would give, as far as it is used here; arrays as `{ length }`. */
function libraryHeader(
  path: string,
  architecture: string,
  { metadata: flat }: GgufHeader,
  tensors: readonly WeightTensor[],
): GgufFileInfo {
  const metadata = nested(flat);
  const header = {
    version: 3,
    metadata,
    architectureMetadata: metadata[architecture] ?? {},
    splicedParts: 1,
    fullTensorInfo: tensors.map(({ name, dimensions, type }) => ({
      name,
      dimensions,
      ggmlType: type,
      offset: 0,
      fileOffset: 0,
      filePart: 1,
    })),
    source: { type: "path", path },
    sourceData: [],
  };
  return header as unknown as GgufFileInfo;
}

type NestedValue = GgufHeader["metadata"] extends ReadonlyMap<string, infer Value> ? Value | Nested : never;
interface Nested {
  [key: string]: NestedValue;
}

/** `a.b.c` as nested objects; where a key is both a value and a prefix (`tokenizer.chat_template`), the value wins. */
function nested(flat: GgufHeader["metadata"]): Nested {
  const root: Nested = Object.create(null) as Nested;
  const isNest = (value: NestedValue | undefined): value is Nested =>
    typeof value === "object" && Object.getPrototypeOf(value) === null;
  for (const [path, value] of flat) {
    const keys = path.split(".");
    const last = keys.pop() ?? "";
    let at: Nested | null = root;
    for (const key of keys) {
      const next: NestedValue | undefined = at[key];
      if (next === undefined) at = at[key] = Object.create(null) as Nested;
      else if (isNest(next)) at = next;
      else {
        at = null;
        break;
      }
    }
    if (at !== null) at[last] = asNumber(value);
  }
  return root;
}

/** 64-bit integers as numbers where these are exact. */
function asNumber(value: GgufScalar | { readonly length: number }): GgufScalar | { readonly length: number } {
  return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function dominantType(tensors: readonly WeightTensor[]): GgmlType {
  const bytesByType = new Map<GgmlType, number>();
  for (const { type, bytes } of tensors) bytesByType.set(type, (bytesByType.get(type) ?? 0) + bytes);
  return [...bytesByType].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0];
}

function elementsOf(dimensions: readonly number[]): number {
  return dimensions.reduce((product, dimension) => product * dimension, 1);
}
