// Instructions and input items as a conversation of the inside. Pure.
import { invalidRequest } from "../../core/errors.ts";
import type { ChatMessage, ToolCall } from "../../engine/engine.ts";
import { describe, isJsonObject, refuseHugeJson } from "../common/validation.ts";
import type { InputItem, InputPart } from "./input.ts";
import { unsupportedContent } from "../common/unsupported.ts";

/** What the assistant did in one turn, which comes as several items. */
class AssistantTurn {
  readonly #thoughts: string[] = [];
  readonly #calls: ToolCall[] = [];
  #text: string | null = null;

  /** What follows an answer or a call is the beginning of another turn, but for calls. */
  get hasAnswered(): boolean {
    return this.#text !== null || this.#calls.length > 0;
  }

  think(thought: string): void {
    this.#thoughts.push(thought);
  }

  say(text: string): void {
    this.#text = text;
  }

  call(toolCall: ToolCall): void {
    this.#calls.push(toolCall);
  }

  message(): ChatMessage {
    const reasoning = lines(this.#thoughts);
    return {
      role: "assistant",
      content: this.#text ?? "",
      ...(reasoning === "" ? {} : { reasoning }),
      ...(this.#calls.length === 0 ? {} : { toolCalls: this.#calls }),
    };
  }
}

/**
 * Instructions and the messages of the system that follow them are one: many templates take a single one, at the
 * beginning. Throws a PublicError (400) for items that cannot be read.
 */
export function toConversation(
  instructions: string | null | undefined,
  input: string | readonly InputItem[],
): readonly ChatMessage[] {
  const conversation: ChatMessage[] = [];
  const toolNames = new Map<string, string>();
  let turn: AssistantTurn | null = null;
  const flush = (): void => {
    if (turn !== null) conversation.push(turn.message());
    turn = null;
  };
  const add = (message: ChatMessage): void => {
    flush();
    const last = conversation.at(-1);
    if (message.role === "system" && last?.role === "system") {
      conversation[conversation.length - 1] = { role: "system", content: lines([last.content, message.content]) };
    } else conversation.push(message);
  };
  const turnFor = (isAnother: boolean): AssistantTurn => {
    if (isAnother && turn?.hasAnswered === true) flush();
    turn ??= new AssistantTurn();
    return turn;
  };
  if (typeof instructions === "string" && instructions !== "") add({ role: "system", content: instructions });
  if (typeof input === "string") add({ role: "user", content: input });
  else for (const [index, item] of input.entries()) addItem(item, `input[${index}]`);
  flush();
  return conversation;

  function addItem(item: InputItem, path: string): void {
    switch (item.type) {
      case "reasoning":
        turnFor(true).think(thoughtOf(item));
        break;
      case "function_call":
        toolNames.set(item.call_id, item.name);
        turnFor(false).call(toToolCall(item, path));
        break;
      case "function_call_output": {
        const name = toolNames.get(item.call_id);
        const content = textOf(item.output, `${path}.output`);
        add({ role: "tool", content, toolCallId: item.call_id, ...(name === undefined ? {} : { name }) });
        break;
      }
      case "item_reference":
        throw keepsNothing(path, item.id);
      case "message":
      case undefined: {
        const content = textOf(item.content, `${path}.content`);
        if (item.role === "assistant") turnFor(true).say(content);
        else add({ role: item.role === "developer" ? "system" : item.role, content });
      }
    }
  }
}

/** 400: a field that refers to what an earlier request left behind. */
export function keepsNothing(field: string, value: unknown) {
  return invalidRequest(
    `This server keeps no responses, so that nothing can be referred to: send the whole conversation as input in ` +
      `place of ${field}. Received ${describe(value)}.`,
    field,
    "unsupported_parameter",
  );
}

function toToolCall(item: Extract<InputItem, { type: "function_call" }>, path: string): ToolCall {
  const { call_id: id, name, arguments: given } = item;
  const written = given.trim() === "" ? "{}" : given;
  const parsed = parseJson(written);
  const allowed = isJsonObject(parsed) ? refuseHugeJson(parsed)?.allowed : "a JSON object";
  if (allowed === undefined) return { id, name, arguments: written };
  const field = `${path}.arguments`;
  throw invalidRequest(`${field} must be the text of ${allowed}; received ${describe(given)}.`, field);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function thoughtOf({ content, summary }: Extract<InputItem, { type: "reasoning" }>): string {
  const parts = content === null || content === undefined || content.length === 0 ? (summary ?? []) : content;
  return lines(parts.map(({ text }) => text));
}

function textOf(content: string | readonly InputPart[], path: string): string {
  if (typeof content === "string") return content;
  return lines(content.map((part, index) => partText(part, `${path}[${index}]`)));
}

const mediaNames = { input_image: "Images", input_file: "Files", input_audio: "Audio parts" } as const;

function partText(part: InputPart, path: string): string {
  switch (part.type) {
    case "input_text":
    case "output_text":
    case "text":
      return part.text;
    case "refusal":
      return part.refusal;
    case "input_image":
    case "input_file":
    case "input_audio":
      throw unsupportedContent(mediaNames[part.type], path, part.type, "text parts are");
  }
}

function lines(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("\n");
}
