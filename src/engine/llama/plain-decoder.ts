// The decoder over node-llama-cpp alone, for machines where the native addon does not run: the same answers, slower, without
// drafts and without states; what it cannot sample as the addon does, it refuses. May import bindings.ts, sampling.ts,
// prompt-vocabulary.ts and core/, and of decoder.ts, engine.ts and grammar/ types.
import type { Llama, LlamaModel } from "node-llama-cpp";
import { PublicError } from "../../core/errors.ts";
import type { Grammar } from "../../grammar/grammar.ts";
import type { ChosenTokenLogprobs, Token } from "../engine.ts";
import {
  createGrammarState,
  createNativeSampler,
  type NativeContext,
  type NativeSampler,
  type NativeSamplerConfig,
} from "./bindings.ts";
import type { ChosenTokens, Decoder, PassStream, SamplerOptions, StreamSampler } from "./decoder.ts";
import { vocabularyOf } from "./prompt-vocabulary.ts";
import { hasDry, hasPenalties, hasXtc, type SamplerSettings, samplingHistory, unknownBiasedToken } from "./sampling.ts";

class PlainSampler implements StreamSampler {
  readonly native: NativeSampler;
  readonly topLogprobs: number | null;
  readonly #settings: SamplerSettings;
  /** What does not change from token to token. */
  readonly #config: Partial<NativeSamplerConfig>;
  readonly #penaltyTokens: number;
  readonly #history: Token[];

  constructor(
    native: NativeSampler,
    options: SamplerOptions,
    config: Partial<NativeSamplerConfig>,
    contextTokens: number,
  ) {
    this.native = native;
    this.topLogprobs = options.topLogprobs;
    this.#settings = options.settings;
    this.#config = config;
    const { repeatLastN } = options.settings;
    this.#penaltyTokens = repeatLastN < 0 ? contextTokens : repeatLastN;
    this.#history = [...samplingHistory(options.settings, options.prompt)];
    this.#configure();
  }

