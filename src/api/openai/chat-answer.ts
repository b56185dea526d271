// The body of a chat answer that is not streamed. May import the chat contract.
import type { AnswerTimings } from "../../chat/contract.ts";
import { routingBody, type AnswerHead } from "./answer-head.ts";
import { performanceBody, timingsBody, usageBody } from "./usage.ts";

export function chatAnswer(head: AnswerHead, text: string, reason: "stop" | "length", timings: AnswerTimings) {
  return {
    id: head.id,
    object: "chat.completion" as const,
    created: head.created,
    model: head.routing.expertId,
    choices: [
      {
        index: 0,
        message: { role: "assistant" as const, content: text },
        logprobs: null,
        finish_reason: reason,
      },
    ],
    usage: usageBody(timings),
    routing: routingBody(head.routing),
    timings: timingsBody(timings),
    performance: performanceBody(timings),
  };
}
