// An Engine without any model, for tests of what stands above it. Automatic (the default): every load and dispose
// succeeds at once and generate() echoes the user's words. By hand: the test takes each load, dispose or generation with
// `nextLoad()`, `nextDispose()`, `nextGeneration()` and decides what happens. Broken promises of the caller (a model
// disposed twice, disposed while in use, loaded twice) are collected in `violations`; `trackLeases` adds leases to "in use".
import { deferred, type Deferred } from "../../src/core/deferred.ts";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import type {
  ChatMessage,
  EmbeddingModel,
  Engine,
  GenerationEvent,
  GenerationRequest,
  LoadedModel,
  LoadOptions,
  LoadSpec,
  MeasuredTime,
  MeasuredWork,
  ModelFileInfo,
  RenderedPrompt,
  RankingModel,
  RenderOptions,
  TemplateFacts,
  TextModel,
  Token,
  VocabularyFacts,
} from "../../src/engine/engine.ts";
import type { FileIdentity } from "../../src/engine/file-memory.ts";
import type { ModelFiles, ModelFileState } from "../../src/engine/model-files.ts";
import type { ReadAheadRoom } from "../../src/engine/read-ahead.ts";
import type { ModelPool } from "../../src/pool/pool.ts";

/** What the test decides by hand instead of its happening at once. */
export interface Manual {
  readonly load?: boolean;
  readonly dispose?: boolean;
  readonly generate?: boolean;
}

/** One file as the fake knows it. Every field may be changed later with `define`. */
export interface FakeFile {
  /** Default `present`. */
  readonly file?: ModelFileState["state"];
  /** Why the file is invalid. */
  readonly reason?: string;
  /** Default 1000. */
  readonly predictedBytes?: number;
  /** `residentBytes` of the loaded model. Default: as predicted. */
  readonly measuredBytes?: number;
  /** Default 4096. */
  readonly trainContextTokens?: number;
  /** Bytes for other contexts than the one that `predictedBytes` is for. */
  readonly predictedBytesOf?: Readonly<Record<number, number>>;
  /** False: must be proven first. Default true. */
  readonly proven?: boolean;
  /** What a proof finds wrong with it. */
  readonly flaw?: string;
  /** Automatic loads fail with this. */
  readonly loadError?: Error;
  readonly manual?: Manual;
  /** Default: the template knows neither tools nor thinking. */
  readonly template?: TemplateFacts;
  /** Default: none. */
  readonly infill?: VocabularyFacts["infill"];
  /** What an automatic generation says to a prompt's text. Default: the last user message, or else the whole prompt. */
  readonly reply?: (promptText: string) => string;
  /** Default: a token a millisecond, on cores of its own. */
  readonly measure?: (work: MeasuredWork) => MeasuredTime;
}

export interface FakeEngineOptions {
  /** For files that don't say. Default: nothing is manual. */
  readonly manual?: Manual;
  /** By path. A path that is not defined is a present file of 1000 bytes. */
  readonly files?: Readonly<Record<string, FakeFile>>;
}

/** A load under the test's hand. `succeed` and `fail` settle it; an abandoned one stays pending until either. */
export interface FakeLoad {
  readonly spec: LoadSpec;
  /** Whether the caller's signal has fired. */
  readonly abandoned: boolean;
  progress(share: number): void;
  /** `measuredBytes` overrides the file's. */
  succeed(measuredBytes?: number): FakeModel;
  fail(error?: Error): void;
}

export interface FakeDispose {
  readonly model: FakeModel;
  finish(): void;
  fail(error: Error): void;
}

/** A generation under the test's hand: events are delivered as the consumer asks for them. */
export interface FakeGeneration {
  readonly request: GenerationRequest;
  readonly signal: AbortSignal;
  /** The prompt's tokens as text. */
  readonly promptText: string;
  /** Resolves when the generator has finished: ended, failed, returned or abandoned. */
  readonly finished: Promise<void>;
  prefill(readTokens: number): void;
  text(text: string): void;
  end(reason: "stop" | "length"): void;
  fail(error: Error): void;
  /** From here on an abandoned generation runs on until `stop()`: for tests that nothing is freed too early. */
  resistAbort(): void;
  stop(): void;
}

