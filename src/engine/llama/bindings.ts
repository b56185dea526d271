// The part of node-llama-cpp below its public types: a context's batch and KV cache, the sampler, a model's vocabulary and
// the template engine. The one place that reaches for private members; the version is pinned in package.json for this
// reason.
import type { Llama, LlamaContext, LlamaEmbeddingContext, LlamaModel } from "node-llama-cpp";
import type { Token } from "../engine.ts";
import type { JinjaProgram } from "./prompt-template.ts";

/** node-llama-cpp's AddonContext, a thin shell over llama_context. */
export interface NativeContext {
  /** Starts a batch with room for `tokens`; at most the context's batch size. */
  initBatch(tokens: number): void;
  /** Adds tokens of one sequence; returns the batch rows of those whose logits are wanted. */
  addToBatch(sequenceId: number, firstPosition: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  /** -1 where the sampler left no candidate. */
  sampleToken(batchRow: number, sampler: NativeSampler): Promise<Token>;
  /** False where this kind of cache cannot forget a part of a sequence. */
  removeTokenCellsFromSequence(sequenceId: number, startPosition: number, endPosition: number): boolean;
  disposeSequence(sequenceId: number): void;
  /** The first position still in the cache; above 0 where a sliding window has dropped older ones. */
  getSequenceKvCacheMinPosition(sequenceId: number): number;
  getMemoryBreakdown(): { readonly cpuRam: number };
}

export interface NativeSampler {
  applyConfig(config: NativeSamplerConfig): void;
  dispose(): void;
}

export interface NativeSamplerConfig {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
  readonly repeatPenalty?: number;
  readonly repeatPenaltyMaxTokens?: number;
  readonly repeatPenaltyTokens?: Uint32Array;
  readonly repeatPenaltyPresencePenalty?: number;
  readonly repeatPenaltyFrequencyPenalty?: number;
}

/** node-llama-cpp's AddonModel. */
export interface NativeModel {
  /** Without BOS and EOS. */
  tokenize(text: string, parseSpecial: boolean): Uint32Array;
  detokenize(tokens: Uint32Array, special: boolean): string;
  getTokenString(token: Token): string;
  /** Bits of llama.cpp's `llama_token_attr`. */
  getTokenAttributes(token: Token): number;
  /** llama.cpp's `llama_vocab_type`. */
  getVocabularyType(): number;
  shouldPrependBosToken(): boolean;
  shouldAppendEosToken(): boolean;
  /** These three: -1 where there is none. */
  tokenBos(): Token;
  tokenEos(): Token;
  sepToken(): Token;
  getMemoryBreakdown(): { readonly cpuRam: number };
}

export function nativeContextOf(context: LlamaContext): NativeContext {
  return (context as unknown as { _ctx: NativeContext })._ctx;
}

export function nativeModelOf(model: LlamaModel): NativeModel {
  return (model as unknown as { _model: NativeModel })._model;
}

export function nativeModelBytes(model: LlamaModel): number {
  return nativeModelOf(model).getMemoryBreakdown().cpuRam;
}

export function contextBehind(context: LlamaEmbeddingContext): LlamaContext {
  return (context as unknown as { _llamaContext: LlamaContext })._llamaContext;
}

/** How a tensor type lays out its elements; null for a type that this llama.cpp does not know. */
export function blockLayout(llama: Llama, type: number): { readonly elements: number; readonly bytes: number } | null {
  const bindings = (
    llama as unknown as {
      _bindings: {
        getBlockSizeForGgmlType(type: number): number | undefined;
        getTypeSizeForGgmlType(type: number): number | undefined;
      };
    }
  )._bindings;
  const elements = bindings.getBlockSizeForGgmlType(type) ?? 0;
  const bytes = bindings.getTypeSizeForGgmlType(type) ?? 0;
  return elements > 0 && bytes > 0 ? { elements, bytes } : null;
}

export function createNativeSampler(llama: Llama, model: LlamaModel): NativeSampler {
  const bindings = (llama as unknown as { _bindings: { AddonSampler: new (model: NativeModel) => NativeSampler } })
    ._bindings;
  return new bindings.AddonSampler(nativeModelOf(model));
}

/** Compiles a template with llama.cpp's own Jinja engine. Throws its error where the template does not parse. */
export function compileJinja(llama: Llama, source: string): JinjaProgram {
  const bindings = (llama as unknown as { _bindings: { AddonJinjaRenderer: new (source: string) => JinjaProgram } })
    ._bindings;
  return new bindings.AddonJinjaRenderer(source);
}
