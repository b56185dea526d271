// The output of a response as it comes: items one after the other, each opened, filled and closed, and the events that
// tell of it. Pure; may import the chat contract.
import { randomUUID } from "node:crypto";
import type { AnswerEvent, NamedLogprobs, NamedToken } from "../../chat/contract.ts";

type OutputPart = Extract<AnswerEvent, { type: "text" | "reasoning" | "tool_call" | "tool_arguments" }>;
type ItemStatus = "in_progress" | "completed" | "incomplete";

/** A streamed event without its place in the sequence. */
export type OutputEvent = Readonly<Record<string, unknown>> & { readonly type: string };

interface OpenItem {
  readonly type: "message" | "reasoning" | "function_call";
  readonly id: string;
  readonly callId: string;
  readonly name: string;
  readonly texts: string[];
  readonly logprobs: object[];
}

const prefixes = { message: "msg_", reasoning: "rs_", function_call: "fc_" } as const;

/** By what an item is: the events that bring its text. */
const textEvents = {
  message: "response.output_text",
  reasoning: "response.reasoning_text",
  function_call: "response.function_call_arguments",
} as const;

export function newId(prefix: string): string {
  return prefix + randomUUID().replaceAll("-", "");
}

export class ResponseOutput {
  readonly #closed: object[] = [];
  #open: OpenItem | null = null;

  /** Those that are closed. */
  get items(): readonly object[] {
    return this.#closed;
  }

  add(part: OutputPart): readonly OutputEvent[] {
    switch (part.type) {
      case "tool_call":
        return this.#begin("function_call", part.id, part.name);
      case "tool_arguments":
        return this.#open === null ? [] : [this.#delta(this.#open, part.text)];
      case "reasoning":
        return part.text === "" ? [] : this.#addText("reasoning", part.text, []);
      case "text": {
        const logprobs = (part.logprobs ?? []).map(logprobBody);
        return part.text === "" && logprobs.length === 0 ? [] : this.#addText("message", part.text, logprobs);
      }
    }
  }

  /** After the last part. What says nothing is an empty message: clients expect one. */
  end(status: "completed" | "incomplete"): readonly OutputEvent[] {
    const opening = this.#open === null && this.#closed.length === 0 ? this.#begin("message") : [];
    return [...opening, ...this.#close(status)];
  }

  #addText(type: "message" | "reasoning", text: string, logprobs: readonly object[]): readonly OutputEvent[] {
    const opening = this.#open?.type === type ? [] : this.#begin(type);
    const open = this.#open;
    if (open === null) return opening;
    open.logprobs.push(...logprobs);
    const delta = this.#delta(open, text);
    return [...opening, type === "message" ? { ...delta, logprobs } : delta];
  }

  #begin(type: OpenItem["type"], callId = "", name = ""): readonly OutputEvent[] {
    const closing = this.#close("completed");
    const open: OpenItem = { type, id: newId(prefixes[type]), callId, name, texts: [], logprobs: [] };
    this.#open = open;
    const added = { type: "response.output_item.added", output_index: this.#index, item: emptyItemBody(open) };
    if (type === "function_call") return [...closing, added];
    return [...closing, added, { type: "response.content_part.added", ...this.#place(open), part: partBody(open) }];
  }

  #delta(open: OpenItem, text: string): OutputEvent {
    open.texts.push(text);
    return { type: `${textEvents[open.type]}.delta`, ...this.#place(open), delta: text };
  }

  #close(status: "completed" | "incomplete"): readonly OutputEvent[] {
    const open = this.#open;
    if (open === null) return [];
    const place = this.#place(open);
    const item = itemBody(open, status);
    const text = open.texts.join("");
    const type = `${textEvents[open.type]}.done`;
    const itemDone = { type: "response.output_item.done", output_index: this.#index, item };
    this.#open = null;
    this.#closed.push(item);
    if (open.type === "function_call") return [{ type, ...place, name: open.name, arguments: text }, itemDone];
    const textDone = { type, ...place, text, ...(open.type === "message" ? { logprobs: open.logprobs } : {}) };
    return [textDone, { type: "response.content_part.done", ...place, part: partBody(open) }, itemDone];
  }

  /** Of the open item. */
  get #index(): number {
    return this.#closed.length;
  }

  #place({ type, id }: OpenItem) {
    const place = { item_id: id, output_index: this.#index };
    return type === "function_call" ? place : { ...place, content_index: 0 };
  }
}

function emptyItemBody(open: OpenItem): object {
  const body = itemBody(open, "in_progress");
  return open.type === "function_call" ? body : { ...body, content: [] };
}

function itemBody(open: OpenItem, status: ItemStatus): object {
  const { type, id, callId, name, texts } = open;
  switch (type) {
    case "message":
      return { id, type, status, role: "assistant", content: [partBody(open)] };
    case "reasoning":
      return { id, type, status, summary: [], content: [partBody(open)] };
    case "function_call":
      return { id, type, status, call_id: callId, name, arguments: texts.join("") };
  }
}

function partBody({ type, texts, logprobs }: OpenItem): object {
  const text = texts.join("");
  return type === "message"
    ? { type: "output_text", text, annotations: [], logprobs }
    : { type: "reasoning_text", text };
}

function logprobBody({ top, ...chosen }: NamedLogprobs): object {
  return { ...tokenBody(chosen), top_logprobs: top.map(tokenBody) };
}

function tokenBody({ text, bytes, logprob }: NamedToken): object {
  return { token: text, bytes: [...bytes], logprob };
}
