// The composition root: the only place that names the concrete engine, pool, router, telemetry and dialects, and puts them
// together. May import everything below.
import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { allDialects } from "./api/dialects.ts";
import type { ReloadReport, Services } from "./api/services.ts";
import { createChatService } from "./chat/chat-service.ts";
import type { ChatService } from "./chat/contract.ts";
import { probe } from "./chat/probe.ts";
import { compareConfigs, restartNotices, summariseChanges } from "./config/compare.ts";
import type { AppConfig } from "./config/config.ts";
import { describeSource } from "./config/describe-source.ts";
import { exposureWarning } from "./config/exposure.ts";
import { ConfigError, reloadConfig } from "./config/load.ts";
import { promptCacheSettings, type PromptCacheSettings } from "./config/prompt-cache.ts";
import { warmUpIds } from "./config/warm-up.ts";
import { formatBytes } from "./core/bytes.ts";
import { systemClock } from "./core/clock.ts";
import { messageOf, PublicError } from "./core/errors.ts";
import { type AdjustableLogger, type Logger, silentLogger } from "./core/log.ts";
import { oneAtATime } from "./core/one-at-a-time.ts";
import type { PoolEvent } from "./core/pool-event.ts";
import { describePoolEvent } from "./core/pool-event-text.ts";
import { packageVersion } from "./core/version.ts";
import type { Engine, ThreadCounts } from "./engine/engine.ts";
import { type FileIdentity, FileMemory } from "./engine/file-memory.ts";
import { createFileProver } from "./engine/llama/file-proof.ts";
import { createLlamaEngine } from "./engine/llama/llama-engine.ts";
import { ModelFiles, type ModelFileState } from "./engine/model-files.ts";
import { stateFolderOf } from "./engine/state-folder.ts";
import { ExpertCatalogue } from "./experts/catalogue.ts";
import type { Embedder, Expert, Reranker } from "./experts/expert.ts";
import { loadManifest, missingFileAdvice, packageManifestPath } from "./experts/manifest.ts";
import { createHttpApp, type HttpApp, type RunningRequest } from "./http/app.ts";
import { availableMemory, memoryReserveBytes } from "./machine/available-memory.ts";
import {
  coresDescription,
  memoryLimitBytes,
  processShareBytes,
  ramBudgetBytes,
  readMachine,
  recommendedThreads,
} from "./machine/machine.ts";
import { ownAnonymousBytes } from "./machine/memory.ts";
import type { Lease, ModelStatus } from "./pool/pool.ts";
import { EnginePool, type EnginePoolOptions, type PoolModel } from "./pool/model-pool.ts";
import { createKeywordRouter } from "./routing/keyword-router.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { RequestStats } from "./telemetry/request-stats.ts";

/** How long a model that left the configuration can still be leased by requests that were routed to it before. */
const removalGraceMs = 5000;

export interface App {
  /** Answers by the configuration that is in force when a request comes. */
  readonly http: HttpApp;
  readonly services: Pick<Services, "poolStatus">;
  /** The one in force. */
  config(): AppConfig;
  /** What the operator should know at the start, a line each. */
  describe(): Promise<AppDescription>;
  /** Loads what the configuration wants in memory from the start; failures are logged, never thrown. */
  warmUp(): Promise<void>;
  /**
   * Reads the configuration again and serves by it; running and waiting requests are not touched. Logs what changed, and
   * what was wrong. Rejects with a PublicError that names every problem; then the old configuration stays in force.
   */
  reload(): Promise<ReloadReport>;
  /** From now on health says "draining" and new work is refused. */
  drain(): void;
  /** Waits for the leases that are out, at most `deadlineMs`, then frees the models and the engine. */
  close(deadlineMs: number): Promise<void>;
}

export interface AppDescription {
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
}

export interface AppOptions extends Partial<Pick<EnginePoolOptions, "quarantined" | "onActivity">> {
  /** An operator ended this model's quarantine. */
  readonly onLifted?: (modelId: string) => void;
  /** Another configuration is in force. */
  readonly onConfig?: (config: AppConfig) => void;
  /** What the command line says: wins over the configuration, also over one that is read later. */
  readonly host?: string | null;
  readonly port?: number | null;
}

