// The body and the chunks of a completion: several prompts give one choice each. May import the chat contract.
import type { AnswerTimings } from "../../chat/contract.ts";
import { routingBody, type AnswerHead } from "./answer-head.ts";
import { textTemplate } from "./text-template.ts";
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
  return { ...chunk(head, 0), routing: routingBody(head.routing) };
}

/** Writes the JSON of the chunks with the text of one choice. */
export function completionTextChunks(head: AnswerHead, index: number): (text: string) => string {
  return textTemplate(chunk(head, index), "text");
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

function chunk(head: AnswerHead, index: number) {
  return { ...completionHead(head), choices: [choiceBody(index, "", null)] };
}

function choiceBody(index: number, text: string, reason: "stop" | "length" | null) {
  return { index, text, logprobs: null, finish_reason: reason };
}
