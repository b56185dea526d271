// The server-sent events of a streamed message, in Anthropic's order: one block after the other, each opened and closed.
// Pure; may import the chat contract.
import type { AnswerEnd, AnswerTimings } from "../../chat/contract.ts";
import type { StreamItem } from "../endpoint.ts";
import { textTemplate } from "../common/text-template.ts";
import { type MessageHead, type MessagePart, signature, stopBody, usageBody } from "./message-parts.ts";

type BlockType = "text" | "thinking" | "tool_use";

interface OpenBlock {
  readonly type: BlockType;
  /** Writes the JSON of a delta. */
  readonly writeDelta: (text: string) => string;
}

/** By block: the delta that brings its text, and the field of the delta that holds it. */
const deltas = {
  text: { type: "text_delta", field: "text" },
  thinking: { type: "thinking_delta", field: "thinking" },
  tool_use: { type: "input_json_delta", field: "partial_json" },
} as const satisfies Record<BlockType, { readonly type: string; readonly field: string }>;

export class MessageStream {
  readonly #omitsThinking: boolean;
  #open: OpenBlock | null = null;
  #index = -1;

  constructor(omitsThinking: boolean) {
    this.#omitsThinking = omitsThinking;
  }

  start(head: MessageHead, prompt: Pick<AnswerTimings, "promptTokens" | "cachedTokens">): readonly StreamItem[] {
    const message = {
      id: head.id,
      type: "message",
      role: "assistant",
      model: head.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: usageBody({ ...prompt, generatedTokens: 0 }),
    };
    return [item({ type: "message_start", message }), item({ type: "ping" })];
  }

  add(part: MessagePart): readonly StreamItem[] {
    if (part.type === "tool_call") {
      return this.#begin("tool_use", { type: "tool_use", id: part.id, name: part.name, input: {} });
    }
    if (part.text === "") return [];
    switch (part.type) {
      case "text":
        return [...this.#beginText("text", { type: "text", text: "" }), ...this.#delta(part.text)];
      case "reasoning": {
        const opening = this.#beginText("thinking", { type: "thinking", thinking: "", signature: "" });
        return this.#omitsThinking ? opening : [...opening, ...this.#delta(part.text)];
      }
      case "tool_arguments":
        return this.#delta(part.text);
    }
  }

  end(end: AnswerEnd, maxTokens: number): readonly StreamItem[] {
    return [
      ...this.#close(),
      item({ type: "message_delta", delta: stopBody(end, maxTokens), usage: usageBody(end.timings) }),
      item({ type: "message_stop" }),
    ];
  }

  #beginText(type: "text" | "thinking", block: object): readonly StreamItem[] {
    return this.#open?.type === type ? [] : this.#begin(type, block);
  }

  #begin(type: BlockType, block: object): readonly StreamItem[] {
    const closing = this.#close();
    this.#index += 1;
    const { type: deltaType, field } = deltas[type];
    const delta = { type: "content_block_delta", index: this.#index, delta: { type: deltaType, [field]: "" } };
    this.#open = { type, writeDelta: textTemplate(delta, field) };
    return [...closing, item({ type: "content_block_start", index: this.#index, content_block: block })];
  }

  #delta(text: string): readonly StreamItem[] {
    return this.#open === null ? [] : [{ event: "content_block_delta", raw: this.#open.writeDelta(text) }];
  }

  #close(): readonly StreamItem[] {
    if (this.#open === null) return [];
    const isThinking = this.#open.type === "thinking";
    this.#open = null;
    const stop = item({ type: "content_block_stop", index: this.#index });
    if (!isThinking) return [stop];
    const delta = { type: "signature_delta", signature };
    return [item({ type: "content_block_delta", index: this.#index, delta }), stop];
  }
}

/** The event's name is its type. */
function item(json: Readonly<Record<string, unknown>> & { readonly type: string }): StreamItem {
  return { event: json.type, json };
}
