// A conversation as the tokens that the model was trained on: the file's own chat template decides, and special tokens
// that stand in a message's text stay text.
import type { LlamaModel } from "node-llama-cpp";
import { clip, invalidRequest } from "../../core/errors.ts";
import type { ChatMessage, RenderedPrompt, RenderOptions, Token } from "../engine.ts";
import { compileJinja } from "./bindings.ts";
import { markEverything, markLookAlikes, unmark, type Unmarked, unusedMark } from "./prompt-marks.ts";
import { type Fragment, looksLikeControl, type SpecialToken, SpecialTokens } from "./prompt-special-tokens.ts";
import { ChatTemplate } from "./prompt-template.ts";
import { RawTokenizer } from "./prompt-raw-tokenizer.ts";
import { tokenAttributes, type Vocabulary, vocabularyOf } from "./prompt-vocabulary.ts";

export interface PromptRendererOptions {
  /** In place of the file's own template. */
  readonly chatTemplate?: string;
  /** For templates that tell the model the date; by default the system's. */
  readonly today?: () => Date;
}

/**
 * Without special tokens in the messages' text, the tokens are those of llama-server for the same file. A template that
 * does not compile throws with each `renderChat`, not here, so that such a model still serves plain completions.
 */
export class PromptRenderer {
  readonly #vocabulary: Vocabulary;
  readonly #specials: SpecialTokens;
  readonly #rawTokenizer: RawTokenizer;
  readonly #template: ChatTemplate;

  constructor(model: LlamaModel, options: PromptRendererOptions = {}) {
    const vocabulary = vocabularyOf(model);
    this.#vocabulary = vocabulary;
    this.#specials = new SpecialTokens(specialTokensOf(vocabulary));
    this.#rawTokenizer = new RawTokenizer(vocabulary);
    this.#template = new ChatTemplate({
      source: options.chatTemplate ?? model.fileInfo.metadata.tokenizer?.chat_template ?? null,
      compile: (source) => compileJinja(model.llama, source),
      bosText: vocabulary.bosText,
      eosText: vocabulary.eosText,
      addsBos: vocabulary.addsBos,
      addsEos: vocabulary.addsEos,
      today: options.today ?? (() => new Date()),
    });
  }

  /** Throws a PublicError: 400 where the template refuses the messages, 500 where it is no valid template. */
  renderChat(messages: readonly ChatMessage[], options: RenderOptions): RenderedPrompt {
    const conversation = messages.map(wellFormedMessage);
    const { text, isMarked } = this.#renderWithOrigin(conversation, options);
    return { text, tokens: this.#assemble(this.#specials.partition(text, true, isMarked), true) };
  }

  /** Tokens of a text as llama.cpp makes them: special tokens in it are meant, not typed. */
  tokenize(text: string, options: { readonly parseSpecial: boolean; readonly addSpecial: boolean }): Token[] {
    const fragments = this.#specials.partition(wellFormed(text), options.parseSpecial, () => false);
    return this.#assemble(fragments, options.addSpecial);
  }

  // The prompt, and which of it a user typed. Marking everything leaves no doubt, yet hides from the template what it
  // may look for in a message (`</think>`). Where that shows, whole look-alikes alone are marked, unless that would let
  // more control tokens through: a template that deletes text can join the pieces of one.
  #renderWithOrigin(messages: readonly ChatMessage[], options: RenderOptions): Unmarked {
    const mark = unusedMark(messages.flatMap(({ content, name }) => [content, name ?? ""]));
    const render = (marking: (text: string) => string) =>
      unmark(
        this.#template.render(
          messages.map((message) => mapTexts(message, marking)),
          options,
        ),
        mark,
      );
    const plain = render((text) => text);
    const strict = render((text) => markEverything(text, this.#specials, mark));
    if (strict.text === plain.text) return strict;
    const lenient = render((text) => markLookAlikes(text, this.#specials, mark));
    return this.#controlTokens(lenient) === this.#controlTokens(strict) ? lenient : strict;
  }

  #controlTokens({ text, isMarked }: Unmarked): string {
    return this.#specials
      .partition(text, true, isMarked)
      .flatMap((fragment) =>
        "special" in fragment && fragment.special.kind !== "user-defined" ? [fragment.special.id] : [],
      )
      .join();
  }

  #assemble(fragments: readonly Fragment[], addSpecial: boolean): Token[] {
    const tokens: Token[] = [];
    if (addSpecial) tokens.push(...this.#vocabulary.prefixTokens);
    for (const fragment of fragments) {
      if ("special" in fragment) tokens.push(fragment.special.id);
      else this.#rawTokenizer.tokenize(fragment.text, fragment.breaks, tokens);
    }
    if (addSpecial) tokens.push(...this.#vocabulary.suffixTokens);
    return tokens;
  }
}

function specialTokensOf(vocabulary: Vocabulary): SpecialToken[] {
  const { control, unknown, userDefined, stripLeft, stripRight } = tokenAttributes;
  const specials: SpecialToken[] = [];
  for (const id of vocabulary.tokens()) {
    const attributes = vocabulary.attributes(id);
    if ((attributes & (control | unknown | userDefined)) === 0) continue;
    const text = vocabulary.text(id);
    if (text === "") continue;
    const isControl = (attributes & (control | unknown)) !== 0;
    specials.push({
      id,
      text,
      kind: isControl ? "control" : looksLikeControl(text) ? "disguised" : "user-defined",
      stripLeft: (attributes & stripLeft) !== 0,
      stripRight: (attributes & stripRight) !== 0,
    });
  }
  return specials;
}

const roles: readonly string[] = ["system", "user", "assistant", "tool"] satisfies readonly ChatMessage["role"][];

// A role goes unmarked: templates build control tokens from it (`<|user|>`), so it must be one of the known words.
function wellFormedMessage(message: ChatMessage, index: number): ChatMessage {
  if (!roles.includes(message.role)) {
    throw invalidRequest(
      `messages[${index}].role is ${JSON.stringify(clip(message.role))}; allowed: ${roles.join(", ")}.`,
      `messages[${index}].role`,
    );
  }
  return mapTexts(message, wellFormed);
}

function mapTexts(message: ChatMessage, map: (text: string) => string): ChatMessage {
  const { role, content, name } = message;
  return { role, content: map(content), ...(name === undefined ? {} : { name: map(name) }) };
}

// Half of a surrogate pair has no UTF-8; the native side would replace it in the same way, but later.
function wellFormed(text: string): string {
  return text.replace(/\p{Cs}/gu, "\uFFFD");
}
