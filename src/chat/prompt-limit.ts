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
  const textOf = (kept: typeof messages) => kept.map(wholeText).join("\n");
  refuseHopelessPrompt(model, textOf(messages.filter(({ role }) => role !== "assistant")), "messages");
  refuseHopelessPrompt(model, textOf(messages), "messages", 4 * model.contextTokens);
  refuseHopelessPrompt(model, tools.map((tool) => JSON.stringify(tool)).join("\n"), "tools");
}

function wholeText({ content, reasoning = "", toolCalls = [] }: ChatMessage): string {
  return [content, reasoning, ...toolCalls.map((call) => call.arguments)].filter((text) => text !== "").join("\n");
}
