// A loaded chat or completion model: renders prompts, feeds the decode loop, turns its tokens into text.
// May import node-llama-cpp (types), its neighbours, prompt-cache/ (types), engine.ts and core/.
import type { LlamaContext, LlamaModel } from "node-llama-cpp";
import { PublicError } from "../../core/errors.ts";
import type {
  ChatMessage,
  ChosenTokenLogprobs,
  GenerationEvent,
  GenerationRequest,
  MeasuredTime,
  MeasuredWork,
  ModelFileInfo,
  RenderedPrompt,
  RenderOptions,
  TemplateFacts,
  TextModel,
  ThreadCounts,
  Token,
  VocabularyFacts,
} from "../engine.ts";
import type { PromptCache } from "../prompt-cache/prompt-cache.ts";
import type { ComputeTurn } from "./compute-turn.ts";
import { DecodeLoop, type LearnedCosts } from "./decode-loop.ts";
import type { Decoder } from "./decoder.ts";
import { measurePasses } from "./pass-measuring.ts";
import { PromptRenderer } from "./prompt-renderer.ts";
import { samplerSettings } from "./sampling.ts";
import { StreamingDetokenizer } from "./streaming-detokenizer.ts";
import { checkTokens } from "./token-check.ts";

export interface LlamaTextModelParts {
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  /** Over the context. */
  readonly decoder: Decoder;
  readonly file: ModelFileInfo;
  readonly contextTokens: number;
  readonly slots: number;
  readonly batchTokens: number;
  readonly slidingWindowTokens: number | null;
  readonly residentBytes: number;
  /** Token ids run from 0 to this, exclusive. */
  readonly vocabularySize: number;
  readonly threads: ThreadCounts;
  readonly hasSpareCore: boolean;
  readonly promptCache: { readonly cache: PromptCache; readonly modelKey: string } | null;
  readonly learned: LearnedCosts | null;
  /** Told before the model goes. */
  readonly onLearned: (learned: LearnedCosts) => void;
  readonly turn: ComputeTurn;
}

export class LlamaTextModel implements TextModel {
  readonly kind = "text";
  readonly file: ModelFileInfo;
  readonly contextTokens: number;
  readonly residentBytes: number;
  readonly measure: ((work: MeasuredWork) => Promise<MeasuredTime>) | null;
  readonly #parts: LlamaTextModelParts;
  readonly #renderer: PromptRenderer;
  readonly #loop: DecodeLoop;

