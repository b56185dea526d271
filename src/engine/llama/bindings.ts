// The part of node-llama-cpp below its public types: models and contexts as llama.cpp opens them, a context's batch and KV
// cache, the sampler, a model's vocabulary and the template engine. The one place that reaches for private members; the
// version is pinned in package.json for this reason.
import { type GgufInsights, type Llama, LlamaContext, LlamaModel } from "node-llama-cpp";
import type { Token } from "../engine.ts";
import type { JinjaProgram } from "./prompt-template.ts";

/** node-llama-cpp's AddonContext, a thin shell over llama_context, once it is open. */
export interface NativeContext {
  /** Starts a batch with room for `tokens`; at most the context's batch size. */
  initBatch(tokens: number): void;
  /** Adds tokens of one sequence; returns the batch rows of those whose logits are wanted. */
  addToBatch(sequenceId: number, firstPosition: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  /** Of the sequence 0 in the batch that was decoded last; `tokens` is only checked for being above 0. */
  getEmbedding(tokens: number): Float64Array;
  /** -1 where the sampler left no candidate. Rejects where a grammar allows none. */
  sampleToken(batchRow: number, sampler: NativeSampler): Promise<Token>;
  /**
   * Samples, and returns in the fourth place pairs of token and logit: of `filter[0]`, and of the `filter[4]` likeliest; and in
   * the fifth the sum of exp(logit - largest logit). Logits as the sampler left them.
   */
  sampleToken(
    batchRow: number,
    sampler: NativeSampler,
    probabilities: false,
    confidence: false,
    filter: readonly [tokens: readonly Token[], highest: false, lowest: false, selected: false, top: number],
    weight: true,
  ): Promise<readonly [Token, unknown, unknown, readonly number[], number]>;
  /** False where this kind of cache cannot forget a part of a sequence. */
  removeTokenCellsFromSequence(sequenceId: number, startPosition: number, endPosition: number): boolean;
  disposeSequence(sequenceId: number): void;
  /** The first position still in the cache; above 0 where a sliding window has dropped older ones. */
  getSequenceKvCacheMinPosition(sequenceId: number): number;
  getMemoryBreakdown(): { readonly cpuRam: number };
}

interface UnopenedContext extends NativeContext {
  /** Allocates; false where llama.cpp refused, with the reason in its log. */
  init(): Promise<boolean>;
  dispose(): Promise<void>;
}

export interface NativeSampler {
  applyConfig(config: NativeSamplerConfig): void;
  dispose(): void;
}

export interface NativeSamplerConfig {
  readonly temperature: number;
  /** Absent: all. */
  readonly topK?: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
  readonly repeatPenalty?: number;
  readonly repeatPenaltyMaxTokens?: number;
  readonly repeatPenaltyTokens?: Uint32Array;
  readonly repeatPenaltyPresencePenalty?: number;
  readonly repeatPenaltyFrequencyPenalty?: number;
  /** Together, or both absent. */
  readonly xtcProbability?: number;
  readonly xtcThreshold?: number;
  /** As many of both. */
  readonly tokenBiasKeys?: Uint32Array;
  readonly tokenBiasValues?: Float32Array;
  readonly grammarEvaluationState?: NativeGrammarState;
}

declare const grammarState: unique symbol;

/** Where one text stands in a grammar. */
export interface NativeGrammarState {
  readonly [grammarState]: never;
}

/** node-llama-cpp's AddonModel. */
export interface NativeModel {
  /** Loads; false where llama.cpp refused or the load was abandoned. */
  init(): Promise<boolean>;
  abortActiveModelLoad(): void;
  dispose(): Promise<void>;
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

/** node-llama-cpp's native exports, as far as they are used here. */
interface Bindings {
  readonly AddonModel: new (path: string, options: NativeModelOptions) => NativeModel;
  readonly AddonContext: new (model: NativeModel, options: NativeContextOptions) => UnopenedContext;
  readonly AddonSampler: new (model: NativeModel) => NativeSampler;
  readonly AddonGrammar: new (gbnf: string, options: object) => object;
  readonly AddonGrammarEvaluationState: new (model: NativeModel, grammar: object) => NativeGrammarState;
  readonly AddonJinjaRenderer: new (source: string) => JinjaProgram;
  getBlockSizeForGgmlType(type: number): number | undefined;
  getTypeSizeForGgmlType(type: number): number | undefined;
}

interface NativeModelOptions {
  readonly gpuLayers: 0;
  readonly useMmap: boolean;
  /** Lays everything out and counts it without taking memory for weights or caches. */
  readonly noAlloc: boolean;
}

interface NativeContextOptions {
  /** Tokens of all sequences together. */
  readonly contextSize: number;
  readonly batchSize: number;
  readonly sequences: number;
  readonly embeddings: boolean;
  /** The vectors are those of the file's classification head. */
  readonly ranking: boolean;
  readonly flashAttention: boolean | "auto";
}

function bindingsOf(llama: Llama): Bindings {
  return (llama as unknown as { _bindings: Bindings })._bindings;
}

export interface ModelOptions {
  readonly path: string;
  readonly insights: GgufInsights;
  /** Map the file; else its weights are read into memory of the process's own. */
  readonly mapped: boolean;
  /** Look at every weight and refuse a file with NaN or infinite ones; reads all of it. */
  readonly checkTensors?: boolean;
  readonly signal: AbortSignal;
  /** Share loaded, 0 to 1. */
  readonly onProgress: (share: number) => void;
}

/**
 * Loads a model. The library's own `loadModel` parses the header in JavaScript and loads the vocabulary twice more, to
 * guess what could stay on a GPU: half a second of a blocked event loop, and up to 200 MB that only a garbage collection
 * frees. So its model is constructed here and the native part opened.
 */
export async function openModel(llama: Llama, options: ModelOptions): Promise<LlamaModel> {
  const { path, insights, mapped, signal } = options;
  signal.throwIfAborted();
  const flashAttentionSupported = insights.flashAttentionSupported;
  const Model = LlamaModel as unknown as new (options: object, library: object) => LlamaModel;
  const model = new Model(
    {
      modelPath: path,
      gpuLayers: 0,
      useMmap: mapped,
      checkTensors: options.checkTensors === true,
      loadSignal: signal,
      onLoadProgress: options.onProgress,
    },
    {
      _llama: llama,
      _fileInfo: insights.ggufFileInfo,
      _fileInsights: insights,
      _defaultContextFlashAttentionOptionEnabled: "auto",
      _defaultContextFlashAttention: flashAttentionSupported ? "auto" : false,
      _defaultContextSwaFullCache: false,
      _flashAttentionSupported: flashAttentionSupported,
      _loadPercentageShift: 0,
      _loadPercentageMultiplier: 1,
    },
  );
  const native = nativeModelOf(model);
  const abandon = () => native.abortActiveModelLoad();
  signal.addEventListener("abort", abandon, { once: true });
  try {
    const isLoaded = await native.init();
    signal.throwIfAborted();
    if (!isLoaded) throw new Error("llama.cpp refused the file");
    return model;
  } catch (error) {
    await model.dispose();
    throw error;
  } finally {
    signal.removeEventListener("abort", abandon);
  }
}

export interface ContextOptions {
  /** Tokens of each sequence. */
  readonly contextTokens: number;
  readonly slots: number;
  readonly batchTokens: number;
  readonly embeddings: boolean;
  /** The vectors are those of the file's classification head. */
  readonly ranking: boolean;
  /** Changes what the context will be, before it is opened. */
  readonly prepare?: (context: NativeContext) => void;
}

/** Opens a context as the library's `createContext` does, without the simulation that this one makes first. */
export async function openContext(
  model: LlamaModel,
  options: ContextOptions & { readonly threads: number },
): Promise<LlamaContext> {
  const Context = LlamaContext as unknown as new (library: object, options: object) => LlamaContext;
  const context = new Context(
    { _model: model },
    {
      sequences: options.slots,
      contextSize: paddedContextTokens(options),
      batchSize: options.batchTokens,
      flashAttention: model.fileInsights.flashAttentionSupported ? "auto" : false,
      threads: options.threads,
      swaFullCache: false,
      _embeddings: options.embeddings,
      _ranking: options.ranking,
    },
  );
  try {
    options.prepare?.(nativeContextOf(context));
    if (!(await (nativeContextOf(context) as UnopenedContext).init()))
      throw new Error("llama.cpp could not create the context");
    return context;
  } catch (error) {
    await context.dispose();
    throw error;
  }
}

/** llama.cpp rounds the cells of a sequence up to this. */
const contextPadding = 256;

function paddedContextTokens({ contextTokens }: ContextOptions): number {
  return Math.ceil(contextTokens / contextPadding) * contextPadding;
}

/** A model without weights, which counts what one with weights would take. */
export interface SimulatedModel {
  weightBytes(): number;
  /** KV cache and compute buffers, as llama.cpp would allocate them. */
  contextBytes(options: ContextOptions): Promise<number>;
  dispose(): Promise<void>;
}

/** Null where llama.cpp refuses the file, with the reason in its log. */
export async function simulateModel(
  llama: Llama,
  { path, insights, mapped }: Pick<ModelOptions, "path" | "insights" | "mapped">,
): Promise<SimulatedModel | null> {
  const { AddonModel, AddonContext } = bindingsOf(llama);
  const model = new AddonModel(path, { gpuLayers: 0, useMmap: mapped, noAlloc: true });
  if (!(await model.init())) {
    await model.dispose();
    return null;
  }
  return {
    weightBytes: () => model.getMemoryBreakdown().cpuRam,
    contextBytes: async (options) => {
      const context = new AddonContext(model, {
        contextSize: options.slots * paddedContextTokens(options),
        // A sliding window's cache needs one more at its edge.
        batchSize: Math.max(options.batchTokens, options.slots) + (insights.swaSize === undefined ? 0 : 1),
        sequences: options.slots,
        embeddings: options.embeddings,
        ranking: options.ranking,
        flashAttention: insights.flashAttentionSupported ? "auto" : false,
      });
      try {
        options.prepare?.(context);
        if (!(await context.init())) throw new Error(`llama.cpp cannot lay out a context for ${path}`);
        return context.getMemoryBreakdown().cpuRam;
      } finally {
        await context.dispose();
      }
    },
    dispose: () => model.dispose(),
  };
}

export function nativeContextOf(context: LlamaContext): NativeContext {
  return (context as unknown as { _ctx: NativeContext })._ctx;
}

export function nativeModelOf(model: LlamaModel): NativeModel {
  return (model as unknown as { _model: NativeModel })._model;
}

/** How a tensor type lays out its elements; null for a type that this llama.cpp does not know. */
export function blockLayout(llama: Llama, type: number): { readonly elements: number; readonly bytes: number } | null {
  const bindings = bindingsOf(llama);
  const elements = bindings.getBlockSizeForGgmlType(type) ?? 0;
  const bytes = bindings.getTypeSizeForGgmlType(type) ?? 0;
  return elements > 0 && bytes > 0 ? { elements, bytes } : null;
}

export function createNativeSampler(llama: Llama, model: LlamaModel): NativeSampler {
  return new (bindingsOf(llama).AddonSampler)(nativeModelOf(model));
}

/** The start of a text under a grammar, matched by llama.cpp itself. Throws where it does not read the GBNF. */
export function createGrammarState(llama: Llama, model: LlamaModel, gbnf: string): NativeGrammarState {
  const { AddonGrammar, AddonGrammarEvaluationState } = bindingsOf(llama);
  return new AddonGrammarEvaluationState(nativeModelOf(model), new AddonGrammar(gbnf, {}));
}

/** Compiles a template with llama.cpp's own Jinja engine. Throws its error where the template does not parse. */
export function compileJinja(llama: Llama, source: string): JinjaProgram {
  return new (bindingsOf(llama).AddonJinjaRenderer)(source);
}
