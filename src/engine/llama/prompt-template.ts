// A model's chat template: messages in, prompt text out, with the same adjustments around the Jinja program as
// llama-server makes (common/chat.cpp of the llama.cpp that node-llama-cpp carries). Pure but for the engine given.
import { invalidRequest, messageOf, PublicError } from "../../core/errors.ts";
import type { ChatMessage, RenderOptions, TemplateFacts } from "../engine.ts";
import { type TemplateInput, templateInput } from "./prompt-conversation.ts";
import { keepReasoning, type TemplateTraits, traitsOf } from "./prompt-probes.ts";

/** A compiled Jinja template. */
export interface JinjaProgram {
  /** Throws where the template raises an exception or does what its input does not allow. */
  render(variables: Record<string, unknown>): string;
}

export interface ChatTemplateParts {
  /** Null or "": the file has none, ChatML is used. */
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

/** The part of `RenderOptions` that a template is told. */
export type TemplateSwitches = Pick<RenderOptions, "addGenerationPrompt" | "thinks" | "reasoningEffort">;

export interface RenderedText {
  readonly text: string;
  /** What opened the assistant's turn where an assistant's message is continued, up to that message's text; else null. */
  readonly opening: string | null;
}

export class ChatTemplate {
  readonly #parts: ChatTemplateParts;
  readonly #source: string;
  readonly #program: JinjaProgram | { readonly error: string };
  // Learnt by rendering probes, at the first prompt.
  #traits: TemplateTraits | undefined;
  readonly #generationPrompts = new Map<string, string>();

  constructor(parts: ChatTemplateParts) {
    this.#parts = parts.source === "" ? { ...parts, source: null } : parts;
    this.#source = withoutContentChecks(this.#parts.source ?? chatMl);
    try {
      this.#program = parts.compile(this.#source);
    } catch (error) {
      this.#program = { error: reasonOf(error) };
    }
  }

  /** Never throws: a template that does not compile knows nothing. */
  get facts(): TemplateFacts {
    if ("render" in this.#program) return this.#learnt(this.#program).facts;
    const { source } = this.#parts;
    return { source, takesTools: false, takesToolMessages: false, thinking: null, switchesThinking: false };
  }

  /** The conversation in the form that `render` takes. Throws a PublicError: 400, or 500 where this is no valid template. */
  input(messages: readonly ChatMessage[], options: RenderOptions): TemplateInput {
    const continuesLast = !options.addGenerationPrompt && messages.at(-1)?.role === "assistant";
    if (continuesLast && messages.at(-2)?.role === "assistant") {
      throw invalidRequest(
        "Two assistant messages at the end cannot be continued; at most one is allowed.",
        "messages",
      );
    }
    if (continuesLast && (messages.at(-1)?.toolCalls ?? []).length > 0) {
      throw invalidRequest("An assistant message with tool calls cannot be continued.", "messages");
    }
    return templateInput(messages, options.tools, continuesLast, this.#learnt(this.#compiled()));
  }

  /** Throws a PublicError: 400 where the template refuses the conversation, 500 where it is no valid template. */
  render(input: TemplateInput, switches: TemplateSwitches): RenderedText {
    const program = this.#compiled();
    const traits = this.#learnt(program);
    const { turn, turnAfter } = traits.family ?? {};
    const text = this.#run(program, traits, input, switches, input.continued === null && switches.addGenerationPrompt);
    if (input.continued === null) {
      const isOpened = !switches.addGenerationPrompt || turnAfter === undefined || !text.endsWith(turnAfter);
      return { text: isOpened ? text : text + (turn ?? ""), opening: null };
    }
    const { content, reasoning } = input.continued;
    if (content === "" && reasoning === "") return { text, opening: "" };
    const opening = this.#opening(input, switches, text, traits) + answerOpening(traits, content);
    return { text: text + opening + content, opening };
  }

  /**
   * The end of a rendered text that opens the assistant's turn: what the template adds for `add_generation_prompt`. It
   * hardly ever depends on the conversation, so it is remembered and looked for before the template is asked again.
   */
  generationPrompt(input: TemplateInput, switches: TemplateSwitches, text: string): string {
    const program = this.#compiled();
    const traits = this.#learnt(program);
    const { turn, turnAfter } = traits.family ?? {};
    if (turn !== null && turn !== undefined && turnAfter !== undefined && text.endsWith(turnAfter + turn)) return turn;
    const { thinks, reasoningEffort = "" } = switches;
    const key = JSON.stringify([thinks, reasoningEffort, input.tools === null, input.messages.at(-1)?.["role"]]);
    const remembered = this.#generationPrompts.get(key);
    if (remembered !== undefined && remembered !== "" && text.endsWith(remembered)) return remembered;
    const added = this.#addedByTemplate(program, traits, input, switches, text);
    if (this.#generationPrompts.size >= maxGenerationPrompts) this.#generationPrompts.clear();
    this.#generationPrompts.set(key, added);
    return added;
  }

  #addedByTemplate(
    program: JinjaProgram,
    traits: TemplateTraits,
    input: TemplateInput,
    switches: TemplateSwitches,
    text: string,
  ): string {
    const without = this.#run(program, traits, input, switches, false);
    let shared = 0;
    while (shared < without.length && without[shared] === text[shared]) shared += 1;
    return text.slice(shared);
  }

  // What opens an answer that goes on, up to its reasoning or, where there is none, up to what ends it.
  #opening(input: TemplateInput, switches: TemplateSwitches, text: string, traits: TemplateTraits): string {
    const { family, thinking } = traits;
    const { reasoning = "" } = input.continued ?? {};
    const added = () => {
      const program = this.#compiled();
      const opened = this.#run(program, traits, input, switches, true);
      return this.#addedByTemplate(program, traits, input, switches, opened);
    };
    if (family !== null) {
      const isOpen = family.turnAfter !== undefined && !text.endsWith(family.turnAfter);
      const turn = isOpen ? "" : (family.turn ?? added());
      const omitsStart = family.thinking?.omittedWithoutReasoning === true && reasoning === "";
      return family.thinking === null || omitsStart ? turn : turn + family.thinking.start + reasoning;
    }
    const turn = added();
    if (thinking === null) return turn;
    const start = turn.indexOf(thinking.start.trimEnd());
    return (start === -1 ? turn : turn.slice(0, start)) + thinking.start + reasoning;
  }

  #learnt(program: JinjaProgram): TemplateTraits {
    return (this.#traits ??= traitsOf((variables) => program.render(variables), this.#source, this.#parts.source));
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
    { messages, tools }: TemplateInput,
    { thinks, reasoningEffort }: TemplateSwitches,
    addGenerationPrompt: boolean,
  ): string {
    const { bosText, eosText, addsBos, addsEos, today } = this.#parts;
    const [day, month, year] = dateParts(today());
    let text: string;
    try {
      text = program.render({
        messages,
        ...(tools === null ? {} : { tools }),
        bos_token: bosText,
        eos_token: eosText,
        enable_thinking: thinks ?? traits.thinks,
        ...keepReasoning,
        ...(reasoningEffort === undefined || reasoningEffort === ""
          ? {}
          : { reasoning_effort: reasoningEffort, reasoning_strength: reasoningEffort }),
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

/** Switches differ by few: effort is a word of the caller's. */
const maxGenerationPrompts = 64;

// Reasoning alone goes on as reasoning where the template knows it.
function answerOpening({ family, thinking }: TemplateTraits, content: string): string {
  if (family !== null && family.thinking === null) return family.answer ?? "";
  if (content === "") return "";
  return family?.thinking == null ? (thinking?.end ?? "") : family.thinking.end + family.thinking.answer;
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
