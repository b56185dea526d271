// The engine as the rest of the system sees it: files are inspected, models are loaded, generate and are disposed.
// Interfaces only; engine/llama implements them with node-llama-cpp, test/support/fake-engine.ts without any model.
import type { Sampling } from "../experts/expert.ts";
import type { PromptCache } from "./prompt-cache/prompt-cache.ts";

export type Token = number;

/** What a GGUF file's header says, read without loading the model. */
export interface ModelFileInfo {
  readonly path: string;
  readonly sizeBytes: number;
  /** `general.architecture`, for example `qwen2`. */
  readonly architecture: string;
  /** `general.name`, where the file has one. */
  readonly name: string | null;
  readonly trainContextTokens: number;
  readonly parameterCount: number;
  /** The commonest tensor type by bytes, for example `Q4_K`. */
  readonly quantization: string;
  readonly hasChatTemplate: boolean;
}

export interface LoadSpec {
  readonly path: string;
  readonly purpose: "text" | "embedding";
  /** Tokens of each slot's context; null: what the model was trained for, at most 8,192. */
  readonly contextTokens: number | null;
  /** Sequences that can be decoded together. */
  readonly slots: number;
}

export interface LoadOptions {
  /** Abandons the load; the promise rejects once the engine has really stopped and freed what it held. */
  readonly signal: AbortSignal;
  /** Share loaded, 0 to 1. */
  readonly onProgress: (share: number) => void;
}

export interface Engine {
  readonly description: EngineDescription;
  /** Where conversations are that lost their slot; null: nowhere. */
  readonly promptCache: Pick<PromptCache, "status" | "setLimits"> | null;
  /** Reads and checks a file's header and size; throws with a one-line reason for what is no whole GGUF file. */
  inspect(path: string): Promise<ModelFileInfo>;
  /** Bytes of RAM that `load` of this spec will take: weights, KV cache and compute buffers. Throws as `inspect`. */
  predictBytes(spec: LoadSpec): Promise<number>;
  load(spec: LoadSpec, options: LoadOptions): Promise<LoadedModel>;
  dispose(): Promise<void>;
}

export interface EngineDescription {
  /** Engine and version, for example `node-llama-cpp 3.22.1 (llama.cpp v0.5.0)`. */
  readonly name: string;
  readonly threads: number;
  /** The CPU features that the picked backend uses, for example `AVX512 = 1 | …`. */
  readonly systemInfo: string;
}

/** Threads that compute, by what a pass does: decoding one token at a time waits for memory, reading a prompt for the cores. */
export interface ThreadCounts {
  readonly decode: number;
  readonly prefill: number;
}

/** What a calibration lets a model compute: a prompt of so many tokens, or so many tokens one after the other. */
export interface MeasuredWork {
  readonly kind: keyof ThreadCounts;
  readonly threads: number;
  /** At least 1, fewer than the context holds. */
  readonly tokens: number;
}

export interface MeasuredTime {
  readonly elapsedMs: number;
  /** CPU time of this process meanwhile. */
  readonly cpuMs: number;
}

export type LoadedModel = TextModel | EmbeddingModel;

interface LoadedModelBase {
  readonly file: ModelFileInfo;
  /** Tokens that fit in one slot. */
  readonly contextTokens: number;
  /** What the engine says this model holds in RAM: weights, KV cache, buffers. */
  readonly residentBytes: number;
  /** Tokens of a text. `parseSpecial`: whether `<|im_end|>` and its like become control tokens. */
  tokenize(text: string, options: { readonly parseSpecial: boolean; readonly addSpecial: boolean }): Token[];
  /** Frees the memory. The pool calls it once, when no lease is out. Resolves when the memory is back. */
  dispose(): Promise<void>;
}

export interface TextModel extends LoadedModelBase {
  readonly kind: "text";
  /**
   * The prompt of a conversation as the file's own chat template writes it, as tokens. Special tokens that stand in a
   * message's text stay text. Throws a PublicError (400) where the template refuses the conversation.
   */
  renderChat(messages: readonly ChatMessage[], options: RenderOptions): RenderedPrompt;
  /**
   * Generates until a stop, the token limit or the end of the context. The iterator's `return` (a `break` in `for await`)
   * and the signal both end it within one token, or one chunk of at most a second while the prompt is read; the promise
   * of `return` resolves when the engine has really stopped. Throws a PublicError (400) when the prompt does not fit.
   */
  generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, void>;
  /**
   * Computes and takes the time, in a slot that is free; what it held is forgotten. Throws where none is. Null where the
   * number of threads cannot be chosen.
   */
  readonly measure: ((work: MeasuredWork) => Promise<MeasuredTime>) | null;
}

export interface EmbeddingModel extends LoadedModelBase {
  readonly kind: "embedding";
  readonly dimensions: number;
  /** One vector, of length 1 by the Euclidean norm. */
  embed(tokens: readonly Token[], signal: AbortSignal): Promise<Float32Array>;
}

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  readonly name?: string;
}

export interface RenderOptions {
  /** End with the opening of the assistant's turn. False continues the last assistant message instead. */
  readonly addGenerationPrompt: boolean;
}

export interface RenderedPrompt {
  readonly text: string;
  readonly tokens: readonly Token[];
}

export interface GenerationRequest {
  readonly promptTokens: readonly Token[];
  /** Where the prompt stood in the caller's request, for errors: `messages`, `prompt` or `prompt[1]`. */
  readonly promptField: string;
  /** Null: up to the end of the context. 0 reads the prompt and generates nothing. */
  readonly maxTokens: number | null;
  readonly sampling: Sampling;
}

export type GenerationEvent =
  | {
      readonly type: "prefill";
      readonly promptTokens: number;
      /** Of the prompt, taken from the slot's KV cache. */
      readonly cachedTokens: number;
      /** Of the prompt, in the KV cache by now. */
      readonly readTokens: number;
    }
  | {
      /** Whole characters only: a character whose bytes span tokens comes with its last token. */
      readonly type: "text";
      readonly text: string;
      readonly tokens: readonly Token[];
    }
  | { readonly type: "end"; readonly reason: "stop" | "length"; readonly timings: GenerationTimings };

export interface GenerationTimings {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly promptMs: number;
  readonly generatedMs: number;
}
