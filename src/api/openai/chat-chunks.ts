// The chunks of a streamed chat answer: one that opens it, one a piece of text, one that closes it, one with the usage.
// May import the chat contract.
import type { AnswerTimings } from "../../chat/contract.ts";
import { routingBody, type AnswerHead } from "./answer-head.ts";
import { textTemplate } from "./text-template.ts";
import { timingsBody, usageBody } from "./usage.ts";

export function openingChunk(head: AnswerHead) {
  return { ...chunk(head, { role: "assistant", content: "" }, null), routing: routingBody(head.routing) };
}

/** Writes the JSON of the chunks between the first and the last. */
export function textChunks(head: AnswerHead): (text: string) => string {
  return textTemplate(chunk(head, { content: "" }, null), "content");
}

export function closingChunk(head: AnswerHead, reason: "stop" | "length", timings: AnswerTimings) {
  return { ...chunk(head, {}, reason), timings: timingsBody(timings) };
}

export function usageChunk(head: AnswerHead, timings: AnswerTimings) {
  return { ...chunkHead(head), choices: [], usage: usageBody(timings) };
}

function chunkHead(head: AnswerHead) {
  return {
    id: head.id,
    object: "chat.completion.chunk" as const,
    created: head.created,
    model: head.routing.expertId,
  };
}

function chunk(
  head: AnswerHead,
  delta: { readonly role?: "assistant"; readonly content?: string },
  reason: "stop" | "length" | null,
) {
  return { ...chunkHead(head), choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }] };
}