export type FakeModel = LoadedModel & { readonly path: string };

/** Waiting tests and arriving items, in either order. */
class Mailbox<T> {
  readonly #items: T[] = [];
  readonly #takers: Deferred<T>[] = [];

  put(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#items.push(item);
    else taker.resolve(item);
  }

  take(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    const taker = deferred<T>();
    this.#takers.push(taker);
    return taker.promise;
  }

  get size(): number {
    return this.#items.length;
  }
}

interface PathState {
  file: FakeFile;
  /** The same object until the file is defined anew, as from ModelFiles. */
  info: ModelFileInfo | null;
  /** How often it was defined. */
  version: number;
  loading: boolean;
  /** Loaded and not yet disposed. */
  model: LoadedModel | null;
  loads: number;
  disposals: number;
}

export class FakeEngine implements Engine {
  readonly promptCache = null;
  readonly description = { name: "fake engine 1.0", threads: 2, systemInfo: "FAKE = 1" };
  /** What a caller did that it must never do; a test asserts that it stays empty. */
  readonly violations: string[] = [];
  /** Every generation's request, in order, automatic or not. */
  readonly generationRequests: GenerationRequest[] = [];
  /** Paths that were to be proven, in order. */
  readonly proofs: string[] = [];
  /** Files that are being read into the page cache. */
  readonly readingAhead = new Set<string>();
  /** How much of them may be read now, by the last that was begun. */
  readAheadRoom: ReadAheadRoom | null = null;
  disposed = false;
  readonly #manual: Manual;
  readonly #paths = new Map<string, PathState>();
  readonly #loads = new Mailbox<FakeLoad>();
  readonly #disposals = new Mailbox<FakeDispose>();
  readonly #generations = new Mailbox<FakeGeneration>();
  /** Leases, generations and embeddings that use a model just now. */
  readonly #users = new Map<LoadedModel, number>();
  readonly #wasDisposed = new WeakSet<LoadedModel>();
  readonly #vocabulary: string[] = [];
  readonly #tokenIds = new Map<string, Token>();

  constructor(options: FakeEngineOptions = {}) {
    this.#manual = options.manual ?? {};
    for (const [path, file] of Object.entries(options.files ?? {})) this.define(path, file);
  }

  /** Adds a file, or changes what is said here about one. */
  define(path: string, file: FakeFile): void {
    const state = this.#path(path);
    state.file = { ...state.file, ...file };
    state.info = null;
    state.version += 1;
  }

