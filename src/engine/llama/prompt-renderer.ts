// A conversation as the tokens that the model was trained on: the file's own chat template decides, and special tokens
// that stand in a message's text stay text.
import type { LlamaModel } from "node-llama-cpp";
import type { ChatMessage, RenderedPrompt, RenderOptions, TemplateFacts, Token, VocabularyFacts } from "../engine.ts";
import { compileJinja } from "./bindings.ts";
import { mapTexts, type TemplateInput } from "./prompt-conversation.ts";
import { markEverything, markLookAlikes, unmark, type Unmarked, unusedMark } from "./prompt-marks.ts";
import { type Fragment, looksLikeControl, type SpecialToken, SpecialTokens } from "./prompt-special-tokens.ts";
import { ChatTemplate } from "./prompt-template.ts";
import { RawTokenizer } from "./prompt-raw-tokenizer.ts";
import { checkTokens } from "./token-check.ts";
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
  /** Null: the same. */
  readonly #toolTemplate: ChatTemplate | null;
  #vocabularyFacts: VocabularyFacts | undefined;

  constructor(model: LlamaModel, options: PromptRendererOptions = {}) {
    const vocabulary = vocabularyOf(model);
    this.#vocabulary = vocabulary;
    this.#specials = new SpecialTokens(specialTokensOf(vocabulary));
    this.#rawTokenizer = new RawTokenizer(vocabulary);
    const templateOf = (source: string | null) =>
      new ChatTemplate({
        source,
        compile: (text) => compileJinja(model.llama, text),
        bosText: vocabulary.bosText,
        eosText: vocabulary.eosText,
        addsBos: vocabulary.addsBos,
        addsEos: vocabulary.addsEos,
        today: options.today ?? (() => new Date()),
      });
    const { chat_template: own = null, ...named } = model.fileInfo.metadata.tokenizer ?? {};
    // A file may bring another template for requests with tools.
    const forTools = (named as Record<string, unknown>)["chat_template.tool_use"];
    const toolSource = options.chatTemplate === undefined && typeof forTools === "string" ? forTools : null;
    this.#template = templateOf(options.chatTemplate ?? own ?? toolSource);
    this.#toolTemplate = toolSource === null ? null : templateOf(toolSource);
  }

  /** Throws a PublicError: 400 where the template refuses the messages, 500 where it is no valid template. */
  renderChat(messages: readonly ChatMessage[], options: RenderOptions): RenderedPrompt {
    const template = this.#templateFor(options.tools);
    const { text, isMarked, opening } = this.#renderWithOrigin(template, template.input(messages, options), options);
    return {
      text,
      tokens: this.#assemble(this.#specials.partition(text, true, isMarked), true),
      generationPrompt: opening,
    };
  }

  /** Tokens of a text as llama.cpp makes them: special tokens in it are meant, not typed. */
  tokenize(text: string, options: { readonly parseSpecial: boolean; readonly addSpecial: boolean }): Token[] {
    const fragments = this.#specials.partition(wellFormed(text), options.parseSpecial, () => false);
    return this.#assemble(fragments, options.addSpecial);
  }

  /** What the template knows; found by rendering probes, at the first asking. */
  get facts(): TemplateFacts {
    return (this.#toolTemplate ?? this.#template).facts;
  }

  get vocabularyFacts(): VocabularyFacts {
    const { size, bosText, eosText } = this.#vocabulary;
    return (this.#vocabularyFacts ??= { size, bosText, eosText, infill: this.#vocabulary.infillTokens() });
  }

  /** The bytes of a token's text, control tokens' too. The token must be one of the vocabulary's. */
  tokenBytes(token: Token): Uint8Array {
    return this.#vocabulary.bytes(token, true);
  }

  /** Throws a PublicError (400) that names the first token that is none of the vocabulary's, as `tokens[index]`. */
  detokenize(tokens: readonly Token[], options: { readonly special: boolean }): string {
    checkTokens(tokens, this.#vocabulary.size, "tokens");
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let text = "";
    for (const token of tokens)
      text += decoder.decode(this.#vocabulary.bytes(token, options.special), { stream: true });
    return text + decoder.decode();
  }

  /** Tokens of a text that is put together of the model's own words, where special tokens count, and of what was typed. */
  join(pieces: readonly { readonly text: string; readonly isTyped: boolean }[]): Token[] {
    const typed: (readonly [start: number, end: number])[] = [];
    let whole = "";
    for (const { text, isTyped } of pieces) {
      const start = whole.length;
      whole += wellFormed(text);
      if (isTyped) typed.push([start, whole.length]);
    }
    const touchesTyped = (start: number, end: number) => typed.some(([from, to]) => start < to && end > from);
    return this.#assemble(this.#specials.partition(whole, true, touchesTyped), false);
  }

  #templateFor(tools: RenderOptions["tools"]): ChatTemplate {
    return tools === undefined || tools.length === 0 ? this.#template : (this.#toolTemplate ?? this.#template);
  }

  // The prompt, which of it a caller wrote, and what opens the answer. Most texts hold nothing that a special token could
  // be made of: they go unmarked. Marking every place in the others leaves no doubt, yet hides from the template what it
  // may look for in a message (`</think>`). Where that shows, whole look-alikes alone are marked, unless that would let
  // more control tokens through: a template that deletes text can join the pieces of one.
  #renderWithOrigin(
    template: ChatTemplate,
    input: TemplateInput,
    options: RenderOptions,
  ): Unmarked & { opening: string } {
    const plain = template.render(input, options);
    const opening =
      plain.opening ?? (options.addGenerationPrompt ? template.generationPrompt(input, options, plain.text) : "");
    let needsMarks = false;
    const used = new Set<string>();
    mapTexts(input, (text) => {
      if (!this.#specials.isInert(text)) needsMarks = true;
      for (const character of text.match(/\p{Co}/gu) ?? []) used.add(character);
      return text;
    });
    if (!needsMarks) return { text: plain.text, isMarked: () => false, opening };
    const mark = unusedMark(used);
    const render = (marking: (text: string) => string) =>
      unmark(template.render(mapTexts(input, marking), options).text, mark);
    const strict = render((text) => markEverything(text, this.#specials, mark));
    if (strict.text === plain.text) return { ...strict, opening };
    const lenient = render((text) => markLookAlikes(text, this.#specials, mark));
    return { ...(this.#controlTokens(lenient) === this.#controlTokens(strict) ? lenient : strict), opening };
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

// Half of a surrogate pair has no UTF-8; the native side would replace it in the same way, but later.
function wellFormed(text: string): string {
  return text.replace(/\p{Cs}/gu, "\uFFFD");
}
