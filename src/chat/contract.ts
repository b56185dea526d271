// The use cases that every dialect calls: one internal request in, one stream of events out. Interfaces, and a default.
// May import engine/, experts/, routing/ and core/ (their types).
import type { ChatMessage, GenerationTimings } from "../engine/engine.ts";
import type { Sampling } from "../experts/expert.ts";
import type { RoutingDecision } from "../routing/router.ts";

export interface GenerationLimits {
  /** Null: up to the end of the context. */
  readonly maxTokens: number | null;
  /** The answer ends before the first of these; none of its text is sent. */
  readonly stop: readonly string[];
  readonly sampling: Sampling;
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
  readonly scheduling: Scheduling;
}

export interface CompletionRequest extends GenerationLimits {
  readonly model: string | null;
  /** Text as it stands: no template, special tokens are parsed as llama-server does. */
  readonly prompt: string | readonly number[];
  /** Where the prompt stood in the caller's request, for errors: `prompt` or `prompt[1]`. */
  readonly promptField: string;
  readonly scheduling: Scheduling;
}

export interface EmbeddingRequest {
  readonly model: string | null;
  readonly inputs: readonly (string | readonly number[])[];
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

/** The answer as it comes. `routing` is first, then any number of `waiting`, `prefill` and `text`, then one `end`. */
export type AnswerEvent =
  | { readonly type: "routing"; readonly routing: Routing }
  /** The expert is at hand; its prompt is being read from here on. */
  | { readonly type: "started"; readonly promptTokens: number }
  | { readonly type: "prefill"; readonly readTokens: number; readonly promptTokens: number }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "end"; readonly reason: "stop" | "length"; readonly timings: AnswerTimings };

export interface AnswerTimings extends GenerationTimings {
  readonly queueMs: number;
  readonly loadMs: number;
  /** From the request to the first text; null where there was none. */
  readonly ttftMs: number | null;
}

export interface EmbeddingAnswer {
  readonly model: string;
  readonly vectors: readonly Float32Array[];
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
}