/** With how many threads a file's model is fastest; null where that was not measured. */
type TunedThreads = (identity: FileIdentity) => ThreadCounts | null;

/** The engine as this machine should run it; without a configuration it keeps no conversations. */
export async function createEngine(
  config: AppConfig | null,
  log: Logger = silentLogger,
  tunedThreads: TunedThreads = () => null,
): Promise<Engine> {
  const { cpu, cgroup } = readMachine();
  const settings = config === null ? null : promptCacheOf(config);
  if (settings !== null && settings.warning !== null) log.warn({}, settings.warning);
  return createLlamaEngine({
    threads: recommendedThreads(cpu, cgroup).threads,
    tunedThreads,
    log,
    promptCache: settings === null ? null : { ...settings, clock: systemClock, log },
  });
}

function promptCacheOf(config: AppConfig): PromptCacheSettings {
  const budgetBytes = ramBudgetBytes(config.memory, readMachine()).bytes;
  return promptCacheSettings(config.promptCache, budgetBytes, stateFolderOf(process.env));
}

export async function createApp(loaded: AppConfig, log: AdjustableLogger, options: AppOptions = {}): Promise<App> {
  const withOverrides = (config: AppConfig): AppConfig => {
    const { host, port } = config.server;
    return { ...config, server: { ...config.server, host: options.host ?? host, port: options.port ?? port } };
  };
  const started = withOverrides(loaded);
  const shared = await createShared(started, log, options);
  const { engine, pool, files, stats, metrics } = shared;
  const running = new Set<RunningRequest>();
  const startedAtMs = systemClock.epochMs();
  let draining = false;

  /** All that depends on the configuration, as one value: a request sees the old one or the new one, never a mixture. */
  const createServing = (config: AppConfig): Serving => {
    const { catalogue, chat } = createUseCases(config, shared, log);
    const modelOf = (modelId: string) => poolModels(config).find(({ id }) => id === modelId)?.spec;
    const services: Services = {
      version: packageVersion,
      startedAtMs,
      clock: systemClock,
      chat,
      engine: engine.description,
      experts: () => catalogue.experts,
      dropsParameters: config.dropsParameters,
      embedder: () => config.embedder,
      reranker: () => config.reranker,
      defaultModel: () => config.defaultModel,
      resolveModel: (name) => catalogue.find(name),
      poolStatus: () => pool.status(),
      poolEvents: () => pool.events(),
      loadExpert: async (modelId, signal, keepAliveMs) => {
        const lease = await pool.acquire(modelId, { signal, keepAliveMs: keepAliveMs ?? undefined });
        lease.release();
      },
      unloadExpert: (modelId) => pool.unload(modelId),
      liftQuarantine: (modelId) => {
        const lifted = pool.lift(modelId);
        if (lifted) {
          options.onLifted?.(modelId);
          // Pinned ones are in memory from the start.
          if (catalogue.find(modelId)?.keep === true) void pool.warmUp([modelId]);
        }
        // A file that failed its proof gets another one too.
        void files.forgetProof(modelOf(modelId)?.path ?? modelId).catch(() => {});
        return lifted;
      },
      reload: async () => reload(),
      fileState: (modelId) => {
        const { path, purpose } = modelOf(modelId) ?? { path: modelId, purpose: "text" };
        return files.look(path, purpose);
      },
      stats: () => stats.snapshot(),
      metricsText: () => metrics.text(),
      probe: (modelId, signal) => probe(chat, modelId, systemClock, signal),
      isDraining: () => draining,
    };
    const dialects = allDialects(services);
    return { config, http: createHttpApp({ dialects, server: config.server, clock: systemClock, log, running }) };
  };
  let serving = createServing(started);

  const configuredPool = new ConfiguredPool(shared, started);
  // Not waited for: the port is to answer while slow disks are looked at.
  let identities = fileIdentities(started, files);
  const warmUp = async (ids: readonly string[]) => {
    await pool.refreshFiles();
    await pool.warmUp(ids);
  };

  const reload = oneAtATime(async (): Promise<ReloadReport> => {
    try {
      if (draining) throw refusedWhileDraining();
      const before = serving.config;
      const config = withOverrides(
        await reloadConfig(before.source, { env: process.env, workingDirectory: process.cwd() }),
      );
      // Built before anything is changed: what fails here leaves all as it was.
      const next = createServing(config);
      const oldFiles = await identities;
      const newFiles = await fileIdentities(config, files);
      // From here on nothing is awaited, so that no request finds the pool without the models that it may name.
      configuredPool.reconfigure(config);
      engine.promptCache?.setLimits(promptCacheOf(config));
      serving = next;
      options.onConfig?.(config);
      log.setLevel(config.server.logLevel);
      const changes = compareConfigs(before, config, differing(oldFiles, newFiles));
      identities = Promise.resolve(newFiles);
      const summary = summariseChanges(before, config, changes);
      const source = describeSource(config);
      const { warnings } = await describeApp(config, engine, files);
      const report: ReloadReport = {
        source: { path: config.source.path, resolvedPath: config.source.resolvedPath },
        expertsBefore: before.experts.length,
        experts: config.experts.length,
        summary,
        ...changes,
        warnings: [...(source.warning === null ? [] : [source.warning]), ...config.warnings, ...warnings],
        restart: restartNotices(started, config),
      };
      for (const line of [...source.lines, `configuration reloaded: ${summary}`]) log.info({}, line);
      for (const warning of [...report.warnings, ...report.restart]) log.warn({}, warning);
      const wasWarm = new Set(warmUpIds(before).filter((id) => !changes.changed.includes(id)));
      void warmUp(warmUpIds(config).filter((id) => !wasWarm.has(id)));
      return report;
    } catch (error) {
      const problems = error instanceof ConfigError ? error.message.split("\n") : [messageOf(error)];
      for (const problem of problems) log.error({}, problem);
      log.error({}, "the configuration was not reloaded: the old one stays in force");
      throw error instanceof ConfigError ? badConfig(problems) : error;
    }
  });

  return {
    http: {
      fetch: (request, bindings) => serving.http.fetch(request, bindings),
      request: (path, init) => serving.http.request(path, init),
      abortAll: (error) => serving.http.abortAll(error),
    },
    services: { poolStatus: () => pool.status() },
    config: () => serving.config,
    describe: () => describeApp(serving.config, engine, files),
    warmUp: () => warmUp(warmUpIds(serving.config)),
    reload,
    drain: () => {
      draining = true;
    },
    close: async (deadlineMs) => {
      draining = true;
      configuredPool.dispose();
      await closeShared(shared, deadlineMs);
    },
  };
}

