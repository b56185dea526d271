// The native addon's exports as native/src defines them. Types only; imports nothing but types.
import type { SamplerSettings } from "./sampling.ts";

export interface NativeExports {
  readonly Session: new (
    /** node-llama-cpp's AddonContext, open; it must outlive the session. */
    context: object,
    options: { readonly batchTokens: number; readonly sequences: number; readonly threads: number },
  ) => NativeSession;
  readonly Sampler: new (session: NativeSession, settings: NativeSamplerSettings) => NativeSamplerHandle;
  /** Before the context is opened: it will take so many texts in a batch, whose cells they share. `batchTokens`: of the context. */
  prepareEmbedding(context: object, options: { readonly batchTokens: number; readonly sequences: number }): void;
  readonly Embedder: new (
    /** node-llama-cpp's AddonContext, prepared and open; it must outlive the embedder. */
    context: object,
    options: { readonly batchTokens: number; readonly sequences: number; readonly threads: number },
  ) => NativeEmbedder;
  /**
   * `elements` as in `Grammar`. `preservedTokens`: texts of control tokens that come as text; the others write nothing, and
   * are refused. Throws for elements that are none.
   */
  readonly Grammar: new (
    session: NativeSession,
    elements: Int32Array,
    preservedTokens: readonly string[],
  ) => NativeGrammarHandle;
  /** Ends the computing thread, in the middle of a pass if need be. Before the process exits: threads must not compute then. */
  readonly stop: () => void;
  /** Zeroed memory outside V8's heap. Throws where the system has none. */
  allocateState(sizeBytes: number): ArrayBuffer;
  /** Gives the memory back at once; the buffer is detached. Nothing native may be using it. */
  freeState(buffer: ArrayBuffer): void;
}

export interface NativeSession {
  /** Token ids run from 0 to this, exclusive. */
  readonly vocabularySize: number;
  /** False for recurrent models: nothing of a sequence can be forgotten but all of it. */
  canForgetParts(): boolean;
  /** At most as many as the session was made with. */
  setThreads(threads: number): void;
  /**
   * One pass, or up to `passes` in a row, each over the tokens that the one before it chose, until a text ends. The plan
   * holds for each stream, by ascending sequence: sequence, first position, number of tokens, number of drafts among them
   * (-1: choose nothing), then the tokens. The answer holds for each stream a count and as many tokens: the drafts that
   * proved right, the token after them, and those of further passes; it ends with a token that ends the text, or with a
   * number below 0: -1 where no candidate was left, -2 where the grammar is too ambiguous to go on with, -3 where the
   * grammar allows none of the vocabulary's tokens. Where the sampler was asked for log probabilities, there follow for each
   * token that is not below 0: its own, the ids of the likeliest (-1: there are no more), and theirs; floats by their bits.
   * The cells of wrong drafts are forgotten. Rejects where llama.cpp refuses the batch, and after abort.
   */
  decode(plan: Int32Array, samplers: readonly (NativeSamplerHandle | null)[], passes: number): Promise<Int32Array>;
  /** Breaks the pass under way off within a few milliseconds. */
  abort(): void;
  /** Forgets cells from this position on; false where this kind of cache cannot forget a part of a sequence. */
  forget(sequence: number, fromPosition: number): boolean;
  /** Of the cells that are still there; -1 where there are none. */
  firstPosition(sequence: number): number;
  /** The first `tokens` positions of one sequence become another's, whose own cells go. */
  copy(from: number, to: number, tokens: number): Promise<void>;
  /** Of the sequence, or only of what its sliding windows see. */
  stateBytes(sequence: number, windowOnly: boolean): number;
  /** `into` holds just `stateBytes` of the same arguments. */
  saveState(sequence: number, into: Uint8Array, windowOnly: boolean): Promise<void>;
  /** Rejects where the state is not one of such a context; the sequence is empty then. */
  loadState(sequence: number, state: Uint8Array, windowOnly: boolean): Promise<void>;
  /** Nothing may be under way. */
  close(): void;
}

export interface NativeEmbedder {
  /** Values of a vector. */
  width(): number;
  /**
   * The plan holds for each text the position of its first token (above 0: the rest of a text whose beginning was in the
   * batch before), the number of tokens, then the tokens. The answer holds a vector for each. Rejects where llama.cpp
   * refuses the batch, and after abort.
   */
  compute(plan: Int32Array): Promise<Float32Array>;
  /** Breaks the batch under way off within a few milliseconds. */
  abort(): void;
  /** Nothing may be under way. */
  close(): void;
}

declare const handle: unique symbol;

export interface NativeSamplerHandle {
  readonly [handle]: never;
  /** Frees what it holds; nothing can be chosen with it any more. Throws while a pass is under way with it. */
  close(): void;
}

/** A compiled grammar, and the masks of tokens that it allowed: for one session. */
export interface NativeGrammarHandle {
  /** The tokens that may follow these, ascending. Not while a pass is under way. */
  allowedAfter(tokens: Int32Array): Int32Array;
}

export interface NativeSamplerSettings extends Omit<SamplerSettings, "logitBias"> {
  readonly biasedTokens: Int32Array;
  /** As many. */
  readonly addedLogits: Float32Array;
  /** The end of the prompt, which penalties and DRY count too. */
  readonly history: Int32Array;
  readonly grammar: NativeGrammarHandle | null;
  /** Null: no log probabilities. */
  readonly topLogprobs: number | null;
}
