// The use cases behind every dialect: choose, lease, render, generate, account. Knows no HTTP and no engine but its
// interface. May import its neighbours, pool/, routing/, formats/, engine/, experts/ and core/ (interfaces).
import { LRUCache } from "lru-cache";
import type { Clock } from "../core/clock.ts";
import { invalidRequest, PublicError } from "../core/errors.ts";
import type { RequestRecorder } from "../core/request-record.ts";
import type {
  ChatMessage,
  EmbeddingModel,
  RankingModel,
  RenderedPrompt,
  TemplateFacts,
  TextModel,
  Token,
} from "../engine/engine.ts";
import type { Expert, Sampling } from "../experts/expert.ts";
import type { AnswerFormat, OutputFormat } from "../formats/answer-format.ts";
import { answerFormat } from "../formats/answer-formats.ts";
import { planConversation } from "../formats/conversation-plan.ts";
import type { AcquireOptions, Lease, ModelPool } from "../pool/pool.ts";
import { answerEvents } from "./answer.ts";
import { beginningOf, firstValues, fittingTokens } from "./batches.ts";
import type {
  AnswerEvent,
  ChatRequest,
  ChatService,
  CompletionRequest,
  EmbeddingAnswer,
  EmbeddingRequest,
  GenerationLimits,
  PromptRequest,
  RankingAnswer,
  RankingRequest,
  RenderedConversation,
  Scheduling,
} from "./contract.ts";
import {
  chooseEmbedder,
  chooseExpert,
  chooseReranker,
  type ChosenExpert,
  type ExpertChoiceParts,
  namedExpert,
} from "./expert-choice.ts";
import { refuseHopelessConversation, refuseHopelessPrompt } from "./prompt-limit.ts";
import { RequestLedger } from "./request-ledger.ts";

export interface ChatServiceParts extends ExpertChoiceParts {
  /** The expert that is asked where nobody is named and nothing is to be routed. */
  readonly defaultModel: string;
  readonly pool: ModelPool;
  readonly record: RequestRecorder;
  readonly clock: Clock;
}

export function createChatService(parts: ChatServiceParts): ChatService {
  return new PooledChatService(parts);
}

interface Prompt {
  readonly tokens: readonly Token[];
  readonly format: AnswerFormat;
}

type Generation = GenerationLimits & { readonly scheduling: Scheduling };

class PooledChatService implements ChatService {
  readonly #parts: ChatServiceParts;
  readonly #embeddings: LRUCache<string, { readonly vector: Float32Array; readonly tokens: number }> | null;

  constructor(parts: ChatServiceParts) {
    this.#parts = parts;
    const cacheSize = parts.embedder?.cacheSize ?? 0;
    this.#embeddings = cacheSize > 0 ? new LRUCache({ max: cacheSize }) : null;
  }

  chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void> {
    const choose = () => chooseExpert(this.#parts, request, lastUserText(request.messages));
    const { budgetTokens } = request.reasoning;
    return this.#answer("chat", "messages", choose, request, budgetTokens, signal, (model, expert) => {
      const { tokens, format } = conversationPrompt(model, expert, request);
      return { tokens, format: format() };
    });
  }

  complete(request: CompletionRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void> {
    const { prompt, promptField, suffix, output } = request;
    const text = typeof prompt === "string" ? prompt : "";
    const choose = () => chooseExpert(this.#parts, { model: request.model, forceRouting: false }, text);
    return this.#answer("completion", promptField, choose, request, null, signal, (model) => {
      const format = answerFormat({ template: noTemplate, generationPrompt: "", tools: null, output });
      return { tokens: completionPrompt(model, prompt, promptField, suffix), format };
    });
  }

  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingAnswer> {
    const choose = () => chooseEmbedder(this.#parts, request.model);
    return this.#withLoaded("embedding", choose, request.scheduling, signal, async ({ model, modelId, loadMs }) => {
      if (model.kind !== "embedding") throw new Error(`${modelId} was not loaded for embeddings`);
      const dimensions = request.dimensions ?? model.dimensions;
      if (dimensions > model.dimensions) throw tooManyDimensions(dimensions, model.dimensions, modelId);
      const embedded = await this.#embedAll(model, request, signal);
      const promptTokens = embedded.reduce((sum, { tokens }) => sum + tokens, 0);
      const vectors = embedded.map(({ vector }) => firstValues(vector, dimensions));
      return { model: modelId, vectors, promptTokens, loadMs };
    });
  }

  async rank(request: RankingRequest, signal: AbortSignal): Promise<RankingAnswer> {
    const choose = () => chooseReranker(this.#parts, request.model);
    return this.#withLoaded("ranking", choose, request.scheduling, signal, async ({ model, modelId }) => {
      if (model.kind !== "ranking") throw new Error(`${modelId} was not loaded for ranking`);
      const pairs = pairsOf(model, request);
      const scores = await model.score(pairs, signal);
      return { model: modelId, scores, promptTokens: pairs.reduce((sum, pair) => sum + pair.length, 0) };
    });
  }

  async render(request: PromptRequest, signal: AbortSignal): Promise<RenderedConversation> {
    const { expert } = await chooseExpert(this.#parts, request, lastUserText(request.messages));
    const render = (model: TextModel) => conversationPrompt(model, expert, request);
    const { text, tokens, generationPrompt } = await this.#useModel(expert, render, request.scheduling, signal);
    return { expertId: expert.id, text, tokens, generationPrompt };
  }

  async withModel<T>(
    name: string | null,
    use: (model: TextModel, expertId: string) => T,
    signal: AbortSignal,
  ): Promise<T> {
    const { catalogue, defaultModel } = this.#parts;
    const expert = namedExpert(this.#parts, name) ?? catalogue.find(defaultModel);
    if (expert === undefined) throw new Error(`the default model ${defaultModel} is not in the catalogue`);
    return this.#useModel(expert, (model) => use(model, expert.id), { priority: 0, keepAliveMs: null }, signal);
  }

  /** At once where the model is in memory: nothing is generated, so no slot is needed. */
  async #useModel<T>(
    expert: Expert,
    use: (model: TextModel) => T,
    scheduling: Scheduling,
    signal: AbortSignal,
  ): Promise<T> {
    const { pool } = this.#parts;
    const loaded = pool.peek(expert.id);
    if (loaded?.kind === "text") return use(loaded);
    const lease = await pool.acquire(expert.id, acquireOptions(scheduling, signal));
    try {
      return use(textModelOf(lease));
    } finally {
      lease.release();
    }
  }

  async #embedAll(
    model: EmbeddingModel,
    { inputs, truncates }: EmbeddingRequest,
    signal: AbortSignal,
  ): Promise<readonly { readonly vector: Float32Array; readonly tokens: number }[]> {
    const keys = inputs.map(
      (input) => `${truncates}${typeof input === "string" ? `t${input}` : `i${input.join(",")}`}`,
    );
    const known = keys.map((key) => this.#embeddings?.get(key));
    const unknown = inputs.flatMap((input, index) => {
      if (known[index] !== undefined) return [];
      const field = inputs.length === 1 ? "input" : `input[${index}]`;
      return [{ index, tokens: fittingTokens(model, input, { field, truncates }) }];
    });
    const vectors =
      unknown.length === 0
        ? []
        : await model.embed(
            unknown.map(({ tokens }) => tokens),
            signal,
          );
    for (const [position, { index, tokens }] of unknown.entries()) {
      const vector = vectors[position];
      if (vector === undefined) throw new Error("the engine returned fewer vectors than it was given texts");
      known[index] = { vector, tokens: tokens.length };
      this.#embeddings?.set(keys[index] ?? "", known[index]);
    }
    return known.flatMap((one) => one ?? []);
  }

  async #withLoaded<Answer extends { readonly promptTokens: number }>(
    kind: "embedding" | "ranking",
    choose: () => { readonly id: string },
    scheduling: Scheduling,
    signal: AbortSignal,
    use: (lease: Lease) => Promise<Answer>,
  ): Promise<Answer> {
    const { clock, record, pool } = this.#parts;
    const ledger = new RequestLedger(kind, clock, record);
    let lease: Lease | undefined;
    try {
      const { id } = choose();
      ledger.expertId = id;
      lease = await pool.acquire(id, acquireOptions(scheduling, signal));
      ledger.leased(lease);
      const startMs = clock.nowMs();
      const answer = await use(lease);
      const promptMs = clock.nowMs() - startMs;
      const { promptTokens } = answer;
      ledger.finish({ promptTokens, cachedTokens: 0, generatedTokens: 0, promptMs, generatedMs: 0 });
      return answer;
    } catch (error) {
      ledger.fail(error, signal);
      throw error;
    } finally {
      lease?.release();
    }
  }

  async *#answer(
    kind: "chat" | "completion",
    promptField: string,
    choose: () => Promise<ChosenExpert>,
    request: Generation,
    thinkingBudgetTokens: number | null,
    signal: AbortSignal,
    promptOf: (model: TextModel, expert: Expert) => Prompt,
  ): AsyncGenerator<AnswerEvent, void, void> {
    const { clock, record, pool } = this.#parts;
    const ledger = new RequestLedger(kind, clock, record);
    let lease: Lease | undefined;
    try {
      const { expert, routing, routingSource } = await choose();
      ledger.expertId = expert.id;
      ledger.routingSource = routingSource;
      yield { type: "routing", routing };
      lease = await pool.acquire(expert.id, acquireOptions(request.scheduling, signal));
      ledger.leased(lease);
      const model = textModelOf(lease);
      const { tokens: promptTokens, format } = promptOf(model, expert);
      const sampling = samplingOf(expert, request);
      const plan = { promptTokens, promptField, format, limits: request, sampling, thinkingBudgetTokens };
      yield* answerEvents(model, plan, { clock, ledger }, signal);
    } catch (thrown) {
      const error = withFormatField(thrown, request.output);
      ledger.fail(error, signal);
      throw error;
    } finally {
      // Reached without `finish` or `fail` where the reader broke off.
      ledger.abandon();
      lease?.release();
    }
  }
}

