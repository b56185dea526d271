// A model's chat template: messages in, prompt text out, with the same adjustments around the Jinja program as
// llama-server makes (common/chat.cpp of the llama.cpp that node-llama-cpp carries). Pure but for the engine given.
import { invalidRequest, messageOf, PublicError } from "../../core/errors.ts";
import type { ChatMessage, RenderOptions } from "../engine.ts";
import { familyOpening } from "./prompt-openings.ts";

/** A compiled Jinja template. */
export interface JinjaProgram {
  /** Throws where the template raises an exception or does what its input does not allow. */
  render(variables: Record<string, unknown>): string;
}

export interface ChatTemplateParts {
  /** Null: the file has none, ChatML is used. */
  readonly source: string | null;
  readonly compile: (source: string) => JinjaProgram;
  /** The text of the tokens; "" where the vocabulary has none. */
  readonly bosText: string;
  readonly eosText: string;
  /** The tokeniser adds them, so the prompt's text must not begin or end with them. */
  readonly addsBos: boolean;
  readonly addsEos: boolean;
  /** For templates that tell the model the date. */
  readonly today: () => Date;
}

export class ChatTemplate {
  readonly #parts: ChatTemplateParts;
  readonly #source: string;
  readonly #program: JinjaProgram | { readonly error: string };
  // Learnt by rendering probes, at the first prompt.
  #traits: TemplateTraits | undefined;

  constructor(parts: ChatTemplateParts) {
    this.#parts = parts;
    this.#source = withoutContentChecks(parts.source === null || parts.source === "" ? chatMl : parts.source);
    try {
      this.#program = parts.compile(this.#source);
    } catch (error) {
      this.#program = { error: reasonOf(error) };
    }
  }

  /** Throws a PublicError: 400 where the template refuses the conversation, 500 where it is no valid template. */
  render(messages: readonly ChatMessage[], options: RenderOptions): string {
    const program = this.#compiled();
    const traits = (this.#traits ??= traitsOf(program, this.#source));
    const last = messages.at(-1);
    if (options.addGenerationPrompt || last?.role !== "assistant") {
      return this.#run(program, traits, messages, options.addGenerationPrompt);
    }
    if (messages.at(-2)?.role === "assistant") {
      throw invalidRequest(
        "Two assistant messages at the end cannot be continued; at most one is allowed.",
        "messages",
      );
    }
    const history = messages.slice(0, -1);
    const prompt = this.#run(program, traits, history, false);
    const { content } = trimmed(last, traits);
    if (content === "") return prompt;
    const opening =
      familyOpening(this.#source) ?? derivedOpening(prompt, this.#run(program, traits, history, true), traits);
    return prompt + opening + content;
  }

  #compiled(): JinjaProgram {
    if ("render" in this.#program) return this.#program;
    throw new PublicError(`The model's chat template does not compile: ${this.#program.error}`, {
      status: 500,
      type: "server_error",
      code: "invalid_chat_template",
      shouldRetry: false,
    });
  }

  #run(
    program: JinjaProgram,
    traits: TemplateTraits,
    messages: readonly ChatMessage[],
    addGenerationPrompt: boolean,
  ): string {
    const { bosText, eosText, addsBos, addsEos, today } = this.#parts;
    const [day, month, year] = dateParts(today());
    let text: string;
    try {
      text = program.render({
        messages: adjusted(messages, traits),
        bos_token: bosText,
        eos_token: eosText,
        enable_thinking: traits.thinks,
        ...keepReasoning,
        datetime: `${month} ${day} ${year}`,
        date_string: `${day} ${month} ${year}`,
        ...(addGenerationPrompt ? { add_generation_prompt: true } : {}),
      });
    } catch (error) {
      throw invalidRequest(`The model's chat template refused the messages: ${reasonOf(error)}`, "messages");
    }
    if (addsBos && text.startsWith(bosText)) text = text.slice(bosText.length);
    if (addsEos && eosText !== "" && text.endsWith(eosText)) text = text.slice(0, -eosText.length);
    return text;
  }
}

interface TemplateTraits {
  /** The template takes a message's content as a list of parts only. */
  readonly needsTypedContent: boolean;
  readonly supportsSystemRole: boolean;
  /** Message texts lose the white space around them (StepFun: it drives that model into loops). */
  readonly trims: boolean;
  /** Thinking can be switched, and is on. */
  readonly thinks: boolean;
  /** What encloses the reasoning in an assistant's message. */
  readonly thinking?: { readonly start: string; readonly end: string };
}

function traitsOf(program: JinjaProgram, source: string): TemplateTraits {
  const probe = (messages: readonly object[], more: object = {}): string => {
    try {
      return program.render({
        messages,
        tools: [],
        bos_token: "",
        eos_token: "",
        add_generation_prompt: true,
        ...more,
      });
    } catch {
      return "";
    }
  };
  const question = { role: "user", content: "STRING_MARKER" };
  const asParts = probe([{ role: "user", content: [{ type: "text", text: question.content }] }]);
  const withSystem = (content: string) => probe([{ role: "system", content }, question]);
  const answer = { role: "assistant", content: "Answer", reasoning_content: "REASONING_MARKER" };
  const answered = probe([question, answer], { add_generation_prompt: undefined, enable_thinking: true });
  const tags = /((?:<[^<>]*>|\[[^[\]]*\])\s*)REASONING_MARKER(\s*(?:<[^>]*>|\[[^\]]*\])\s*)/u.exec(answered);
  const thinking = tags === null ? undefined : { start: tags[1] ?? "", end: tags[2] ?? "" };
  const switched = [true, false].map((thinks) => probe([question], { enable_thinking: thinks }));
  return {
    needsTypedContent: !probe([question]).includes(question.content) && asParts.includes(question.content),
    supportsSystemRole: withSystem("System message") !== withSystem("Other system message"),
    trims: source.includes("You have access to the following functions in JSONSchema format"),
    thinks: thinking !== undefined || lastLine(switched[0] ?? "") !== lastLine(switched[1] ?? ""),
    ...(thinking === undefined ? {} : { thinking }),
  };
}

