// The decoder over the native addon: one hop for a whole pass, drafts, states. May import sampling.ts, and of
// native-exports.ts, bindings.ts and decoder.ts types.
import type { NativeContext } from "./bindings.ts";
import type { Decoder, PassOptions, PassStream, SequenceStates, StreamSampler } from "./decoder.ts";
import type { NativeExports, NativeSamplerHandle, NativeSession } from "./native-exports.ts";
import { penaltyHistory, type SamplerSettings } from "./sampling.ts";

export interface NativeDecoderOptions {
  readonly addon: NativeExports;
  readonly context: NativeContext;
  readonly batchTokens: number;
  readonly slots: number;
  readonly threads: number;
}

class NativeSampler implements StreamSampler {
  readonly handle: NativeSamplerHandle;

  constructor(handle: NativeSamplerHandle) {
    this.handle = handle;
  }

  /** It is a few hundred bytes, and goes with this object. */
  dispose(): void {}
}

export class NativeDecoder implements Decoder {
  readonly takesDrafts: boolean;
  readonly choosesThreads = true;
  readonly states: SequenceStates | null;
  readonly #addon: NativeExports;
  readonly #session: NativeSession;
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

  createSampler(settings: SamplerSettings, prompt: readonly number[]): StreamSampler {
    const history = Int32Array.from(penaltyHistory(settings, prompt));
    return new NativeSampler(new this.#addon.Sampler(this.#session, { ...settings, penaltyHistory: history }));
  }

  async decode(streams: readonly PassStream[], { threads, passes }: PassOptions): Promise<number[][]> {
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
    const samplers = streams.map(({ sampler }) => (sampler instanceof NativeSampler ? sampler.handle : null));
    return chosenTokens(await this.#session.decode(plan, samplers, passes), streams.length);
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
}

/** Tokens that follow in an answer of `decode`, by stream. */
function chosenTokens(answer: Int32Array, streams: number): number[][] {
  let at = 0;
  return Array.from({ length: streams }, () => {
    const count = answer[at] ?? 0;
    const tokens = Array.from(answer.subarray(at + 1, at + 1 + count));
    at += 1 + count;
    return tokens;
  });
}
