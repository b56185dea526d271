// The engine with the native addon against the engine without it, on real files: the same tokens whatever is drafted, copied,
// kept and brought back.
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AbandonedError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import {
  plainGeneration,
  type Engine,
  type GenerationTimings,
  type LoadSpec,
  type TextModel,
} from "../../src/engine/engine.ts";
import { createLlamaEngine } from "../../src/engine/llama/llama-engine.ts";
import type { Sampling } from "../../src/experts/expert.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { type TinyPresetName, tinyModel } from "../support/tiny-models.ts";

const storiesPath = path.join(repositoryRoot, "test/data/stories260K.gguf");
const demo = (name: string) => path.join(repositoryRoot, `models/demo/demo-${name}.gguf`);
const never = new AbortController().signal;

let native: Engine;
let plain: Engine;

async function createEngine(setting: "on" | "off"): Promise<Engine> {
  const before = process.env["GGUF_EXPERTS_NATIVE"];
  if (setting === "off") process.env["GGUF_EXPERTS_NATIVE"] = "off";
  try {
    return await createLlamaEngine({
      threads: 1,
      log: silentLogger,
      promptCache: {
        ramBytes: 2 ** 28,
        diskBytes: 0,
        maxAgeMs: 1e12,
        folder: null,
        clock: new ManualClock(),
        log: silentLogger,
      },
    });
  } finally {
    if (before === undefined) delete process.env["GGUF_EXPERTS_NATIVE"];
    else process.env["GGUF_EXPERTS_NATIVE"] = before;
  }
}

beforeAll(async () => {
  native = await createEngine("on");
  plain = await createEngine("off");
});

afterAll(async () => {
  await native.dispose();
  await plain.dispose();
});

async function withModel<T>(
  engine: Engine,
  modelPath: string,
  spec: Partial<LoadSpec>,
  work: (model: TextModel) => Promise<T>,
): Promise<T> {
  const model = await engine.load(
    { path: modelPath, purpose: "text", contextTokens: 1024, slots: 1, ...spec },
    { signal: never, onProgress: () => {} },
  );
  try {
    if (model.kind !== "text") throw new Error("expected a text model");
    return await work(model);
  } finally {
    await model.dispose();
  }
}

interface Answer {
  readonly text: string;
  readonly timings: GenerationTimings;
}

async function complete(
  model: TextModel,
  prompt: string,
  options: { readonly maxTokens?: number; readonly sampling?: Sampling; readonly signal?: AbortSignal } = {},
): Promise<Answer> {
  const { maxTokens = 48, sampling = { temperature: 0 }, signal = never } = options;
  const promptTokens = model.tokenize(prompt, { parseSpecial: true, addSpecial: true });
  let text = "";
  for await (const event of model.generate(
    { ...plainGeneration, promptTokens, promptField: "prompt", maxTokens, sampling },
    signal,
  )) {
    if (event.type === "text") text += event.text;
    if (event.type === "end") return { text, timings: event.timings };
  }
  throw new Error("no end");
}

const repeating = "One day, Lily went to the park. She saw a big dog. The dog was happy. ".repeat(3);

it("runs with the addon here, and without it where it is off", () => {
  expect(native.promptCache).not.toBeNull();
  expect(plain.promptCache).toBeNull();
});

describe("gives the same text with and without the addon", () => {
  const settings: Record<string, Sampling> = {
    "at temperature 0": { temperature: 0 },
    "at temperature 0 with penalties": {
      temperature: 0,
      repeatPenalty: 1.3,
      presencePenalty: 0.4,
      frequencyPenalty: 0.3,
    },
    "with the defaults": { seed: 5 },
    "hot, from all tokens": { seed: 6, temperature: 1.5, topK: 0, topP: 1, minP: 0 },
    "with top_k 5": { seed: 7, temperature: 1, topK: 5 },
    "with top_p and penalties": { seed: 8, temperature: 1, topP: 0.7, minP: 0, frequencyPenalty: 0.5 },
  };

  it.each(Object.entries(settings))("%s", async (_, sampling) => {
    const prompts = ["Once upon a time", repeating, "Tom and his mom"];
    const draw = (model: TextModel) =>
      Promise.all(prompts.map((prompt) => complete(model, prompt, { sampling, maxTokens: 60 })));
    const texts = async (engine: Engine) =>
      (await withModel(engine, storiesPath, { slots: 3, contextTokens: 512 }, draw)).map(({ text }) => text);
    expect(await texts(native)).toEqual(await texts(plain));
  });

  it.each(["agronomy", "qwen_coder", "mistral_balanced", "phi4_fast", "gemma3_multimodal", "aya_expanse_multilingual"])(
    "where the text repeats its prompt: demo model %s",
    async (name) => {
      const code =
        'function suma(a, b) {\n  return a + b;\n}\n{"role": "consulta", "respuesta_chat": "Riega por la mañana."}\n';
      const ask = (model: TextModel) => complete(model, code.repeat(3) + code.slice(0, 30), { maxTokens: 120 });
      const drafted = await withModel(native, demo(name), {}, ask);
      expect(drafted.text).toBe((await withModel(plain, demo(name), {}, ask)).text);
    },
  );
});

