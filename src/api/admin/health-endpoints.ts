// GET /health, /health/live, /health/ready and /health/experts/{id}. May import zod and core/.
import { z } from "zod";
import type { Endpoint } from "../endpoint.ts";
import {
  canServe,
  expertStatuses,
  lastErrorOf,
  placement,
  placementBody,
  viewExpert,
  viewExperts,
} from "../common/expert-view.ts";
import type { Services } from "../services.ts";
import { expertNotFound } from "./expert-not-found.ts";
import { assessHealth, type Problem } from "./health.ts";
import { recentSummary, summaryBody } from "./summary.ts";

export const healthResponse = z.object({
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  models_loaded: z.int(),
  models_available: z.int().describe("Experts that can answer."),
  models_configured: z.int(),
  problems: z
    .array(z.string())
    .describe(
      "What keeps the status from being healthy; with reasons for callers with a key, or where none is asked for.",
    ),
  draining: z.boolean(),
  uptime_s: z.number(),
  version: z.string(),
});

const aliveResponse = z.object({ status: z.enum(["alive", "stuck"]) });

const readyResponse = z.object({
  status: z.enum(["ready", "draining", "unhealthy"]),
  problems: z.array(z.string()),
});

export const expertHealthResponse = z.object({
  expert_id: z.string(),
  status: z.enum(expertStatuses),
  healthy: z.boolean(),
  last_error: z.string().nullable(),
  ...placement,
  recent: recentSummary,
});

export function healthEndpoints(services: Services): readonly Endpoint[] {
  const assess = async () => assessHealth(await viewExperts(services), services.poolStatus().progressing);
  return [
    {
      method: "get",
      path: "/health",
      summary: "Whether the server can answer; degraded when some expert cannot",
      tag: "Health",
      public: true,
      response: healthResponse,
      otherStatuses: { 503: "unhealthy: nothing can serve, or requests wait and nothing moves" },
      async handle({ authorised }) {
        const health = await assess();
        return {
          kind: "json",
          status: health.status === "unhealthy" ? 503 : 200,
          body: {
            status: health.status,
            models_loaded: health.loadedCount,
            models_available: health.availableCount,
            models_configured: services.experts().length,
            problems: tell(health.problems, authorised),
            draining: services.isDraining(),
            uptime_s: (services.clock.epochMs() - services.startedAtMs) / 1000,
            version: services.version,
          },
        };
      },
    },
    {
      method: "get",
      path: "/health/live",
      summary: "Whether the process still makes progress; restart it when not",
      tag: "Health",
      public: true,
      response: aliveResponse,
      otherStatuses: { 503: "stuck: requests wait and nothing moves" },
      handle() {
        const alive = services.poolStatus().progressing;
        return { kind: "json", status: alive ? 200 : 503, body: { status: alive ? "alive" : "stuck" } };
      },
    },
    {
      method: "get",
      path: "/health/ready",
      summary: "Whether to send requests here",
      tag: "Health",
      public: true,
      response: readyResponse,
      otherStatuses: { 503: "draining, or unhealthy" },
      async handle({ authorised }) {
        const { status, problems } = await assess();
        const ready = services.isDraining() ? "draining" : status === "unhealthy" ? "unhealthy" : "ready";
        return {
          kind: "json",
          status: ready === "ready" ? 200 : 503,
          body: { status: ready, problems: tell(problems, authorised) },
        };
      },
    },
    {
      method: "get",
      path: "/health/experts/{id}",
      summary: "Whether one expert can answer",
      tag: "Health",
      response: expertHealthResponse,
      otherStatuses: { 503: "the expert is missing or failed" },
      errors: { 404: "No such expert; the message lists the known ones" },
      async handle({ params }) {
        const id = params["id"] ?? "";
        const expert = services.resolveModel(id);
        if (expert === undefined) throw expertNotFound(id, services.experts());
        const view = await viewExpert(services, expert);
        const healthy = canServe(view.status);
        return {
          kind: "json",
          status: healthy ? 200 : 503,
          body: {
            expert_id: expert.id,
            status: view.status,
            healthy,
            last_error: lastErrorOf(view),
            ...placementBody(view),
            recent: summaryBody(services.stats().experts[expert.id]),
          },
        };
      },
    },
  ];
}

function tell(problems: readonly Problem[], authorised: boolean): string[] {
  return problems.map(({ brief, full }) => (authorised ? full : brief));
}
