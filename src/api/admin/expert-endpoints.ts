// GET /experts and /debug/models. May import zod and core/.
import { z } from "zod";
import type { Endpoint } from "../endpoint.ts";
import {
  expertStatuses,
  lastErrorOf,
  placement,
  placementBody,
  viewExpert,
  viewExperts,
  type ExpertView,
} from "../common/expert-view.ts";
import type { ProbeResult, Services } from "../services.ts";
import { probeObstacle } from "./probe-obstacle.ts";
import { summaryBody } from "./summary.ts";

export const expertsResponse = z.object({
  experts: z.array(
    z.object({
      expert_id: z.string(),
      aliases: z.array(z.string()),
      domain: z.string(),
      description: z.string(),
      status: z.enum(expertStatuses),
      size_bytes: z.int().nullable().describe("Of the file; null where it is missing or invalid."),
      ...placement,
      quantization: z.string().nullable(),
      priority: z.int(),
      use_cases: z.array(z.string()),
      parallel: z.int(),
      default: z.boolean(),
      error: z.string().nullable(),
    }),
  ),
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
      ...placement,
      leases: z.int(),
      waiting: z.int(),
      pinned: z.boolean(),
      last_error: z.string().nullable(),
      breaker: z
        .enum(["closed", "open", "half_open"])
        .describe("open: in quarantine, or waiting after loads that failed; half_open: the next request tries again."),
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
    ...placementBody(view),
    quantization: info?.quantization ?? expert.quantization,
    priority: expert.priority,
    use_cases: [...expert.useCases],
    parallel: expert.parallel,
    default: expert.id === defaultModel,
    error: lastErrorOf(view),
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

function breakerOf({ model }: ExpertView, nowMs: number): "closed" | "open" | "half_open" {
  if (model === undefined) return "closed";
  if (model.quarantined || (model.retryAtMs !== null && model.retryAtMs > nowMs)) return "open";
  return model.state === "failed" ? "half_open" : "closed";
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
    ...placementBody(view),
    leases: model?.leases ?? 0,
    waiting: model?.waiting ?? 0,
    pinned: model?.pinned ?? false,
    last_error: lastErrorOf(view),
    breaker: breakerOf(view, services.clock.epochMs()),
    last_good_answer_at: summaryBody(services.stats().experts[expert.id]).last_success_at,
    probe,
  };
}