  constructor(parts: LlamaTextModelParts) {
    this.file = parts.file;
    this.contextTokens = parts.contextTokens;
    this.residentBytes = parts.residentBytes;
    this.#parts = parts;
    this.#renderer = new PromptRenderer(parts.model);
    this.#loop = new DecodeLoop({
      decoder: parts.decoder,
      slots: parts.slots,
      contextTokens: parts.contextTokens,
      batchTokens: parts.batchTokens,
      slidingWindowTokens: parts.slidingWindowTokens,
      threads: parts.threads,
      hasSpareCore: parts.hasSpareCore,
      promptCache: parts.promptCache,
      learned: parts.learned,
      turn: parts.turn,
      nowMs: () => performance.now(),
    });
    const { decoder } = parts;
    this.measure = decoder.choosesThreads
      ? (work) =>
          this.#loop.withFreeSequence((sequenceId) =>
            measurePasses(decoder, { ...work, sequenceId, token: this.#anyToken() }),
          )
      : null;
  }

  async warmUp(): Promise<void> {
    await this.#loop.warmUp(this.#anyToken());
  }

  tokenize(text: string, options: { readonly parseSpecial: boolean; readonly addSpecial: boolean }): Token[] {
    return this.#renderer.tokenize(text, options);
  }

  get template(): TemplateFacts {
    return this.#renderer.facts;
  }

  get vocabulary(): VocabularyFacts {
    return this.#renderer.vocabularyFacts;
  }

  tokenBytes(token: Token): Uint8Array {
    return this.#renderer.tokenBytes(token);
  }

  detokenize(tokens: readonly Token[], options: { readonly special: boolean }): string {
    return this.#renderer.detokenize(tokens, options);
  }

  renderChat(messages: readonly ChatMessage[], options: RenderOptions): RenderedPrompt {
    return this.#renderer.renderChat(messages, options);
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, void> {
    const { decoder, model } = this.#parts;
    const promptTokens = this.#checkedPrompt(request);
    const settings = samplerSettings(request.sampling, () => Math.floor(Math.random() * 2 ** 32));
    const startMs = performance.now();
    let firstTokenMs = startMs;
    let generatedTokens = 0;
    let cachedTokens = 0;
    // Tokens whose text is held back: a character's first bytes.
    let unsent: Token[] = [];
    let unsentLogprobs: ChosenTokenLogprobs[] = [];
    const textEvent = (text: string): GenerationEvent => {
      const logprobs = unsentLogprobs;
      const tokens = unsent;
      unsent = [];
      if (request.topLogprobs === null) return { type: "text", text, tokens };
      unsentLogprobs = [];
      return { type: "text", text, tokens, logprobs };
    };
    const detokenizer = new StreamingDetokenizer(model, request.preservedTokens);
    const { grammar, preservedTokens, topLogprobs } = request;
    const sampler = decoder.createSampler({ settings, prompt: promptTokens, grammar, preservedTokens, topLogprobs });
    try {
      const stream = this.#loop.run(
        {
          promptTokens,
          maxTokens: request.maxTokens ?? Number.POSITIVE_INFINITY,
          sampler,
          isEndOfGeneration: (token) => model.isEogToken(token as never),
        },
        signal,
      );
      for await (const event of stream) {
        switch (event.type) {
          case "prefill":
            cachedTokens = event.cachedTokens;
            firstTokenMs = performance.now();
            yield { type: "prefill", promptTokens: promptTokens.length, cachedTokens, readTokens: event.readTokens };
            break;
          case "token": {
            generatedTokens += 1;
            unsent.push(event.token);
            if (event.logprobs !== undefined) unsentLogprobs.push(event.logprobs);
            const text = detokenizer.push(event.token);
            if (text !== "") yield textEvent(text);
            break;
          }
          case "end": {
            // Half a character is no text that a grammar knows.
            const rest = grammar === null ? detokenizer.flush() : "";
            if (rest !== "") yield textEvent(rest);
            const nowMs = performance.now();
            yield {
              type: "end",
              reason: event.reason,
              timings: {
                promptTokens: promptTokens.length,
                cachedTokens,
                generatedTokens,
                promptMs: firstTokenMs - startMs,
                generatedMs: nowMs - firstTokenMs,
              },
            };
            break;
          }
        }
      }
    } finally {
      sampler.dispose();
    }
  }

  async dispose(): Promise<void> {
    try {
      await this.#loop.close();
      this.#parts.onLearned(this.#loop.learned());
    } finally {
      // Whatever went wrong before: the memory is counted as free after this.
      this.#parts.decoder.close();
      await this.#parts.context.dispose();
      await this.#parts.model.dispose();
    }
  }

  #checkedPrompt({ promptTokens, promptField }: GenerationRequest): readonly Token[] {
    checkTokens(promptTokens, this.#parts.vocabularySize, promptField);
    if (promptTokens.length >= this.contextTokens) {
      throw new PublicError(
        `The prompt has ${promptTokens.length} tokens, but this model's context holds ${this.contextTokens} and the answer needs at least one of them. Shorten the prompt or raise the expert's max_model_len.`,
        { status: 400, type: "exceed_context_size_error", code: "context_length_exceeded", param: promptField },
      );
    }
    return promptTokens.length > 0 ? promptTokens : [this.#anyToken()];
  }

  #anyToken(): Token {
    const { bos, eos } = this.#parts.model.tokens;
    return bos ?? eos ?? 0;
  }
}
