// Every sampler, alone and with a grammar: the texts that llama-server gives for the same settings and seeds, with drafts and
// without the addon too; and log probabilities against a softmax of their own.
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PublicError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import {
  type ChosenTokenLogprobs,
  type Engine,
  type GenerationRequest,
  plainGeneration,
  type TextModel,
} from "../../src/engine/engine.ts";
import { createLlamaEngine } from "../../src/engine/llama/llama-engine.ts";
import type { Sampling } from "../../src/experts/expert.ts";
import { parseGrammar } from "../../src/grammar/gbnf.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { tinyModel } from "../support/tiny-models.ts";

const storiesPath = path.join(repositoryRoot, "test/data/stories260K.gguf");
const never = new AbortController().signal;

interface Golden {
  readonly prompts: readonly string[];
  readonly grammars: Readonly<Record<string, string>>;
  readonly cases: readonly {
    readonly name: string;
    readonly sampling: Sampling;
    /** A name of `grammars`, or GBNF. */
    readonly grammar: string | null;
    readonly texts: readonly string[];
  }[];
}

const golden = JSON.parse(
  readFileSync(path.join(repositoryRoot, "test/golden/sampling.json"), "utf8"),
  (_key, value: unknown) => (value === "-Infinity" ? Number.NEGATIVE_INFINITY : value),
) as Golden;

let native: Engine;
let plain: Engine;
const models = new Map<Engine, TextModel>();

beforeAll(async () => {
  const create = () => createLlamaEngine({ threads: 1, log: silentLogger, promptCache: null });
  native = await create();
  process.env["GGUF_EXPERTS_NATIVE"] = "off";
  try {
    plain = await create();
  } finally {
    delete process.env["GGUF_EXPERTS_NATIVE"];
  }
  for (const engine of [native, plain]) models.set(engine, await load(engine, storiesPath));
});

afterAll(async () => {
  for (const model of models.values()) await model.dispose();
  await native.dispose();
  await plain.dispose();
});

async function load(engine: Engine, file: string): Promise<TextModel> {
  const model = await engine.load(
    { path: file, purpose: "text", contextTokens: 512, slots: 3 },
    { signal: never, onProgress: () => {} },
  );
  if (model.kind !== "text") throw new Error("expected a text model");
  return model;
}

interface Answer {
  readonly text: string;
  readonly reason: string;
  readonly logprobs: readonly ChosenTokenLogprobs[];
  readonly promptTokens: readonly number[];
}

async function complete(engine: Engine, prompt: string, request: Partial<GenerationRequest>): Promise<Answer> {
  const model = models.get(engine);
  if (model === undefined) throw new Error("no model");
  return completeWith(model, prompt, request);
}

async function completeWith(model: TextModel, prompt: string, request: Partial<GenerationRequest>): Promise<Answer> {
  const promptTokens = model.tokenize(prompt, { parseSpecial: true, addSpecial: true });
  let text = "";
  const logprobs: ChosenTokenLogprobs[] = [];
  const asked: GenerationRequest = {
    ...plainGeneration,
    promptTokens,
    promptField: "prompt",
    maxTokens: 60,
    sampling: { temperature: 0 },
    ...request,
  };
  for await (const event of model.generate(asked, never)) {
    if (event.type === "text") {
      text += event.text;
      logprobs.push(...(event.logprobs ?? []));
    }
    if (event.type === "end") return { text, reason: event.reason, logprobs, promptTokens };
  }
  throw new Error("no end");
}

function grammarOf(name: string | null) {
  return name === null ? null : parseGrammar(golden.grammars[name] ?? name);
}

describe("the text of llama-server", () => {
  it.each(golden.cases)("with $name", async ({ sampling, grammar, texts }) => {
    const request = { sampling, grammar: grammarOf(grammar) };
    // Together, so that their rows are sampled in one pass.
    const answers = await Promise.all(golden.prompts.map((prompt) => complete(native, prompt, request)));
    expect(answers.map(({ text }) => text)).toEqual(texts);
  });

  const unsupported = ({ typicalP = 1, topNSigma = -1, dryMultiplier = 0, temperature, xtcProbability }: Sampling) =>
    typicalP < 1 || topNSigma > 0 || dryMultiplier > 0 || (temperature === 0 && xtcProbability !== undefined);

  it.each(golden.cases.filter(({ sampling }) => !unsupported(sampling)))(
    "without the addon, with $name",
    async ({ sampling, grammar, texts }) => {
      const request = { sampling, grammar: grammarOf(grammar) };
      const answers = await Promise.all(golden.prompts.map((prompt) => complete(plain, prompt, request)));
      expect(answers.map(({ text }) => text)).toEqual(texts);
    },
  );

  it.each(golden.cases.filter(({ sampling }) => unsupported(sampling)))(
    "is refused without the addon, with $name",
    async ({ sampling }) => {
      await expect(complete(plain, "Once", { sampling })).rejects.toThrow(PublicError);
      await expect(complete(plain, "Once", { sampling })).rejects.toThrow(/^\w+ needs the native addon/u);
    },
  );
});

describe("a biased token that the vocabulary does not have", () => {
  it.each([512, -1, 1.5])("is refused: %s", async (token) => {
    for (const engine of [native, plain]) {
      const request = { sampling: { logitBias: [[token, 1]] } } as const;
      await expect(complete(engine, "Once", request)).rejects.toThrow(
        `logit_bias names the token ${token}; this model's tokens run from 0 to 511.`,
      );
    }
  });
});

