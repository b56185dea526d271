// The use cases that every dialect calls: one internal request in, one stream of events out. Interfaces, and a default.
// May import engine/, formats/, experts/, routing/ and core/ (their types).
import type { ChatMessage, GenerationTimings, TextModel } from "../engine/engine.ts";
import type { Sampling } from "../experts/expert.ts";
import type { AnswerPart, OutputFormat, ToolUse } from "../formats/answer-format.ts";
import type { RoutingDecision } from "../routing/router.ts";

export interface GenerationLimits {
  /** Null: up to the end of the context. */
  readonly maxTokens: number | null;
  /**
   * The answer ends before the first of these; none of its text is sent, but for what a format still needs after it: a
   * document that is whole counts for more.
   */
  readonly stop: readonly string[];
  readonly sampling: Sampling;
  /** Which of several answers to the same question this is, from 0: added to the seed, or all would be the same. Absent: 0. */
  readonly choice?: number;
  /** The answer's tokens come with their log probabilities, and with those of so many of the likeliest (0 to 20). Null: without. */
  readonly topLogprobs: number | null;
  /** Null: free text. */
  readonly output: OutputFormat | null;
}

/** What a request asks of the pool. */
export interface Scheduling {
  /** −100 to 100: higher goes first among those that wait for the same expert. */
  readonly priority: number;
  /**
   * How long the expert stays in memory after this request when no other follows: 0 unloads it at once, Infinity keeps
   * it until its memory is needed. Null: what the configuration says.
   */
  readonly keepAliveMs: number | null;
}

export const defaultScheduling: Scheduling = { priority: 0, keepAliveMs: null };

export interface ChatRequest extends GenerationLimits {
  /** Null, "" or "auto": the router decides. */
  readonly model: string | null;
  /** Route although a model is named. */
  readonly forceRouting: boolean;
  readonly messages: readonly ChatMessage[];
  /** Null: none. */
  readonly tools: ToolUse | null;
  readonly reasoning: ReasoningOptions;
  readonly scheduling: Scheduling;
}

export interface ReasoningOptions {
  /** Null: as the model's template does by itself. */
  readonly thinks: boolean | null;
  /** `low`, `medium`, `high`, for templates that take it; null: their default. */
  readonly effort: string | null;
  /** Tokens after which thinking is ended; null: no bound of its own. */
  readonly budgetTokens: number | null;
}

export const defaultReasoning: ReasoningOptions = { thinks: null, effort: null, budgetTokens: null };

/** What a question needs beside its model, its messages and the most tokens of its answer, where nothing special is wanted. */
export const plainChat = {
  forceRouting: false,
  stop: [],
  sampling: {},
  topLogprobs: null,
  output: null,
  tools: null,
  reasoning: defaultReasoning,
  scheduling: defaultScheduling,
} as const satisfies Partial<ChatRequest>;

export interface CompletionRequest extends GenerationLimits {
  readonly model: string | null;
  /** Text as it stands: no template, special tokens are parsed as llama-server does. */
  readonly prompt: string | readonly number[];
  /** Where the prompt stood in the caller's request, for errors: `prompt` or `prompt[1]`. */
  readonly promptField: string;
  /** What the text is to lead to: the middle between prompt and suffix is filled in. Null: the prompt goes on. */
  readonly suffix: string | null;
  readonly scheduling: Scheduling;
}

export interface EmbeddingRequest {
  readonly model: string | null;
  readonly inputs: readonly (string | readonly number[])[];
  /** Texts that are too long lose their end; else they are refused. */
  readonly truncates: boolean;
  /** Vectors keep so many of their first values and are scaled to length 1 again. Absent: all of them. */
  readonly dimensions?: number;
  readonly scheduling: Scheduling;
}

export interface RankingRequest {
  readonly model: string | null;
  readonly query: string;
  readonly documents: readonly string[];
  /** A longer document loses its end. Absent: as long as it fits beside the query. */
  readonly maxDocumentTokens?: number;
  readonly scheduling: Scheduling;
}

/** Which expert answers, and why. */
export interface Routing {
  readonly expertId: string;
  readonly confidence: number;
  /** `request`: the caller named the expert. */
  readonly source: "request" | RoutingDecision["source"];
  readonly reason: string;
}

/** The answer as it comes: `routing` is first, then `started`, any number of `prefill`, the answer's parts, then one `end`. */
export type AnswerEvent =
  | { readonly type: "routing"; readonly routing: Routing }
  /** The expert is at hand; its prompt is being read from here on. */
  | {
      readonly type: "started";
      readonly promptTokens: number;
      /** Of the prompt, what need not be read, as far as it is known by now. */
      readonly cachedTokens: number;
    }
  | { readonly type: "prefill"; readonly readTokens: number; readonly promptTokens: number }
  /** `logprobs`: of the tokens that brought this text, where they were asked for. */
  | (Extract<AnswerPart, { type: "text" }> & { readonly logprobs?: readonly NamedLogprobs[] })
  | Exclude<AnswerPart, { type: "text" }>
  | AnswerEnd;

export interface AnswerEnd {
  readonly type: "end";
  /** `tool_calls`: the answer ended by itself, with calls. `length`: the token limit or the context's end. */
  readonly reason: "stop" | "length" | "tool_calls";
  /** The caller's stop string that ended it. */
  readonly stopSequence: string | null;
  /** The token limit cut the answer, and what its format still needed was added. */
  readonly isCompleted: boolean;
  readonly timings: AnswerTimings;
}

export interface NamedToken {
  /** What the token's bytes are as text; a part of a character shows as U+FFFD. */
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly token: number;
  readonly logprob: number;
}

export interface NamedLogprobs extends NamedToken {
  readonly top: readonly NamedToken[];
}

export interface AnswerTimings extends GenerationTimings {
  readonly queueMs: number;
  readonly loadMs: number;
  /** Of the generated ones, those of thinking. */
  readonly reasoningTokens: number;
  /** From the request to the first text; null where there was none. */
  readonly ttftMs: number | null;
}

export interface EmbeddingAnswer {
  readonly model: string;
  readonly vectors: readonly Float32Array[];
  readonly promptTokens: number;
  readonly loadMs: number;
}

/** What decides a conversation's prompt. */
export type PromptRequest = Pick<
  ChatRequest,
  "model" | "forceRouting" | "messages" | "tools" | "output" | "reasoning" | "scheduling"
>;

export interface RenderedConversation {
  readonly expertId: string;
  readonly text: string;
  /** The end of `text` that opens the answer; "" where the last message is continued. */
  readonly generationPrompt: string;
  readonly tokens: readonly number[];
}

export interface RankingAnswer {
  readonly model: string;
  /** By document, in the request's order; higher is better. */
  readonly scores: readonly number[];
  readonly promptTokens: number;
}

/**
 * Both streams end within one token (one chunk of the prompt, at most a second) of the signal or of `return()`.
 * Errors are PublicErrors, thrown from `next()`; before the first `started` nothing was sent to a caller.
 */
export interface ChatService {
  chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void>;
  complete(request: CompletionRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void>;
  embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingAnswer>;
  rank(request: RankingRequest, signal: AbortSignal): Promise<RankingAnswer>;
  /** The prompt of a conversation, not answered. */
  render(request: PromptRequest, signal: AbortSignal): Promise<RenderedConversation>;
  /**
   * Lets `use` ask an expert's loaded model something that generates nothing (tokens, facts); it waits for the model, not for
   * a free slot's answer. Null, "" or "auto": the default model.
   */
  withModel<T>(model: string | null, use: (model: TextModel, expertId: string) => T, signal: AbortSignal): Promise<T>;
}
