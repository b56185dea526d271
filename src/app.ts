// The composition root: the only place that names the concrete engine, pool, router, telemetry and dialects, and puts them
// together. May import everything below.
import { dirname } from "node:path";
import { adminDialect } from "./api/admin/dialect.ts";
import { openaiDialect } from "./api/openai/dialect.ts";
import type { Services } from "./api/services.ts";
import { createChatService } from "./chat/chat-service.ts";
import type { ChatService } from "./chat/contract.ts";
import { probe } from "./chat/probe.ts";
import type { AppConfig } from "./config/config.ts";
import { formatBytes } from "./core/bytes.ts";
import { systemClock } from "./core/clock.ts";
import { type Logger, silentLogger } from "./core/log.ts";
import { packageVersion } from "./core/version.ts";
import type { Engine } from "./engine/engine.ts";
import { createLlamaEngine } from "./engine/llama/llama-engine.ts";
import { ModelFiles } from "./engine/model-files.ts";
import { ExpertCatalogue } from "./experts/catalogue.ts";
import type { Expert } from "./experts/expert.ts";
import { loadManifest, missingFileAdvice, packageManifestPath } from "./experts/manifest.ts";
import { createHttpApp, type HttpApp } from "./http/app.ts";
import { ramBudgetBytes, readMachine, recommendedThreads } from "./machine/machine.ts";
import { EnginePool, type PoolModel } from "./pool/model-pool.ts";
import { createKeywordRouter } from "./routing/keyword-router.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { RequestStats } from "./telemetry/request-stats.ts";

export interface App {
  readonly http: HttpApp;
  readonly services: Services;
  /** What the operator should know at the start, a line each. */
  describe(): Promise<AppDescription>;
  /** Loads what the configuration wants in memory from the start; failures are logged, never thrown. */
  warmUp(): Promise<void>;
  /** From now on health says "draining" and new work is refused. */
  drain(): void;
  /** Waits for the leases that are out, at most `deadlineMs`, then frees the models and the engine. */
  close(deadlineMs: number): Promise<void>;
}

export interface AppDescription {
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
}

/** The engine as this machine should run it. */
export async function createEngine(log: Logger = silentLogger): Promise<Engine> {
  const { cpu, cgroup } = readMachine();
  return createLlamaEngine({ threads: recommendedThreads(cpu, cgroup).threads, log });
}

export async function createApp(config: AppConfig, log: Logger): Promise<App> {
  const engine = await createEngine(log);
  const core = await assemble(config, engine, log);
  const { pool, files, chat, stats, metrics, catalogue } = core;
  let draining = false;

  const pathOf = (modelId: string) =>
    catalogue.find(modelId)?.modelPath ?? (modelId === config.embedder?.id ? config.embedder.modelPath : modelId);

  const services: Services = {
    version: packageVersion,
    startedAtMs: systemClock.epochMs(),
    clock: systemClock,
    chat,
    engine: engine.description,
    experts: () => catalogue.experts,
    embedder: () => config.embedder,
    defaultModel: () => config.defaultModel,
    resolveModel: (name) => catalogue.find(name),
    poolStatus: () => pool.status(),
    fileState: (modelId) => files.look(pathOf(modelId)),
    stats: () => stats.snapshot(),
    metricsText: () => metrics.text(),
    probe: (modelId, signal) => probe(chat, modelId, systemClock, signal),
    isDraining: () => draining,
  };

  const openai = openaiDialect(services);
  const admin = adminDialect(services, openai.endpoints);
  return {
    http: createHttpApp({ dialects: [openai, admin], server: config.server, clock: systemClock, log }),
    services,
    describe: () => describeApp(config, engine, files),
    warmUp: async () => {
      await pool.refreshFiles();
      await pool.warmUp(warmUpIds(config));
    },
    drain: () => {
      draining = true;
    },
    close: async (deadlineMs) => {
      draining = true;
      await pool.close(deadlineMs);
      // A lease that is still out after the deadline uses its model: the process's end frees it, nothing before.
      if (pool.status().models.every(({ leases }) => leases === 0)) await engine.dispose();
    },
  };
}