describe("a grammar", () => {
  it("ends the text where it ends, also where the model would go on", async () => {
    for (const engine of [native, plain]) {
      const answer = await complete(engine, "Once upon a time", { grammar: parseGrammar('root ::= "abc"') });
      expect(answer).toMatchObject({ text: "abc", reason: "stop" });
    }
  });

  it("ends the text where the end is banned and nothing else may follow", async () => {
    const request = { grammar: parseGrammar('root ::= "abc"'), sampling: { temperature: 0, ignoreEos: true } };
    expect(await complete(native, "Once upon a time", request)).toMatchObject({ text: "abc", reason: "stop" });
  });

  it("that no token can write fails the stream, and no other", async () => {
    const bans = Array.from({ length: 512 }, (_, token) => [token, Number.NEGATIVE_INFINITY] as const);
    const dead = { grammar: parseGrammar('root ::= "abc"'), sampling: { temperature: 0, logitBias: bans } };
    const [failed, fine] = await Promise.allSettled([
      complete(native, "Once upon a time", dead),
      complete(native, "Once upon a time", { maxTokens: 8 }),
    ]);
    expect(failed).toMatchObject({ reason: { message: expect.stringMatching(/allows none of this model's tokens/u) } });
    expect(fine.status).toBe("fulfilled");
  });

  it("that can be read in too many ways fails the stream", async () => {
    // Where each letter belongs can be said in millions of ways.
    const rules = Array.from({ length: 22 }, (_, index) => `r${index} ::= r${index + 1} "a"? r${index + 1} | "a"`);
    const gbnf = `root ::= r0\n${rules.join("\n")}\nr22 ::= "a" | "b" | "ab"`;
    const request = { grammar: parseGrammar(gbnf), maxTokens: 200 };
    await expect(complete(native, "Once upon a time", request)).rejects.toMatchObject({
      status: 400,
      code: "invalid_grammar",
      message: expect.stringContaining("The grammar is too ambiguous") as string,
    });
  });

  it("lets control tokens stand for their text only where that is written", async () => {
    const file = await tinyModel("tiny-qwen2");
    const model = await load(native, file);
    try {
      const control = "<|im_start|>";
      const [token] = model.tokenize(control, { parseSpecial: true, addSpecial: false });
      const grammar = parseGrammar(`root ::= "x" | ${JSON.stringify(control)}`);
      const sampling: Sampling = { temperature: 0, logitBias: [[token ?? -1, 100]] };
      const tokensOf = async (preservedTokens: readonly string[]) => {
        const answer = await completeWith(model, "a", { grammar, sampling, preservedTokens, topLogprobs: 0 });
        return { text: answer.text, tokens: answer.logprobs.map((logprob) => logprob.token) };
      };
      expect(await tokensOf([control])).toEqual({ text: control, tokens: [token] });
      expect((await tokensOf([])).tokens).not.toContain(token);
    } finally {
      await model.dispose();
    }
  });
});

describe("log probabilities", () => {
  const samplings: Record<string, Sampling> = {
    greedy: { temperature: 0 },
    changed: { seed: 3, temperature: 1.3, logitBias: [[261, 3]], repeatPenalty: 1.4, ignoreEos: true },
  };

  it.each(Object.entries(samplings))("are those of the raw distribution: %s", async (_name, sampling) => {
    const answers = await Promise.all(
      [native, plain].map((engine) =>
        complete(engine, "Once upon a time", { sampling, topLogprobs: 20, maxTokens: 12 }),
      ),
    );
    const [ours, theirs] = answers.map(({ logprobs }) => logprobs);
    expect(ours).toHaveLength(12);
    ours?.forEach(({ token, logprob, top }, index) => {
      expect(token).toBe(theirs?.[index]?.token);
      expect(logprob).toBeCloseTo(theirs?.[index]?.logprob ?? 0, 3);
      expect(top.map((entry) => entry.token)).toEqual(theirs?.[index]?.top.map((entry) => entry.token));
      top.forEach((entry, rank) => expect(entry.logprob).toBeCloseTo(theirs?.[index]?.top[rank]?.logprob ?? 0, 4));
      const found = top.find((entry) => entry.token === token)?.logprob ?? logprob;
      expect(found).toBeCloseTo(logprob, 6);
    });
  });

  it("of all tokens sum up to one", async () => {
    // One after the other, each token is made the only one that may come.
    const first = async (token: number): Promise<number> => {
      const sampling: Sampling = { temperature: 0, logitBias: [[token, 1000]] };
      const { logprobs } = await complete(native, "Once upon a time", { sampling, topLogprobs: 0, maxTokens: 1 });
      return logprobs[0]?.logprob ?? Number.NEGATIVE_INFINITY;
    };
    let sum = 0;
    // The end of the text comes without any.
    for (let token = 0; token < 512; token++) sum += Math.exp(await first(token));
    expect(sum).toBeGreaterThan(0.98);
    expect(sum).toBeLessThan(1.0001);
  });

  it("come with drafted tokens, and with several streams of which only some ask", async () => {
    const repeating = golden.prompts[1] ?? "";
    const [asked, silent] = await Promise.all([
      complete(native, repeating, { topLogprobs: 3 }),
      complete(native, "Once upon a time", {}),
    ]);
    expect(asked.logprobs).toHaveLength(60);
    expect(asked.logprobs.every(({ token, top }) => top.length === 3 && top[0]?.token === token)).toBe(true);
    expect(silent.logprobs).toEqual([]);
    expect([asked.text, silent.text]).toEqual([golden.cases[0]?.texts[1], golden.cases[0]?.texts[0]]);
  });
});