  accept(token: Token): void {
    if (!hasPenalties(this.#settings)) return;
    this.#history.push(token);
    if (this.#history.length > this.#penaltyTokens) this.#history.shift();
    this.#configure();
  }

  dispose(): void {
    this.native.dispose();
  }

  #configure(): void {
    const { temperature, topK, topP, minP, seed, ...rest } = this.#settings;
    this.native.applyConfig({
      ...this.#config,
      temperature,
      topP,
      minP,
      seed,
      // Without a limit the tokens stay in their own order, as in llama-server; the same seed draws the same then.
      ...(topK > 0 ? { topK } : {}),
      ...(hasXtc(this.#settings) ? { xtcProbability: rest.xtcProbability, xtcThreshold: rest.xtcThreshold } : {}),
      ...(hasPenalties(this.#settings)
        ? {
            repeatPenalty: rest.repeatPenalty,
            repeatPenaltyMaxTokens: this.#penaltyTokens,
            repeatPenaltyPresencePenalty: rest.presencePenalty,
            repeatPenaltyFrequencyPenalty: rest.frequencyPenalty,
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
  /** Changes nothing: for log probabilities. */
  #rawSampler: NativeSampler | null = null;
  #kinds: VocabularyKinds | null = null;

  constructor(llama: Llama, model: LlamaModel, context: NativeContext) {
    this.#llama = llama;
    this.#model = model;
    this.#context = context;
  }

  createSampler(options: SamplerOptions): StreamSampler {
    const { settings, grammar } = options;
    if (settings.typicalP < 1) throw needsAddon("typical_p");
    if (settings.topNSigma > 0) throw needsAddon("top_n_sigma");
    // node-llama-cpp's XTC comes without top-k and top-p there, and its DRY does not see the prompt.
    if (hasXtc(settings) && settings.temperature <= 0) throw needsAddon("xtc_probability");
    if (hasDry(settings)) throw needsAddon("dry_multiplier");
    const config = { ...this.#biases(options), ...this.#grammarState(grammar) };
    // No prompt is longer: the windows that span the context span all of it.
    const contextTokens = this.#model.trainContextSize;
    return new PlainSampler(createNativeSampler(this.#llama, this.#model), options, config, contextTokens);
  }

  async decode(streams: readonly PassStream[]): Promise<ChosenTokens[]> {
    const context = this.#context;
    context.initBatch(streams.reduce((sum, { tokens }) => sum + tokens.length, 0));
    const rows = streams.map(({ sequenceId, firstPosition, tokens, sampler }) => {
      const wanted = sampler === null ? [] : [tokens.length - 1];
      const added = context.addToBatch(sequenceId, firstPosition, Uint32Array.from(tokens), Uint32Array.from(wanted));
      return added[0] ?? 0;
    });
    await context.decodeBatch();
    // All end before anything is decoded again.
    return Promise.all(
      streams.map(({ sampler }, index) =>
        sampler instanceof PlainSampler ? this.#choose(sampler, rows[index] ?? 0) : Promise.resolve(nothingChosen),
      ),
    );
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

  close(): void {
    this.#rawSampler?.dispose();
  }

  async #choose(sampler: PlainSampler, row: number): Promise<ChosenTokens> {
    const { topLogprobs } = sampler;
    try {
      const token = await this.#context.sampleToken(row, sampler.native);
      if (token < 0) return { tokens: [token], logprobs: null, failure: null };
      sampler.accept(token);
      const logprobs = topLogprobs === null ? null : [await this.#logprobs(row, token, topLogprobs)];
      return { tokens: [token], logprobs, failure: null };
    } catch (error) {
      return { tokens: [], logprobs: null, failure: error as Error };
    }
  }

  async #logprobs(row: number, token: Token, count: number): Promise<ChosenTokenLogprobs> {
    this.#rawSampler ??= createRawSampler(this.#llama, this.#model);
    const filter = [[token], false, false, false, Math.max(1, count)] as const;
    const [, , , pairs, weight] = await this.#context.sampleToken(row, this.#rawSampler, false, false, filter, true);
    const logOfSum = (pairs[1] ?? 0) + Math.log(weight);
    const likeliest = Array.from({ length: Math.max(1, count) }, (_, index) => ({
      token: pairs[2 * index] ?? 0,
      logprob: (pairs[2 * index + 1] ?? 0) - logOfSum,
    }));
    // The pair of the chosen token comes behind those of the likeliest.
    return { token, logprob: (pairs.at(-1) ?? 0) - logOfSum, top: likeliest.slice(0, count) };
  }

  #biases({ settings, grammar, preservedTokens }: SamplerOptions): Partial<NativeSamplerConfig> {
    const { logitBias, ignoreEos } = settings;
    if (logitBias.length === 0 && !ignoreEos && grammar === null) return {};
    const { size, ends, controls } = this.#vocabulary();
    for (const [token] of logitBias) {
      if (!Number.isInteger(token) || token < 0 || token >= size) throw unknownBiasedToken(size, token);
    }
    // For llama.cpp's grammar their texts count, and they would write nothing.
    const silent = [...controls].filter(([, text]) => !preservedTokens.includes(text)).map(([token]) => token);
    const banned = [...(ignoreEos ? ends : []), ...(grammar === null ? [] : silent)];
    const biases = [...logitBias, ...banned.map((token) => [token, Number.NEGATIVE_INFINITY] as const)];
    if (biases.length === 0) return {};
    return {
      tokenBiasKeys: Uint32Array.from(biases, ([token]) => token),
      tokenBiasValues: Float32Array.from(biases, ([, bias]) => bias),
    };
  }

  #grammarState(grammar: Grammar | null): Partial<NativeSamplerConfig> {
    if (grammar === null) return {};
    return { grammarEvaluationState: createGrammarState(this.#llama, this.#model, grammar.source) };
  }

  #vocabulary(): VocabularyKinds {
    this.#kinds ??= findKinds(this.#model);
    return this.#kinds;
  }
}

interface VocabularyKinds {
  readonly size: number;
  readonly ends: readonly Token[];
  /** Those that write nothing and do not end the text, and what stands for them. */
  readonly controls: ReadonlyMap<Token, string>;
}

function findKinds(model: LlamaModel): VocabularyKinds {
  const size = model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? 0;
  const vocabulary = vocabularyOf(model);
  const ends: Token[] = [];
  const controls = new Map<Token, string>();
  for (let token = 0; token < size; token++) {
    if (model.isEogToken(token as never)) ends.push(token);
    else if (vocabulary.wholeText(token) === "") controls.set(token, vocabulary.text(token));
  }
  return { size, ends, controls };
}

const nothingChosen: ChosenTokens = { tokens: [], logprobs: null, failure: null };

function createRawSampler(llama: Llama, model: LlamaModel): NativeSampler {
  const sampler = createNativeSampler(llama, model);
  sampler.applyConfig({ temperature: 0, topP: 1, minP: 0, seed: 0 });
  return sampler;
}

function needsAddon(parameter: string): PublicError {
  return new PublicError(`${parameter} needs the native addon, which does not run on this machine.`, {
    status: 501,
    type: "not_supported_error",
    code: "unsupported_parameter",
    param: parameter,
    shouldRetry: false,
  });
}
