// The process that a model file is proven in: loads it, renders its chat template, computes with it, and tells its parent.
// What a hostile file breaks is this process alone. May import node-llama-cpp, its neighbours, engine.ts and core/.
import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { Worker } from "node:worker_threads";
import { getLlama, type Llama, type LlamaContext, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import { messageOf, PublicError } from "../../core/errors.ts";
import { asOneLine } from "../../core/words.ts";
import { type ChatMessage, type LoadedModel, plainGeneration, type TextModel, type Token } from "../engine.ts";
import {
  createNativeSampler,
  type NativeContext,
  nativeContextOf,
  type NativeSampler,
  openContext,
  openModel,
} from "./bindings.ts";
import { ComputeTurn } from "./compute-turn.ts";
import { LlamaEmbeddingModel } from "./embedding-model.ts";
import type { ProofMessage, ProofStage, ProofTask } from "./file-proof-messages.ts";
import { type GgufFile, readGgufFile, readingProblem } from "./gguf-file.ts";
import { planWeights } from "./memory-prediction.ts";
import { PlainDecoder } from "./plain-decoder.ts";
import { LlamaRankingModel } from "./ranking-model.ts";
import { LlamaTextModel } from "./text-model.ts";
import { PlainTextReader } from "./text-reader.ts";

const contextTokens = 64;
const contextOptions = {
  contextTokens,
  slots: 1,
  batchTokens: contextTokens,
  embeddings: false,
  ranking: false,
  threads: 1,
} as const;
/** More than one, because a batch of rows is multiplied by other code than a single one. */
const promptTokens = 8;
const generatedTokens = 3;
/** Of CPU time: rendering holds up everything else in the server. */
const templateLimitMs = 2000;
const lastWordsMs = 50;
const longestPromptCharacters = 2 ** 20;

const conversations: readonly (readonly ChatMessage[])[] = [
  [{ role: "user", content: "Hello" }],
  [
    { role: "system", content: "Answer briefly." },
    { role: "user", content: "What is 2 + 2?" },
    { role: "assistant", content: "4" },
    { role: "user", content: "¿Y 3 × 3?" },
  ],
];
/** Words, and characters that a vocabulary may lack: those of every byte, an astral one, one of private use. */
const sampleText = `The quick brown fox, 12 times.\n¡Olé! ${String.fromCodePoint(...Array(256).keys(), 0x1f33e, 0xe000)}`;

const firstError = { text: "" };

void main();

async function main(): Promise<void> {
  const send = (message: ProofMessage): void => {
    if (process.connected) process.send?.(message);
  };
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  endWithParent();
  const llama = await getLlama({
    build: "never",
    gpu: false,
    skipDownload: true,
    // Next to a server that computes: threads that wait for one another would hold up both.
    maxThreads: 1,
    logLevel: LlamaLogLevel.error,
    logger: (_, message) => {
      // The first line says what is wrong; those behind it only that something was.
      firstError.text ||= message.trim();
    },
  });
  yieldToOthers();
  process.on("message", (task: ProofTask) => {
    void problemOf(llama, task, (stage) => send({ type: "stage", stage })).then((problem) =>
      send({ type: "verdict", problem }),
    );
  });
  send({ type: "ready" });
}

/** A template that loops never lets this thread see that the parent is gone: another one looks. */
function endWithParent(): void {
  const watch = `const parent = ${process.ppid};
    setInterval(() => process.ppid === parent || process.kill(process.pid, "SIGKILL"), 500);`;
  new Worker(watch, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2 } }).unref();
}

/** Short of memory, the kernel is to end this process rather than the server; and a crash is to leave no dump behind. */
function yieldToOthers(): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", "1000");
    writeFileSync("/proc/self/coredump_filter", "0");
    setPriority(10);
  } catch {
    // Not every container lets a process do so; it is proven all the same.
  }
}

/** What is wrong with a file, in one line that names it. */
class UnusableFile extends Error {}

type OnStage = (stage: ProofStage) => void;

async function problemOf(llama: Llama, { path, purpose }: ProofTask, onStage: OnStage): Promise<string | null> {
  firstError.text = "";
  try {
    onStage("read");
    const file = await readGgufFile(path, llama).catch((error: unknown) => {
      throw new UnusableFile(messageOf(error), { cause: error });
    });
    const unfit = readingProblem(file, purpose);
    if (unfit !== null) throw new UnusableFile(`${path} ${unfit}`);
    onStage("load");
    // As it will be loaded later, but for a look at every weight.
    const model = await openModel(llama, {
      path,
      insights: file.insights,
      mapped: planWeights(file.tensors, llama.systemInfo).mapped,
      checkTensors: true,
      signal: new AbortController().signal,
      onProgress: () => {},
    });
    try {
      await (purpose === "text" ? tryText(llama, model, file, onStage) : tryReading(purpose, model, file, onStage));
    } finally {
      await model.dispose();
    }
    return null;
  } catch (error) {
    if (error instanceof UnusableFile) return asOneLine(error.message);
    // What llama.cpp has to say may come after the failure itself.
    if (firstError.text === "") await new Promise((resolve) => setTimeout(resolve, lastWordsMs));
    return asOneLine(`${path} cannot be loaded: ${reasonIn(firstError.text) || messageOf(error)}`);
  }
}

/** llama.cpp's message without the names of its functions; its word for NaN and infinite weights is "invalid data". */
function reasonIn(message: string): string {
  const [, tensor] = /tensor '(.*)' has invalid data/.exec(message) ?? [];
  if (tensor !== undefined) return `tensor ${tensor} holds values that are no numbers (NaN or infinite)`;
  return message.replace(/^(?:\w+: |error loading model(?: \w+)?: )+/, "");
}

