// Prometheus metrics: counters and histograms fed by request records and the pool's events, gauges read from the pool at
// each scrape. Labels are ids of the configuration's models, codes and words of ours: never what a caller sent.
// The only importer of prom-client. May import core/.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { PoolEvent } from "../core/pool-event.ts";
import type { RequestRecord } from "../core/request-record.ts";

/** The part of the pool's status that is measured; the pool's own type, which telemetry may not know, fits it. */
export interface MeasuredPool {
  readonly budgetBytes: number;
  readonly reservedBytes: number;
  readonly machineAvailableBytes: number | null;
  readonly models: readonly {
    readonly modelId: string;
    readonly state: string;
    readonly reservedBytes: number;
    readonly leases: number;
    readonly waiting: number;
    readonly quarantined: boolean;
  }[];
  readonly counters: {
    readonly loads: number;
    readonly loadFailures: number;
    readonly evictions: number;
    readonly hits: number;
  };
  readonly progressing: boolean;
}

export interface Metrics {
  record(record: RequestRecord): void;
  poolEvent(event: PoolEvent): void;
  /** Prometheus text format. */
  text(): Promise<string>;
}

const latencySeconds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320];

export function createMetrics(poolStatus: () => MeasuredPool): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const requests = new Counter({
    name: "gguf_experts_requests_total",
    help: "Finished requests.",
    labelNames: ["expert", "kind", "outcome", "code"],
    registers,
  });
  const routed = new Counter({
    name: "gguf_experts_routing_decisions_total",
    help: "Requests by what decided on the expert.",
    labelNames: ["expert", "source"],
    registers,
  });
  const duration = new Histogram({
    name: "gguf_experts_request_duration_seconds",
    help: "Time from a request to its end, successful requests only.",
    labelNames: ["expert", "kind"],
    buckets: latencySeconds,
    registers,
  });
  const ttft = new Histogram({
    name: "gguf_experts_time_to_first_token_seconds",
    help: "Time from a request to its first text, waiting and loading included.",
    labelNames: ["expert"],
    buckets: latencySeconds,
    registers,
  });
  const queueing = new Histogram({
    name: "gguf_experts_queue_seconds",
    help: "Time spent waiting for a turn and for memory.",
    labelNames: ["expert"],
    buckets: latencySeconds,
    registers,
  });
  const tokens = new Counter({
    name: "gguf_experts_tokens_total",
    help: "Tokens: read from prompts, taken from the prompt cache, generated.",
    labelNames: ["expert", "kind"],
    registers,
  });
  const busySeconds = new Counter({
    name: "gguf_experts_busy_seconds_total",
    help: "Time the engine spent: prefill reads prompts, decode generates.",
    labelNames: ["expert", "phase"],
    registers,
  });

  const poolEvents = new Counter({
    name: "gguf_experts_pool_events_total",
    help: "What happened in the pool, with the reason of an unload, the code of a refusal, and hit or miss of a grant.",
    labelNames: ["type", "model", "reason"],
    registers,
  });
  const loadSeconds = new Histogram({
    name: "gguf_experts_model_load_seconds",
    help: "Time that a load took.",
    labelNames: ["model"],
    buckets: latencySeconds,
    registers,
  });
  const waitSeconds = new Histogram({
    name: "gguf_experts_model_wait_seconds",
    help: "Time from a request for a model to its lease: for a turn, for memory and for the load.",
    labelNames: ["model"],
    buckets: latencySeconds,
    registers,
  });

  /** Null: no sample. */
  const gauge = (name: string, help: string, read: (pool: MeasuredPool) => number | null): void => {
    // oxlint-disable-next-line no-new -- registers itself
    new Gauge({
      name: `gguf_experts_${name}`,
      help,
      registers,
      collect() {
        const value = read(poolStatus());
        if (value === null) this.remove();
        else this.set(value);
      },
    });
  };
  gauge("memory_budget_bytes", "The RAM budget for models.", (pool) => pool.budgetBytes);
  gauge("memory_reserved_bytes", "Bytes of the budget that are reserved.", (pool) => pool.reservedBytes);
  gauge(
    "machine_available_bytes",
    "What the machine and its control group could still give; absent where they do not tell.",
    (pool) => pool.machineAvailableBytes,
  );
  gauge("pool_progressing", "0 when requests wait and nothing runs, loads or unloads.", (pool) =>
    pool.progressing ? 1 : 0,
  );

  const modelGauge = (name: string, help: string, read: (model: MeasuredPool["models"][number]) => number): void => {
    // oxlint-disable-next-line no-new -- registers itself
    new Gauge({
      name: `gguf_experts_model_${name}`,
      help,
      labelNames: ["expert"],
      registers,
      collect() {
        this.reset();
        for (const model of poolStatus().models) this.set({ expert: model.modelId }, read(model));
      },
    });
  };
  modelGauge("resident_bytes", "Bytes reserved for this model; 0 when not in memory.", (model) => model.reservedBytes);
  modelGauge("loaded", "1 when the model is in memory.", (model) => (model.state === "loaded" ? 1 : 0));
  modelGauge("quarantined", "1 when the model is in quarantine.", (model) => (model.quarantined ? 1 : 0));
  modelGauge("leases", "Requests that use the model now.", (model) => model.leases);
  modelGauge("queue_depth", "Requests that wait for the model.", (model) => model.waiting);

  const poolCounter = (name: string, help: string, read: (counters: MeasuredPool["counters"]) => number): void => {
    // oxlint-disable-next-line no-new -- registers itself
    new Counter({
      name: `gguf_experts_${name}_total`,
      help,
      registers,
      // The pool keeps the count; the library's counter can only be moved there by starting again from zero.
      collect() {
        this.reset();
        this.inc(read(poolStatus().counters));
      },
    });
  };
  poolCounter("model_loads", "Models loaded.", (counters) => counters.loads);
  poolCounter("model_load_failures", "Loads that failed.", (counters) => counters.loadFailures);
  poolCounter("model_evictions", "Models unloaded to make room.", (counters) => counters.evictions);
  poolCounter("model_hits", "Leases on a model that was already in memory.", (counters) => counters.hits);

  return {
    text: () => registry.metrics(),
    poolEvent(event) {
      const model = "modelId" in event ? event.modelId : "";
      poolEvents.inc({ type: event.type, model, reason: reasonLabel(event) });
      if (event.type === "load_finished") loadSeconds.observe({ model }, event.loadMs / 1000);
      if (event.type === "granted") waitSeconds.observe({ model }, (event.queueMs + event.loadMs) / 1000);
    },
    record(record) {
      const expert = record.expertId ?? "none";
      requests.inc({ expert, kind: record.kind, outcome: record.outcome, code: record.errorCode ?? "" });
      if (record.routingSource !== null) routed.inc({ expert, source: record.routingSource });
      if (record.outcome === "ok") {
        duration.observe({ expert, kind: record.kind }, record.durationMs / 1000);
        queueing.observe({ expert }, record.queueMs / 1000);
      }
      if (record.ttftMs !== null) ttft.observe({ expert }, record.ttftMs / 1000);
      tokens.inc({ expert, kind: "prompt" }, Math.max(0, record.promptTokens - record.cachedTokens));
      tokens.inc({ expert, kind: "cached" }, record.cachedTokens);
      tokens.inc({ expert, kind: "generated" }, record.generatedTokens);
      busySeconds.inc({ expert, phase: "prefill" }, record.promptMs / 1000);
      busySeconds.inc({ expert, phase: "decode" }, record.generatedMs / 1000);
    },
  };
}

/** One of a few words; the reasons that name files and errors are the log's. */
function reasonLabel(event: PoolEvent): string {
  if (event.type === "unload_started") return event.reason;
  if (event.type === "refused") return event.code;
  if (event.type === "granted") return event.hit ? "hit" : "miss";
  return "";
}
