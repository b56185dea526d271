// The chunks of a streamed chat answer: for each choice one that opens it, one a piece and one that closes it, and one with
// the usage. May import the chat contract.
import type { ChoiceChunks } from "./choice-stream.ts";
import type { AnswerEnd, AnswerEvent, AnswerTimings, NamedLogprobs } from "../../chat/contract.ts";
import type { StreamItem } from "../endpoint.ts";
import { headBody, type AnswerHead } from "./answer-head.ts";
import { chatFinishReason } from "./chat-answer.ts";
import { chatLogprobs } from "./logprobs.ts";
import { textTemplate, type WriteText } from "../common/text-template.ts";
import { timingsBody, usageBody } from "./usage.ts";
import { routingBody } from "../common/model-answer.ts";

/** How far the prompt is read. */
export class PromptProgress {
  readonly #nowMs: () => number;
  #startMs = 0;
  #cachedTokens = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  follow(event: Extract<AnswerEvent, { type: "started" | "prefill" }>) {
    if (event.type === "started") {
      this.#startMs = this.#nowMs();
      this.#cachedTokens = event.cachedTokens;
    }
    return {
      total: event.promptTokens,
      cache: this.#cachedTokens,
      processed: event.type === "started" ? event.cachedTokens : event.readTokens,
      time_ms: this.#nowMs() - this.#startMs,
    };
  }
}

/** The chunks of one choice. There is one for each token: what they share is written once. */
export class ChatChoiceChunks implements ChoiceChunks {
  readonly #head: AnswerHead;
  readonly #index: number;
  readonly #isLegacy: boolean;
  readonly #progress: PromptProgress | null;
  readonly #writeText: WriteText;
  #writeReasoning: WriteText | null = null;
  /** By call. */
  readonly #writeArguments: WriteText[] = [];

  /** `isLegacy`: a call comes as `function_call`. `progress`: null where it is not to be told. */
  constructor(head: AnswerHead, index: number, isLegacy: boolean, progress: PromptProgress | null) {
    this.#head = head;
    this.#index = index;
    this.#isLegacy = isLegacy;
    this.#progress = progress;
    this.#writeText = textTemplate(this.#chunk({ content: "" }), "content");
  }

  opening(): StreamItem {
    const chunk = this.#chunk({ role: "assistant", content: "" });
    // The first choice speaks for all.
    return { json: this.#index === 0 ? { ...chunk, routing: routingBody(this.#head.routing) } : chunk };
  }

  piece(event: AnswerEvent): StreamItem | null {
    switch (event.type) {
      case "text":
        if (event.logprobs !== undefined && event.logprobs.length > 0) {
          return { json: this.#chunk({ content: event.text }, event.logprobs) };
        }
        return event.text === "" ? null : { raw: this.#writeText(event.text) };
      case "reasoning":
        if (event.text === "") return null;
        this.#writeReasoning ??= textTemplate(this.#chunk({ reasoning_content: "" }), "reasoning_content");
        return { raw: this.#writeReasoning(event.text) };
      case "tool_call":
        return this.#call(event.index, event.id, event.name);
      case "tool_arguments": {
        if (event.text === "") return null;
        const write = this.#writeArguments[event.index];
        if (write === undefined) throw new Error("A call's arguments came before the call.");
        return { raw: write(event.text) };
      }
      case "end":
        return { json: this.#closing(event) };
      case "started":
      case "prefill":
        if (this.#progress === null) return null;
        return { json: { ...this.#chunk({}), prompt_progress: this.#progress.follow(event) } };
      case "routing":
        return null;
    }
  }

  #call(index: number, id: string, name: string): StreamItem {
    if (this.#isLegacy) {
      this.#writeArguments[index] = textTemplate(this.#chunk({ function_call: { arguments: "" } }), "arguments");
      return { json: this.#chunk({ function_call: { name, arguments: "" } }) };
    }
    const pieces = this.#chunk({ tool_calls: [{ index, function: { arguments: "" } }] });
    this.#writeArguments[index] = textTemplate(pieces, "arguments");
    return { json: this.#chunk({ tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] }) };
  }

  #closing(end: AnswerEnd) {
    const choice = {
      index: this.#index,
      delta: {},
      logprobs: null,
      finish_reason: chatFinishReason(end, this.#isLegacy),
    };
    return { ...headBody(this.#head, "chat.completion.chunk"), choices: [choice], timings: timingsBody(end.timings) };
  }

  #chunk(delta: object, logprobs: readonly NamedLogprobs[] | null = null) {
    return {
      ...headBody(this.#head, "chat.completion.chunk"),
      choices: [{ index: this.#index, delta, logprobs: chatLogprobs(logprobs), finish_reason: null }],
    };
  }
}

/** `timings`: of all choices together. */
export function chatUsageChunk(head: AnswerHead, timings: AnswerTimings) {
  return {
    ...headBody(head, "chat.completion.chunk"),
    choices: [],
    usage: usageBody(timings),
    timings: timingsBody(timings),
  };
}
