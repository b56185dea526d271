// What a chat template can do, found by rendering small conversations with it. Pure but for the template's program.
import type { TemplateFacts } from "../engine.ts";
import type { ConversationTraits, JsonObject } from "./prompt-conversation.ts";
import { familyOf } from "./prompt-openings.ts";

/** The template's program; throws where it refuses what it is given. */
type Render = (variables: Record<string, unknown>) => string;

export interface TemplateTraits extends ConversationTraits {
  /** Thinking can be switched, and is on where nothing else is said. */
  readonly thinks: boolean;
  /** What encloses the reasoning in an assistant's message, with the white space around it. */
  readonly thinking: { readonly start: string; readonly end: string } | null;
  readonly facts: TemplateFacts;
}

/** Reasoning of earlier turns stays in the prompt, by whichever name a template calls this. */
export const keepReasoning = {
  preserve_reasoning: true,
  preserve_thinking: true,
  clear_thinking: false,
  truncate_history_thinking: false,
  drop_thinking: false,
};

/** `source`: the template's; `published`: what the facts name as such. */
export function traitsOf(program: Render, source: string, published: string | null): TemplateTraits {
  const asParts = render(program, [{ role: "user", content: [{ type: "text", text: marker }] }]);
  const needsTypedContent = !includes(render(program, [question]), marker) && includes(asParts, marker);
  const family = familyOf(source);
  const probe = new Probe(program, needsTypedContent);
  const withSystem = (content: string) => probe.render([{ role: "system", content }, question]);
  const thinking = probe.thinking();
  const [on, off] = [true, false].map((thinks) => probe.render([question], { enable_thinking: thinks }) ?? "");
  const calls = probe.calls();
  const takesTools = probe.takesTools();
  const takesToolsInSystem = !takesTools && probe.takesToolsInSystem();
  const found = thinking ?? tagsOfSource(source, on ?? "", off ?? "");
  // Laguna's models do not write the white space that its template does.
  const tags = found !== null && source.includes("laguna_glm_thinking") ? trimmed(found) : found;
  const namedTags = family === null ? tags : family.thinking;
  return {
    needsTypedContent,
    supportsSystemRole: withSystem("System message") !== withSystem("Other system message"),
    trims: source.includes("You have access to the following functions in JSONSchema format"),
    takesObjectArguments: calls?.takesObjects ?? false,
    takesToolsInSystem,
    needsShortIds: calls?.needsShortIds ?? false,
    family,
    needsResultsInCall: source.includes("'<|tool_call>call:'") && !source.includes("{#- OpenAI Chat Completions:"),
    thinks: thinking !== null || lastLine(on ?? "") !== lastLine(off ?? ""),
    thinking: tags,
    facts: {
      source: published,
      takesTools: takesTools || takesToolsInSystem,
      takesToolMessages: calls !== null,
      thinking: namedTags === null ? null : trimmed(namedTags),
      switchesThinking: on !== off,
    },
  };
}

const marker = "STRING_MARKER";
const question = { role: "user", content: marker };
const answer = { role: "assistant", content: "The answer" };

class Probe {
  readonly #program: Render;
  readonly #needsTypedContent: boolean;

  constructor(program: Render, needsTypedContent: boolean) {
    this.#program = program;
    this.#needsTypedContent = needsTypedContent;
  }

  /** Null: the template refuses it. */
  render(messages: readonly JsonObject[], more: object = {}): string | null {
    const typed = messages.map((message) =>
      this.#needsTypedContent && typeof message["content"] === "string"
        ? { ...message, content: [{ type: "text", text: message["content"] }] }
        : message,
    );
    return render(this.#program, typed, more);
  }

  thinking(): { readonly start: string; readonly end: string } | null {
    const reasoned = { ...answer, reasoning_content: "REASONING_MARKER" };
    const more = { add_generation_prompt: undefined, enable_thinking: true };
    const called = { ...reasoned, content: "", tool_calls: [callOf("call00001", { [argument]: "value" })] };
    for (const messages of [
      [question, reasoned],
      [question, called],
    ]) {
      const rendered = this.render(messages, { ...more, ...(messages[1] === called ? { tools: [tool] } : {}) });
      const tags = /((?:<[^<>]*>|\[[^[\]]*\])\s*)REASONING_MARKER(\s*(?:<[^>]*>|\[[^\]]*\])\s*)/u.exec(rendered ?? "");
      if (tags !== null) return { start: tags[1] ?? "", end: tags[2] ?? "" };
    }
    return null;
  }

  takesTools(): boolean {
    return [[question], [{ role: "system", content: "System message" }, question]].some((messages) =>
      includes(this.render(messages, { tools: [tool] }), toolName),
    );
  }

  takesToolsInSystem(): boolean {
    return includes(this.render([{ role: "system", content: "System message", tools: toolName }, question]), toolName);
  }

  /** How the template takes calls and their results; null: not at all. */
  calls(): { readonly takesObjects: boolean; readonly needsShortIds: boolean } | null {
    for (const takesObjects of [true, false]) {
      const args = takesObjects ? { [argument]: "ARGUMENT_VALUE" } : JSON.stringify({ [argument]: "ARGUMENT_VALUE" });
      const shows = (id: string) => {
        const rendered = this.render(
          [
            question,
            { ...answer, content: "", tool_calls: [callOf(id, args)] },
            { role: "tool", content: "RESULT_MARKER", tool_call_id: id, name: toolName },
            answer,
            question,
          ],
          { tools: [tool] },
        );
        // A template that writes a value without knowing it to be one writes it as Python does.
        const isWritten = !includes(rendered, `'${argument}': 'ARGUMENT_VALUE'`);
        return (
          isWritten && [toolName, argument, "ARGUMENT_VALUE", "RESULT_MARKER"].every((text) => includes(rendered, text))
        );
      };
      if (shows("call00001")) return { takesObjects, needsShortIds: !shows("call_0123456789") };
    }
    return null;
  }
}

const toolName = "tool_marker";
const argument = "argument_marker";
const tool = {
  type: "function",
  function: {
    name: toolName,
    description: "Tool description",
    parameters: {
      type: "object",
      properties: { [argument]: { type: "string", description: "Argument description" } },
      required: [argument],
    },
  },
};

function callOf(id: string, args: string | JsonObject): JsonObject {
  return { id, type: "function", function: { name: toolName, arguments: args } };
}

function render(program: Render, messages: readonly object[], more: object = {}): string | null {
  try {
    return program({
      messages,
      tools: [],
      bos_token: "",
      eos_token: "",
      add_generation_prompt: true,
      ...more,
    });
  } catch {
    return null;
  }
}

function includes(rendered: string | null, text: string): boolean {
  return rendered !== null && rendered.includes(text);
}

// Templates that drop the reasoning of earlier turns show its tags where thinking is off, or where an answer begins, or
// only in their source.
function tagsOfSource(
  source: string,
  on: string,
  off: string,
): { readonly start: string; readonly end: string } | null {
  const closed = /(<[^<>/]*>|\[[^[\]/]*\])\s*(<\/[^<>]*>|\[\/[^[\]]*\])\s*$/u.exec(off);
  if (closed !== null && off !== on) return { start: closed[1] ?? "", end: closed[2] ?? "" };
  const hasTags = source.includes("</think>") || /<think>\s*$/u.test(on);
  return hasTags ? { start: "<think>", end: "</think>" } : null;
}

function trimmed({ start, end }: { readonly start: string; readonly end: string }) {
  return { start: start.trim(), end: end.trim() };
}

function lastLine(text: string): string {
  return text.trimEnd().slice(-32);
}
