// A loaded configuration, for tests of what works with one. Its values mean nothing unless a test says so.
import type { AppConfig, ServerConfig } from "../../src/config/config.ts";
import type { Expert } from "../../src/experts/expert.ts";

export function configOf(experts: readonly Expert[], server: Partial<ServerConfig> = {}): AppConfig {
  return {
    source: { origin: "option", path: "five.json", resolvedPath: "five.json" },
    experts,
    defaultModel: experts[0]?.id ?? "none",
    memory: {
      ramBudgetBytes: null,
      memoryThreshold: 0.8,
      lazy: true,
      maxLoadedExperts: null,
      warmupPoolSize: 0,
      autoUnloadAfterMs: null,
    },
    scheduling: { loadTimeoutMs: 600_000, maxWaiting: 64, swapQuantumMs: 10_000 },
    promptCache: { ramBytes: 0, diskBytes: 0, maxAgeMs: 1000, folder: null },
    embedder: null,
    reranker: null,
    routing: { threshold: 0.5 },
    dropsParameters: false,
    server: {
      host: "127.0.0.1",
      port: 0,
      logLevel: "silent",
      apiKeys: [],
      corsOrigins: [],
      heartbeatMs: 0,
      stallTimeoutMs: 60_000,
      drainTimeoutMs: 0,
      maxBodyBytes: 1e6,
      ...server,
    },
    warnings: [],
  };
}
