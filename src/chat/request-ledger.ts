// Keeps the figures of one request while it runs, and records them once at its end. May import contract.ts, formats/, pool/
// (types) and core/.
import type { Clock } from "../core/clock.ts";
import { AbandonedError, PublicError } from "../core/errors.ts";
import type { RequestRecord, RequestRecorder } from "../core/request-record.ts";
import type { GenerationTimings } from "../engine/engine.ts";
import type { Lease } from "../pool/pool.ts";
import type { AnswerPart } from "../formats/answer-format.ts";
import type { AnswerTimings } from "./contract.ts";

export class RequestLedger {
  expertId: string | null = null;
  routingSource: string | null = null;
  readonly #kind: RequestRecord["kind"];
  readonly #clock: Clock;
  readonly #record: RequestRecorder;
  readonly #startMs: number;
  #queueMs = 0;
  #loadMs = 0;
  #ttftMs: number | null = null;
  #isEmpty: boolean;
  /** What was done for a generation that has not come to its end. */
  timingsSoFar: (() => GenerationTimings) | null = null;
  #recorded = false;

  constructor(kind: RequestRecord["kind"], clock: Clock, record: RequestRecorder) {
    this.#kind = kind;
    this.#isEmpty = kind === "chat" || kind === "completion";
    this.#clock = clock;
    this.#record = record;
    this.#startMs = clock.nowMs();
  }

  leased(lease: Lease): void {
    this.#queueMs = lease.queueMs;
    this.#loadMs = lease.loadMs;
  }

  /** A part of the answer is about to be sent. */
  part(type: AnswerPart["type"]): void {
    this.#ttftMs ??= this.#clock.nowMs() - this.#startMs;
    if (type !== "reasoning") this.#isEmpty = false;
  }

  /** Call before the last event is handed out: a reader may stop at it. */
  finish(generation: GenerationTimings, reasoningTokens = 0): AnswerTimings {
    this.#end("ok", null, generation);
    return { ...generation, reasoningTokens, queueMs: this.#queueMs, loadMs: this.#loadMs, ttftMs: this.#ttftMs };
  }

  fail(error: unknown, signal: AbortSignal): void {
    if (error instanceof AbandonedError || signal.aborted) this.#end("abandoned", null);
    else this.#end("error", error instanceof PublicError ? error.code : "internal_error");
  }

  /** Does nothing after `finish` or `fail`. */
  abandon(): void {
    this.#end("abandoned", null);
  }

  #end(outcome: RequestRecord["outcome"], errorCode: string | null, finished?: GenerationTimings): void {
    if (this.#recorded) return;
    this.#recorded = true;
    const generation = finished ?? this.timingsSoFar?.();
    this.#record({
      kind: this.#kind,
      expertId: this.expertId,
      routingSource: this.routingSource,
      outcome,
      errorCode,
      isEmpty: this.#isEmpty && outcome === "ok",
      durationMs: this.#clock.nowMs() - this.#startMs,
      queueMs: this.#queueMs,
      loadMs: this.#loadMs,
      ttftMs: this.#ttftMs,
      promptTokens: generation?.promptTokens ?? 0,
      cachedTokens: generation?.cachedTokens ?? 0,
      generatedTokens: generation?.generatedTokens ?? 0,
      promptMs: generation?.promptMs ?? 0,
      generatedMs: generation?.generatedMs ?? 0,
    });
  }
}
