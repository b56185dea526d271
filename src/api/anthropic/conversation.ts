// Anthropic's system prompt and messages as a conversation of the inside. Pure.
import { invalidRequest } from "../../core/errors.ts";
import type { ChatMessage, ToolCall } from "../../engine/engine.ts";
import type { ContentBlock, ResultBlock } from "./content.ts";
import { unsupportedContent } from "../common/unsupported.ts";

type Role = "system" | "user" | "assistant";

interface BodyMessage {
  readonly role: Role;
  readonly content: string | readonly ContentBlock[];
}

type SystemContent = string | readonly { readonly type: "text"; readonly text: string }[];

interface PlacedBlock {
  readonly block: ContentBlock;
  /** Where it stood in the request: `messages[0].content[1]`. */
  readonly path: string;
}

interface Turn {
  readonly role: Role;
  readonly blocks: PlacedBlock[];
}

/**
 * Turns of one role that follow each other are one turn, as in Anthropic's API: many templates refuse two in a row. The
 * results of tools come before what the user says to them. Throws a PublicError (400) for content that cannot be read.
 */
export function toConversation(
  system: SystemContent | null | undefined,
  messages: readonly BodyMessage[],
): readonly ChatMessage[] {
  const toolNames = new Map<string, string>();
  const conversation = systemMessages(system ?? "");
  for (const { role, blocks } of toTurns(messages)) {
    if (role === "user") conversation.push(...userMessages(blocks, toolNames));
    else if (role === "assistant") conversation.push(assistantMessage(blocks, toolNames));
    else conversation.push({ role, content: lines(blocks.map(({ block, path }) => textOf(block, path, role))) });
  }
  return conversation;
}

function toTurns(messages: readonly BodyMessage[]): readonly Turn[] {
  const turns: Turn[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    const path = `messages[${index}].content`;
    const blocks =
      typeof content === "string"
        ? [{ block: { type: "text" as const, text: content }, path }]
        : content.map((block, place) => ({ block, path: `${path}[${place}]` }));
    const last = turns.at(-1);
    if (last?.role === role) for (const block of blocks) last.blocks.push(block);
    else turns.push({ role, blocks });
  }
  return turns;
}

/**
 * A client of Anthropic's own puts a stamp before its system prompt that is meant for billing and differs in each
 * request: no prompt would ever begin like the one before, and none of it would come from the prompt cache.
 */
const billingStamp = /^x-anthropic-billing-header:[^\n]*?\bcch=\w*;\n?/;

function systemMessages(system: SystemContent): ChatMessage[] {
  const texts = typeof system === "string" ? [system] : system.map(({ text }) => text);
  const content = lines(texts.map((text) => text.replace(billingStamp, "")));
  return content === "" ? [] : [{ role: "system", content }];
}

function userMessages(blocks: readonly PlacedBlock[], toolNames: ReadonlyMap<string, string>): readonly ChatMessage[] {
  const results: ChatMessage[] = [];
  const texts: string[] = [];
  for (const { block, path } of blocks) {
    if (block.type !== "tool_result") {
      texts.push(textOf(block, path, "user"));
      continue;
    }
    const name = toolNames.get(block.tool_use_id);
    results.push({
      role: "tool",
      content: resultText(block, path),
      toolCallId: block.tool_use_id,
      ...(name === undefined ? {} : { name }),
    });
  }
  const isAnswerOnly = results.length > 0 && texts.length === 0;
  return isAnswerOnly ? results : [...results, { role: "user", content: lines(texts) }];
}

function assistantMessage(blocks: readonly PlacedBlock[], toolNames: Map<string, string>): ChatMessage {
  const texts: string[] = [];
  const thoughts: string[] = [];
  const toolCalls: ToolCall[] = [];
  for (const { block, path } of blocks) {
    switch (block.type) {
      case "thinking":
        thoughts.push(block.thinking);
        break;
      case "redacted_thinking":
        // Only its maker can read it.
        break;
      case "tool_use":
        toolNames.set(block.id, block.name);
        toolCalls.push({ id: block.id, name: block.name, arguments: JSON.stringify(block.input) });
        break;
      case "text":
      case "image":
      case "document":
      case "tool_result":
        texts.push(textOf(block, path, "assistant"));
    }
  }
  const reasoning = lines(thoughts);
  return {
    role: "assistant",
    content: lines(texts),
    ...(reasoning === "" ? {} : { reasoning }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
  };
}

/** Templates know no failed results: the text must say it. */
function resultText(block: Extract<ContentBlock, { type: "tool_result" }>, path: string): string {
  const content = block.content ?? "";
  const text =
    typeof content === "string"
      ? content
      : lines(content.map((part, index) => textOf(part, `${path}.content[${index}]`, "user")));
  return block.is_error === true && !/^error/i.test(text) ? `Error: ${text}` : text;
}

/** Throws a PublicError (400) for a block that has no text or does not belong to the role. */
function textOf(block: ContentBlock | ResultBlock, path: string, role: Role): string {
  switch (block.type) {
    case "text":
      return block.text;
    case "image":
      throw unsupportedContent("Images", path, block.type, "text is");
    case "document": {
      const { source, title, context } = block;
      if (source.type !== "text" || typeof source.data !== "string") {
        throw unsupportedContent(
          "Documents other than plain text",
          path,
          `document with a source of type ${source.type}`,
          "text is",
        );
      }
      return lines([title ?? "", context ?? "", source.data]);
    }
    case "thinking":
    case "redacted_thinking":
    case "tool_use":
    case "tool_result": {
      const owner = block.type === "tool_result" ? "user" : "assistant";
      throw invalidRequest(
        `${path} is of type ${block.type}, which only the ${owner} can send; received it from the ${role}.`,
        path,
      );
    }
  }
}

/** Empty texts add no line. */
function lines(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("\n");
}
