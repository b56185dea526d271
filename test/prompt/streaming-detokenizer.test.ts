// The text of an answer, token by token.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StreamingDetokenizer } from "../../src/engine/llama/streaming-detokenizer.ts";
import { vocabularies } from "./conversations.ts";
import { withVocabulary } from "./models.ts";

const words = [
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
const prose = fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 20 }).map((parts) => parts.join(""));

describe.each(vocabularies)("the answer of a model with the vocabulary of %s", (name) => {
  it("comes in whole characters, none lost and none added", async () => {
    await withVocabulary(name, (model) => {
      fc.assert(
        fc.property(prose, (text) => {
          const detokenizer = new StreamingDetokenizer(model);
          // A SentencePiece vocabulary writes a space in front of a text; it belongs to the first token, as in "▁there".
          const tokens = model.tokenize(text);
          const pieces = tokens.map((token) => detokenizer.push(token));
          const joined = pieces.join("") + detokenizer.flush();
          expect([text, ` ${text}`]).toContain(joined);
          for (const piece of pieces) expect(piece).not.toContain("\ufffd");
        }),
        { numRuns: 60 },
      );
    });
  });
});

it("keeps the first word's space, as llama-server does", async () => {
  await withVocabulary("llama-spm", (model) => {
    const [there] = model.tokenize("there");
    expect(new StreamingDetokenizer(model).push(there ?? -1)).toBe(" there");
  });
});

it("shows invalid bytes as U+FFFD, and an unfinished character at the end only", async () => {
  await withVocabulary("llama-spm", (model) => {
    const byte = (value: number) => value + 3;
    const detokenizer = new StreamingDetokenizer(model);
    expect([0xf0, 0x9f, 0x41, 0xc3].map((value) => detokenizer.push(byte(value)))).toEqual(["", "", "\ufffdA", ""]);
    expect(detokenizer.flush()).toBe("\ufffd");
    expect(detokenizer.flush()).toBe("");
  });
});

it("writes nothing for control tokens", async () => {
  await withVocabulary("qwen2", (model) => {
    const detokenizer = new StreamingDetokenizer(model);
    const tokens = model.tokenize("<|im_start|>Sí<|im_end|>", true);
    expect(tokens.map((token) => detokenizer.push(token)).join("") + detokenizer.flush()).toBe("Sí");
  });
});
