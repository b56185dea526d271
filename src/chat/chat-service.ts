// The use cases behind every dialect: route, lease, render, generate, stop, account. Knows no HTTP and no engine but its
// interface. May import its neighbours, pool/, routing/, engine/, experts/ and core/ (interfaces).
import { LRUCache } from "lru-cache";
import type { Clock } from "../core/clock.ts";
import { AbandonedError, invalidRequest, modelNotFound, PublicError } from "../core/errors.ts";
import type { RequestRecorder } from "../core/request-record.ts";
import type { ChatMessage, EmbeddingModel, GenerationRequest, TextModel, Token } from "../engine/engine.ts";
import type { ModelFiles } from "../engine/model-files.ts";
import type { ExpertCatalogue } from "../experts/catalogue.ts";
import type { Embedder, Expert } from "../experts/expert.ts";
import type { AcquireOptions, Lease, ModelPool } from "../pool/pool.ts";
import type { Router } from "../routing/router.ts";
import type {
  AnswerEvent,
  ChatRequest,
  ChatService,
  CompletionRequest,
  EmbeddingAnswer,
  EmbeddingRequest,
  GenerationLimits,
  Routing,
  Scheduling,
} from "./contract.ts";
import { refuseHopelessConversation, refuseHopelessPrompt } from "./prompt-limit.ts";
import { RequestLedger } from "./request-ledger.ts";
import { StopScanner } from "./stop-sequences.ts";

export interface ChatServiceParts {
  readonly catalogue: ExpertCatalogue;
  readonly embedder: Embedder | null;
  readonly pool: ModelPool;
  readonly files: Pick<ModelFiles, "look">;
  readonly router: Router;
  readonly record: RequestRecorder;
  readonly clock: Clock;
}

export function createChatService(parts: ChatServiceParts): ChatService {
  return new PooledChatService(parts);
}

class PooledChatService implements ChatService {
  readonly #parts: ChatServiceParts;
  readonly #embeddings: LRUCache<string, { readonly vector: Float32Array; readonly tokens: number }> | null;

  constructor(parts: ChatServiceParts) {
    this.#parts = parts;
    const cacheSize = parts.embedder?.cacheSize ?? 0;
    this.#embeddings = cacheSize > 0 ? new LRUCache({ max: cacheSize }) : null;
  }

  chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void> {
    const lastUser = request.messages.findLast((message) => message.role === "user");
    const routing = (ledger: RequestLedger) => this.#choose(request, lastUser?.content ?? "", ledger);
    return this.#answer("chat", "messages", routing, request, signal, (model, expert) => {
      refuseHopelessConversation(model, request.messages);
      const messages = withSystemPrompt(request.messages, expert.systemPrompt);
      // A last message of the assistant is the beginning of the answer: the model continues it.
      const addGenerationPrompt = messages.at(-1)?.role !== "assistant";
      return model.renderChat(messages, { addGenerationPrompt }).tokens;
    });
  }

  complete(request: CompletionRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void> {
    const { prompt, promptField } = request;
    const routing = (ledger: RequestLedger) =>
      this.#choose({ model: request.model, forceRouting: false }, typeof prompt === "string" ? prompt : "", ledger);
    return this.#answer("completion", promptField, routing, request, signal, (model) => {
      if (typeof prompt !== "string") return prompt;
      refuseHopelessPrompt(model, prompt, promptField);
      return model.tokenize(prompt, { parseSpecial: true, addSpecial: true });
    });
  }

  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingAnswer> {
    const { clock, record } = this.#parts;
    const ledger = new RequestLedger("embedding", clock, record);
    let lease: Lease | undefined;
    try {
      const embedder = this.#embedderFor(request.model);
      ledger.expertId = embedder.id;
      lease = await this.#parts.pool.acquire(embedder.id, acquireOptions(request.scheduling, signal));
      ledger.leased(lease);
      const model = lease.model;
      if (model.kind !== "embedding") throw new Error(`${embedder.id} was loaded for text`);
      const startMs = clock.nowMs();
      const vectors: Float32Array[] = [];
      let promptTokens = 0;
      for (const [index, input] of request.inputs.entries()) {
        const { vector, tokens } = await this.#embedOne(model, input, index, signal);
        vectors.push(vector);
        promptTokens += tokens;
      }
      const promptMs = clock.nowMs() - startMs;
      ledger.finish({ promptTokens, cachedTokens: 0, generatedTokens: 0, promptMs, generatedMs: 0 });
      return { model: embedder.id, vectors, promptTokens };
    } catch (error) {
      ledger.fail(error, signal);
      throw error;
    } finally {
      lease?.release();
    }
  }

  async #embedOne(
    model: EmbeddingModel,
    input: string | readonly Token[],
    index: number,
    signal: AbortSignal,
  ): Promise<{ readonly vector: Float32Array; readonly tokens: number }> {
    if (typeof input === "string") refuseHopelessPrompt(model, input, `input[${index}]`);
    else this.#refuseLongInput(model, input, index);
    const key = typeof input === "string" ? `t${input}` : `i${input.join(",")}`;
    const known = this.#embeddings?.get(key);
    if (known !== undefined) return known;
    const tokens = typeof input === "string" ? model.tokenize(input, { parseSpecial: false, addSpecial: true }) : input;
    this.#refuseLongInput(model, tokens, index);
    const embedded = { vector: await model.embed(tokens, signal), tokens: tokens.length };
    this.#embeddings?.set(key, embedded);
    return embedded;
  }

  #refuseLongInput(model: EmbeddingModel, tokens: readonly Token[], index: number): void {
    if (tokens.length < model.contextTokens) return;
    throw new PublicError(
      `input[${index}] has ${tokens.length} tokens, but the embedding model takes at most ${model.contextTokens - 1}.`,
      { status: 400, type: "exceed_context_size_error", code: "context_length_exceeded", param: `input[${index}]` },
    );
  }

  async *#answer(
    kind: "chat" | "completion",
    promptField: string,
    choose: (ledger: RequestLedger) => Promise<{ readonly expert: Expert; readonly routing: Routing }>,
    request: GenerationLimits & { readonly scheduling: Scheduling },
    signal: AbortSignal,
    promptOf: (model: TextModel, expert: Expert) => readonly Token[],
  ): AsyncGenerator<AnswerEvent, void, void> {
    const { clock, record, pool } = this.#parts;
    const ledger = new RequestLedger(kind, clock, record);
    let lease: Lease | undefined;
    try {
      const { expert, routing } = await choose(ledger);
      yield { type: "routing", routing };
      lease = await pool.acquire(expert.id, acquireOptions(request.scheduling, signal));
      ledger.leased(lease);
      const model = lease.model;
      if (model.kind !== "text") throw new Error(`${expert.id} was loaded for embeddings`);
      const promptTokens = promptOf(model, expert);
      const sampling = { ...expert.sampling, ...request.sampling };
      const generation = { promptTokens, promptField, maxTokens: request.maxTokens, sampling };
      yield* this.#generate(model, generation, request.stop, signal, ledger);
    } catch (error) {
      ledger.fail(error, signal);
      throw error;
    } finally {
      // Reached without `finish` or `fail` where the reader broke off.
      ledger.abandon();
      lease?.release();
    }
  }

  async *#generate(
    model: TextModel,
    request: GenerationRequest,
    stop: readonly string[],
    signal: AbortSignal,
    ledger: RequestLedger,
  ): AsyncGenerator<AnswerEvent, void, void> {
    const scanner = new StopScanner(stop);
    const startMs = this.#parts.clock.nowMs();
    let started = false;
    let promptReadMs = startMs;
    let cachedTokens = 0;
    let readTokens = 0;
    let generatedTokens = 0;
    const timingsNow = () => ({
      promptTokens: readTokens,
      cachedTokens,
      generatedTokens,
      promptMs: promptReadMs - startMs,
      generatedMs: this.#parts.clock.nowMs() - promptReadMs,
    });
    // Asked for only where the generation does not come to its end.
    ledger.timingsSoFar = timingsNow;
    for await (const event of model.generate(request, signal)) {
      switch (event.type) {
        case "prefill":
          promptReadMs = this.#parts.clock.nowMs();
          cachedTokens = event.cachedTokens;
          readTokens = event.readTokens;
          if (!started) yield { type: "started", promptTokens: event.promptTokens };
          started = true;
          yield { type: "prefill", readTokens: event.readTokens, promptTokens: event.promptTokens };
          break;
        case "text": {
          generatedTokens += event.tokens.length;
          const scan = scanner.push(event.text);
          if (scan.text !== "") {
            ledger.text();
            yield { type: "text", text: scan.text };
          }
          if (scan.stopped) {
            yield { type: "end", reason: "stop", timings: ledger.finish(timingsNow()) };
            return;
          }
          break;
        }
        case "end": {
          const rest = scanner.flush();
          if (rest !== "") {
            ledger.text();
            yield { type: "text", text: rest };
          }
          yield { type: "end", reason: event.reason, timings: ledger.finish(event.timings) };
          return;
        }
      }
    }
    if (signal.aborted) throw new AbandonedError();
    throw new Error("the engine's stream ended without an end event");
  }

  async #choose(
    request: Pick<ChatRequest, "model" | "forceRouting">,
    prompt: string,
    ledger: RequestLedger,
  ): Promise<{ readonly expert: Expert; readonly routing: Routing }> {
    const named = request.model;
    if (!request.forceRouting && named !== null && named !== "" && named !== "auto") {
      const expert = this.#parts.catalogue.find(named);
      if (expert === undefined) {
        if (named === this.#parts.embedder?.id) {
          throw invalidRequest(
            `${named} only makes embeddings; ask it at /v1/embeddings.`,
            "model",
            "model_not_supported",
          );
        }
        throw modelNotFound(named, [...this.#parts.catalogue.knownNames, "auto"]);
      }
      ledger.expertId = expert.id;
      ledger.routingSource = "request";
      return {
        expert,
        routing: { expertId: expert.id, confidence: 1, source: "request", reason: "the request named this model" },
      };
    }
    const decision = this.#parts.router.route({ prompt, hasImages: false });
    const chosen = await this.#firstOnDisk(decision.expertId, decision.scores);
    ledger.expertId = chosen.id;
    ledger.routingSource = decision.source;
    const reason =
      chosen.id === decision.expertId
        ? decision.reason
        : `${decision.reason}; the file of ${decision.expertId} is not there, ${chosen.id} fits next best`;
    const confidence = chosen.id === decision.expertId ? decision.confidence : (decision.scores[chosen.id] ?? 0);
    return { expert: chosen, routing: { expertId: chosen.id, confidence, source: decision.source, reason } };
  }

  /** The router's choice, or where its file is not there the likeliest expert whose file is. */
  async #firstOnDisk(chosenId: string, scores: Readonly<Record<string, number>>): Promise<Expert> {
    const { catalogue, files } = this.#parts;
    const ranked = catalogue.experts.toSorted((left, right) => (scores[right.id] ?? 0) - (scores[left.id] ?? 0));
    const chosen = ranked.filter(({ id }) => id === chosenId);
    for (const expert of [...chosen, ...ranked]) {
      if ((await files.look(expert.modelPath)).state === "present") return expert;
    }
    throw new PublicError(
      `No expert can answer: no model file of ${catalogue.ids.join(", ")} can be used. GET /experts says why.`,
      { status: 503, type: "unavailable_error", code: "no_expert_available", shouldRetry: false },
    );
  }

  #embedderFor(model: string | null): Embedder {
    const { embedder, catalogue } = this.#parts;
    if (embedder === null) {
      throw invalidRequest(
        "No embedding model is configured; set embedding_model.model_path to a GGUF file.",
        "model",
        "embeddings_not_configured",
      );
    }
    if (model === null || model === "" || model === embedder.id) return embedder;
    if (catalogue.find(model) !== undefined) {
      throw invalidRequest(
        `${model} generates text; the embedding model is ${embedder.id}.`,
        "model",
        "model_not_supported",
      );
    }
    throw modelNotFound(model, [embedder.id]);
  }
}

function acquireOptions({ priority, keepAliveMs }: Scheduling, signal: AbortSignal): AcquireOptions {
  return { signal, priority, keepAliveMs: keepAliveMs ?? undefined };
}

function withSystemPrompt(messages: readonly ChatMessage[], systemPrompt: string | null): readonly ChatMessage[] {
  if (systemPrompt === null || messages.some((message) => message.role === "system")) return messages;
  return [{ role: "system", content: systemPrompt }, ...messages];
}