  /** Stands in for ModelFiles. */
  readonly files: Pick<ModelFiles, "look" | "prove" | "isProven" | "stillThere" | "readAhead"> = {
    look: async (path) => {
      const { file } = this.#path(path);
      if (file.file === "missing") return { state: "missing", reason: `${path} does not exist` };
      if (file.file === "invalid") return { state: "invalid", reason: file.reason ?? `${path} is not a GGUF file` };
      return { state: "present", info: this.#info(path), identity: this.#identity(path) };
    },
    prove: async (path, _purpose, signal) => {
      const { file } = this.#path(path);
      this.proofs.push(path);
      await Promise.resolve();
      if (signal.aborted) throw new AbandonedError();
      if (file.flaw !== undefined) {
        this.define(path, { file: "invalid", reason: file.flaw });
        throw new Error(file.flaw);
      }
      // What is known of it changes, not the file itself.
      this.#path(path).file = { ...file, proven: true };
    },
    isProven: ({ path }) => this.#path(path).file.proven ?? true,
    stillThere: async ({ path, modifiedMs }) =>
      modifiedMs === this.#path(path).version ? null : `${path} changed while it was in use`,
    readAhead: async (path, room, signal) => {
      if (this.readingAhead.has(path)) this.violations.push(`${path} is read ahead twice at the same time`);
      this.readingAhead.add(path);
      this.readAheadRoom = room;
      return new Promise((resolve) => {
        const end = () => {
          this.readingAhead.delete(path);
          resolve(0);
        };
        signal.addEventListener("abort", end, { once: true });
      });
    },
  };

  /** The next load that the engine was asked for, of those under the test's hand. */
  nextLoad(): Promise<FakeLoad> {
    return this.#loads.take();
  }

  nextDispose(): Promise<FakeDispose> {
    return this.#disposals.take();
  }

  nextGeneration(): Promise<FakeGeneration> {
    return this.#generations.take();
  }

  /** Loads that were asked for and not yet taken with `nextLoad`. */
  get untakenLoads(): number {
    return this.#loads.size;
  }

  loadCount(path: string): number {
    return this.#path(path).loads;
  }

  disposeCount(path: string): number {
    return this.#path(path).disposals;
  }

  isLoaded(path: string): boolean {
    return this.#path(path).model !== null;
  }

  /** Measured bytes of what is loaded, and predicted bytes of what is loading. */
  get usedBytes(): number {
    let bytes = 0;
    for (const { model, loading, file } of this.#paths.values()) {
      bytes += model?.residentBytes ?? (loading ? predicted(file) : 0);
    }
    return bytes;
  }

  /** The same pool, whose leases count as use of their model: disposing a leased model becomes a violation. */
  trackLeases(pool: ModelPool): ModelPool {
    return {
      acquire: async (modelId, options) => {
        const lease = await pool.acquire(modelId, options);
        if (this.#wasDisposed.has(lease.model)) this.violations.push(`a lease of ${modelId} on a disposed model`);
        this.#use(lease.model);
        let released = false;
        return {
          ...lease,
          release: () => {
            if (released) this.violations.push(`a lease of ${modelId} released twice`);
            else this.#unuse(lease.model);
            released = true;
            lease.release();
          },
        };
      },
      status: () => pool.status(),
      events: () => pool.events(),
      peek: (modelId) => pool.peek(modelId),
      unload: (modelId) => pool.unload(modelId),
      lift: (modelId) => pool.lift(modelId),
      close: (deadlineMs) => pool.close(deadlineMs),
    };
  }

  async inspect(path: string): Promise<ModelFileInfo> {
    const look = await this.files.look(path);
    if (look.state !== "present") throw new Error(look.reason);
    return look.info;
  }

  async predictBytes(spec: LoadSpec): Promise<number> {
    await this.inspect(spec.path);
    const { file } = this.#path(spec.path);
    return file.predictedBytesOf?.[spec.contextTokens ?? 0] ?? predicted(file);
  }

  async load(spec: LoadSpec, options: LoadOptions): Promise<LoadedModel> {
    const state = this.#path(spec.path);
    if (this.disposed) this.violations.push(`${spec.path} loaded on a disposed engine`);
    if (state.loading) this.violations.push(`${spec.path} loaded while it is loading`);
    if (state.model !== null) this.violations.push(`${spec.path} loaded although it is loaded`);
    if (options.signal.aborted) throw new AbandonedError();
    state.loading = true;
    state.loads += 1;
    try {
      const measuredBytes = this.#isManual(spec.path, "load")
        ? await this.#manualLoad(spec, options)
        : await automaticLoad(state.file, options);
      return (state.model = this.#model(spec, measuredBytes));
    } finally {
      state.loading = false;
    }
  }

  async dispose(): Promise<void> {
    this.disposed = true;
    for (const [path, { model }] of this.#paths) {
      if (model !== null) this.violations.push(`the engine was disposed while ${path} was loaded`);
    }
  }

  #path(path: string): PathState {
    let state = this.#paths.get(path);
    if (state === undefined) {
      state = { file: {}, info: null, version: 0, loading: false, model: null, loads: 0, disposals: 0 };
      this.#paths.set(path, state);
    }
    return state;
  }

  #isManual(path: string, what: keyof Manual): boolean {
    return this.#path(path).file.manual?.[what] ?? this.#manual[what] ?? false;
  }

  #info(path: string): ModelFileInfo {
    const state = this.#path(path);
    const { file } = state;
    return (state.info ??= {
      path,
      sizeBytes: predicted(file),
      architecture: "fake",
      name: path,
      trainContextTokens: file.trainContextTokens ?? 4096,
      parameterCount: 1000,
      quantization: "F32",
      hasChatTemplate: true,
    });
  }