/** The server's own chat path without a server, for the terminal. */
export async function openChat(config: AppConfig): Promise<{
  readonly service: ChatService;
  readonly experts: readonly Expert[];
  close(): Promise<void>;
}> {
  const engine = await createEngine();
  const { chat, pool } = await assemble(config, engine, silentLogger);
  return {
    service: chat,
    experts: config.experts,
    close: async () => {
      await pool.close(config.server.drainTimeoutMs);
      await engine.dispose();
    },
  };
}

/** Without a readable manifest no file can be fetched by name: that is all there is to say of it here. */
async function missingAdvice(): Promise<(path: string) => string> {
  const manifest = await loadManifest(packageManifestPath).catch(() => null);
  return missingFileAdvice(manifest, dirname(packageManifestPath));
}

async function assemble(config: AppConfig, engine: Engine, log: Logger) {
  const clock = systemClock;
  const catalogue = new ExpertCatalogue(config.experts);
  const files = new ModelFiles(engine, await missingAdvice());
  const pool = new EnginePool({
    engine,
    files,
    models: poolModels(config),
    clock,
    logger: log,
    budgetBytes: ramBudgetBytes(config.memory, readMachine()).bytes,
    maxLoadedExperts: config.memory.maxLoadedExperts,
    autoUnloadAfterMs: config.memory.autoUnloadAfterMs,
  });
  const stats = new RequestStats(clock);
  const metrics = createMetrics(() => pool.status());
  const router = createKeywordRouter({
    experts: config.experts,
    threshold: config.routing.threshold,
    defaultModel: config.defaultModel,
  });
  const chat = createChatService({
    catalogue,
    embedder: config.embedder,
    pool,
    files,
    router,
    clock,
    record: (record) => {
      stats.record(record);
      metrics.record(record);
      log.info({ ...record }, "request");
    },
  });
  return { catalogue, files, pool, stats, metrics, chat };
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
    priority: expert.priority,
    keep: expert.keep,
  }));
  if (config.embedder === null) return experts;
  const { id, modelPath, contextTokens } = config.embedder;
  // The embedder is pinned: a router's or a client's small request must never push out an expert, nor be pushed out.
  const spec = { path: modelPath, purpose: "embedding" as const, contextTokens, slots: 1 };
  return [...experts, { id, spec, priority: 1, keep: true }];
}

/** Pinned experts first, then as many as `warmup_pool_size` wants by priority; all of them where loading is not lazy. */
function warmUpIds({ experts, memory }: AppConfig): string[] {
  const byPriority = experts.toSorted((left, right) => left.priority - right.priority);
  const pinned = byPriority.filter(({ keep }) => keep);
  const others = byPriority.filter(({ keep }) => !keep);
  const wanted = memory.lazy ? Math.max(0, memory.warmupPoolSize - pinned.length) : others.length;
  return [...pinned, ...others.slice(0, wanted)].map(({ id }) => id);
}

async function describeApp(config: AppConfig, engine: Engine, files: ModelFiles): Promise<AppDescription> {
  const machine = readMachine();
  const budget = ramBudgetBytes(config.memory, machine);
  const threads = recommendedThreads(machine.cpu, machine.cgroup);
  const warnings: string[] = [];
  for (const expert of config.experts) {
    const file = await files.look(expert.modelPath);
    if (file.state === "missing") warnings.push(`${expert.id} is missing: ${file.reason}`);
    if (file.state === "invalid") warnings.push(`${expert.id} cannot be used: ${file.reason}`);
  }
  const total = config.experts.length;
  if (warnings.length > 0) warnings.push(`${total - warnings.length} of ${total} experts can be served`);
  return {
    lines: [
      `${engine.description.name}; threads: ${threads.threads} (${threads.reason})`,
      `RAM budget: ${formatBytes(budget.bytes)} (${budget.reason})`,
    ],
    warnings,
  };
}
