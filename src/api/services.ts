// What the dialects may ask of the running system; app.ts implements it, tests fake it. Interfaces only.
// May import the lower layers' types.
import type { ChatService } from "../chat/contract.ts";
import type { Clock } from "../core/clock.ts";
import type { StatsSnapshot } from "../core/stats-snapshot.ts";
import type { EngineDescription } from "../engine/engine.ts";
import type { ModelFileState } from "../engine/model-files.ts";
import type { Embedder, Expert } from "../experts/expert.ts";
import type { PoolStatus } from "../pool/pool.ts";

export interface ProbeResult {
  /** The expert produced at least one token, visible or reasoning. */
  readonly ok: boolean;
  /** One sentence: what came, or why nothing did. */
  readonly detail: string;
  readonly durationMs: number;
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
  /** Null: none is configured. */
  embedder(): Embedder | null;
  /** The id of the expert that answers what the router leaves open. */
  defaultModel(): string;
  /** The expert of that id or alias. */
  resolveModel(name: string): Expert | undefined;
  poolStatus(): PoolStatus;
  /** Never rejects. `modelId`: one of the experts' ids or the embedder's. */
  fileState(modelId: string): Promise<ModelFileState>;
  stats(): StatsSnapshot;
  /** Prometheus text format. */
  metricsText(): Promise<string>;
  /** Asks an expert for a token or two, through the pool like any request. Never rejects but for AbandonedError. */
  probe(modelId: string, signal: AbortSignal): Promise<ProbeResult>;
  /** The server refuses new work and waits for the running answers. */
  isDraining(): boolean;
}
