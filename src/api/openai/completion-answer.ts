// The body and the chunks of a completion: several prompts give `n` choices each. May import the chat contract.
import type { ChoiceChunks } from "./choice-stream.ts";
import type { AnswerEnd, AnswerEvent, AnswerTimings, NamedLogprobs } from "../../chat/contract.ts";
import type { StreamItem } from "../endpoint.ts";
import type { WholeAnswer } from "../common/answer-events.ts";
import { headBody, type AnswerHead } from "./answer-head.ts";
import { completionLogprobs } from "./logprobs.ts";
import { textTemplate, type WriteText } from "../common/text-template.ts";
import { performanceBody, timingsBody, usageBody } from "./usage.ts";
import { routingBody } from "../common/model-answer.ts";

export interface CompletionChoice {
  readonly answer: WholeAnswer;
  /** What stands before the answer: its prompt, or nothing. */
  readonly echo: string;
}

/** `timings`: of all answers together, those too that are not given. */
export function completionAnswer(
  head: AnswerHead,
  choices: readonly CompletionChoice[],
  givesLogprobs: boolean,
  timings: AnswerTimings,
) {
  return {
    ...headBody(head, "text_completion"),
    choices: choices.map(({ answer, echo }, index) => ({
      index,
      text: echo + answer.text,
      // None of an answer without tokens is still the form that was asked for.
      logprobs: completionLogprobs(givesLogprobs ? (answer.logprobs ?? []) : null, echo.length),
      finish_reason: completionFinishReason(answer.end),
    })),
    usage: usageBody(timings),
    routing: routingBody(head.routing),
    timings: timingsBody(timings),
    performance: performanceBody(timings),
  };
}

/** The `count` answers whose tokens are the likeliest by their mean, in the order of their likelihood. */
export function bestAnswers(answers: readonly WholeAnswer[], count: number): readonly WholeAnswer[] {
  if (answers.length <= count) return answers;
  return answers.toSorted((left, right) => meanLogprob(right) - meanLogprob(left)).slice(0, count);
}

function meanLogprob({ logprobs }: WholeAnswer): number {
  if (logprobs === null || logprobs.length === 0) return -Infinity;
  return logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / logprobs.length;
}

/** The chunks of one choice. There is one for each token: what they share is written once. */
export class CompletionChoiceChunks implements ChoiceChunks {
  readonly #head: AnswerHead;
  readonly #index: number;
  readonly #echo: string;
  readonly #writeText: WriteText;
  #sentLength = 0;

  /** `echo`: what stands before the answer. */
  constructor(head: AnswerHead, index: number, echo: string) {
    this.#head = head;
    this.#index = index;
    this.#echo = echo;
    this.#writeText = textTemplate(this.#chunk("", null), "text");
  }

  opening(): StreamItem {
    const chunk = this.#chunk(this.#echo, null);
    // The first choice speaks for all.
    return { json: this.#index === 0 ? { ...chunk, routing: routingBody(this.#head.routing) } : chunk };
  }

  piece(event: AnswerEvent): StreamItem | null {
    switch (event.type) {
      case "text":
        if (event.logprobs !== undefined && event.logprobs.length > 0) {
          const item = { json: this.#chunk(event.text, event.logprobs) };
          this.#sentLength += event.logprobs.reduce((sum, { text }) => sum + text.length, 0);
          return item;
        }
        return event.text === "" ? null : { raw: this.#writeText(event.text) };
      case "end":
        return {
          json: { ...this.#chunk("", null, completionFinishReason(event)), timings: timingsBody(event.timings) },
        };
      case "routing":
      case "started":
      case "prefill":
      case "reasoning":
      case "tool_call":
      case "tool_arguments":
        return null;
    }
  }

  #chunk(text: string, logprobs: readonly NamedLogprobs[] | null, reason: "stop" | "length" | null = null) {
    const choice = {
      index: this.#index,
      text,
      logprobs: completionLogprobs(logprobs, this.#sentLength),
      finish_reason: reason,
    };
    return { ...headBody(this.#head, "text_completion"), choices: [choice] };
  }
}

/** `timings`: of all answers together. */
export function completionUsageChunk(head: AnswerHead, timings: AnswerTimings) {
  return {
    ...headBody(head, "text_completion"),
    choices: [],
    usage: usageBody(timings),
    timings: timingsBody(timings),
  };
}

/** An answer that its format completed was cut all the same. */
function completionFinishReason({ reason, isCompleted }: AnswerEnd): "stop" | "length" {
  return reason === "length" || isCompleted ? "length" : "stop";
}
