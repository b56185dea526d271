// The engine over node-llama-cpp: starts llama.cpp's CPU backend once, predicts, loads. The prebuilt binaries only: nothing
// is compiled or downloaded at run time. May import node-llama-cpp, its neighbours, engine.ts and core/.
import { stat } from "node:fs/promises";
import { getLlama, GgufInsights, type Llama, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import type { Logger } from "../../core/log.ts";
import type { Engine, EngineDescription, LoadedModel, LoadOptions, LoadSpec, ModelFileInfo } from "../engine.ts";
import { nativeContextOf, nativeModelBytes } from "./bindings.ts";
import { ComputeTurn } from "./compute-turn.ts";
import { LlamaEmbeddingModel } from "./embedding-model.ts";
import { type GgufFile, readGgufFile } from "./gguf-file.ts";
import { repackedBytes } from "./repacked-bytes.ts";
import { LlamaTextModel } from "./text-model.ts";

/** Rows of a batch: llama.cpp's own default for a physical batch. */
const batchTokens = 512;
const disposeLimitMs = 2000;
/** Context of an expert that names none and was trained for more. */
const defaultContextTokens = 8192;

/**
 * Below this a model's matrices are so small that its threads spend their time waiting for one another, and one busy
 * neighbour on their cores stops them all: one thread is faster.
 */
const singleThreadBelowBytes = 32 * 2 ** 20;

export interface LlamaEngineOptions {
  /** Threads that compute; more than there are physical cores makes all of them slower. */
  readonly threads: number;
  readonly log: Logger;
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
      if (level === LlamaLogLevel.error || level === LlamaLogLevel.fatal) {
        // The first line says what is wrong; those behind it only that something was.
        lastError.text ||= text;
        options.log.error({ from: "llama.cpp" }, text);
      } else {
        options.log.debug({ from: "llama.cpp" }, text);
      }
    },
  });
  return new LlamaEngine(llama, options, lastError);
}

class LlamaEngine implements Engine {
  readonly description: EngineDescription;
  readonly #llama: Llama;
  readonly #threads: number;
  readonly #turn = new ComputeTurn();
  /** Headers by path, until the file changes: one with 150,000 pieces of vocabulary takes a tenth of a second to read. */
  readonly #headers = new Map<string, { readonly identity: string; readonly file: Promise<GgufFile> }>();

  /** llama.cpp tells what is wrong with a file only in its log. */
  readonly #lastError: { text: string };

  constructor(llama: Llama, options: LlamaEngineOptions, lastError: { text: string }) {
    this.#lastError = lastError;
    this.#llama = llama;
    this.#threads = options.threads;
    this.description = {
      name: `node-llama-cpp with llama.cpp ${llama.llamaCppRelease.release}`,
      threads: options.threads,
      systemInfo: llama.systemInfo.trim(),
    };
  }