interface Serving {
  readonly config: AppConfig;
  readonly http: HttpApp;
}

/** The pool as configurations follow one another. */
class ConfiguredPool {
  readonly #pool: EnginePool;
  readonly #engine: Engine;
  readonly #ownBytes: number;
  /** Models that left the configuration: requests that chose one of them before may still be on their way to the pool. */
  readonly #departing = new Map<string, { readonly model: PoolModel; readonly cancelTimer: () => void }>();
  #config: AppConfig;

  constructor({ pool, engine, ownBytes }: Shared, config: AppConfig) {
    this.#pool = pool;
    this.#engine = engine;
    this.#ownBytes = ownBytes;
    this.#config = config;
  }

  reconfigure(config: AppConfig): void {
    const ids = new Set(poolModels(config).map(({ id }) => id));
    for (const model of poolModels(this.#config)) {
      if (ids.has(model.id)) continue;
      const cancelTimer = systemClock.setTimer(removalGraceMs, () => {
        this.#departing.delete(model.id);
        this.#apply();
      });
      this.#departing.set(model.id, { model: { ...model, keep: false }, cancelTimer });
    }
    for (const id of ids) {
      this.#departing.get(id)?.cancelTimer();
      this.#departing.delete(id);
    }
    this.#config = config;
    this.#apply();
  }

  dispose(): void {
    for (const { cancelTimer } of this.#departing.values()) cancelTimer();
    this.#departing.clear();
  }

  #apply(): void {
    const departing = [...this.#departing.values()].map(({ model }) => model);
    this.#pool.reconfigure({
      ...poolSettings(this.#config, this.#ownBytes, this.#engine),
      models: [...poolModels(this.#config), ...departing],
    });
  }
}

/** By model id; null for a file that cannot be used. */
type FileIdentities = ReadonlyMap<string, FileIdentity | null>;

async function fileIdentities(config: AppConfig, files: ModelFiles): Promise<FileIdentities> {
  const found = new Map<string, FileIdentity | null>();
  for (const { id, spec } of poolModels(config)) {
    const file = await files.look(spec.path, spec.purpose);
    found.set(id, file.state === "present" ? file.identity : null);
  }
  return found;
}

/** Ids of the models whose file, at whatever path, is not what it was. */
function differing(before: FileIdentities, now: FileIdentities): ReadonlySet<string> {
  return new Set([...now].flatMap(([id, identity]) => (isDeepStrictEqual(before.get(id), identity) ? [] : [id])));
}

/** The server's own chat path without a server, for the terminal. */
export async function openChat(config: AppConfig): Promise<{
  readonly service: ChatService;
  readonly experts: readonly Expert[];
  close(): Promise<void>;
}> {
  const shared = await createShared(config, silentLogger);
  return {
    service: createUseCases(config, shared, silentLogger).chat,
    experts: config.experts,
    close: () => closeShared(shared, config.server.drainTimeoutMs),
  };
}

export interface TuningSession {
  /** The machine, as far as it decides how many threads are best. */
  readonly cores: string;
  readonly mostThreads: number;
  look(path: string): Promise<ModelFileState>;
  /** Until it is released the model is in memory, with `mostThreads` to choose from. Rejects as the pool's. */
  acquire(modelId: string): Promise<Lease>;
  /** False where the disk does not keep it. */
  remember(identity: FileIdentity, counts: ThreadCounts): Promise<boolean>;
  close(): Promise<void>;
}

/** The models one at a time, as the server would load them, for the measuring of how many threads are best for each. */
export async function openTuning(config: AppConfig): Promise<TuningSession> {
  const machine = readMachine();
  const { threads: most } = recommendedThreads(machine.cpu, machine.cgroup);
  const cores = coresDescription(machine);
  const experts = config.experts.map((expert) => ({ ...expert, keep: false }));
  const shared = await createShared({ ...config, experts, embedder: null, reranker: null }, silentLogger, {
    // Whatever was measured before: the count that is best now may be any.
    tunedThreads: () => ({ decode: most, prefill: most }),
  });
  const { files, pool, memory } = shared;
  return {
    cores,
    mostThreads: most,
    look: (path) => files.look(path),
    acquire: (modelId) => pool.acquire(modelId, { signal: new AbortController().signal, keepAliveMs: 0 }),
    remember: async (identity, counts) => {
      memory.rememberThreads(identity, cores, counts);
      await memory.saved();
      const kept = await FileMemory.open(stateFolderOf(process.env), silentLogger);
      return isDeepStrictEqual(kept.threads(identity, cores), counts);
    },
    close: () => closeShared(shared, config.server.drainTimeoutMs),
  };
}

/** What outlives a configuration: the models in memory, what is known of their files, and the counts. */
interface Shared {
  readonly engine: Engine;
  readonly files: ModelFiles;
  readonly memory: FileMemory;
  readonly pool: EnginePool;
  readonly stats: RequestStats;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** What this process held before it loaded a model. */
  readonly ownBytes: number;
  /** Resolves when what was learnt of files is on disk and no process of ours is left. */
  dispose(): Promise<void>;
}

async function createShared(
  config: AppConfig,
  log: Logger,
  { quarantined = new Map(), onActivity = () => {}, tunedThreads }: AppOptions & { tunedThreads?: TunedThreads } = {},
): Promise<Shared> {
  const memory = await FileMemory.open(stateFolderOf(process.env), log);
  const cores = coresDescription(readMachine());
  // Who measures keeps no conversations, and leaves those alone that are kept.
  const engine =
    tunedThreads === undefined
      ? await createEngine(config, log, (identity) => memory.threads(identity, cores))
      : await createEngine(null, log, tunedThreads);
  const prover = createFileProver({ engineName: engine.description.name });
  const files = new ModelFiles(engine, await missingAdvice(), { prover, memory });
  const stats = new RequestStats(systemClock);
  const metrics = createMetrics(() => pool.status());
  const ownBytes = ownAnonymousBytes();
  const reserveBytes = memoryReserveBytes(memoryLimitBytes(readMachine()));
  const pool: EnginePool = new EnginePool({
    ...poolSettings(config, ownBytes, engine),
    models: poolModels(config),
    engine,
    files,
    fileMemory: memory,
    clock: systemClock,
    logger: log,
    availableBytes: () => availableForModels(reserveBytes),
    memoryReserveBytes: reserveBytes,
    onEvent: (event) => {
      stats.poolEvent(event);
      metrics.poolEvent(event);
      log[levelOf(event)]({ event: event.type }, describePoolEvent(event));
    },
    onActivity,
    quarantined,
  });
  return {
    engine,
    files,
    memory,
    pool,
    stats,
    metrics,
    ownBytes,
    dispose: async () => {
      await prover.dispose();
      await memory.saved();
    },
  };
}

/** Where tasks stand still for want of memory, less than the reserve counts as available: idle models go. */
function availableForModels(reserveBytes: number): number | null {
  const { availableBytes, pressured } = availableMemory();
  return availableBytes !== null && pressured ? Math.min(availableBytes, reserveBytes - 1) : availableBytes;
}

async function closeShared(shared: Shared, deadlineMs: number): Promise<void> {
  const { engine, pool } = shared;
  await pool.close(deadlineMs);
  await shared.dispose();
  // What is still leased or on its way in or out after the deadline is freed by the process's end, and by nothing before.
  const isAtRest = ({ leases, state }: ModelStatus) => leases === 0 && state !== "loading" && state !== "unloading";
  if (pool.status().models.every(isAtRest)) await engine.dispose();
}

/** Without a readable manifest no file can be fetched by name: that is all there is to say of it here. */
async function missingAdvice(): Promise<(path: string) => string> {
  const manifest = await loadManifest(packageManifestPath).catch(() => null);
  return missingFileAdvice(manifest, dirname(packageManifestPath));
}

function createUseCases(config: AppConfig, { pool, files, stats, metrics }: Shared, log: Logger) {
  const catalogue = new ExpertCatalogue(config.experts);
  const router = createKeywordRouter({
    experts: config.experts,
    threshold: config.routing.threshold,
    defaultModel: config.defaultModel,
  });
  const chat = createChatService({
    catalogue,
    embedder: config.embedder,
    reranker: config.reranker,
    defaultModel: config.defaultModel,
    pool,
    files,
    router,
    clock: systemClock,
    record: (record) => {
      stats.record(record);
      metrics.record(record);
      if (record.isEmpty) log.warn({ ...record }, "request: the answer is empty");
      else log.info({ ...record }, "request");
    },
  });
  return { catalogue, chat };
}

function levelOf(event: PoolEvent): keyof Logger {
  switch (event.type) {
    case "load_failed":
    case "quarantined":
      return "error";
    case "context_reduced":
    case "memory_short":
      return "warn";
    case "granted":
    case "refused":
    case "unload_finished":
    case "reconfigured":
      // The request's own line tells it, or the reload's.
      return "debug";
    case "proof_started":
    case "proof_finished":
    case "load_started":
    case "load_progress":
    case "load_finished":
    case "load_abandoned":
    case "unload_started":
    case "draining_started":
    case "quarantine_lifted":
      return "info";
  }
}

/** `ownBytes`: what this process held before it loaded a model. */
function poolSettings(config: AppConfig, ownBytes: number, engine: Engine) {
  const { memory, scheduling } = config;
  const budgetBytes = ramBudgetBytes(memory, readMachine()).bytes;
  return {
    budgetBytes,
    processBytes:
      processShareBytes(budgetBytes, ownBytes) + (engine.promptCache === null ? 0 : promptCacheOf(config).ramBytes),
    maxLoadedExperts: memory.maxLoadedExperts,
    autoUnloadAfterMs: memory.autoUnloadAfterMs,
    loadTimeoutMs: scheduling.loadTimeoutMs,
    maxWaiting: scheduling.maxWaiting,
    swapQuantumMs: scheduling.swapQuantumMs,
  };
}

function poolModels(config: AppConfig): PoolModel[] {
  const experts = config.experts.map((expert) => ({
    id: expert.id,
    spec: {
      path: expert.modelPath,
      purpose: "text" as const,
      contextTokens: expert.contextTokens,
      slots: expert.parallel,
    },
    minContextTokens: expert.minContextTokens,
    priority: expert.priority,
    keep: expert.keep,
  }));
  const { embedder, reranker } = config;
  const models: PoolModel[] = [...experts];
  if (embedder !== null) {
    const spec = readingSpec(embedder, "embedding");
    // Pinned: a router's or a client's small request must never push out an expert, nor be pushed out.
    models.push({ id: embedder.id, spec, minContextTokens: null, priority: 1, keep: true });
  }
  if (reranker !== null) {
    const spec = readingSpec(reranker, "ranking");
    models.push({ id: reranker.id, spec, minContextTokens: null, priority: 1, keep: false });
  }
  return models;
}

/** Requests that read texts with one model at the same time: its batches hold texts of all of them. */
const readers = 8;

function readingSpec({ modelPath, contextTokens }: Embedder | Reranker, purpose: "embedding" | "ranking") {
  return { path: modelPath, purpose, contextTokens, slots: readers };
}

function promptCacheLine({ ramBytes, diskBytes, folder }: PromptCacheSettings): string {
  if (ramBytes === 0) return "prompt cache: off";
  const files = folder === null || diskBytes === 0 ? "no files" : `at most ${formatBytes(diskBytes)} in ${folder}`;
  return `prompt cache: ${formatBytes(ramBytes)} of the RAM budget, ${files}`;
}

async function describeApp(config: AppConfig, engine: Engine, files: ModelFiles): Promise<AppDescription> {
  const machine = readMachine();
  const budget = ramBudgetBytes(config.memory, machine);
  const threads = recommendedThreads(machine.cpu, machine.cgroup);
  const unusable: string[] = [];
  for (const expert of config.experts) {
    const file = await files.look(expert.modelPath);
    if (file.state === "missing") unusable.push(`${expert.id} is missing: ${file.reason}`);
    if (file.state === "invalid") unusable.push(`${expert.id} cannot be used: ${file.reason}`);
  }
  const total = config.experts.length;
  if (unusable.length > 0) unusable.push(`${total - unusable.length} of ${total} experts can be served`);
  const exposure = exposureWarning(config.server);
  return {
    lines: [
      `${engine.description.name}; threads: ${threads.threads} (${threads.reason})`,
      `RAM budget: ${formatBytes(budget.bytes)} (${budget.reason})`,
      engine.promptCache === null ? "prompt cache: off" : promptCacheLine(promptCacheOf(config)),
    ],
    warnings: [...unusable, ...(exposure === null ? [] : [exposure])],
  };
}

function refusedWhileDraining(): PublicError {
  return new PublicError("The server is shutting down; its configuration is not read again.", {
    status: 503,
    type: "unavailable_error",
    code: "draining",
    retryAfterS: 5,
  });
}

function badConfig(problems: readonly string[]): PublicError {
  return new PublicError(`The old configuration stays in force. ${problems.join("; ")}`, {
    status: 400,
    type: "invalid_request_error",
    code: "invalid_configuration",
    shouldRetry: false,
  });
}
