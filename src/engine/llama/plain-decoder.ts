// The decoder over node-llama-cpp alone, for machines where the native addon does not run: the same answers, slower, without
// drafts and without states. May import bindings.ts and decoder.ts (types).
import type { Llama, LlamaModel } from "node-llama-cpp";
import type { Token } from "../engine.ts";
import { createNativeSampler, type NativeContext, type NativeSampler } from "./bindings.ts";
import type { Decoder, PassStream, StreamSampler } from "./decoder.ts";
import { hasPenalties, type SamplerSettings } from "./sampling.ts";

class PlainSampler implements StreamSampler {
  readonly native: NativeSampler;
  readonly #settings: SamplerSettings;
  readonly #history: Token[];

  constructor(native: NativeSampler, settings: SamplerSettings, prompt: readonly Token[]) {
    this.native = native;
    this.#settings = settings;
    this.#history = hasPenalties(settings) ? prompt.slice(-settings.penaltyWindowTokens) : [];
    this.#configure();
  }

  accept(token: Token): void {
    if (!hasPenalties(this.#settings)) return;
    this.#history.push(token);
    if (this.#history.length > this.#settings.penaltyWindowTokens) this.#history.shift();
    this.#configure();
  }

  dispose(): void {
    this.native.dispose();
  }

  #configure(): void {
    const { temperature, topK, topP, minP, seed, ...penalties } = this.#settings;
    this.native.applyConfig({
      temperature,
      topP,
      minP,
      seed,
      // Without a limit the tokens stay in their own order, as in llama-server; the same seed draws the same then.
      ...(topK > 0 ? { topK } : {}),
      ...(hasPenalties(this.#settings)
        ? {
            repeatPenalty: penalties.repeatPenalty,
            repeatPenaltyMaxTokens: penalties.penaltyWindowTokens,
            repeatPenaltyPresencePenalty: penalties.presencePenalty,
            repeatPenaltyFrequencyPenalty: penalties.frequencyPenalty,
            repeatPenaltyTokens: Uint32Array.from(this.#history),
          }
        : {}),
    });
  }
}

export class PlainDecoder implements Decoder {
  readonly takesDrafts = false;
  readonly choosesThreads = false;
  readonly states = null;
  readonly #context: NativeContext;
  readonly #llama: Llama;
  readonly #model: LlamaModel;

  constructor(llama: Llama, model: LlamaModel, context: NativeContext) {
    this.#llama = llama;
    this.#model = model;
    this.#context = context;
  }

  createSampler(settings: SamplerSettings, prompt: readonly Token[]): StreamSampler {
    return new PlainSampler(createNativeSampler(this.#llama, this.#model), settings, prompt);
  }

  async decode(streams: readonly PassStream[]): Promise<Token[][]> {
    const context = this.#context;
    context.initBatch(streams.reduce((sum, { tokens }) => sum + tokens.length, 0));
    const rows = streams.map(({ sequenceId, firstPosition, tokens, sampler }) => {
      const wanted = sampler === null ? [] : [tokens.length - 1];
      const added = context.addToBatch(sequenceId, firstPosition, Uint32Array.from(tokens), Uint32Array.from(wanted));
      return added[0] ?? 0;
    });
    await context.decodeBatch();
    // All end before anything is decoded again, also where one fails.
    const samples = await Promise.allSettled(
      streams.map(async ({ sampler }, index) => {
        if (!(sampler instanceof PlainSampler)) return [];
        const token = await context.sampleToken(rows[index] ?? 0, sampler.native);
        if (token >= 0) sampler.accept(token);
        return [token];
      }),
    );
    return samples.map((sample) => {
      if (sample.status === "rejected") throw sample.reason as Error;
      return sample.value;
    });
  }

  /** A pass ends by itself. */
  abort(): void {}

  forget(sequenceId: number, fromPosition: number): boolean {
    return this.#context.removeTokenCellsFromSequence(sequenceId, fromPosition, -1);
  }

  forgetAll(sequenceId: number): void {
    this.#context.disposeSequence(sequenceId);
  }

  firstPosition(sequenceId: number): number {
    return this.#context.getSequenceKvCacheMinPosition(sequenceId);
  }

  close(): void {}
}