  async inspect(path: string): Promise<ModelFileInfo> {
    return (await this.#read(path)).summary;
  }

  async predictBytes(spec: LoadSpec): Promise<number> {
    const file = await this.#read(spec.path);
    const insights = await GgufInsights.from(file.header, this.#llama);
    const weights = await insights.estimateModelResourceRequirementsV2({ gpuLayers: 0, useMmap: true });
    const context = await insights.estimateContextResourceRequirementsV2({
      contextSize: contextTokensOf(spec, file.summary),
      modelGpuLayers: 0,
      sequences: spec.slots,
      batchSize: batchTokens,
      flashAttention: "auto",
      isEmbeddingContext: spec.purpose === "embedding",
      useMmap: true,
    });
    return weights.cpuRam + repackedBytes(file.tensors, this.#llama.systemInfo) + context.cpuRam;
  }

  async load(spec: LoadSpec, options: LoadOptions): Promise<LoadedModel> {
    const file = await this.#read(spec.path);
    options.signal.throwIfAborted();
    // The pool decides what fits; the library's own memory checks would only second-guess its ledger.
    this.#lastError.text = "";
    const model = await this.#llama
      .loadModel({
        modelPath: spec.path,
        gpuLayers: 0,
        ignoreMemorySafetyChecks: true,
        loadSignal: options.signal,
        onLoadProgress: options.onProgress,
      })
      .catch((error: unknown) => {
        if (options.signal.aborted || this.#lastError.text === "") throw error;
        throw new Error(`${spec.path} cannot be loaded: ${this.#lastError.text}`, { cause: error });
      });
    try {
      return spec.purpose === "embedding"
        ? await this.#openEmbedding(model, file, spec)
        : await this.#openText(model, file, spec, options.signal);
    } catch (error) {
      await model.dispose();
      throw error;
    }
  }

  async #openText(model: LlamaModel, file: GgufFile, spec: LoadSpec, signal: AbortSignal): Promise<LlamaTextModel> {
    const contextTokens = contextTokensOf(spec, file.summary);
    const context = await model.createContext({
      contextSize: contextTokens,
      sequences: spec.slots,
      batchSize: batchTokens,
      threads: this.#threadsFor(file.summary),
      failedCreationRemedy: false,
      ignoreMemorySafetyChecks: true,
      createSignal: signal,
    });
    const slidingWindow = file.header.architectureMetadata.attention?.sliding_window;
    const text = new LlamaTextModel({
      llama: this.#llama,
      model,
      context,
      file: file.summary,
      contextTokens,
      slots: spec.slots,
      batchTokens,
      slidingWindowTokens: typeof slidingWindow === "number" && slidingWindow > 0 ? slidingWindow : null,
      vocabularySize: vocabularySizeOf(file),
      residentBytes: nativeModelBytes(model) + nativeContextOf(context).getMemoryBreakdown().cpuRam,
      turn: this.#turn,
    });
    try {
      await text.warmUp();
      signal.throwIfAborted();
    } catch (error) {
      await context.dispose();
      throw error;
    }
    return text;
  }

  async #openEmbedding(model: LlamaModel, file: GgufFile, spec: LoadSpec): Promise<LlamaEmbeddingModel> {
    const contextTokens = contextTokensOf(spec, file.summary);
    const context = await model.createEmbeddingContext({
      contextSize: contextTokens,
      batchSize: contextTokens,
      threads: this.#threadsFor(file.summary),
      ignoreMemorySafetyChecks: true,
    });
    const vocabularySize = vocabularySizeOf(file);
    return new LlamaEmbeddingModel({
      model,
      context,
      file: file.summary,
      contextTokens,
      vocabularySize,
      turn: this.#turn,
    });
  }

  async #read(path: string): Promise<GgufFile> {
    const status = await stat(path).catch(() => null);
    const identity = `${status?.size}:${status?.mtimeMs}`;
    const known = this.#headers.get(path);
    if (known !== undefined && status !== null && known.identity === identity) return known.file;
    const file = readGgufFile(path, this.#llama);
    this.#headers.set(path, { identity, file });
    return file;
  }

  #threadsFor(file: ModelFileInfo): number {
    return file.sizeBytes < singleThreadBelowBytes ? 1 : this.#threads;
  }

  async dispose(): Promise<void> {
    // A load that failed inside the library keeps a handle that its dispose waits for without end; the process's own end
    // frees the rest.
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, disposeLimitMs)));
    await Promise.race([this.#llama.dispose(), limit]);
    clearTimeout(timer);
  }
}

/** What a slot holds: as asked, never more than the model was trained for. */
function contextTokensOf(spec: LoadSpec, file: ModelFileInfo): number {
  return Math.min(spec.contextTokens ?? defaultContextTokens, file.trainContextTokens);
}

function vocabularySizeOf(file: GgufFile): number {
  // The library keeps a long list as its length alone.
  const tokens: unknown = file.header.metadata.tokenizer?.ggml?.tokens;
  const size = (tokens as { length?: number } | undefined)?.length ?? 0;
  if (!(size > 0)) throw new Error(`${file.summary.path} holds no vocabulary`);
  return size;
}
