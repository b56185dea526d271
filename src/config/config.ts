// The configuration after loading: every value present, checked and in one unit. May import experts/ and core/.
import type { Embedder, Expert, Reranker } from "../experts/expert.ts";

export interface AppConfig {
  readonly source: ConfigSource;
  readonly experts: readonly Expert[];
  /** Answers what the router leaves open; one of `experts`. */
  readonly defaultModel: string;
  readonly memory: MemoryConfig;
  readonly scheduling: SchedulingConfig;
  readonly promptCache: PromptCacheConfig;
  /** Null: /v1/embeddings answers that no embedding model is configured. */
  readonly embedder: Embedder | null;
  /** Null: /v1/rerank answers that no reranker is configured. */
  readonly reranker: Reranker | null;
  readonly routing: RoutingConfig;
  /** `drop_params`: request parameters that cannot be honoured are passed over, not refused. */
  readonly dropsParameters: boolean;
  readonly server: ServerConfig;
  /** One line each, by path: unknown keys, ignored settings, an unknown default model. Printed once at the start. */
  readonly warnings: readonly string[];
}

export interface ConfigSource {
  /** What was asked for: `--config`, $GGUF_EXPERTS_CONFIG, ./config.json or the built-in default. */
  readonly origin: "option" | "environment" | "working-directory" | "built-in";
  /** As it was named. */
  readonly path: string;
  /** The file that the link points to. */
  readonly resolvedPath: string;
}

export interface MemoryConfig {
  /** `ram_budget`; null: `memoryThreshold` of the machine's memory. */
  readonly ramBudgetBytes: number | null;
  /** Share of the smaller of RAM and the cgroup's limit, 0 to 1. */
  readonly memoryThreshold: number;
  /** `lazy_loading.enabled`: false loads every expert at the start, as far as the budget reaches, and none is idle too long. */
  readonly lazy: boolean;
  readonly maxLoadedExperts: number | null;
  /** Experts to load at the start, by priority. */
  readonly warmupPoolSize: number;
  /** Idle time after which an expert is unloaded; null: never. */
  readonly autoUnloadAfterMs: number | null;
}

export interface SchedulingConfig {
  /** A load that takes longer has failed. */
  readonly loadTimeoutMs: number;
  /** Requests that may wait for one expert beside those that it answers. */
  readonly maxWaiting: number;
  /** The longest time that a model which others wait for goes on serving requests that came before them. */
  readonly swapQuantumMs: number;
}

export interface PromptCacheConfig {
  /** Null: a share of the RAM budget; 0: no cache. */
  readonly ramBytes: number | null;
  /** 0: no files. */
  readonly diskBytes: number;
  /** A conversation that was not used for so long is dropped. */
  readonly maxAgeMs: number;
  /** Null: in the state folder. */
  readonly folder: string | null;
}

export interface RoutingConfig {
  /** Below this confidence the default model answers; 0 to 1. */
  readonly threshold: number;
}

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  /** Empty: no key is asked for. */
  readonly apiKeys: readonly string[];
  readonly corsOrigins: readonly string[];
  /** Between comment lines on a silent event stream; 0: none. */
  readonly heartbeatMs: number;
  /** How long a client may take nothing of an answer that is ready for it; then its connection is cut. */
  readonly stallTimeoutMs: number;
  /** Time that running answers get after SIGTERM. */
  readonly drainTimeoutMs: number;
  /** Larger request bodies get 413. */
  readonly maxBodyBytes: number;
}
