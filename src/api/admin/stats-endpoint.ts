// GET /stats. May import zod and core/.
import { z } from "zod";
import type { PoolTimelineSnapshot } from "../../core/stats-snapshot.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { recentSummary, summaryBody } from "./summary.ts";

const spread = z
  .object({ p50: z.number(), p95: z.number(), max: z.number() })
  .nullable()
  .describe("p50 and p95 of the latest 256, max since the start; null before the first.");

const timeline = z.object({
  loads: z.object({ finished: z.int(), failed: z.int(), abandoned: z.int() }),
  load_ms: spread,
  unloads: z.record(z.string(), z.int()).describe("By reason, for example evicted or idle."),
  swaps: z.int().describe("Loads for which another expert had to leave memory."),
  grants: z.int().describe("Requests that got their expert."),
  waited: z.int().describe("Those of them that waited for a turn, for memory or for a load."),
  wait_ms: spread,
  refusals: z.record(z.string(), z.int()).describe("By the error's code."),
  last_eviction: z
    .object({
      expert_id: z.string(),
      for_expert_id: z.string().nullable().describe("Null: for none, because memory was short."),
      reason: z.string(),
      bytes: z.int(),
      at: z.string(),
    })
    .nullable(),
});

const loadedExpert = z.object({ expert_id: z.string(), bytes: z.int(), leases: z.int(), waiting: z.int() });

export const statsResponse = z.object({
  uptime_s: z.number(),
  version: z.string(),
  engine: z.object({ name: z.string(), threads: z.int(), system_info: z.string() }),
  router_stats: z.object({
    num_experts: z.int(),
    default_model: z.string(),
    decisions: z.record(z.string(), z.int()).describe("Requests by what decided on the expert."),
  }),
  lazy_loading: z.object({
    total_experts: z.int(),
    loaded_count: z.int(),
    loaded_experts: z.array(loadedExpert).describe("In memory, the embedding model too."),
    budget_bytes: z.int(),
    process_bytes: z.int().describe("Of the budget, what the process itself is counted with."),
    reserved_bytes: z.int(),
    loads: z.int(),
    load_failures: z.int(),
    hits: z.int(),
    evictions: z.int(),
    waiting: z.int(),
    machine_available_bytes: z
      .int()
      .nullable()
      .describe("What the machine and its control group could still give; null where they do not tell."),
    timeline: timeline.describe("What the pool did since the start; GET /admin/events explains the latest of it."),
  }),
  requests: recentSummary,
  experts: z.record(z.string(), recentSummary),
});

export function statsEndpoint(services: Services): Endpoint {
  return {
    method: "get",
    path: "/stats",
    summary: "Routing, memory and request counts since the start",
    tag: "Administration",
    response: statsResponse,
    handle: () => ({ kind: "json", body: statsBody(services) }),
  };
}

function statsBody(services: Services): z.output<typeof statsResponse> {
  const pool = services.poolStatus();
  const stats = services.stats();
  const experts = services.experts();
  const loaded = pool.models.filter((model) => model.state === "loaded");
  return {
    uptime_s: (services.clock.epochMs() - services.startedAtMs) / 1000,
    version: services.version,
    engine: {
      name: services.engine.name,
      threads: services.engine.threads,
      system_info: services.engine.systemInfo,
    },
    router_stats: {
      num_experts: experts.length,
      default_model: services.defaultModel(),
      decisions: { ...stats.routingSources },
    },
    lazy_loading: {
      total_experts: experts.length,
      loaded_count: loaded.length,
      loaded_experts: loaded.map((model) => ({
        expert_id: model.modelId,
        bytes: model.reservedBytes,
        leases: model.leases,
        waiting: model.waiting,
      })),
      budget_bytes: pool.budgetBytes,
      process_bytes: pool.processBytes,
      reserved_bytes: pool.reservedBytes,
      loads: pool.counters.loads,
      load_failures: pool.counters.loadFailures,
      hits: pool.counters.hits,
      evictions: pool.counters.evictions,
      waiting: pool.models.reduce((sum, model) => sum + model.waiting, 0),
      machine_available_bytes: pool.machineAvailableBytes,
      timeline: timelineBody(stats.pool),
    },
    requests: summaryBody(stats.total),
    experts: Object.fromEntries(experts.map((expert) => [expert.id, summaryBody(stats.experts[expert.id])])),
  };
}

function timelineBody({ loads, grants, ...pool }: PoolTimelineSnapshot): z.output<typeof timeline> {
  const { loadMs, ...loadCounts } = loads;
  const last = pool.lastEviction;
  return {
    loads: loadCounts,
    load_ms: loadMs,
    unloads: { ...pool.unloads },
    swaps: pool.swaps,
    grants: grants.count,
    waited: grants.waited,
    wait_ms: grants.waitMs,
    refusals: { ...pool.refusals },
    last_eviction:
      last === null
        ? null
        : {
            expert_id: last.modelId,
            for_expert_id: last.forModelId,
            reason: last.reason,
            bytes: last.bytes,
            at: new Date(last.atMs).toISOString(),
          },
  };
}
