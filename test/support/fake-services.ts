// A running system for tests of the HTTP surface, without pool or engine: experts, a chat service that answers by a
// script, and every other answer a test wants to change.
import type { Services } from "../../src/api/services.ts";
import type {
  AnswerEvent,
  AnswerTimings,
  ChatRequest,
  ChatService,
  CompletionRequest,
  EmbeddingAnswer,
  EmbeddingRequest,
  Routing,
} from "../../src/chat/contract.ts";
import type { Clock } from "../../src/core/clock.ts";
import { modelNotFound } from "../../src/core/errors.ts";
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
  queueMs: 1,
  loadMs: 2,
  ttftMs: 40,
};

/** What a script does with a request: yields events after the routing, or throws. */
export type AnswerScript = (
  request: ChatRequest | CompletionRequest,
  signal: AbortSignal,
) => AsyncGenerator<AnswerEvent, void, void>;

/** Answers with these pieces of text. */
export function saying(...texts: readonly string[]): AnswerScript {
  return async function* () {
    yield { type: "started", promptTokens: timings.promptTokens };
    yield { type: "prefill", readTokens: timings.promptTokens, promptTokens: timings.promptTokens };
    for (const text of texts) yield { type: "text", text };
    yield { type: "end", reason: "stop", timings };
  };
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
    });
  readonly chats: ChatRequest[] = [];
  readonly completions: CompletionRequest[] = [];
  readonly embeddings: EmbeddingRequest[] = [];
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
    embedder: () => null,
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