describe.each<TinyPresetName>(["tiny-qwen2", "tiny-llama", "tiny-gemma3", "tiny-phi3", "tiny-command-r"])(
  "%s",
  (preset) => {
    const talk = "¿Qué tal el riego de los olivos este verano? ".repeat(12);

    it("answers as if it had never left, after an eviction", async () => {
      const file = await tinyModel(preset);
      const first = await withModel(native, file, {}, (model) => complete(model, talk));
      const again = await withModel(native, file, {}, (model) => complete(model, talk + first.text + " Y luego?"));
      const afresh = await withModel(plain, file, {}, (model) => complete(model, talk + first.text + " Y luego?"));
      expect(again.text).toBe(afresh.text);
      expect(again.timings.cachedTokens).toBeGreaterThan(first.timings.promptTokens - 12);
      expect(again.timings.cachedTokens).toBeLessThan(again.timings.promptTokens);
    });

    it("answers conversations that take turns in one slot as if each had its own", async () => {
      const file = await tinyModel(preset);
      const other = "The quick brown fox jumps over the lazy dog. ".repeat(12);
      const prompts = [talk, other, `${talk} Sí.`, `${other} Yes.`, talk, other];
      const ask = async (model: TextModel) => {
        const answers: Answer[] = [];
        for (const prompt of prompts) answers.push(await complete(model, prompt, { maxTokens: 16 }));
        return answers;
      };
      const answers = await withModel(native, file, {}, ask);
      const expected = await withModel(plain, file, {}, ask);
      expect(answers.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
      const cached = answers.map(({ timings }) => timings.cachedTokens);
      expect(Math.min(cached[2] ?? 0, cached[3] ?? 0)).toBeGreaterThan(100);
    });

    // Two streams whose neighbour in between has ended change places: it costs less than to decode them apart for so long.
    it("answers as if alone, and finds every conversation again, when streams change places", async () => {
      const file = await tinyModel(preset);
      const prompts = [talk, "Once upon a time there was a dog. ".repeat(6), "Tom and his mom went out. ".repeat(6)];
      const ask = async (model: TextModel) => {
        const lengths = [200, 2, 200];
        const first = await Promise.all(
          prompts.map((prompt, index) => complete(model, prompt, { maxTokens: lengths[index] ?? 0 })),
        );
        const second: Answer[] = [];
        for (const [index, prompt] of prompts.entries()) {
          second.push(await complete(model, `${prompt}${first[index]?.text ?? ""} Y?`, { maxTokens: 8 }));
        }
        return { first, second };
      };
      const answers = await withModel(native, file, { slots: 3 }, ask);
      const expected = await withModel(plain, file, { slots: 3 }, ask);
      const textsOf = (list: readonly Answer[]) => list.map(({ text }) => text);
      expect(textsOf(answers.first)).toEqual(textsOf(expected.first));
      expect(textsOf(answers.second)).toEqual(textsOf(expected.second));
      // Written text comes back as other tokens, the prompt before it as the same. A sliding window has moved past that.
      const known = answers.first.map(({ timings }) => (preset === "tiny-gemma3" ? 0 : timings.promptTokens - 2));
      for (const [index, { timings }] of answers.second.entries())
        expect(timings.cachedTokens).toBeGreaterThanOrEqual(known[index] ?? Infinity);
    });

    it("reads what several prompts share once, and answers each as if alone", async () => {
      const file = await tinyModel(preset);
      const prompts = ["uno", "dos", "tres", "cuatro"].map((word) => `${talk} ${word}: `);
      const ask = (model: TextModel) =>
        Promise.all(prompts.map((prompt) => complete(model, prompt, { maxTokens: 16 })));
      const answers = await withModel(native, file, { slots: 4 }, ask);
      const expected = await withModel(plain, file, { slots: 4 }, ask);
      expect(answers.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
      const read = answers.map(({ timings }) => timings.promptTokens - timings.cachedTokens).sort((a, b) => a - b);
      expect(read[2]).toBeLessThan(40);
    });
  },
);

describe("a stream that is left", () => {
  it("stops in the middle of a pass, and its slot serves the next", async () => {
    await withModel(native, demo("mistral_balanced"), { contextTokens: 4096 }, async (model) => {
      const long = "Había una vez un río que cruzaba el valle. ".repeat(80);
      const leaving = new AbortController();
      const answer = complete(model, long, { signal: leaving.signal }).catch((error: unknown) => error);
      setImmediate(() => leaving.abort());
      expect(await answer).toBeInstanceOf(AbandonedError);
      const next = await complete(model, "Hola", { maxTokens: 8 });
      const alone = await withModel(plain, demo("mistral_balanced"), {}, (fresh) =>
        complete(fresh, "Hola", { maxTokens: 8 }),
      );
      expect(next.text).toBe(alone.text);
    });
  });
});