// Reasoning of earlier turns stays in the prompt, by whichever name a template calls this.
const keepReasoning = {
  preserve_reasoning: true,
  preserve_thinking: true,
  clear_thinking: false,
  truncate_history_thinking: false,
  drop_thinking: false,
};

function lastLine(text: string): string {
  return text.trimEnd().slice(-32);
}

// What opens an assistant's answer that begins with visible text: the generation prompt, its thinking closed.
function derivedOpening(withoutPrompt: string, withPrompt: string, traits: TemplateTraits): string {
  let shared = 0;
  while (shared < withoutPrompt.length && withoutPrompt[shared] === withPrompt[shared]) shared += 1;
  const opening = withPrompt.slice(shared);
  const { thinking } = traits;
  if (thinking !== undefined) {
    const start = opening.indexOf(thinking.start);
    if (start !== -1) return opening.slice(0, start) + thinking.start + thinking.end;
  }
  const open = opening.search(/<think>\s*$/u);
  if (open !== -1) return `${opening.slice(0, open)}<think></think>`;
  return thinking === undefined ? opening : opening + thinking.start + thinking.end;
}

function adjusted(messages: readonly ChatMessage[], traits: TemplateTraits): object[] {
  const [first, second] = messages;
  let folded = messages;
  if (!traits.supportsSystemRole && first?.role === "system") {
    folded =
      second === undefined ? [] : [{ ...second, content: `${first.content}\n${second.content}` }, ...messages.slice(2)];
  }
  return folded
    .map((message) => trimmed(message, traits))
    .map(({ role, content, name }) => ({
      role,
      content: traits.needsTypedContent ? [{ type: "text", text: content }] : content,
      ...(name === undefined || name === "" ? {} : { name }),
    }));
}

function trimmed(message: ChatMessage, traits: TemplateTraits): ChatMessage {
  return traits.trims ? { ...message, content: message.content.replace(/^[ \t-\r]+|[ \t-\r]+$/gu, "") } : message;
}

const chatMl = `{%- for message in messages -%}
  {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\\n' -}}
{%- endif -%}`;

// Two templates refuse messages for what llama-server lets through.
function withoutContentChecks(source: string): string {
  return source
    .replaceAll(
      '{%- if "<|channel|>analysis<|message|>" in message.content or "<|channel|>final<|message|>" in message.content %}',
      "{%- if false %}",
    )
    .replaceAll(
      "{%- if (message['content'] is none or message['content'] == '' or message['content']|length == 0) and (message['tool_calls'] is not defined or message['tool_calls'] is none or message['tool_calls']|length == 0) %}",
      "{%- if false %}",
    );
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function dateParts(date: Date): [day: string, month: string, year: string] {
  return [String(date.getDate()).padStart(2, "0"), months[date.getMonth()] ?? "", String(date.getFullYear())];
}

// The engine's message ends with its own line after a picture of the place in the template.
function reasonOf(error: unknown): string {
  const message = messageOf(error);
  const last = message.slice(message.lastIndexOf("\nError: ") + 1);
  return last.replace(/^(AddonJinjaRenderer: [^:]*: |Error: )/u, "").replace(/^Jinja Exception: /u, "");
}
