// GET /experts, /stats and /debug/models. May import zod and core/.
import { z } from "zod";
import type { Endpoint } from "../endpoint.ts";
import { expertStatuses, lastErrorOf, viewExpert, viewExperts, type ExpertView } from "../expert-view.ts";
import type { ProbeResult, Services } from "../services.ts";
import { probeObstacle } from "./probe-obstacle.ts";
import { recentSummary, summaryBody } from "./summary.ts";

/** What an expert without `max_model_len` gets at most. */
const defaultContextTokens = 8192;

export const expertsResponse = z.object({
  experts: z.array(
    z.object({
      expert_id: z.string(),
      aliases: z.array(z.string()),
      domain: z.string(),
      description: z.string(),
      status: z.enum(expertStatuses),
      size_bytes: z.int().nullable().describe("Of the file; null where it is missing or invalid."),
      context_length: z
        .int()
        .nullable()
        .describe("Tokens of each slot; null where neither file nor configuration say."),
      quantization: z.string().nullable(),
      priority: z.int(),
      use_cases: z.array(z.string()),
      parallel: z.int(),
      default: z.boolean(),
      error: z.string().nullable(),
    }),
  ),
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
    reserved_bytes: z.int(),
    loads: z.int(),
    load_failures: z.int(),
    hits: z.int(),
    evictions: z.int(),
    waiting: z.int(),
  }),
  requests: recentSummary,
  experts: z.record(z.string(), recentSummary),
});

const fileResponse = z.object({
  path: z.string(),
  state: z.enum(["present", "missing", "invalid"]),
  reason: z.string().nullable(),
  size_bytes: z.int().nullable(),
  architecture: z.string().nullable(),
  quantization: z.string().nullable(),
  has_chat_template: z.boolean().nullable(),
});

const probeResponse = z
  .object({ ok: z.boolean().nullable(), detail: z.string(), duration_ms: z.number().nullable() })
  .nullable()
  .describe("Null without ?probe=1; ok is null where the expert was left alone.");

export const debugResponse = z.object({
  models: z.array(
    z.object({
      expert_id: z.string(),
      status: z.enum(expertStatuses),
      file: fileResponse,
      reserved_bytes: z.int(),
      leases: z.int(),
      waiting: z.int(),
      load_progress: z.number().nullable(),
      pinned: z.boolean(),
      last_error: z.string().nullable(),
      breaker: z.literal("closed"),
      last_good_answer_at: z.string().nullable(),
      probe: probeResponse,
    }),
  ),
});

export function expertEndpoints(services: Services): readonly Endpoint[] {
  return [
    {
      method: "get",
      path: "/experts",
      summary: "The experts and their state",
      tag: "Administration",
      response: expertsResponse,
      async handle() {
        const views = await viewExperts(services);
        return { kind: "json", body: { experts: views.map((view) => expertBody(view, services.defaultModel())) } };
      },
    },
    {
      method: "get",
      path: "/stats",
      summary: "Routing, memory and request counts since the start",
      tag: "Administration",
      response: statsResponse,
      handle: () => ({ kind: "json", body: statsBody(services) }),
    },
    {
      method: "get",
      path: "/debug/models",
      summary: "Each expert in depth",
      tag: "Administration",
      query: { probe: "1: also ask each expert for a token, where that evicts no busy one" },
      response: debugResponse,
      async handle({ query, signal }) {
        const models: z.output<typeof debugResponse>["models"] = [];
        for (const expert of services.experts()) {
          const probe = query["probe"] === "1" ? await probeExpert(services, expert.id, signal) : null;
          models.push(debugBody(await viewExpert(services, expert), services, probe));
        }
        return { kind: "json", body: { models } };
      },
    },
  ];
}

function expertBody(view: ExpertView, defaultModel: string): z.output<typeof expertsResponse>["experts"][number] {
  const { expert } = view;
  const info = view.file.state === "present" ? view.file.info : null;
  return {
    expert_id: expert.id,
    aliases: [...expert.aliases],
    domain: expert.domain,
    description: expert.description,
    status: view.status,
    size_bytes: info?.sizeBytes ?? null,
    context_length:
      expert.contextTokens ?? (info === null ? null : Math.min(info.trainContextTokens, defaultContextTokens)),
    quantization: info?.quantization ?? expert.quantization,
    priority: expert.priority,
    use_cases: [...expert.useCases],
    parallel: expert.parallel,
    default: expert.id === defaultModel,
    error: lastErrorOf(view),
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
      reserved_bytes: pool.reservedBytes,
      loads: pool.counters.loads,
      load_failures: pool.counters.loadFailures,
      hits: pool.counters.hits,
      evictions: pool.counters.evictions,
      waiting: pool.models.reduce((sum, model) => sum + model.waiting, 0),
    },
    requests: summaryBody(stats.total),
    experts: Object.fromEntries(experts.map((expert) => [expert.id, summaryBody(stats.experts[expert.id])])),
  };
}

type Probe = z.output<typeof probeResponse>;

async function probeExpert(services: Services, expertId: string, signal: AbortSignal): Promise<Probe> {
  const file = await services.fileState(expertId);
  const obstacle = probeObstacle(expertId, file, services.poolStatus());
  if (obstacle !== null) return { ok: null, detail: obstacle, duration_ms: null };
  const result: ProbeResult = await services.probe(expertId, signal);
  return { ok: result.ok, detail: result.detail, duration_ms: result.durationMs };
}

function debugBody(
  view: ExpertView,
  services: Services,
  probe: Probe,
): z.output<typeof debugResponse>["models"][number] {
  const { expert, file, model } = view;
  const info = file.state === "present" ? file.info : null;
  return {
    expert_id: expert.id,
    status: view.status,
    file: {
      path: expert.modelPath,
      state: file.state,
      reason: file.state === "present" ? null : file.reason,
      size_bytes: info?.sizeBytes ?? null,
      architecture: info?.architecture ?? null,
      quantization: info?.quantization ?? null,
      has_chat_template: info?.hasChatTemplate ?? null,
    },
    reserved_bytes: model?.reservedBytes ?? 0,
    leases: model?.leases ?? 0,
    waiting: model?.waiting ?? 0,
    load_progress: model?.loadProgress ?? null,
    pinned: model?.pinned ?? false,
    last_error: lastErrorOf(view),
    // Nothing opens it yet: a failed expert is tried again by the next request.
    breaker: "closed",
    last_good_answer_at: summaryBody(services.stats().experts[expert.id]).last_success_at,
    probe,
  };
}
