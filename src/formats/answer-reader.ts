// Reads one answer by its shape, and makes parts of what it finds. May import its neighbours and engine/ (types).
import type { ToolDefinition } from "../engine/engine.ts";
import type { AnswerPart, AnswerReader } from "./answer-format.ts";
import type { AnswerShape, PartSink } from "./answer-shape.ts";
import { type Reading, Scanner } from "./scanner.ts";

/** Makes the id of a call that the text gives none. */
export type CallIds = () => string;

export function createAnswerReader(
  shape: AnswerShape,
  tools: ReadonlyMap<string, ToolDefinition>,
  callIds: CallIds,
): AnswerReader {
  const parts = new PartCollector(tools, callIds);
  const scanner = new Scanner();
  const reading: Reading<void> = shape.read(scanner, parts);
  reading.next();
  return {
    push: (text) => {
      scanner.feed(text);
      reading.next();
      return parts.take();
    },
    end: () => {
      scanner.end();
      reading.next();
      return parts.take();
    },
    get isThinking() {
      return parts.isThinking;
    },
  };
}

class PartCollector implements PartSink {
  readonly tools: ReadonlyMap<string, ToolDefinition>;
  isThinking = false;
  readonly #callIds: CallIds;
  #parts: AnswerPart[] = [];
  /** Pieces of the part that is being collected. */
  #pieces: string[] = [];
  #type: "text" | "reasoning" | "tool_arguments" = "text";
  #calls = 0;

  constructor(tools: ReadonlyMap<string, ToolDefinition>, callIds: CallIds) {
    this.tools = tools;
    this.#callIds = callIds;
  }

  text(text: string): void {
    this.#add("text", text);
  }

  reasoning(text: string): void {
    this.#add("reasoning", text);
  }

  begin(name: string, id: string | null): void {
    this.#close();
    this.#parts.push({ type: "tool_call", index: this.#calls, id: id ?? this.#callIds(), name });
    this.#calls += 1;
  }

  pass(text: string): void {
    this.#add("tool_arguments", text);
  }

  take(): readonly AnswerPart[] {
    this.#close();
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #add(type: "text" | "reasoning" | "tool_arguments", text: string): void {
    if (text === "") return;
    if (type !== this.#type) this.#close();
    this.#type = type;
    this.#pieces.push(text);
  }

  #close(): void {
    if (this.#pieces.length === 0) return;
    const text = this.#pieces.join("");
    this.#pieces = [];
    const type = this.#type;
    this.#parts.push(type === "tool_arguments" ? { type, index: this.#calls - 1, text } : { type, text });
  }
}