  #identity(path: string): FileIdentity {
    return { path, sizeBytes: this.#info(path).sizeBytes, modifiedMs: this.#path(path).version };
  }

  #manualLoad(spec: LoadSpec, options: LoadOptions): Promise<number> {
    const { file } = this.#path(spec.path);
    const done = deferred<number>();
    this.#loads.put({
      spec,
      get abandoned() {
        return options.signal.aborted;
      },
      progress: options.onProgress,
      succeed: (measuredBytes) => {
        const bytes = measuredBytes ?? file.measuredBytes ?? predicted(file);
        const state = this.#path(spec.path);
        // The model exists from now on, one microtask before the caller has it.
        const model = this.#model(spec, bytes);
        state.model = model;
        state.loading = false;
        done.resolve(bytes);
        return model;
      },
      fail: (error) => done.reject(error ?? new AbandonedError("the load was abandoned")),
    });
    return done.promise;
  }

  #model(spec: LoadSpec, residentBytes: number): FakeModel {
    const { path } = spec;
    const present = this.#path(path).model as FakeModel | null;
    if (present !== null) return present;
    const file = this.#info(path);
    const base = {
      path,
      file,
      contextTokens: spec.contextTokens ?? Math.min(file.trainContextTokens, 8192),
      residentBytes,
      tokenize: (text: string, options: { parseSpecial: boolean }) => this.#tokenize(text, options.parseSpecial),
    };
    if (spec.purpose === "embedding") {
      const model: EmbeddingModel & { path: string } = {
        ...base,
        kind: "embedding",
        dimensions: 8,
        embed: async (inputs, signal) => {
          this.#checkUsable(model, "embed");
          if (signal.aborted) throw new AbandonedError();
          return inputs.map((tokens) => unitVector(tokens, 8));
        },
        dispose: () => this.#disposeModel(model),
      };
      return model;
    }
    if (spec.purpose === "ranking") {
      const model: RankingModel & { path: string } = {
        ...base,
        kind: "ranking",
        pairTokens: (query, document) => this.#tokenize(`${query}\n${document}`, false),
        // The more words they share.
        score: async (pairs, signal) => {
          this.#checkUsable(model, "score");
          if (signal.aborted) throw new AbandonedError();
          return pairs.map(
            (tokens) => tokens.length - new Set(tokens.map((token) => this.detokenize([token]).trim())).size,
          );
        },
        dispose: () => this.#disposeModel(model),
      };
      return model;
    }
    const model: TextModel & { path: string } = {
      ...base,
      kind: "text",
      template: this.#path(path).file.template ?? plainTemplate,
      vocabulary: { size: 1_000_000, bosText: "", eosText: "", infill: this.#path(path).file.infill ?? null },
      tokenBytes: (token) => Buffer.from(this.detokenize([token])),
      detokenize: (tokens) => this.detokenize(tokens),
      renderChat: (messages, options) => this.#render(messages, options),
      generate: (request, signal) => this.#generate(model, request, signal),
      measure: async (work) => {
        this.#checkUsable(model, "measure");
        const { measure = allTheSame } = this.#path(path).file;
        return measure(work);
      },
      dispose: () => this.#disposeModel(model),
    };
    return model;
  }

  async #disposeModel(model: FakeModel): Promise<void> {
    const { path } = model;
    const state = this.#path(path);
    state.disposals += 1;
    if (this.#wasDisposed.has(model)) this.violations.push(`${path} disposed twice`);
    if ((this.#users.get(model) ?? 0) > 0) this.violations.push(`${path} disposed while in use`);
    this.#wasDisposed.add(model);
    if (this.#isManual(path, "dispose")) {
      const done = deferred<void>();
      this.#disposals.put({ model, finish: () => done.resolve(), fail: (error) => done.reject(error) });
      await done.promise;
    }
    state.model = null;
  }

  #use(model: LoadedModel): void {
    this.#users.set(model, (this.#users.get(model) ?? 0) + 1);
  }

  #unuse(model: LoadedModel): void {
    this.#users.set(model, (this.#users.get(model) ?? 0) - 1);
  }

  #checkUsable(model: FakeModel, what: string): void {
    if (this.#wasDisposed.has(model)) this.violations.push(`${what} on ${model.path}, which is disposed`);
  }

  /** Words with the blanks before them are tokens; `<|…|>` is one special token where `parseSpecial` says so. */
  #tokenize(text: string, parseSpecial: boolean): Token[] {
    const parts = parseSpecial ? text.split(/(<\|[a-z_]+\|>)/) : [text];
    return parts.flatMap((part, index) =>
      index % 2 === 1
        ? [this.#token(`special:${part}`)]
        : (part.match(/\s*\S+|\s+$/g) ?? []).map((w) => this.#token(w)),
    );
  }

  #token(word: string): Token {
    let id = this.#tokenIds.get(word);
    if (id === undefined) {
      id = this.#vocabulary.push(word) - 1;
      this.#tokenIds.set(word, id);
    }
    return id;
  }

  /** The text of tokens, special ones included. */
  detokenize(tokens: readonly Token[]): string {
    return tokens.map((token) => (this.#vocabulary[token] ?? ` <${token}>`).replace(/^special:/, "")).join("");
  }

  #render(messages: readonly ChatMessage[], options: RenderOptions): RenderedPrompt {
    const tokens: Token[] = [];
    const add = (text: string, parseSpecial: boolean) => tokens.push(...this.#tokenize(text, parseSpecial));
    messages.forEach((message, index) => {
      const open = !options.addGenerationPrompt && index === messages.length - 1;
      add(`<|im_start|>${message.role}\n`, true);
      add(message.content, false);
      if (!open) add("<|im_end|>\n", true);
    });
    if (options.addGenerationPrompt) add("<|im_start|>assistant\n", true);
    const generationPrompt = options.addGenerationPrompt ? "<|im_start|>assistant\n" : "";
    return { text: this.detokenize(tokens), tokens, generationPrompt };
  }

  async *#generate(
    model: FakeModel,
    request: GenerationRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GenerationEvent, void, void> {
    this.#checkUsable(model, "generate");
    this.generationRequests.push(request);
    const promptTokens = request.promptTokens.length;
    if (promptTokens >= model.contextTokens) {
      throw new PublicError(
        `The prompt has ${promptTokens} tokens, the context of this model ${model.contextTokens}.`,
        { status: 400, type: "exceed_context_size_error", code: "context_length_exceeded", shouldRetry: false },
      );
    }
    this.#use(model);
    try {
      if (this.#isManual(model.path, "generate")) yield* this.#manualGeneration(request, signal);
      else yield* this.#automaticGeneration(model, request, signal);
    } finally {
      this.#unuse(model);
    }
  }

  async *#automaticGeneration(model: FakeModel, request: GenerationRequest, signal: AbortSignal) {
    const promptTokens = request.promptTokens.length;
    const promptText = this.detokenize(request.promptTokens);
    const reply = this.#path(model.path).file.reply ?? echo;
    const words = this.#tokenize(reply(promptText), false);
    const limit = Math.min(request.maxTokens ?? Infinity, model.contextTokens - promptTokens);
    if (signal.aborted) throw new AbandonedError();
    yield { type: "prefill", promptTokens, cachedTokens: 0, readTokens: promptTokens } as const;
    for (const token of words.slice(0, limit)) {
      // A turn of the event loop, so that a consumer that leaves is noticed between tokens.
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) throw new AbandonedError();
      yield { type: "text", text: this.detokenize([token]), tokens: [token], ...logprobsOf([token], request) } as const;
    }
    const generatedTokens = Math.min(words.length, limit);
    const reason = words.length > limit ? "length" : "stop";
    yield { type: "end", reason, timings: timings(promptTokens, generatedTokens) } as const;
  }

  async *#manualGeneration(request: GenerationRequest, signal: AbortSignal) {
    const promptTokens = request.promptTokens.length;
    const events = new Mailbox<{ readonly event: GenerationEvent } | { readonly error: Error }>();
    const finished = deferred<void>();
    const stopped = deferred<void>();
    let resists = false;
    let generatedTokens = 0;
    const onAbort = () => {
      if (!resists) events.put({ error: new AbandonedError() });
    };
    const detokenize = (tokens: readonly Token[]) => this.detokenize(tokens);
    this.#generations.put({
      request,
      signal,
      get promptText() {
        return detokenize(request.promptTokens);
      },
      finished: finished.promise,
      prefill: (readTokens) => events.put({ event: { type: "prefill", promptTokens, cachedTokens: 0, readTokens } }),
      text: (text) => {
        const tokens = this.#tokenize(text, false);
        generatedTokens += tokens.length;
        events.put({ event: { type: "text", text, tokens, ...logprobsOf(tokens, request) } });
      },
      end: (reason) => events.put({ event: { type: "end", reason, timings: timings(promptTokens, generatedTokens) } }),
      fail: (error) => events.put({ error }),
      resistAbort: () => {
        resists = true;
      },
      stop: () => {
        stopped.resolve();
        events.put({ error: new AbandonedError() });
      },
    });
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (;;) {
        const item = await events.take();
        if ("error" in item) throw item.error;
        yield item.event;
        if (item.event.type === "end") return;
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (resists) await stopped.promise;
      finished.resolve();
    }
  }
}

