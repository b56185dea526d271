// The engine as the rest of the system sees it: files are inspected, models are loaded, generate and are disposed.
// Interfaces and a default; engine/llama implements them with node-llama-cpp, test/support/fake-engine.ts without any model.
import type { Sampling } from "../experts/expert.ts";
import type { Grammar } from "../grammar/grammar.ts";
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
  readonly purpose: "text" | "embedding" | "ranking";
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

export type LoadedModel = TextModel | EmbeddingModel | RankingModel;

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
  readonly template: TemplateFacts;
  readonly vocabulary: VocabularyFacts;
  /** The bytes of a token's text, control tokens' too; a character may span tokens. */
  tokenBytes(token: Token): Uint8Array;
  /** Throws a PublicError (400) for a token that is none of the vocabulary's. `special`: control tokens come as their text. */
  detokenize(tokens: readonly Token[], options: { readonly special: boolean }): string;
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
  /** For each text one vector of length 1 by the Euclidean norm; several texts are computed in one batch. */
  embed(inputs: readonly (readonly Token[])[], signal: AbortSignal): Promise<readonly Float32Array[]>;
}

/** A model that says how well a document answers a query. */
export interface RankingModel extends LoadedModelBase {
  readonly kind: "ranking";
  /** The tokens of one pair, as the model was trained on them. */
  pairTokens(query: string, document: string): Token[];
  /** For each pair a score, higher is better; several pairs are computed in one batch. */
  score(pairs: readonly (readonly Token[])[], signal: AbortSignal): Promise<readonly number[]>;
}

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  readonly name?: string;
  /** What the assistant thought before it answered. */
  readonly reasoning?: string;
  /** What the assistant called. */
  readonly toolCalls?: readonly ToolCall[];
  /** Of a tool's message: the call that it answers. */
  readonly toolCallId?: string;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** A JSON object, written. */
  readonly arguments: string;
}

export interface ToolDefinition {
  readonly name: string;
  readonly description: string | null;
  /** The JSON Schema of the arguments; an object schema. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** What a chat template knows, found by rendering probes. */
export interface TemplateFacts {
  /** The Jinja program; null: the file has none and ChatML is used. */
  readonly source: string | null;
  /** Tools that are handed over appear in the prompt. */
  readonly takesTools: boolean;
  /** A tool's message and an assistant's calls appear in the prompt. */
  readonly takesToolMessages: boolean;
  /** What encloses reasoning, without white space around it (`<think>`, `</think>`); null: the template knows none. */
  readonly thinking: { readonly start: string; readonly end: string } | null;
  /** `enable_thinking` changes the prompt. */
  readonly switchesThinking: boolean;
}

export interface VocabularyFacts {
  /** Token ids run from 0 to this, exclusive. */
  readonly size: number;
  /** The text of the tokens; "" where the vocabulary has none. */
  readonly bosText: string;
  readonly eosText: string;
  /** The tokens around a prefix and a suffix whose middle is to be filled in; null: the model was not trained for it. */
  readonly infill: { readonly prefix: Token; readonly suffix: Token; readonly middle: Token } | null;
}

export interface RenderOptions {
  /** End with the opening of the assistant's turn. False continues the last assistant message instead. */
  readonly addGenerationPrompt: boolean;
  /** Absent: none. */
  readonly tools?: readonly ToolDefinition[];
  /** Absent: thinking is on where the template can switch it. */
  readonly thinks?: boolean;
  /** `low`, `medium`, `high`, for templates that take it. */
  readonly reasoningEffort?: string;
}

export interface RenderedPrompt {
  readonly text: string;
  readonly tokens: readonly Token[];
  /** The end of `text` that opens the assistant's turn; it may open (or open and close) its thinking. "" where none was added. */
  readonly generationPrompt: string;
}

export interface GenerationRequest {
  readonly promptTokens: readonly Token[];
  /** Where the prompt stood in the caller's request, for errors: `messages`, `prompt` or `prompt[1]`. */
  readonly promptField: string;
  /** Null: up to the end of the context. 0 reads the prompt and generates nothing. */
  readonly maxTokens: number | null;
  readonly sampling: Sampling;
  /** What the whole answer must match; the text may end only where the grammar does. Null: anything. */
  readonly grammar: Grammar | null;
  /** With each token come its log probability and those of so many of the likeliest, 0 to 20. Null: none. */
  readonly topLogprobs: number | null;
  /** Texts of control tokens that are to come as text; other control tokens come as none. */
  readonly preservedTokens: readonly string[];
}

/** What a generation needs beside its prompt, its length and its sampling, where nothing special is wanted. */
export const plainGeneration = {
  grammar: null,
  topLogprobs: null,
  preservedTokens: [],
} as const satisfies Partial<GenerationRequest>;

/** By the model's raw distribution, before any sampler. */
export interface TokenLogprob {
  readonly token: Token;
  readonly logprob: number;
}

export interface ChosenTokenLogprobs extends TokenLogprob {
  /** The likeliest first; the chosen one is among them only where it is as likely. */
  readonly top: readonly TokenLogprob[];
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
      /** One for each token, where they were asked for. */
      readonly logprobs?: readonly ChosenTokenLogprobs[];
    }
  | { readonly type: "end"; readonly reason: "stop" | "length"; readonly timings: GenerationTimings };

export interface GenerationTimings {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly promptMs: number;
  readonly generatedMs: number;
}
