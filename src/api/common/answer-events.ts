// Reads an answer's events: its routing first, then the rest of it. May import the chat contract.
import type { AnswerEnd, AnswerEvent, NamedLogprobs, Routing } from "../../chat/contract.ts";
import type { ToolCall } from "../../engine/engine.ts";

export type AnswerEvents = AsyncGenerator<AnswerEvent, void, void>;

/** What an answer consists of once it has ended. */
export interface WholeAnswer {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly ToolCall[];
  /** Null: they were not asked for. */
  readonly logprobs: readonly NamedLogprobs[] | null;
  readonly end: AnswerEnd;
}

/** The event that every answer begins with; the others stay in `events`. What fails before it is thrown. */
export async function takeRouting(events: AnswerEvents): Promise<Routing> {
  const first = await events.next();
  if (first.done === true || first.value.type !== "routing") {
    throw new Error("An answer did not begin with its routing.");
  }
  return first.value.routing;
}

/** Puts an answer together from its events. */
export class AnswerCollector {
  #text = "";
  #reasoning = "";
  readonly #calls: { readonly id: string; readonly name: string; arguments: string }[] = [];
  #logprobs: NamedLogprobs[] | null = null;
  #end: AnswerEnd | null = null;

  add(event: AnswerEvent): void {
    switch (event.type) {
      case "text":
        this.#text += event.text;
        if (event.logprobs !== undefined) (this.#logprobs ??= []).push(...event.logprobs);
        break;
      case "reasoning":
        this.#reasoning += event.text;
        break;
      case "tool_call":
        this.#calls[event.index] = { id: event.id, name: event.name, arguments: "" };
        break;
      case "tool_arguments": {
        const call = this.#calls[event.index];
        if (call === undefined) throw new Error("A call's arguments came before the call.");
        call.arguments += event.text;
        break;
      }
      case "end":
        this.#end = event;
        break;
      case "routing":
      case "started":
      case "prefill":
        break;
    }
  }

  /** Throws where the end is missing. */
  whole(): WholeAnswer {
    if (this.#end === null) throw endMissing();
    return {
      text: this.#text,
      reasoning: this.#reasoning,
      calls: this.#calls,
      logprobs: this.#logprobs,
      end: this.#end,
    };
  }
}

/** A generator that stops without its last event is a bug, and must not look like a whole answer. */
export function endMissing(): Error {
  return new Error("An answer ended without its end event.");
}
