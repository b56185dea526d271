// The engine on real files: a trained model against llama-server's recorded text, and a tiny model of each architecture
// whose likeliest token wins by a wide margin, so that its text must not depend on what ran before.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AbandonedError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import {
  plainGeneration,
  type Engine,
  type GenerationEvent,
  type LoadedModel,
  type LoadSpec,
  type TextModel,
} from "../../src/engine/engine.ts";
import { createLlamaEngine } from "../../src/engine/llama/llama-engine.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { type TinyPresetName, tinyModel } from "../support/tiny-models.ts";

const storiesPath = path.join(repositoryRoot, "test/data/stories260K.gguf");
const never = new AbortController().signal;
const greedy = { temperature: 0 };

let engine: Engine;
const loaded: LoadedModel[] = [];

beforeAll(async () => {
  engine = await createLlamaEngine({ threads: 1, log: silentLogger, promptCache: null });
});

afterAll(async () => {
  for (const model of loaded) await model.dispose();
  await engine.dispose();
});

async function load(modelPath: string, spec: Partial<LoadSpec> = {}): Promise<LoadedModel> {
  const model = await engine.load(
    { path: modelPath, purpose: "text", contextTokens: 256, slots: 1, ...spec },
    { signal: never, onProgress: () => {} },
  );
  loaded.push(model);
  return model;
}

async function loadText(modelPath: string, spec: Partial<LoadSpec> = {}): Promise<TextModel> {
  const model = await load(modelPath, spec);
  if (model.kind !== "text") throw new Error("expected a text model");
  return model;
}

interface Answer {
  text: string;
  reason: string | null;
  cachedTokens: number;
  generatedTokens: number;
}

async function collect(events: AsyncGenerator<GenerationEvent, void, void>): Promise<Answer> {
  const answer: Answer = { text: "", reason: null, cachedTokens: 0, generatedTokens: 0 };
  for await (const event of events) {
    if (event.type === "text") answer.text += event.text;
    if (event.type === "end") {
      answer.reason = event.reason;
      answer.cachedTokens = event.timings.cachedTokens;
      answer.generatedTokens = event.timings.generatedTokens;
    }
  }
  return answer;
}

function complete(model: TextModel, prompt: string, maxTokens: number | null): Promise<Answer> {
  const promptTokens = model.tokenize(prompt, { parseSpecial: true, addSpecial: true });
  return collect(
    model.generate({ ...plainGeneration, promptTokens, promptField: "prompt", maxTokens, sampling: greedy }, never),
  );
}

describe("a real trained model", () => {
  const golden = JSON.parse(readFileSync(path.join(repositoryRoot, "test/golden/stories260K.json"), "utf8")) as {
    cases: { prompt: string; max_tokens: number; text: string }[];
  };

  it.each(golden.cases)("continues $prompt as llama-server does", async ({ prompt, max_tokens, text }) => {
    const model = await loadText(storiesPath, { contextTokens: 2048 });
    expect((await complete(model, prompt, max_tokens)).text).toBe(text);
  });

  it("draws the same text again from the same seed, and another from another", async () => {
    const model = await loadText(storiesPath);
    const draw = (seed: number) =>
      collect(
        model.generate(
          {
            ...plainGeneration,
            promptTokens: model.tokenize("Once upon a time", { parseSpecial: true, addSpecial: true }),
            promptField: "prompt",
            maxTokens: 40,
            sampling: { temperature: 1, seed },
          },
          never,
        ),
      );
    const first = await draw(7);
    expect((await draw(7)).text).toBe(first.text);
    expect((await draw(8)).text).not.toBe(first.text);
  });

  it("repeats itself less under a frequency penalty", async () => {
    const model = await loadText(storiesPath);
    const draw = async (frequencyPenalty: number) => {
      const { text } = await collect(
        model.generate(
          {
            ...plainGeneration,
            promptTokens: model.tokenize("Once upon a time", { parseSpecial: true, addSpecial: true }),
            promptField: "prompt",
            maxTokens: 150,
            sampling: { temperature: 0, frequencyPenalty },
          },
          never,
        ),
      );
      const words = text.split(/\s+/);
      return new Set(words).size / words.length;
    };
    expect(await draw(1)).toBeGreaterThan(await draw(0));
  });
});

