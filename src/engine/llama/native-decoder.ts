// The decoder over the native addon: one hop for a whole pass, drafts, grammars, log probabilities, states. May import
// sampling.ts and core/, and of native-exports.ts, bindings.ts, decoder.ts, engine.ts and grammar/ types.
import { invalidRequest } from "../../core/errors.ts";
import type { Grammar } from "../../grammar/grammar.ts";
import type { ChosenTokenLogprobs, Token, TokenLogprob } from "../engine.ts";
import type { NativeContext } from "./bindings.ts";
import type {
  ChosenTokens,
  Decoder,
  PassOptions,
  PassStream,
  SamplerOptions,
  SequenceStates,
  StreamSampler,
} from "./decoder.ts";
import type { NativeExports, NativeGrammarHandle, NativeSamplerHandle, NativeSession } from "./native-exports.ts";
import { samplingHistory, unknownBiasedToken } from "./sampling.ts";

export interface NativeDecoderOptions {
  readonly addon: NativeExports;
  readonly context: NativeContext;
  readonly batchTokens: number;
  readonly slots: number;
  readonly threads: number;
}

class NativeSampler implements StreamSampler {
  readonly handle: NativeSamplerHandle;
  readonly topLogprobs: number | null;

  constructor(handle: NativeSamplerHandle, topLogprobs: number | null) {
    this.handle = handle;
    this.topLogprobs = topLogprobs;
  }

  /** Not while a pass is under way with it. */
  dispose(): void {
    this.handle.close();
  }
}

/** A grammar compiled for the session, and what it was compiled with. */
interface CompiledGrammar {
  readonly handle: NativeGrammarHandle;
  readonly preservedTokens: readonly string[];
}

export class NativeDecoder implements Decoder {
  readonly takesDrafts: boolean;
  readonly choosesThreads = true;
  readonly states: SequenceStates | null;
  readonly #addon: NativeExports;
  readonly #session: NativeSession;
  readonly #grammars = new WeakMap<Grammar, CompiledGrammar>();
  #threads: number;

  /** Throws where the context is not as the addon was built for. */
  constructor({ addon, context, batchTokens, slots, threads }: NativeDecoderOptions) {
    this.#addon = addon;
    this.#session = new addon.Session(context, { batchTokens, sequences: slots, threads });
    this.#threads = threads;
    const session = this.#session;
    this.takesDrafts = session.canForgetParts();
    if (!this.takesDrafts) {
      this.states = null;
      return;
    }
    this.states = {
      copy: (from, to, tokens) => session.copy(from, to, tokens),
      bytes: (sequenceId) => session.stateBytes(sequenceId, false),
      save: (sequenceId, into) => session.saveState(sequenceId, into, false),
      load: (sequenceId, state) => session.loadState(sequenceId, state, false),
    };
  }

  createSampler(options: SamplerOptions): StreamSampler {
    const { settings, prompt, grammar, topLogprobs } = options;
    const { logitBias, ...plain } = settings;
    const handle = new this.#addon.Sampler(this.#session, {
      ...plain,
      biasedTokens: Int32Array.from(logitBias, ([token]) => this.#knownToken(token)),
      addedLogits: Float32Array.from(logitBias, ([, bias]) => bias),
      history: Int32Array.from(samplingHistory(settings, prompt)),
      grammar: grammar === null ? null : this.#compiled(grammar, options.preservedTokens),
      topLogprobs,
    });
    return new NativeSampler(handle, topLogprobs);
  }

  async decode(streams: readonly PassStream[], { threads, passes }: PassOptions): Promise<ChosenTokens[]> {
    if (threads !== this.#threads) {
      this.#session.setThreads(threads);
      this.#threads = threads;
    }
    const plan = new Int32Array(streams.reduce((sum, { tokens }) => sum + 4 + tokens.length, 0));
    let at = 0;
    for (const { sequenceId, firstPosition, tokens, drafts, sampler } of streams) {
      plan[at++] = sequenceId;
      plan[at++] = firstPosition;
      plan[at++] = tokens.length;
      plan[at++] = sampler === null ? -1 : drafts;
      plan.set(tokens, at);
      at += tokens.length;
    }
    const samplers = streams.map(({ sampler }) => (sampler instanceof NativeSampler ? sampler : null));
    const handles = samplers.map((sampler) => sampler?.handle ?? null);
    const answer = new AnswerReader(await this.#session.decode(plan, handles, passes));
    return samplers.map((sampler) => answer.stream(sampler?.topLogprobs ?? null));
  }

  abort(): void {
    this.#session.abort();
  }

  forget(sequenceId: number, fromPosition: number): boolean {
    return this.#session.forget(sequenceId, fromPosition);
  }

  forgetAll(sequenceId: number): void {
    this.#session.forget(sequenceId, 0);
  }

  firstPosition(sequenceId: number): number {
    return this.#session.firstPosition(sequenceId);
  }

  close(): void {
    this.#session.close();
  }

  #compiled(grammar: Grammar, preservedTokens: readonly string[]): NativeGrammarHandle {
    const known = this.#grammars.get(grammar);
    if (known !== undefined && isSame(known.preservedTokens, preservedTokens)) return known.handle;
    const handle = new this.#addon.Grammar(this.#session, grammar.elements, preservedTokens);
    this.#grammars.set(grammar, { handle, preservedTokens });
    return handle;
  }

  #knownToken(token: Token): Token {
    const { vocabularySize } = this.#session;
    if (Number.isInteger(token) && token >= 0 && token < vocabularySize) return token;
    throw unknownBiasedToken(vocabularySize, token);
  }
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left === right || (left.length === right.length && left.every((text, index) => text === right[index]));
}

/** Of numbers below 0 in place of a token, but for -1. */
const failures: Readonly<Record<number, string>> = {
  [-2]: "The grammar is too ambiguous: the text so far can be read in more ways than can be kept in mind.",
  [-3]: "The text cannot go on: the grammar allows none of this model's tokens here.",
};

/** Goes through an answer of `decode`, stream by stream. */
class AnswerReader {
  readonly #values: Int32Array;
  readonly #floats: Float32Array;
  #at = 0;

  constructor(values: Int32Array) {
    this.#values = values;
    this.#floats = new Float32Array(values.buffer, values.byteOffset, values.length);
  }

  stream(topLogprobs: number | null): ChosenTokens {
    const count = this.#next();
    const tokens = Array.from(this.#values.subarray(this.#at, this.#at + count));
    this.#at += count;
    const failure = failures[tokens.at(-1) ?? 0];
    if (failure !== undefined) tokens.pop();
    const logprobs =
      topLogprobs === null
        ? null
        : tokens.filter((token) => token >= 0).map((token) => this.#logprobs(token, topLogprobs));
    return {
      tokens,
      logprobs,
      failure: failure === undefined ? null : invalidRequest(failure, undefined, "invalid_grammar"),
    };
  }

  #logprobs(token: Token, count: number): ChosenTokenLogprobs {
    const logprob = this.#floats[this.#at] ?? 0;
    const ids = this.#at + 1;
    const top: TokenLogprob[] = [];
    for (let index = ids; index < ids + count; index++) {
      const id = this.#values[index] ?? -1;
      if (id >= 0) top.push({ token: id, logprob: this.#floats[index + count] ?? 0 });
    }
    this.#at += 1 + 2 * count;
    return { token, logprob, top };
  }

  #next(): number {
    return this.#values[this.#at++] ?? 0;
  }
}
