// What the decode loop needs of a context: passes over an ordered batch, samplers, and a say over what is in the KV cache.
// Interfaces only; native-decoder.ts implements them with the native addon, plain-decoder.ts without.
import type { Grammar } from "../../grammar/grammar.ts";
import type { ChosenTokenLogprobs, Token } from "../engine.ts";
import type { SamplerSettings } from "./sampling.ts";

export interface Decoder {
  /** Whether tokens may be guessed and decoded together with the one before them, and passes may follow one another. */
  readonly takesDrafts: boolean;
  /** Whether `decode` heeds the number of threads that it is given. */
  readonly choosesThreads: boolean;
  /** Null where states cannot be copied. */
  readonly states: SequenceStates | null;
  /** Throws a PublicError where this decoder cannot do what is asked for. */
  createSampler(options: SamplerOptions): StreamSampler;
  /** Decodes one batch of streams, given by ascending sequence, and chooses for each that has a sampler. */
  decode(streams: readonly PassStream[], options: PassOptions): Promise<readonly ChosenTokens[]>;
  /** Breaks the pass under way off where that is possible; it rejects then. */
  abort(): void;
  /** Forgets cells from this position on; false where this kind of cache cannot forget a part of a sequence. */
  forget(sequenceId: number, fromPosition: number): boolean;
  forgetAll(sequenceId: number): void;
  /** The first position still in the cache; above 0 where a sliding window has dropped older ones, -1 where it is empty. */
  firstPosition(sequenceId: number): number;
  /** Call it when no pass is under way; the context may be disposed after it. */
  close(): void;
}

export interface SamplerOptions {
  readonly settings: SamplerSettings;
  /** What penalties and DRY look back on. */
  readonly prompt: readonly Token[];
  /** What the whole text must match. */
  readonly grammar: Grammar | null;
  /** Texts of control tokens that come as text: under a grammar no others are chosen, as those would write nothing. */
  readonly preservedTokens: readonly string[];
  /** With each token come its log probability and those of so many of the likeliest. Null: none. */
  readonly topLogprobs: number | null;
}

/** What a pass chose for one stream. */
export interface ChosenTokens {
  /**
   * The drafts that proved right, the token after them, and those of further passes; the last one is -1 where no candidate
   * was left.
   */
  readonly tokens: readonly Token[];
  /** One for each token but -1; null where nobody asked. */
  readonly logprobs: readonly ChosenTokenLogprobs[] | null;
  /** Why this stream cannot go on after these tokens. The others can. */
  readonly failure: Error | null;
}

export interface PassOptions {
  readonly threads: number;
  /** At most so many in a row, each over the tokens that the one before it chose; they end when a text does. */
  readonly passes: number;
}

export interface PassStream {
  readonly sequenceId: number;
  readonly firstPosition: number;
  /** At least one; the last `drafts` of them are guesses. */
  readonly tokens: readonly Token[];
  readonly drafts: number;
  /** Null: nothing is chosen, the prompt goes on. */
  readonly sampler: StreamSampler | null;
}

export interface StreamSampler {
  dispose(): void;
}

/** Not while a pass is under way. */
export interface SequenceStates {
  /** The first `tokens` positions of one sequence become another's, whose own go. */
  copy(fromSequenceId: number, toSequenceId: number, tokens: number): Promise<void>;
  bytes(sequenceId: number): number;
  /** `into` has just the size that `bytes` says. */
  save(sequenceId: number, into: Uint8Array): Promise<void>;
  /** Rejects where the state is refused; the sequence is empty then. */
  load(sequenceId: number, state: Uint8Array): Promise<void>;
}