function predicted(file: FakeFile): number {
  return file.predictedBytes ?? 1000;
}

async function automaticLoad(file: FakeFile, options: LoadOptions): Promise<number> {
  await Promise.resolve();
  if (options.signal.aborted) throw new AbandonedError();
  if (file.loadError !== undefined) throw file.loadError;
  options.onProgress(1);
  return file.measuredBytes ?? predicted(file);
}

/** The last user message of a rendered conversation; of any other prompt all of it. */
function echo(promptText: string): string {
  const turns = [...promptText.matchAll(/<\|im_start\|>user\n(.*?)<\|im_end\|>/gs)];
  return turns.at(-1)?.[1] ?? promptText;
}

/** Invented but constant: a millisecond for each prompt token, ten for each generated one. */
function timings(promptTokens: number, generatedTokens: number) {
  return { promptTokens, cachedTokens: 0, generatedTokens, promptMs: promptTokens, generatedMs: generatedTokens * 10 };
}

const plainTemplate: TemplateFacts = {
  source: null,
  takesTools: false,
  takesToolMessages: false,
  thinking: null,
  switchesThinking: false,
};

/** Every token was chosen with the log probability -0.5, and was the likeliest. */
function logprobsOf(tokens: readonly Token[], { topLogprobs }: GenerationRequest) {
  if (topLogprobs === null) return {};
  const logprobs = tokens.map((token) => ({
    token,
    logprob: -0.5,
    top: [{ token, logprob: -0.5 }].slice(0, topLogprobs),
  }));
  return { logprobs };
}

/** The same tokens give the same vector of length 1. */
function unitVector(tokens: readonly Token[], dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions).fill(0.1);
  tokens.forEach((token, index) => {
    const place = (token + index) % dimensions;
    vector[place] = (vector[place] ?? 0) + 1;
  });
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / norm);
}

function allTheSame({ threads, tokens }: MeasuredWork): MeasuredTime {
  return { elapsedMs: tokens, cpuMs: tokens * threads };
}
