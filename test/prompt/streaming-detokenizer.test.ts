// The text of an answer, token by token; vocabularies.test.ts has the rule that holds with every vocabulary.
import { expect, it } from "vitest";
import { StreamingDetokenizer } from "../../src/engine/llama/streaming-detokenizer.ts";
import { withVocabulary } from "./models.ts";

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

it("puts a character together across a control token, and shows what it broke off before the next", async () => {
  await withVocabulary("llama-spm", (model) => {
    const byte = (value: number) => value + 3;
    const detokenizer = new StreamingDetokenizer(model);
    const { bos } = model.tokens;
    const push = (token: number) => detokenizer.push(token);
    expect([byte(0xc3), bos ?? -1, byte(0xad), byte(0x41)].map(push)).toEqual(["", "", "í", "A"]);
    expect([byte(0xc3), byte(0x41), byte(0xad), byte(0x42)].map(push)).toEqual(["", "\ufffdA", "\ufffd", "B"]);
    expect(detokenizer.flush()).toBe("");
  });
});

it("writes the control tokens that are to be kept, and only these", async () => {
  await withVocabulary("qwen2", (model) => {
    const detokenizer = new StreamingDetokenizer(model, ["<|im_end|>"]);
    const tokens = model.tokenize("<|im_start|>Sí<|im_end|>", true);
    expect(tokens.map((token) => detokenizer.push(token)).join("") + detokenizer.flush()).toBe("Sí<|im_end|>");
  });
});

it("ends an unfinished character before a control token that is kept", async () => {
  await withVocabulary("llama-spm", (model) => {
    const detokenizer = new StreamingDetokenizer(model, ["</s>"]);
    const { eos } = model.tokens;
    expect([0xc3 + 3, eos ?? -1, 0xad + 3].map((token) => detokenizer.push(token))).toEqual([
      "",
      "\ufffd</s>",
      "\ufffd",
    ]);
  });
});
