// A running system for tests of the HTTP surface, without pool or engine: experts, a chat service that answers by a
// script, and every other answer a test wants to change.
import type { Services } from "../../src/api/services.ts";
import type {
  AnswerEnd,
  AnswerEvent,
  AnswerTimings,
  ChatRequest,
  ChatService,
  CompletionRequest,
  EmbeddingAnswer,
  EmbeddingRequest,
  PromptRequest,
  RankingAnswer,
  RankingRequest,
  RenderedConversation,
  Routing,
} from "../../src/chat/contract.ts";
import type { Clock } from "../../src/core/clock.ts";
import { modelNotFound } from "../../src/core/errors.ts";
import type { TextModel } from "../../src/engine/engine.ts";
import type { ModelFileState } from "../../src/engine/model-files.ts";
import type { Expert, ExpertDomain } from "../../src/experts/expert.ts";
import type { ModelStatus, PoolStatus } from "../../src/pool/pool.ts";
import { RequestStats } from "../../src/telemetry/request-stats.ts";

export const startedAtMs = 1_700_000_000_000;

/** Wall clock stands still; timers fire only by `fire`, in the order in which they were set. */
export class SteppedClock implements Clock {
  readonly timers: { readonly delayMs: number; readonly callback: () => void }[] = [];
  nowMs = (): number => 0;
  epochMs = (): number => startedAtMs + 5000;

  setTimer = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { delayMs, callback };
    this.timers.push(timer);
    return () => {
      const index = this.timers.indexOf(timer);
      if (index !== -1) this.timers.splice(index, 1);
    };
  };

  /** Fires the oldest pending timer of that delay; throws where there is none. */
  fire(delayMs: number): void {
    const index = this.timers.findIndex((timer) => timer.delayMs === delayMs);
    const [timer] = index === -1 ? [] : this.timers.splice(index, 1);
    if (timer === undefined) throw new Error(`no timer of ${delayMs} ms is pending`);
    timer.callback();
  }
}

export function fakeExpert(id: string, domain: ExpertDomain, overrides: Partial<Expert> = {}): Expert {
  return {
    id,
    aliases: [],
    domain,
    description: `The ${domain} expert.`,
    priority: 1,
    useCases: ["tests"],
    quantization: "q4_0",
    modelPath: `/models/${id}.gguf`,
    contextTokens: 4096,
    minContextTokens: 2048,
    parallel: 1,
    keep: false,
    fallback: [],
    systemPrompt: null,
    sampling: {},
    ...overrides,
  };
}

export const fiveExperts: readonly Expert[] = [
  fakeExpert("phi4_fast", "technical", { aliases: ["phi", "vendor/phi-4"] }),
  fakeExpert("mistral_balanced", "general", { contextTokens: null }),
  fakeExpert("qwen_coder", "coding"),
  fakeExpert("gemma3_multimodal", "multimodal_expert"),
  fakeExpert("aya_expanse_multilingual", "multilingual_expert"),
];

export function presentFile(path: string, sizeBytes = 1000): ModelFileState {
  return {
    state: "present",
    info: {
      path,
      sizeBytes,
      architecture: "qwen2",
      name: null,
      trainContextTokens: 32_768,
      parameterCount: 12_345,
      quantization: "Q4_0",
      hasChatTemplate: true,
    },
    identity: { path, sizeBytes, modifiedMs: startedAtMs },
  };
}

export function poolModel(modelId: string, overrides: Partial<ModelStatus> = {}): ModelStatus {
  return {
    modelId,
    state: "available",
    reservedBytes: 0,
    leases: 0,
    waiting: 0,
    loadProgress: null,
    lastError: null,
    pinned: false,
    retryAtMs: null,
    quarantined: false,
    contextTokens: null,
    reducedFromTokens: null,
    ...overrides,
  };
}

export function poolStatus(models: readonly ModelStatus[], overrides: Partial<PoolStatus> = {}): PoolStatus {
  return {
    budgetBytes: 10_000,
    processBytes: 0,
    reservedBytes: models.reduce((sum, model) => sum + model.reservedBytes, 0),
    machineAvailableBytes: 20_000,
    models,
    counters: { loads: 2, loadFailures: 0, evictions: 1, hits: 3 },
    progressing: true,
    ...overrides,
  };
}

export const timings: AnswerTimings = {
  promptTokens: 10,
  cachedTokens: 4,
  generatedTokens: 6,
  promptMs: 30,
  generatedMs: 200,
  reasoningTokens: 0,
  queueMs: 1,
  loadMs: 2,
  ttftMs: 40,
};

/** The last event of an answer that ended by itself, or as `more` says. */
export function ending(more: Partial<AnswerEnd> = {}): AnswerEnd {
  return { type: "end", reason: "stop", stopSequence: null, isCompleted: false, timings, ...more };
}

/** What a script does with a request: yields events after the routing, or throws. */
export type AnswerScript = (
  request: ChatRequest | CompletionRequest,
  signal: AbortSignal,
) => AsyncGenerator<AnswerEvent, void, void>;

/** Answers with these pieces of text. */
export function saying(...texts: readonly string[]): AnswerScript {
  return telling(...texts.map((text) => ({ type: "text", text }) as const), ending());
}

/** Reads the prompt, then these events. */
export function telling(...events: readonly AnswerEvent[]): AnswerScript {
  return async function* () {
    yield { type: "started", promptTokens: timings.promptTokens, cachedTokens: 0 };
    yield { type: "prefill", readTokens: timings.promptTokens, promptTokens: timings.promptTokens };
    yield* events;
  };
}

/** A call of a tool, its arguments in these pieces. */
export function calling(index: number, id: string, name: string, ...pieces: readonly string[]): AnswerEvent[] {
  return [
    { type: "tool_call", index, id, name },
    ...pieces.map((text): AnswerEvent => ({ type: "tool_arguments", index, text })),
  ];
}

