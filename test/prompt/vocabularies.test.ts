// What must hold with every vocabulary: prompts are llama-server's, texts' tokens are llama.cpp's, typed special tokens
// stay text, and answers come in whole characters.
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import type { LlamaModel } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PublicError } from "../../src/core/errors.ts";
import type { ChatMessage, Token } from "../../src/engine/engine.ts";
import { PromptRenderer } from "../../src/engine/llama/prompt-renderer.ts";
import { tokenAttributes, Vocabulary } from "../../src/engine/llama/prompt-vocabulary.ts";
import { StreamingDetokenizer } from "../../src/engine/llama/streaming-detokenizer.ts";
import { templateNames, templateText } from "./bundle.ts";
import {
  conversationsFor,
  coreTemplates,
  type GoldenAnswer,
  goldenDate,
  goldenDetail,
  goldenPairs,
  recorded,
  vocabularies,
} from "./conversations.ts";
import { loadVocabulary } from "./models.ts";

describe.each(vocabularies)("with the vocabulary of %s", (name) => {
  let model: LlamaModel;
  let vocabulary: Vocabulary;
  beforeAll(async () => {
    model = await loadVocabulary(name);
    vocabulary = new Vocabulary(model);
  });
  afterAll(async () => {
    await model.dispose();
  });

  it("prompts are llama-server's, token for token", () => {
    const golden = goldenFile(name);
    const made = Object.fromEntries(
      Object.entries(golden).map(([template, prompts]) => {
        const renderer = new PromptRenderer(model, {
          ...(template === "own" ? {} : { chatTemplate: templateText(template) }),
          today: () => goldenDate.date,
        });
        const made = conversationsFor(name, template)
          .filter((conversation) => conversation.name in prompts)
          .map((conversation) => [
            conversation.name,
            recorded(
              answer(() => renderer.renderChat(conversation.messages, conversation)),
              goldenDetail(name, template, conversation),
            ),
          ]);
        return [template, Object.fromEntries(made)];
      }),
    );
    expect(made).toEqual(golden);
  });

  it("a text's tokens are llama.cpp's", () => {
    const renderer = new PromptRenderer(model, { chatTemplate: "" });
    const text = fc.array(fc.constantFrom(...words, ...specialsOf(vocabulary).all), { maxLength: 12 });
    fc.assert(
      fc.property(text, fc.boolean(), (parts, parseSpecial) => {
        const joined = parts.join("");
        const tokens = renderer.tokenize(joined, { parseSpecial, addSpecial: false });
        expect(tokens).toEqual(model.tokenize(joined, parseSpecial));
      }),
      { numRuns: 150 },
    );
  });

  it("typed special tokens change no other token of the prompt", () => {
    const { structural, structuralTexts } = specialsOf(vocabulary);
    const typed = fc.array(fc.constantFrom(...words, ...structuralTexts), { minLength: 1, maxLength: 6 });
    for (const template of Object.keys(coreTemplates)) {
      const renderer = new PromptRenderer(model, { chatTemplate: templateText(template) });
      const prompt = (content: string) =>
        renderer.renderChat([user(content), { role: "assistant", content }, user("Sí")], { addGenerationPrompt: true });
      const structure = ({ tokens }: { tokens: readonly Token[] }) => tokens.filter((token) => structural.has(token));
      const expected = structure(prompt("Hola"));
      fc.assert(
        fc.property(typed, (parts) => {
          const content = `a${parts.join("")}b`;
          const made = prompt(content);
          expect(structure(made)).toEqual(expected);
          expect(made.text).toContain(content);
          expect(textOf(vocabulary, made.tokens)).toContain(content);
        }),
        { numRuns: 10 },
      );
    }
  });

  it("answers come in whole characters, none lost and none added", () => {
    const prose = fc.array(fc.constantFrom(...answerWords), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(prose, (parts) => {
        const text = parts.join("");
        const detokenizer = new StreamingDetokenizer(model);
        // A SentencePiece vocabulary writes a space in front of a text; it belongs to the first token, as in "▁there".
        const pieces = model.tokenize(text).map((token) => detokenizer.push(token));
        const joined = pieces.join("") + detokenizer.flush();
        expect([text, ` ${text}`]).toContain(joined);
        for (const piece of pieces) expect(piece).not.toContain("\ufffd");
      }),
      { numRuns: 60 },
    );
  });
});

it("prompts are recorded for every template of the bundle", () => {
  const recordedTemplates = new Set(vocabularies.flatMap((vocabulary) => Object.keys(goldenFile(vocabulary))));
  const templates = new Set(goldenPairs(templateNames()).map(({ template }) => template));
  expect([...recordedTemplates].sort()).toEqual([...templates].sort());
});

const words = [
  "Hola",
  " ",
  "\n",
  "  \n\t",
  "ñandú",
  "👩‍🌾",
  "農家",
  "x = [1]",
  "<|",
  "|>",
  "<",
  ">",
  "</",
  "im_end",
  "\u0000",
  " ?",
];
const answerWords = [
  "El ",
  "pájaro",
  " voló,",
  " ¿no?",
  " ",
  "  ",
  "\n",
  "農家",
  "👩‍🌾",
  "🇪🇸",
  "e\u0301",
  "don't",
  " 's",
  "\u0000",
  "\ufeff",
  "ß",
];

const user = (content: string): ChatMessage => ({ role: "user", content });

type GoldenFile = Record<string, Record<string, unknown>>;

function goldenFile(vocabulary: string): GoldenFile {
  const url = new URL(`../golden/prompt/${vocabulary}.json`, import.meta.url);
  const golden = JSON.parse(readFileSync(url, "utf8")) as GoldenFile;
  // llama-server opens its reasoning twice.
  for (const name of Object.keys(golden["llama-cpp-rwkv-world"] ?? {}))
    if (name.startsWith("continued")) delete golden["llama-cpp-rwkv-world"]?.[name];
  return golden;
}

interface Specials {
  readonly all: readonly string[];
  /** Control tokens, and those that a file types as user-defined although they structure the prompt. */
  readonly structural: ReadonlySet<Token>;
  readonly structuralTexts: readonly string[];
}

function specialsOf(vocabulary: Vocabulary): Specials {
  const { control, unknown, userDefined } = tokenAttributes;
  const special = [...vocabulary.tokens()].filter(
    (token) =>
      (vocabulary.attributes(token) & (control | unknown | userDefined)) !== 0 && vocabulary.text(token) !== "",
  );
  const structural = special.filter(
    (token) =>
      (vocabulary.attributes(token) & (control | unknown)) !== 0 || /^<[|｜].*[|｜]>$/u.test(vocabulary.text(token)),
  );
  return {
    all: special.map((token) => vocabulary.text(token)),
    structural: new Set(structural),
    structuralTexts: structural.map((token) => vocabulary.text(token)),
  };
}

function textOf(vocabulary: Vocabulary, tokens: readonly Token[]): string {
  return Buffer.concat(tokens.map((token) => vocabulary.bytes(token, true))).toString("utf8");
}

function answer(render: () => GoldenAnswer): GoldenAnswer {
  try {
    return render();
  } catch (error) {
    if (error instanceof PublicError && error.status === 400) return { text: null, tokens: [] };
    throw error;
  }
}
