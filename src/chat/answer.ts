// One answer from a model's raw text: ended before a stop string, completed where its format demands more than the token limit
// gave, thinking ended at its budget, told as parts. May import contract.ts, its neighbours, engine/, formats/, grammar/, core/.
import type { Clock } from "../core/clock.ts";
import { AbandonedError, PublicError } from "../core/errors.ts";
import type { ChosenTokenLogprobs, GenerationTimings, TextModel, Token } from "../engine/engine.ts";
import type { Sampling } from "../experts/expert.ts";
import type { AnswerFormat, AnswerPart, AnswerReader } from "../formats/answer-format.ts";
import { GrammarMatcher } from "../grammar/completion.ts";
import type { Grammar } from "../grammar/grammar.ts";
import type { AnswerEnd, AnswerEvent, GenerationLimits, NamedLogprobs } from "./contract.ts";
import type { RequestLedger } from "./request-ledger.ts";
import { StopScanner } from "./stop-sequences.ts";
import { namedLogprobs } from "./token-names.ts";

export interface AnswerPlan {
  readonly promptTokens: readonly Token[];
  /** Where the prompt stood in the caller's request, for errors. */
  readonly promptField: string;
  readonly format: AnswerFormat;
  readonly limits: GenerationLimits;
  /** The expert's and the request's together. */
  readonly sampling: Sampling;
  /** Null: thinking may take all there is. */
  readonly thinkingBudgetTokens: number | null;
}

export interface AnswerTools {
  readonly clock: Clock;
  readonly ledger: RequestLedger;
}