/** Fails after these events. */
export function failing(error: Error, ...before: readonly AnswerEvent[]): AnswerScript {
  return async function* () {
    yield* before;
    throw error;
  };
}

/** Knows the five experts, answers every request by `script`, and remembers what it was asked. */
export class FakeChatService implements ChatService {
  script: AnswerScript = saying("Hello", " there");
  embedding: (request: EmbeddingRequest, signal: AbortSignal) => Promise<EmbeddingAnswer> = (request) =>
    Promise.resolve({
      model: "embedder",
      vectors: request.inputs.map((_, index) => Float32Array.from([index, 0.5, -0.25])),
      promptTokens: 7,
      loadMs: 0,
    });
  readonly chats: ChatRequest[] = [];
  readonly completions: CompletionRequest[] = [];
  ranking: (request: RankingRequest, signal: AbortSignal) => Promise<RankingAnswer> = (request) =>
    Promise.resolve({
      model: "reranker",
      scores: request.documents.map((document) => document.length),
      promptTokens: 9,
    });
  /** A prompt of a line for each message, a token for each character. */
  rendering: (request: PromptRequest) => string = ({ messages }) =>
    messages.map(({ role, content }) => `${role}: ${content}\n`).join("");
  generationPrompt: (request: PromptRequest) => string = () => "";
  /** What `withModel` hands over. */
  model: TextModel | null = null;
  readonly embeddings: EmbeddingRequest[] = [];
  readonly rankings: RankingRequest[] = [];
  readonly renderings: PromptRequest[] = [];
  /** Answers that were begun and have ended, whichever way. */
  endedCount = 0;

  chat(request: ChatRequest, signal: AbortSignal) {
    this.chats.push(request);
    return this.#answer(request, signal, request.forceRouting);
  }

  complete(request: CompletionRequest, signal: AbortSignal) {
    this.completions.push(request);
    return this.#answer(request, signal, false);
  }

  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingAnswer> {
    this.embeddings.push(request);
    return this.embedding(request, signal);
  }

  async rank(request: RankingRequest, signal: AbortSignal): Promise<RankingAnswer> {
    this.rankings.push(request);
    return this.ranking(request, signal);
  }

  async render(request: PromptRequest): Promise<RenderedConversation> {
    this.renderings.push(request);
    const { expertId } = this.#route(request.forceRouting ? null : request.model);
    const text = this.rendering(request);
    const generationPrompt = this.generationPrompt(request);
    return { expertId, text, generationPrompt, tokens: Array.from(text, (letter) => letter.codePointAt(0) ?? 0) };
  }

  async withModel<T>(name: string | null, use: (model: TextModel, expertId: string) => T): Promise<T> {
    const { expertId } = this.#route(name ?? "mistral_balanced");
    if (this.model === null) throw new Error("the test gave this service no model");
    return use(this.model, expertId);
  }

  async *#answer(
    request: ChatRequest | CompletionRequest,
    signal: AbortSignal,
    forceRouting: boolean,
  ): AsyncGenerator<AnswerEvent, void, void> {
    try {
      yield { type: "routing", routing: this.#route(forceRouting ? null : request.model) };
      yield* this.script(request, signal);
    } finally {
      this.endedCount += 1;
    }
  }

  #route(model: string | null): Routing {
    if (model === null) {
      return { expertId: "qwen_coder", confidence: 0.9, source: "keywords", reason: "It asks for code." };
    }
    const expert = resolveModel(model);
    if (expert === undefined) {
      throw modelNotFound(
        model,
        fiveExperts.map(({ id }) => id),
      );
    }
    return { expertId: expert.id, confidence: 1, source: "request", reason: "The request names it." };
  }
}

function resolveModel(name: string): Expert | undefined {
  return fiveExperts.find(({ id, aliases }) => id === name || aliases.includes(name));
}

export interface FakeServices extends Services {
  readonly clock: SteppedClock;
  readonly chat: FakeChatService;
}

/** All five experts on disk, the first in memory; `overrides` replaces what a test is about. */
export function fakeServices(overrides: Partial<FakeServices> = {}): FakeServices {
  const clock = new SteppedClock();
  const stats = new RequestStats(clock);
  return {
    version: "1.2.3",
    startedAtMs,
    clock,
    chat: new FakeChatService(),
    engine: { name: "fake engine 1", threads: 2, systemInfo: "AVX2 = 1" },
    experts: () => fiveExperts,
    dropsParameters: false,
    embedder: () => null,
    reranker: () => null,
    defaultModel: () => "mistral_balanced",
    resolveModel,
    poolStatus: () =>
      poolStatus(
        fiveExperts.map(({ id }, index) => poolModel(id, index === 0 ? { state: "loaded", reservedBytes: 1500 } : {})),
      ),
    poolEvents: () => [],
    loadExpert: () => Promise.resolve(),
    unloadExpert: () => "unloading",
    liftQuarantine: () => false,
    reload: () =>
      Promise.resolve({
        source: { path: "config.json", resolvedPath: "/etc/config.json" },
        expertsBefore: 5,
        experts: 5,
        summary: "5 experts, as before",
        added: [],
        changed: [],
        removed: [],
        settings: [],
        warnings: [],
        restart: [],
      }),
    fileState: (modelId) => Promise.resolve(presentFile(`/models/${modelId}.gguf`)),
    stats: () => stats.snapshot(),
    metricsText: () => Promise.resolve("up 1\n"),
    probe: () => Promise.resolve({ ok: true, detail: "One token came.", durationMs: 3 }),
    isDraining: () => false,
    ...overrides,
  };
}