describe.each<TinyPresetName>(["tiny-qwen2", "tiny-llama", "tiny-gemma3", "tiny-phi3", "tiny-command-r"])(
  "%s",
  (preset) => {
    let model: TextModel;
    const prompts = ["Hola, ¿qué tal? ".repeat(6), "The quick brown fox jumps over the lazy dog. ".repeat(4)];

    beforeAll(async () => {
      model = await loadText(await tinyModel(preset), { slots: 2 });
    });

    it("gives the same text whatever ran before it, beside it, or stays in its cache", async () => {
      const [first = "", second = ""] = prompts;
      const alone = await complete(model, first, 24);
      const other = await complete(model, second, 24);
      expect(alone.generatedTokens).toBe(24);
      const cached = await complete(model, first, 24);
      expect(cached.cachedTokens).toBeGreaterThan(0);
      expect(cached.text).toBe(alone.text);
      const together = await Promise.all([complete(model, first, 24), complete(model, second, 24)]);
      expect(together.map(({ text }) => text)).toEqual([alone.text, other.text]);
      const fresh = await loadText(await tinyModel(preset));
      expect((await complete(fresh, first, 24)).text).toBe(alone.text);
    });

    it("fills its context to the last token and says length", async () => {
      const promptTokens = model.tokenize(prompts[0] ?? "", { parseSpecial: true, addSpecial: true });
      const answer = await collect(
        model.generate(
          { ...plainGeneration, promptTokens, promptField: "prompt", maxTokens: null, sampling: greedy },
          never,
        ),
      );
      expect(answer.reason).toBe("length");
      expect(promptTokens.length + answer.generatedTokens).toBe(model.contextTokens);
    });

    it("predicted what it holds in memory", async () => {
      const predicted = await engine.predictBytes({
        path: model.file.path,
        purpose: "text",
        contextTokens: 256,
        slots: 2,
      });
      expect(predicted / model.residentBytes).toBeGreaterThan(0.95);
      expect(predicted / model.residentBytes).toBeLessThan(1.05);
    });
  },
);

describe("requests that cannot be served", () => {
  it("refuses a prompt that fills the context, with both numbers", async () => {
    const model = await loadText(storiesPath, { contextTokens: 128 });
    await expect(
      collect(
        model.generate(
          { ...plainGeneration, promptTokens: Array(128).fill(5), promptField: "prompt", maxTokens: 1, sampling: {} },
          never,
        ),
      ),
    ).rejects.toMatchObject({
      status: 400,
      code: "context_length_exceeded",
      message: expect.stringMatching(/128 tokens.*128/),
    });
  });

  it.each([-1, 512, 1.5, Number.NaN])("refuses the token id %d", async (token) => {
    const model = await loadText(storiesPath);
    await expect(
      collect(
        model.generate(
          { ...plainGeneration, promptTokens: [1, token], promptField: "prompt", maxTokens: 1, sampling: {} },
          never,
        ),
      ),
    ).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(/prompt\[1\].*0 to 511/),
    });
  });
});

describe("a caller that leaves", () => {
  it("while its prompt is read: the rest is not read, and the slot serves the next", async () => {
    const model = await loadText(storiesPath, { contextTokens: 2048 });
    const leaving = new AbortController();
    const promptTokens = Array.from({ length: 2000 }, (_, index) => 3 + (index % 400));
    let readTokens = 0;
    await expect(
      (async () => {
        for await (const event of model.generate(
          { ...plainGeneration, promptTokens, promptField: "prompt", maxTokens: 1, sampling: greedy },
          leaving.signal,
        )) {
          if (event.type === "prefill") readTokens = event.readTokens;
          leaving.abort();
        }
      })(),
    ).rejects.toBeInstanceOf(AbandonedError);
    expect(readTokens).toBeLessThanOrEqual(1024);
    expect((await complete(model, "Once upon a time", 4)).generatedTokens).toBe(4);
  });
});