/** From `started` to `end`. */
export async function* answerEvents(
  model: TextModel,
  plan: AnswerPlan,
  { clock, ledger }: AnswerTools,
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent, void, void> {
  const { format, limits, thinkingBudgetTokens } = plan;
  const text = new AnswerText(model, format, limits);
  const startMs = clock.nowMs();
  let started = false;
  let promptReadMs = startMs;
  let cachedTokens = 0;
  let readTokens = 0;
  let generatedTokens = 0;
  let reasoningTokens = 0;
  const timings = (): GenerationTimings => ({
    promptTokens: readTokens,
    cachedTokens,
    generatedTokens,
    promptMs: promptReadMs - startMs,
    generatedMs: clock.nowMs() - promptReadMs,
  });
  // Asked for only where the generation does not come to its end.
  ledger.timingsSoFar = timings;
  const told = (events: readonly AnswerPartEvent[]) => {
    for (const { type } of events) ledger.part(type);
    return events;
  };
  const end = (reason: "stop" | "length", final: GenerationTimings): AnswerEnd => ({
    type: "end",
    reason: reason === "stop" && text.stop === null && text.hasCalls ? "tool_calls" : reason,
    stopSequence: text.stop,
    isCompleted: text.isCompleted,
    timings: ledger.finish(final, reasoningTokens),
  });

  let { promptTokens } = plan;
  let { grammar } = format;
  let isThinkingEnded = false;
  while (true) {
    const written: Token[] = [];
    const remaining = limits.maxTokens === null ? null : limits.maxTokens - generatedTokens;
    const generation = {
      promptTokens,
      promptField: plan.promptField,
      maxTokens: remaining,
      sampling: plan.sampling,
      grammar,
      topLogprobs: limits.topLogprobs,
      preservedTokens: format.preservedTokens,
    };
    let isBudgetSpent = false;
    for await (const event of model.generate(generation, signal)) {
      switch (event.type) {
        case "prefill":
          // What follows thinking that was ended is no new prompt to the caller.
          if (isThinkingEnded) break;
          promptReadMs = clock.nowMs();
          cachedTokens = event.cachedTokens;
          readTokens = event.readTokens;
          if (!started) yield { type: "started", promptTokens: event.promptTokens, cachedTokens };
          started = true;
          yield { type: "prefill", readTokens: event.readTokens, promptTokens: event.promptTokens };
          if (limits.maxTokens === 0 && event.readTokens >= event.promptTokens) {
            yield* told(text.end());
            yield end("length", timings());
            return;
          }
          break;
        case "text":
          generatedTokens += event.tokens.length;
          written.push(...event.tokens);
          yield* told(text.push(event.text, event.logprobs));
          if (text.isThinking) reasoningTokens += event.tokens.length;
          if (text.stop !== null) {
            yield* told(text.end());
            yield end("stop", timings());
            return;
          }
          isBudgetSpent =
            thinkingBudgetTokens !== null &&
            !isThinkingEnded &&
            format.thinkingEnd !== null &&
            text.isThinking &&
            generatedTokens >= thinkingBudgetTokens;
          break;
        case "end":
          yield* told(text.end());
          yield end(event.reason, isThinkingEnded ? timings() : event.timings);
          return;
      }
      if (isBudgetSpent) break;
    }
    if (signal.aborted) throw new AbandonedError();
    if (!isBudgetSpent || format.thinkingEnd === null)
      throw new Error("the engine's stream ended without an end event");
    isThinkingEnded = true;
    yield* told(text.endThinking(format.thinkingEnd));
    const ending = model.tokenize(format.thinkingEnd, { parseSpecial: true, addSpecial: false });
    promptTokens = [...promptTokens, ...written, ...ending];
    const isSpent = limits.maxTokens !== null && generatedTokens >= limits.maxTokens;
    if (isSpent || promptTokens.length >= model.contextTokens) {
      yield* told(text.end());
      yield end("length", timings());
      return;
    }
    grammar = format.answerGrammar;
  }
}

type AnswerPartEvent = Extract<AnswerEvent, { type: AnswerPart["type"] }>;

/** The text of an answer on its way from the model to the caller. */
class AnswerText {
  /** The stop string that was met. */
  stop: string | null = null;
  hasCalls = false;
  isCompleted = false;
  readonly #model: TextModel;
  readonly #format: AnswerFormat;
  readonly #scanner: StopScanner;
  readonly #reader: AnswerReader;
  /** Reads along, so that nobody waits for it at the end of a long text. */
  #matcher: GrammarMatcher | null;
  /** Of tokens whose text has not been told. */
  #logprobs: NamedLogprobs[] = [];

  constructor(model: TextModel, format: AnswerFormat, { stop }: GenerationLimits) {
    this.#model = model;
    this.#format = format;
    this.#scanner = new StopScanner(stop);
    this.#reader = format.createReader();
    this.#matcher = matcherOf(format.grammar);
  }

  get isThinking(): boolean {
    return this.#reader.isThinking;
  }

  push(piece: string, logprobs: readonly ChosenTokenLogprobs[] | undefined): readonly AnswerPartEvent[] {
    if (logprobs !== undefined) this.#logprobs.push(...logprobs.map((one) => namedLogprobs(this.#model, one)));
    const scan = this.#scanner.push(piece);
    this.stop = scan.stop;
    const wasThinking = this.isThinking;
    const events = this.#read(scan.text);
    // What ends thinking is no part of the answer either.
    if (wasThinking && events.every(({ type }) => type !== "text")) this.#logprobs = [];
    return events;
  }

  /** What is left, and what the format still needs: an answer that is cut is whole all the same. */
  end(): readonly AnswerPartEvent[] {
    const events = [...this.#read(this.stop === null ? this.#scanner.flush() : "")];
    if (this.#matcher !== null) {
      const rest = this.#matcher.completion();
      if (rest === null) throw unfinished();
      this.isCompleted = rest !== "";
      events.push(...this.#read(rest));
    }
    return [...events, ...this.#told(this.#reader.end())];
  }

  endThinking(ending: string): readonly AnswerPartEvent[] {
    this.#logprobs = [];
    const events = this.#told(this.#reader.push(this.#scanner.flush() + ending));
    this.#matcher = matcherOf(this.#format.answerGrammar);
    return events;
  }

  #read(text: string): readonly AnswerPartEvent[] {
    if (text === "") return [];
    this.#matcher?.push(text);
    return this.#told(this.#reader.push(text));
  }

  #told(parts: readonly AnswerPart[]): readonly AnswerPartEvent[] {
    return parts.map((part) => {
      if (part.type === "tool_call") this.hasCalls = true;
      if (this.#logprobs.length === 0) return part;
      // Only those of visible text are told; one that spans two parts counts with the first.
      const logprobs = this.#logprobs;
      this.#logprobs = [];
      return part.type === "text" ? { ...part, logprobs } : part;
    });
  }
}

function matcherOf(grammar: Grammar | null): GrammarMatcher | null {
  return grammar === null ? null : new GrammarMatcher(grammar);
}

/** The model's text is no beginning of what its format allows: better no answer than a broken one. */
function unfinished(): PublicError {
  return new PublicError("The answer could not be completed in the format that the request asks for.", {
    status: 500,
    type: "server_error",
    code: "incomplete_output",
    shouldRetry: false,
  });
}
