// Every tiny preset in the engine's library itself: it loads, tokenizes, and generates or embeds; stable weights give
// the text known in advance in every quantisation.
import { getLlama, LlamaLogLevel, type Llama, type LlamaModel, type Token } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileJinja } from "../../src/engine/llama/bindings.ts";
import { presets } from "../../tools/synthesize/presets.ts";
import { stableSuccessor } from "../../tools/synthesize/stable.ts";
import { quantisations, type Quantisation } from "../../tools/synthesize/tensors.ts";
import { buildVocabulary } from "../../tools/synthesize/vocabulary.ts";
import { tinyModel, type TinyPresetName } from "../support/tiny-models.ts";

const textPresets = [
  "tiny-qwen2",
  "tiny-llama",
  "tiny-gemma3",
  "tiny-phi3",
  "tiny-command-r",
] as const satisfies readonly TinyPresetName[];
/** What each family's published template makes of a system message and three turns. */
const renderings: Readonly<Record<(typeof textPresets)[number], string>> = {
  "tiny-qwen2":
    "<|im_start|>system\nSé breve.<|im_end|>\n<|im_start|>user\nHola<|im_end|>\n<|im_start|>assistant\nBuenas<|im_end|>\n<|im_start|>user\n¿Qué tal?<|im_end|>\n<|im_start|>assistant\n",
  "tiny-llama": "BOS[INST] Hola[/INST] BuenasEOS[INST] Sé breve.\n\n¿Qué tal?[/INST]",
  "tiny-gemma3":
    "BOS<start_of_turn>user\nSé breve.\n\nHola<end_of_turn>\n<start_of_turn>model\nBuenas<end_of_turn>\n<start_of_turn>user\n¿Qué tal?<end_of_turn>\n<start_of_turn>model\n",
  "tiny-phi3":
    "<|system|>Sé breve.<|end|><|user|>Hola<|end|><|assistant|>Buenas<|end|><|user|>¿Qué tal?<|end|><|assistant|>",
  "tiny-command-r":
    "BOS<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Sé breve.<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hola<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Buenas<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>¿Qué tal?<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
};
const tokenCount = 24;
const prompt = "Hola, ¿cómo estás? The quick brown fox jumps over the lazy dog. def suma(a, b): return a + b";

let llama: Llama;
beforeAll(async () => {
  llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.error });
});
afterAll(() => llama.dispose());

async function withModel<T>(path: string, use: (model: LlamaModel) => Promise<T>): Promise<T> {
  const model = await llama.loadModel({ modelPath: path });
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

async function continueGreedily(model: LlamaModel, tokens: readonly Token[]): Promise<Token[]> {
  const context = await model.createContext({ contextSize: 256, threads: 1 });
  try {
    const generated: Token[] = [];
    for await (const token of context.getSequence().evaluate([...tokens], { temperature: 0, yieldEogToken: true })) {
      generated.push(token);
      if (generated.length === tokenCount) break;
    }
    return generated;
  } finally {
    await context.dispose();
  }
}

describe.each(textPresets)("%s", (name) => {
  it.each(quantisations)("continues stable weights in %s as known in advance", async (quant: Quantisation) => {
    const successor = stableSuccessor(await buildVocabulary(presets[name]), 0);
    await withModel(await tinyModel(name, { quant }), async (model) => {
      for (const text of [prompt, "Hi there"]) {
        const tokens = model.tokenize(text);
        const expected: number[] = [...tokens];
        while (expected.length < tokens.length + tokenCount) {
          expected.push(successor(expected.at(-2) ?? -1, expected.at(-1) ?? -1));
        }
        expect(await continueGreedily(model, tokens)).toEqual(expected.slice(tokens.length));
      }
    });
  });

  it.each(quantisations)("generates varied ordinary tokens from random weights in %s", async (quant: Quantisation) => {
    await withModel(await tinyModel(name, { quant, stable: false }), async (model) => {
      const generated = await continueGreedily(model, model.tokenize(prompt));
      expect(generated).toHaveLength(tokenCount);
      expect(generated.filter((token) => model.isEogToken(token) || model.isSpecialToken(token))).toEqual([]);
      expect(new Set(generated).size).toBeGreaterThan(tokenCount / 2);
    });
  });

  it("spells any text, knows its special tokens and renders a chat", async () => {
    await withModel(await tinyModel(name), async (model) => {
      const texts = [prompt, '¡Año nuevo! 日本語 🙂 \t {"a": [1, 2]}\n\n```py\nx = 1\n```', "  two  spaces "];
      for (const text of texts) expect(model.detokenize(model.tokenize(text))).toContain(text);
      expect(model.tokenize(prompt).length).toBeLessThan(prompt.length / 1.7);

      const template = String(model.fileInfo.metadata.tokenizer.chat_template);
      const markers = new Set(template.match(/<\|[A-Z_a-z]+\|>|<\w+_of_turn>|\[\/?INST\]/g));
      expect(markers.size).toBeGreaterThan(0);
      for (const marker of markers) {
        const tokens = model.tokenize(marker, true);
        expect(tokens.map((token) => model.isSpecialToken(token))).toEqual([true]);
      }
      expect(model.isEogToken(model.tokens.eos ?? undefined)).toBe(true);

      const messages = [
        { role: "system", content: "Sé breve." },
        { role: "user", content: "Hola" },
        { role: "assistant", content: "Buenas" },
        { role: "user", content: "¿Qué tal?" },
      ];
      const variables = { messages, add_generation_prompt: true, bos_token: "BOS", eos_token: "EOS" };
      expect(compileJinja(llama, template).render(variables)).toBe(renderings[name]);
    });
  });
});

it.each(["f16", "q4_k"] as const)("tiny-bert in %s gives embeddings that differ by text", async (quant) => {
  await withModel(await tinyModel("tiny-bert", { quant }), async (model) => {
    const context = await model.createEmbeddingContext({ contextSize: 256, threads: 1 });
    const [first, again, other] = await Promise.all(
      ["Hola mundo", "Hola mundo", "A different sentence"].map(async (text) => context.getEmbeddingFor(text)),
    );
    if (first === undefined || again === undefined || other === undefined) throw new Error("no embedding");
    expect(first.vector).toHaveLength(presets["tiny-bert"].width);
    expect(first.vector.every(Number.isFinite)).toBe(true);
    expect(first.calculateCosineSimilarity(again)).toBeCloseTo(1, 5);
    expect(first.calculateCosineSimilarity(other)).toBeLessThan(0.9);
    await context.dispose();
  });
});
