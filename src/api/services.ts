// What the dialects may ask of the running system; app.ts implements it, tests fake it. Interfaces only.
// May import the lower layers' types.
import type { ChatService } from "../chat/contract.ts";
import type { Clock } from "../core/clock.ts";
import type { PoolEvent } from "../core/pool-event.ts";
import type { StatsSnapshot } from "../core/stats-snapshot.ts";
import type { EngineDescription } from "../engine/engine.ts";
import type { ModelFileState } from "../engine/model-files.ts";
import type { Embedder, Expert, Reranker } from "../experts/expert.ts";
import type { PoolStatus } from "../pool/pool.ts";

export interface ProbeResult {
  /** The expert produced at least one token, visible or reasoning. */
  readonly ok: boolean;
  /** One sentence: what came, or why nothing did. */
  readonly detail: string;
  readonly durationMs: number;
}

/** What a new reading of the configuration changed. */
export interface ReloadReport {
  /** The file as it is named, and where its link leads. */
  readonly source: { readonly path: string; readonly resolvedPath: string };
  readonly expertsBefore: number;
  readonly experts: number;
  /** "5 experts, was 4: added x; changed y; removed z". */
  readonly summary: string;
  /** Ids of experts, of the embedder and of the reranker. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Keys outside the experts whose value is another one, for example `server_config.api_keys`. */
  readonly settings: readonly string[];
  /** One line each: what the new configuration warns of. */
  readonly warnings: readonly string[];
  /** One line each: settings that take effect at the next start alone. */
  readonly restart: readonly string[];
}

export interface Services {
  /** Of this program, for example `0.1.0`. */
  readonly version: string;
  /** Milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly chat: ChatService;
  readonly engine: EngineDescription;
  /** In the order of the configuration. */
  experts(): readonly Expert[];
  /** `drop_params`: parameters that cannot be honoured are passed over, those too that change what an answer means. */
  readonly dropsParameters: boolean;
  /** Null: none is configured. */
  embedder(): Embedder | null;
  /** Null: none is configured. */
  reranker(): Reranker | null;
  /** The id of the expert that answers what the router leaves open. */
  defaultModel(): string;
  /** The expert of that id or alias. */
  resolveModel(name: string): Expert | undefined;
  poolStatus(): PoolStatus;
  /** The newest of what happened in the pool, oldest first; without grants, which are too many. */
  poolEvents(): readonly PoolEvent[];
  /**
   * Loads an expert, the embedder or the reranker, as a request for it would, and resolves when it is in memory. Rejects with a
   * PublicError, or with AbandonedError when the signal fires first. `keepAliveMs`: as of a request.
   */
  loadExpert(modelId: string, signal: AbortSignal, keepAliveMs: number | null): Promise<void>;
  /** "busy": it is leased, waited for or pinned; nothing was done. */
  unloadExpert(modelId: string): "unloading" | "busy" | "not_loaded";
  /** Ends a quarantine and the wait after a failed load; false: there was neither. */
  liftQuarantine(modelId: string): boolean;
  /** Reads the configuration again and serves by it, without dropping a request. Rejects with a PublicError. */
  reload(): Promise<ReloadReport>;
  /** Never rejects. `modelId`: the id of an expert, of the embedder or of the reranker. */
  fileState(modelId: string): Promise<ModelFileState>;
  stats(): StatsSnapshot;
  /** Prometheus text format. */
  metricsText(): Promise<string>;
  /** Asks an expert for a token or two, through the pool like any request. Never rejects but for AbandonedError. */
  probe(modelId: string, signal: AbortSignal): Promise<ProbeResult>;
  /** The server refuses new work and waits for the running answers. */
  isDraining(): boolean;
}