/** What the engine finds wrong with a grammar is the caller's: it says where the grammar stood. */
function withFormatField(thrown: unknown, output: OutputFormat | null): unknown {
  if (!(thrown instanceof PublicError) || thrown.code !== "invalid_grammar" || thrown.param !== null) return thrown;
  if (output === null || output.type === "json_object") return thrown;
  return invalidRequest(thrown.message, output.field, thrown.code);
}

/** What the request leaves open is as the expert's configuration says. */
function samplingOf(expert: Expert, { sampling: asked, choice = 0 }: GenerationLimits): Sampling {
  const sampling = { ...expert.sampling, ...asked };
  return sampling.seed === undefined ? sampling : { ...sampling, seed: (sampling.seed + choice) >>> 0 };
}

/** Of what never was a conversation. */
const noTemplate: TemplateFacts = {
  source: null,
  takesTools: false,
  takesToolMessages: false,
  thinking: null,
  switchesThinking: false,
};

function conversationPrompt(
  model: TextModel,
  expert: Expert,
  { messages, tools, output, reasoning }: PromptRequest,
): RenderedPrompt & { readonly format: () => AnswerFormat } {
  refuseHopelessConversation(model, messages, tools?.tools ?? []);
  if (output !== null && messages.at(-1)?.role === "assistant") throw formatOfBegunAnswer(output);
  const { template } = model;
  const plan = planConversation(template, withSystemPrompt(messages, expert.systemPrompt), tools);
  const { text, tokens, generationPrompt } = model.renderChat(plan.messages, {
    // A last message of the assistant is the beginning of the answer: the model continues it.
    addGenerationPrompt: plan.messages.at(-1)?.role !== "assistant",
    ...(plan.tools.length > 0 ? { tools: plan.tools } : {}),
    ...(reasoning.thinks === null ? {} : { thinks: reasoning.thinks }),
    ...(reasoning.effort === null ? {} : { reasoningEffort: reasoning.effort }),
  });
  return { text, tokens, generationPrompt, format: () => answerFormat({ template, generationPrompt, tools, output }) };
}

/** What was begun elsewhere and the rest that is written here would not be one document. */
function formatOfBegunAnswer(output: OutputFormat): PublicError {
  return invalidRequest(
    "The last message is the assistant's, so its text is continued; a format holds only for an answer from its beginning. Leave out the format or that message.",
    output.type === "json_object" ? undefined : output.field,
    "unsupported_combination",
  );
}

function completionPrompt(
  model: TextModel,
  prompt: string | readonly Token[],
  promptField: string,
  suffix: string | null,
): readonly Token[] {
  if (typeof prompt === "string") refuseHopelessPrompt(model, prompt, promptField);
  if (suffix === null)
    return typeof prompt === "string" ? model.tokenize(prompt, { parseSpecial: true, addSpecial: true }) : prompt;
  const { infill } = model.vocabulary;
  if (infill === null) {
    throw invalidRequest(
      "suffix asks to fill in the middle of a text, which this model was not trained for; leave it out or ask another model.",
      "suffix",
      "unsupported_parameter",
    );
  }
  refuseHopelessPrompt(model, suffix, "suffix");
  const plain = (text: string) => model.tokenize(text, { parseSpecial: false, addSpecial: false });
  const opening = model.tokenize("", { parseSpecial: false, addSpecial: true });
  const before = typeof prompt === "string" ? plain(prompt) : prompt;
  return [...opening, infill.prefix, ...before, infill.suffix, ...plain(suffix), infill.middle];
}

function tooManyDimensions(asked: number, most: number, modelId: string): PublicError {
  return invalidRequest(
    `dimensions must be an integer from 1 to ${most}, the number of ${modelId}; received ${asked}.`,
    "dimensions",
  );
}

function pairsOf(
  model: RankingModel,
  { query, documents, maxDocumentTokens }: RankingRequest,
): readonly (readonly Token[])[] {
  refuseHopelessPrompt(model, query, "query");
  return documents.map((document, index) => {
    const field = `documents[${index}]`;
    if (maxDocumentTokens === undefined) refuseHopelessPrompt(model, document, field);
    const read = maxDocumentTokens === undefined ? document : beginningOf(model, document, maxDocumentTokens);
    return fittingTokens(model, model.pairTokens(query, read), { field, truncates: false });
  });
}

function textModelOf({ model, modelId }: Lease): TextModel {
  if (model.kind !== "text") throw new Error(`${modelId} was not loaded for text`);
  return model;
}

function lastUserText(messages: readonly ChatMessage[]): string {
  return messages.findLast(({ role }) => role === "user")?.content ?? "";
}

function acquireOptions({ priority, keepAliveMs }: Scheduling, signal: AbortSignal): AcquireOptions {
  return { signal, priority, keepAliveMs: keepAliveMs ?? undefined };
}

function withSystemPrompt(messages: readonly ChatMessage[], systemPrompt: string | null): readonly ChatMessage[] {
  if (systemPrompt === null || messages.some((message) => message.role === "system")) return messages;
  return [{ role: "system", content: systemPrompt }, ...messages];
}