describe("embeddings", () => {
  it("are of length 1, the same each time, and different for different texts", async () => {
    const model = await load(await tinyModel("tiny-bert"), { purpose: "embedding", contextTokens: 128 });
    if (model.kind !== "embedding") throw new Error("expected an embedding model");
    const tokens = (text: string) => model.tokenize(text, { parseSpecial: false, addSpecial: true });
    const embed = async (text: string) => (await model.embed([tokens(text)], never))[0] ?? new Float32Array(0);
    const [first, again, other] = [await embed("uno dos"), await embed("uno dos"), await embed("three four five")];
    expect(first).toHaveLength(model.dimensions);
    expect(Math.hypot(...first)).toBeCloseTo(1, 5);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});

describe("memory", () => {
  it("is predicted for each context of a file as that context will take it", async () => {
    const path = await tinyModel("tiny-gemma3");
    const spec = { path, purpose: "text" as const, slots: 1 };
    const bytes = [];
    for (const contextTokens of [256, 1024, 2048]) {
      const predicted = await engine.predictBytes({ ...spec, contextTokens });
      const { residentBytes } = await load(path, { contextTokens });
      expect(predicted / residentBytes).toBeCloseTo(1, 1);
      bytes.push(predicted);
    }
    expect(bytes).toEqual(bytes.toSorted((left, right) => left - right));
    expect(new Set(bytes).size).toBe(bytes.length);
  });

  it("of an embedding model is predicted too", async () => {
    const path = await tinyModel("tiny-bert");
    const spec = { path, purpose: "embedding" as const, contextTokens: 128, slots: 1 };
    expect((await engine.predictBytes(spec)) / (await load(path, spec)).residentBytes).toBeCloseTo(1, 1);
  });

  it("holds no mapping of a file whose weights were rewritten or read, and one of a file that was left as it is", async () => {
    const mapped = () => readFileSync("/proc/self/maps", "utf8");
    const [plain, rewritten] = [await tinyModel("tiny-qwen2", { quant: "f16" }), await tinyModel("tiny-phi3")];
    await load(plain);
    await load(rewritten);
    expect(mapped()).toContain(plain);
    expect(mapped()).not.toContain(rewritten);
  });
});

describe("a load that is abandoned", () => {
  it("rejects once the engine has stopped, and the engine loads the next", async () => {
    const leaving = new AbortController();
    const load = engine.load(
      { path: await tinyModel("tiny-llama"), purpose: "text", contextTokens: 256, slots: 1 },
      { signal: leaving.signal, onProgress: () => leaving.abort(new AbandonedError()) },
    );
    await expect(load).rejects.toBeInstanceOf(AbandonedError);
    const model = await loadText(storiesPath);
    expect((await complete(model, "Once upon a time", 4)).generatedTokens).toBe(4);
  });
});

describe("a file that llama.cpp refuses", () => {
  it("fails to load with llama.cpp's own reason, and the engine goes on", async () => {
    const bytes = readFileSync(path.join(repositoryRoot, "models/demo/demo-phi4_fast.gguf"));
    // The type behind this key, a float, becomes an unsigned integer.
    const key = "qwen2.rope.freq_base";
    bytes.writeUInt32LE(4, bytes.indexOf(key) + key.length);
    const target = path.join(testFolder(), "wrong-type.gguf");
    writeFileSync(target, bytes);
    await expect(load(target)).rejects.toThrow(/wrong-type\.gguf cannot be loaded: .*rope\.freq_base.*wrong type/);
    const model = await loadText(storiesPath);
    expect((await complete(model, "Once upon a time", 4)).generatedTokens).toBe(4);
  });
});

describe("files that are no models", () => {
  const stories = readFileSync(storiesPath);
  const patched = (offset: number, bytes: number[]) => {
    const copy = Buffer.from(stories);
    copy.set(bytes, offset);
    return copy;
  };

  it.each([
    ["an empty file", "", /holds only 0 bytes/],
    ["a text file", "Not Found: no such model, sorry about that", /starts with "Not Found: n"/],
    ["another version", patched(4, [9]), /version 9/],
    ["half a file", stories.subarray(0, stories.length / 2), /truncated: tensor .* ends at byte/],
    ["half a header", stories.subarray(0, 3000), /announces|cut short/],
    ["absurd counts", patched(8, [255, 255, 255, 255, 255, 255, 255, 127]), /announces 9223372036854775807 tensors/],
    ["a folder", null, /cannot be read|is not a/],
  ])("%s is refused with one line that says why", async (_, bytes, reason) => {
    const target = path.join(testFolder(), "model.gguf");
    if (bytes === null) mkdirSync(target);
    else writeFileSync(target, bytes);
    const error = await engine.inspect(target).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).toMatch(reason);
    expect((error as Error).message).not.toContain("\n");
    expect((error as Error).message).toContain(target);
  });
});
