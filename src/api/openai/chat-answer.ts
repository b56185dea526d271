// The body of a chat answer that is not streamed. May import the chat contract.
import type { AnswerEnd } from "../../chat/contract.ts";
import type { WholeAnswer } from "../common/answer-events.ts";
import { headBody, type AnswerHead } from "./answer-head.ts";
import { chatLogprobs } from "./logprobs.ts";
import { choicesTimings, performanceBody, timingsBody, usageBody } from "./usage.ts";
import { routingBody } from "../common/model-answer.ts";

/** `isLegacy`: a call comes as `function_call`. */
export function chatAnswer(head: AnswerHead, answers: readonly WholeAnswer[], isLegacy: boolean) {
  const timings = choicesTimings(
    answers.map(({ end }) => end.timings),
    answers.length,
  );
  return {
    ...headBody(head, "chat.completion"),
    choices: answers.map((answer, index) => ({
      index,
      message: messageBody(answer, isLegacy),
      logprobs: chatLogprobs(answer.logprobs),
      finish_reason: chatFinishReason(answer.end, isLegacy),
    })),
    usage: usageBody(timings),
    routing: routingBody(head.routing),
    timings: timingsBody(timings),
    performance: performanceBody(timings),
  };
}

/** An answer that its format completed was cut all the same. */
export function chatFinishReason({ reason, isCompleted }: AnswerEnd, isLegacy: boolean) {
  if (isCompleted) return "length";
  return reason === "tool_calls" && isLegacy ? "function_call" : reason;
}

function messageBody({ text, reasoning, calls }: WholeAnswer, isLegacy: boolean) {
  const [call] = calls;
  return {
    role: "assistant" as const,
    content: text === "" && call !== undefined ? null : text,
    refusal: null,
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(call === undefined
      ? {}
      : isLegacy
        ? { function_call: { name: call.name, arguments: call.arguments } }
        : {
            tool_calls: calls.map((each) => ({
              id: each.id,
              type: "function" as const,
              function: { name: each.name, arguments: each.arguments },
            })),
          }),
  };
}
