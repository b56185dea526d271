// What whole and streamed messages have in common: usage, the reason of the end, the signature of thinking. Pure; may
// import the chat contract.
import type { AnswerEnd, AnswerEvent, AnswerTimings } from "../../chat/contract.ts";

export type MessagePart = Extract<AnswerEvent, { type: "text" | "reasoning" | "tool_call" | "tool_arguments" }>;

export interface MessageHead {
  readonly id: string;
  /** The expert that answers. */
  readonly model: string;
}

/** Clients send thinking back only where it is signed; here nobody checks it. */
export const signature = "unsigned";

/** What is read from the prompt cache is no input, as Anthropic counts. */
export function usageBody(timings: Pick<AnswerTimings, "promptTokens" | "cachedTokens" | "generatedTokens">) {
  return {
    input_tokens: timings.promptTokens - timings.cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: timings.cachedTokens,
    output_tokens: timings.generatedTokens,
  };
}

/** `maxTokens`: of the request. An answer that ended by length before them met the end of the context. */
export function stopBody({ reason, stopSequence, isCompleted, timings }: AnswerEnd, maxTokens: number) {
  return { stop_reason: stopReason(), stop_sequence: stopSequence };

  function stopReason() {
    switch (reason) {
      case "stop":
        return stopSequence === null ? "end_turn" : "stop_sequence";
      case "tool_calls":
        return "tool_use";
      case "length": {
        const isContextFull = !isCompleted && timings.generatedTokens < maxTokens;
        return isContextFull ? "model_context_window_exceeded" : "max_tokens";
      }
    }
  }
}
