// The body of a message that is not streamed. Pure; may import the chat contract.
import type { AnswerEnd } from "../../chat/contract.ts";
import { type MessageHead, type MessagePart, signature, stopBody, usageBody } from "./message-parts.ts";

type Block =
  | { readonly type: "text"; readonly texts: string[] }
  | { readonly type: "thinking"; readonly texts: string[] }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly texts: string[] };

export class MessageAnswer {
  readonly #blocks: Block[] = [];
  readonly #omitsThinking: boolean;

  constructor(omitsThinking: boolean) {
    this.#omitsThinking = omitsThinking;
  }

  add(part: MessagePart): void {
    switch (part.type) {
      case "text":
        this.#blockOf("text").texts.push(part.text);
        break;
      case "reasoning":
        this.#blockOf("thinking").texts.push(part.text);
        break;
      case "tool_call":
        this.#blocks.push({ type: "tool_use", id: part.id, name: part.name, texts: [] });
        break;
      case "tool_arguments":
        this.#blocks.at(-1)?.texts.push(part.text);
        break;
    }
  }

  body(head: MessageHead, end: AnswerEnd, maxTokens: number) {
    return {
      id: head.id,
      type: "message" as const,
      role: "assistant" as const,
      model: head.model,
      content: this.#blocks.flatMap((block) => this.#contentOf(block)),
      ...stopBody(end, maxTokens),
      usage: usageBody(end.timings),
    };
  }

  #blockOf(type: "text" | "thinking"): Block {
    const last = this.#blocks.at(-1);
    if (last?.type === type) return last;
    const block = { type, texts: [] };
    this.#blocks.push(block);
    return block;
  }

  #contentOf(block: Block): readonly object[] {
    const text = block.texts.join("");
    if (block.type === "tool_use") {
      const input = parseInput(text);
      return input === undefined ? [] : [{ type: block.type, id: block.id, name: block.name, input }];
    }
    if (text === "") return [];
    if (block.type === "text") return [{ type: block.type, text }];
    return [{ type: block.type, thinking: this.#omitsThinking ? "" : text, signature }];
  }
}

/** Undefined: the answer was cut inside them; a call with a part of its input must not be made. */
function parseInput(text: string): unknown {
  if (text === "") return {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
