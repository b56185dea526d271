// The body and the chunks of a completion: several prompts give one choice each. May import the chat contract.
import type { AnswerTimings } from "../../chat/contract.ts";
import { routingBody, type AnswerHead } from "./answer-head.ts";
import { performanceBody, timingsBody, usageBody } from "./usage.ts";

export interface CompletionChoice {
  readonly text: string;
  readonly reason: "stop" | "length";
}

export function completionAnswer(head: AnswerHead, choices: readonly CompletionChoice[], timings: AnswerTimings) {
  return {
    ...completionHead(head),
    choices: choices.map((choice, index) => choiceBody(index, choice.text, choice.reason)),
    usage: usageBody(timings),
    routing: routingBody(head.routing),
    timings: timingsBody(timings),
    performance: performanceBody(timings),
  };
}

/** The first chunk of the whole answer also carries `routing`. */
export function completionOpeningChunk(head: AnswerHead) {
  return { ...completionTextChunk(head, 0, ""), routing: routingBody(head.routing) };
}

export function completionTextChunk(head: AnswerHead, index: number, text: string) {
  return { ...completionHead(head), choices: [choiceBody(index, text, null)] };
}

export function completionClosingChunk(
  head: AnswerHead,
  index: number,
  reason: "stop" | "length",
  timings: AnswerTimings,
) {
  return { ...completionHead(head), choices: [choiceBody(index, "", reason)], timings: timingsBody(timings) };
}

/** `timings`: of all prompts together. */
export function completionUsageChunk(head: AnswerHead, timings: AnswerTimings) {
  return { ...completionHead(head), choices: [], usage: usageBody(timings) };
}

function completionHead(head: AnswerHead) {
  return {
    id: head.id,
    object: "text_completion" as const,
    created: head.created,
    model: head.routing.expertId,
  };
}

function choiceBody(index: number, text: string, reason: "stop" | "length" | null) {
  return { index, text, logprobs: null, finish_reason: reason };
}
