// Refuses a prompt that cannot fit before all of it is tokenized: tokenizing megabytes holds up every other request.
// May import engine/ (types) and core/.
import { PublicError } from "../core/errors.ts";
import type { ChatMessage, LoadedModel, ToolDefinition } from "../engine/engine.ts";

/** A text up to this length is tokenized whole: a fraction of a second at the worst. */
const sampleCharacters = 200_000;

type Tokenizer = Pick<LoadedModel, "tokenize" | "contextTokens">;

/**
 * Throws a PublicError (400, `context_length_exceeded`) where a beginning of a very long text has more tokens than
 * `maxTokens`. A text that passes may still be too long; the engine says so with the exact number.
 */
export function refuseHopelessPrompt(model: Tokenizer, text: string, field: string, maxTokens?: number): void {
  const { contextTokens } = model;
  for (let length = sampleCharacters; length < text.length; length *= 2) {
    const { length: tokens } = model.tokenize(text.slice(0, length), { parseSpecial: false, addSpecial: false });
    if (tokens > (maxTokens ?? contextTokens)) {
      throw new PublicError(
        `${field} has more than ${tokens} tokens, but this model's context holds ${contextTokens}. Shorten it or raise max_model_len.`,
        { status: 400, type: "exceed_context_size_error", code: "context_length_exceeded", param: field },
      );
    }
  }
}

/** The same for a conversation. What the assistant said before weighs less: templates may drop its reasoning. */
export function refuseHopelessConversation(
  model: Tokenizer,
  messages: readonly ChatMessage[],
  tools: readonly ToolDefinition[],
): void {
  // A template writes a token for a message at the least, and renders a hundred thousand of them for seconds.
  if (messages.length > model.contextTokens) throw tooManyMessages(messages.length, model.contextTokens);
  const textOf = (kept: typeof messages) => kept.map(wholeText).join("\n");
  refuseHopelessPrompt(model, textOf(messages.filter(({ role }) => role !== "assistant")), "messages");
  refuseHopelessPrompt(model, textOf(messages), "messages", 4 * model.contextTokens);
  refuseHopelessPrompt(model, tools.map((tool) => JSON.stringify(tool)).join("\n"), "tools");
}

function tooManyMessages(count: number, contextTokens: number): PublicError {
  return new PublicError(
    `messages has ${count} messages, but this model's context holds ${contextTokens} tokens. Send fewer or raise max_model_len.`,
    { status: 400, type: "exceed_context_size_error", code: "context_length_exceeded", param: "messages" },
  );
}

/** All that a template can write of a message. */
function wholeText({ content, reasoning = "", toolCalls = [], name = "", toolCallId = "" }: ChatMessage): string {
  const called = toolCalls.flatMap((call) => [call.name, call.arguments, call.id]);
  return [content, reasoning, name, toolCallId, ...called].filter((text) => text !== "").join("\n");
}