async function tryText(llama: Llama, model: LlamaModel, file: GgufFile, onStage: OnStage): Promise<void> {
  const context = await openContext(model, contextOptions);
  const text = new LlamaTextModel({
    model,
    context,
    decoder: new PlainDecoder(llama, model, nativeContextOf(context)),
    file: file.summary,
    contextTokens,
    slots: 1,
    batchTokens: contextOptions.batchTokens,
    slidingWindowTokens: file.slidingWindowTokens,
    residentBytes: 0,
    vocabularySize: file.vocabulary.tokens,
    threads: { decode: 1, prefill: 1 },
    hasSpareCore: false,
    promptCache: null,
    learned: null,
    onLearned: () => {},
    turn: new ComputeTurn(),
  });
  onStage("prompt");
  tryTemplate(text, file.summary.path);
  tryEveryToken(model);
  const prompt = sampleTokens(text);
  onStage("compute");
  await checkNumbers(llama, model, context, prompt, file.summary.path);
  const generation = text.generate(
    {
      ...plainGeneration,
      promptTokens: prompt,
      promptField: "prompt",
      maxTokens: generatedTokens,
      sampling: { seed: 1 },
    },
    new AbortController().signal,
  );
  for await (const event of generation) if (event.type === "end") break;
  await context.dispose();
}

async function tryReading(
  purpose: "embedding" | "ranking",
  model: LlamaModel,
  file: GgufFile,
  onStage: OnStage,
): Promise<void> {
  const context = await openContext(model, { ...contextOptions, embeddings: true, ranking: purpose === "ranking" });
  const parts = {
    model,
    context,
    reader: new PlainTextReader({ context: nativeContextOf(context), width: model.embeddingVectorSize }),
    file: file.summary,
    contextTokens,
    batchTokens: contextTokens,
    residentBytes: 0,
    vocabularySize: file.vocabulary.tokens,
    turn: new ComputeTurn(),
  };
  const never = new AbortController().signal;
  let values: Iterable<number>;
  if (purpose === "embedding") {
    const embedder = new LlamaEmbeddingModel(parts);
    onStage("compute");
    [values = []] = await embedder.embed([sampleTokens(embedder)], never);
  } else {
    const reranker = new LlamaRankingModel({ ...parts, template: file.reading.rankingTemplate });
    reranker.pairTokens(sampleText, sampleText);
    onStage("compute");
    values = await reranker.score([sampleTokens(reranker)], never);
  }
  if ([...values].some((value) => !Number.isFinite(value))) throw new UnusableFile(notNumbers(file.summary.path));
  await context.dispose();
}

/** What a template refuses is its right; what it does to the server's time and memory is not. */
function tryTemplate(text: TextModel, path: string): void {
  const start = process.cpuUsage();
  for (const conversation of conversations) {
    let characters = 0;
    try {
      characters = text.renderChat(conversation, { addGenerationPrompt: true }).text.length;
    } catch (error) {
      if (!(error instanceof PublicError)) throw error;
    }
    if (characters > longestPromptCharacters) {
      throw new UnusableFile(`${path} has a chat template that makes ${characters} characters of a short conversation`);
    }
  }
  const { user, system } = process.cpuUsage(start);
  const milliseconds = (user + system) / 1000;
  if (milliseconds > templateLimitMs) {
    throw new UnusableFile(
      `${path} has a chat template that computes for ${Math.round(milliseconds)} ms on short conversations`,
    );
  }
}

function tryEveryToken(model: LlamaModel): void {
  const tokens = [...model.iterateAllTokens()];
  for (let start = 0; start < tokens.length; start += 1000) model.detokenize(tokens.slice(start, start + 1000), true);
}

function sampleTokens(model: LoadedModel): Token[] {
  const tokens = model.tokenize(sampleText, { parseSpecial: true, addSpecial: true }).slice(0, promptTokens);
  return tokens.length === 0 ? [0] : tokens;
}

/** Reads the prompt in one batch and a token in another, and looks at what comes out of both. */
async function checkNumbers(
  llama: Llama,
  model: LlamaModel,
  context: LlamaContext,
  prompt: readonly Token[],
  path: string,
): Promise<void> {
  const native = nativeContextOf(context);
  const sampler = createNativeSampler(llama, model);
  sampler.applyConfig({ temperature: 0, topK: 0, topP: 1, minP: 0, seed: 0 });
  let position = 0;
  for (const batch of [prompt, prompt.slice(0, 1)]) {
    native.initBatch(batch.length);
    const [row = 0] = native.addToBatch(0, position, Uint32Array.from(batch), Uint32Array.of(batch.length - 1));
    await native.decodeBatch();
    const weight = await logitWeight(native, row, sampler);
    if (!Number.isFinite(weight)) throw new UnusableFile(notNumbers(path));
    position += batch.length;
  }
  native.disposeSequence(0);
  sampler.dispose();
}

/** The sum of exp(logit - largest logit) over the vocabulary: no finite number where a logit is NaN or infinite. */
async function logitWeight(context: NativeContext, batchRow: number, sampler: NativeSampler): Promise<number> {
  const weighing = context as unknown as {
    /** Flags: probabilities, confidence, logits, weight. */
    sampleToken(row: number, sampler: NativeSampler, ...flags: boolean[]): Promise<readonly (number | undefined)[]>;
  };
  return (await weighing.sampleToken(batchRow, sampler, false, false, false, true))[4] ?? Number.NaN;
}

function notNumbers(path: string): string {
  return `${path} computes values that are no numbers (NaN or infinite)`;
}
