// The engine over node-llama-cpp: starts llama.cpp's CPU backend once, predicts, loads. The prebuilt binaries only: nothing
// is compiled or downloaded at run time. May import node-llama-cpp, its neighbours, engine.ts and core/.
import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { getLlama, type Llama, type LlamaContext, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import { formatBytes } from "../../core/bytes.ts";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { StateBuffer } from "../prompt-cache/held-state.ts";
import { PromptCache, type PromptCacheOptions } from "../prompt-cache/prompt-cache.ts";
import { wantedContextTokens } from "../context-size.ts";
import type {
  Engine,
  EngineDescription,
  LoadedModel,
  LoadOptions,
  LoadSpec,
  ModelFileInfo,
  ThreadCounts,
} from "../engine.ts";
import type { FileIdentity } from "../file-memory.ts";
import { type ContextOptions, nativeContextOf, nativeModelOf, openContext, openModel } from "./bindings.ts";
import { ComputeTurn } from "./compute-turn.ts";
import type { LearnedCosts } from "./decode-loop.ts";
import type { Decoder } from "./decoder.ts";
import { LlamaEmbeddingModel } from "./embedding-model.ts";
import { type GgufFile, readGgufFile, readingProblem, readsInParts } from "./gguf-file.ts";
import { MemoryPrediction, planWeights, uncountedBytes, untouchedBytes, type WeightPlan } from "./memory-prediction.ts";
import { loadNativeAddon } from "./native-addon.ts";
import { NativeDecoder } from "./native-decoder.ts";
import type { NativeExports } from "./native-exports.ts";
import { PlainDecoder } from "./plain-decoder.ts";
import { LlamaRankingModel } from "./ranking-model.ts";
import { LlamaTextModel } from "./text-model.ts";
import { NativeTextReader, PlainTextReader, prepareForTexts, type TextReader } from "./text-reader.ts";

/** Rows of a batch: llama.cpp's own default for a physical batch. */
const batchTokens = 512;

/**
 * Below this a model's matrices are so small that its threads spend their time waiting for one another, and one busy
 * neighbour on their cores stops them all: one thread is faster.
 */
const singleThreadBelowBytes = 32 * 2 ** 20;

/** What writing conversations to disk may take when the process ends. */
const promptCacheCloseMs = 5000;

export interface LlamaEngineOptions {
  /** Threads that compute; more than there are physical cores makes all of them slower. */
  readonly threads: number;
  /** What was measured to be best for a file on this machine; null where nothing was. Default: nothing. */
  readonly tunedThreads?: (identity: FileIdentity) => ThreadCounts | null;
  readonly log: Logger;
  /** Where conversations go that lose their slot; null: nowhere. */
  readonly promptCache: Omit<PromptCacheOptions, "allocate"> | null;
}

/** Throws an Error with a one-line reason where no prebuilt binary runs on this machine. */
export async function createLlamaEngine(options: LlamaEngineOptions): Promise<Engine> {
  const lastError = { text: "" };
  const llama = await getLlama({
    build: "never",
    gpu: false,
    skipDownload: true,
    maxThreads: options.threads,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => {
      const text = message.trim();
      if (text === "") return;
      if (isAbortedPass(text)) return;
      if (level === LlamaLogLevel.error || level === LlamaLogLevel.fatal) {
        // The first line says what is wrong; those behind it only that something was.
        lastError.text ||= text;
        options.log.error({ from: "llama.cpp" }, text);
      } else {
        options.log.debug({ from: "llama.cpp" }, text);
      }
    },
  });
  const addon = loadNativeAddon({ log: options.log });
  const promptCache =
    options.promptCache === null || addon === null
      ? null
      : await PromptCache.open({ ...options.promptCache, allocate: (sizeBytes) => stateBuffer(addon, sizeBytes) });
  return new LlamaEngine(llama, options, { addon, promptCache, lastError });
}

/** What llama.cpp says of a pass that was broken off because everybody in it had left; real failures have other numbers. */
function isAbortedPass(line: string): boolean {
  return /graph_compute_async failed with error 1$|compute status: 1$|failed to decode, ret = 2$|removing memory module entries/.test(
    line,
  );
}

function stateBuffer(addon: NativeExports, sizeBytes: number): StateBuffer {
  const buffer = addon.allocateState(sizeBytes);
  return { bytes: new Uint8Array(buffer), free: () => addon.freeState(buffer) };
}

/** A file as it was when it was last looked at. */
interface KnownFile {
  readonly identity: FileIdentity;
  readonly file: GgufFile;
  readonly plan: WeightPlan;
  readonly prediction: MemoryPrediction;
  /** What its last time in memory taught. */
  learned: LearnedCosts | null;
}

interface EngineParts {
  /** Null: node-llama-cpp alone, slower. */
  readonly addon: NativeExports | null;
  readonly promptCache: PromptCache | null;
  readonly lastError: { text: string };
}

class LlamaEngine implements Engine {
  readonly description: EngineDescription;
  readonly promptCache: PromptCache | null;
  readonly #addon: NativeExports | null;
  readonly #llama: Llama;
  readonly #threads: number;
  readonly #tunedThreads: (identity: FileIdentity) => ThreadCounts | null;
  readonly #log: Logger;
  readonly #turn = new ComputeTurn();
  /** By path, until the file changes: a header with 150,000 pieces of vocabulary takes a quarter of a second to read. */
  readonly #files = new Map<string, { readonly identity: FileIdentity; readonly known: Promise<KnownFile> }>();

  /** llama.cpp tells what is wrong with a file only in its log. */
  readonly #lastError: { text: string };

  constructor(llama: Llama, options: LlamaEngineOptions, { addon, promptCache, lastError }: EngineParts) {
    this.#addon = addon;
    // Threads that compute while the process takes itself apart make it crash.
    if (addon !== null) process.once("exit", addon.stop);
    this.promptCache = promptCache;
    this.#lastError = lastError;
    this.#llama = llama;
    this.#threads = options.threads;
    this.#tunedThreads = options.tunedThreads ?? (() => null);
    this.#log = options.log;
    this.description = {
      name: `node-llama-cpp with llama.cpp ${llama.llamaCppRelease.release}`,
      threads: options.threads,
      systemInfo: llama.systemInfo.trim(),
    };
  }

  async inspect(path: string): Promise<ModelFileInfo> {
    return (await this.#read(path)).file.summary;
  }

  async predictBytes(spec: LoadSpec): Promise<number> {
    const { file, prediction } = await this.#read(spec.path);
    return this.#withReason(spec.path, () => prediction.predict(contextOf(spec, file, this.#addon)));
  }

  async load(spec: LoadSpec, options: LoadOptions): Promise<LoadedModel> {
    const known = await this.#read(spec.path);
    const { file, plan } = known;
    const threads = this.#threadsFor(known);
    const problem = readingProblem(file, spec.purpose);
    if (problem !== null) throw new Error(`${spec.path} ${problem}`);
    options.signal.throwIfAborted();
    this.#log.info(
      { path: spec.path, mapped: plan.mapped, repackedBytes: plan.repackedBytes, threads },
      plan.mapped
        ? "its file is mapped"
        : `its file is read, not mapped: ${formatBytes(plan.repackedBytes)} of it are rewritten for this CPU`,
    );
    const model = await this.#withReason(
      spec.path,
      () => openModel(this.#llama, { path: spec.path, insights: file.insights, mapped: plan.mapped, ...options }),
      options.signal,
    );
    try {
      const context = await openContext(model, { ...contextOf(spec, file, this.#addon), threads: mostOf(threads) });
      try {
        const loaded = await this.#wrap(model, context, known, spec, threads);
        options.signal.throwIfAborted();
        return loaded;
      } catch (error) {
        await context.dispose();
        throw error;
      }
    } catch (error) {
      await model.dispose();
      throw error;
    }
  }

  async #wrap(
    model: LlamaModel,
    context: LlamaContext,
    known: KnownFile,
    spec: LoadSpec,
    threads: ThreadCounts,
  ): Promise<LoadedModel> {
    const { file } = known;
    const options = contextOf(spec, file, this.#addon);
    const { contextTokens } = options;
    const parts = {
      model,
      file: file.summary,
      contextTokens,
      vocabularySize: vocabularySizeOf(file),
      residentBytes: residentBytes(model, context, file, options),
      turn: this.#turn,
    };
    if (spec.purpose !== "text") {
      const reader = this.#readerOver(model, context, options.batchTokens, threads.prefill);
      const reading = { ...parts, context, reader, batchTokens: options.batchTokens };
      return spec.purpose === "embedding"
        ? new LlamaEmbeddingModel(reading)
        : new LlamaRankingModel({ ...reading, template: file.reading.rankingTemplate });
    }
    const text = new LlamaTextModel({
      ...parts,
      context,
      decoder: this.#decoderOver(model, context, spec.slots, mostOf(threads)),
      slots: spec.slots,
      batchTokens,
      slidingWindowTokens: file.slidingWindowTokens,
      threads,
      hasSpareCore: threads.decode < availableParallelism(),
      promptCache:
        this.promptCache === null
          ? null
          : { cache: this.promptCache, modelKey: modelKey(known, spec, contextTokens, this.description.name) },
      learned: known.learned,
      onLearned: (learned) => (known.learned = learned),
    });
    await text.warmUp();
    return text;
  }

  #decoderOver(model: LlamaModel, context: LlamaContext, slots: number, threads: number): Decoder {
    const native = nativeContextOf(context);
    if (this.#addon !== null) {
      try {
        return new NativeDecoder({ addon: this.#addon, context: native, batchTokens, slots, threads });
      } catch (error) {
        this.#log.warn({}, `the native addon is not used for this model, which costs speed: ${messageOf(error)}`);
      }
    }
    return new PlainDecoder(this.#llama, model, native);
  }

  #readerOver(model: LlamaModel, context: LlamaContext, batchTokens: number, threads: number): TextReader {
    const native = nativeContextOf(context);
    return this.#addon === null
      ? new PlainTextReader({ context: native, width: model.embeddingVectorSize })
      : new NativeTextReader(this.#addon, { context: native, batchTokens, threads });
  }

  /** Puts llama.cpp's own reason in place of a bare failure. */
  async #withReason<T>(path: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#lastError.text = "";
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted === true) throw error;
      // The log comes over from llama.cpp's thread by way of the event loop, at times after the failure itself.
      for (let turn = 0; turn < 2; turn++) await setImmediate();
      const reason = this.#lastError.text === "" ? messageOf(error) : this.#lastError.text;
      throw new Error(`${path} cannot be loaded: ${reason}`, { cause: error });
    }
  }

  async #read(path: string): Promise<KnownFile> {
    const status = await stat(path).catch(() => null);
    const identity = { path, sizeBytes: status?.size ?? 0, modifiedMs: status?.mtimeMs ?? 0 };
    const last = this.#files.get(path);
    if (last !== undefined && status !== null && isDeepStrictEqual(last.identity, identity)) return last.known;
    void last?.known.then(
      ({ prediction }) => prediction.dispose(),
      () => {},
    );
    const known = readGgufFile(path, this.#llama).then((file) => {
      const plan = planWeights(file.tensors, this.#llama.systemInfo);
      return { file, plan, prediction: new MemoryPrediction(this.#llama, file, plan), identity, learned: null };
    });
    this.#files.set(path, { identity, known });
    return known;
  }

  #threadsFor({ identity, file }: KnownFile): ThreadCounts {
    const rule = file.summary.sizeBytes < singleThreadBelowBytes ? 1 : this.#threads;
    const { decode, prefill } = this.#tunedThreads(identity) ?? { decode: rule, prefill: rule };
    return { decode: Math.min(decode, this.#threads), prefill: Math.min(prefill, this.#threads) };
  }

  async dispose(): Promise<void> {
    const known = await Promise.allSettled([...this.#files.values()].map((entry) => entry.known));
    for (const result of known) if (result.status === "fulfilled") await result.value.prediction.dispose();
    if (this.#addon !== null) process.off("exit", this.#addon.stop);
    await this.promptCache?.close(promptCacheCloseMs);
    await this.#llama.dispose();
  }
}

function mostOf({ decode, prefill }: ThreadCounts): number {
  return Math.max(decode, prefill);
}

/** Whatever changes the bytes of a saved sequence state, or what they mean. */
function modelKey(
  { identity, file }: KnownFile,
  { path, slots }: LoadSpec,
  contextTokens: number,
  engineName: string,
): string {
  const flashAttention = file.insights.flashAttentionSupported ? "flash attention" : "no flash attention";
  return [
    path,
    `${identity.sizeBytes}:${identity.modifiedMs}`,
    `${slots} x ${contextTokens}`,
    flashAttention,
    "KV f16",
    engineName,
  ].join(" ");
}

/** The context that a spec asks for. */
function contextOf(spec: LoadSpec, { summary, reading }: GgufFile, addon: NativeExports | null): ContextOptions {
  const contextTokens = wantedContextTokens(spec.contextTokens, summary.trainContextTokens);
  if (spec.purpose === "text") {
    return { contextTokens, slots: spec.slots, batchTokens, embeddings: false, ranking: false };
  }
  const textBatchTokens = readsInParts(reading) ? Math.min(batchTokens, contextTokens) : contextTokens;
  return {
    contextTokens,
    slots: 1,
    batchTokens: textBatchTokens,
    embeddings: true,
    ranking: spec.purpose === "ranking",
    ...(addon === null ? {} : { prepare: (context) => prepareForTexts(addon, context, textBatchTokens) }),
  };
}

/** llama.cpp's own count of what it allocated, less what is never touched, and what it does not count. */
function residentBytes(model: LlamaModel, context: LlamaContext, file: GgufFile, options: ContextOptions): number {
  const countedBytes =
    nativeModelOf(model).getMemoryBreakdown().cpuRam + nativeContextOf(context).getMemoryBreakdown().cpuRam;
  return countedBytes - untouchedBytes(file, options) + uncountedBytes(file);
}

function vocabularySizeOf({ vocabulary, summary }: GgufFile): number {
  if (!(vocabulary.tokens > 0)) throw new Error(`${summary.path} holds no vocabulary`);
  return vocabulary.tokens;
}
