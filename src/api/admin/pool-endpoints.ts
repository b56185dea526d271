// POST /admin/experts/{id}/load, /unload and /lift: an operator's hand on the pool. May import zod and core/.
import { z } from "zod";
import { PublicError } from "../../core/errors.ts";
import { plural } from "../../core/words.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { readingModels } from "./reading-models.ts";
import { expertNotFound } from "./expert-not-found.ts";

type Needs = Pick<
  Services,
  "embedder" | "reranker" | "experts" | "liftQuarantine" | "loadExpert" | "poolStatus" | "resolveModel" | "unloadExpert"
>;

export const loadResponse = z.object({
  expert_id: z.string(),
  status: z.literal("loaded"),
  reserved_bytes: z.int(),
  context_length: z.int().nullable(),
});

export const unloadResponse = z.object({
  expert_id: z.string(),
  status: z.enum(["unloading", "not_loaded"]).describe("not_loaded: there was nothing to unload."),
});

export const liftResponse = z.object({
  expert_id: z.string(),
  lifted: z.boolean().describe("False: it was neither in quarantine nor waiting after a failed load."),
});

const unknownExpert = "No such expert; the message lists the known ones";

export function poolEndpoints(services: Needs): readonly Endpoint[] {
  return [
    {
      method: "post",
      path: "/admin/experts/{id}/load",
      summary: "Load an expert now, as a request for it would; answers when it is in memory",
      tag: "Administration",
      response: loadResponse,
      errors: {
        404: `${unknownExpert}, or its file is missing`,
        429: "Too many requests wait for it",
        503: "Loading failed, is not tried again yet, or the server is shutting down",
        507: "It is larger than the memory budget, or the machine lacks the memory",
      },
      async handle({ params, signal }) {
        const id = modelIdOf(params["id"], services);
        await services.loadExpert(id, signal, null);
        const model = services.poolStatus().models.find(({ modelId }) => modelId === id);
        return {
          kind: "json",
          body: {
            expert_id: id,
            status: "loaded",
            reserved_bytes: model?.reservedBytes ?? 0,
            context_length: model?.contextTokens ?? null,
          },
        };
      },
    },
    {
      method: "post",
      path: "/admin/experts/{id}/unload",
      summary: "Unload an idle expert now",
      tag: "Administration",
      response: unloadResponse,
      errors: {
        404: unknownExpert,
        409: "It is in use, requests wait for it, or the configuration keeps it in memory",
      },
      handle({ params }) {
        const id = modelIdOf(params["id"], services);
        const status = services.unloadExpert(id);
        if (status === "busy") throw busy(id, services);
        return { kind: "json", body: { expert_id: id, status } };
      },
    },
    {
      method: "post",
      path: "/admin/experts/{id}/lift",
      summary: "End an expert's quarantine, or the wait after loads that failed: the next request loads it",
      tag: "Administration",
      response: liftResponse,
      errors: { 404: unknownExpert },
      handle({ params }) {
        const id = modelIdOf(params["id"], services);
        return { kind: "json", body: { expert_id: id, lifted: services.liftQuarantine(id) } };
      },
    },
  ];
}

/** Of an expert, by id or alias, or of a model that is none. */
function modelIdOf(name = "", services: Needs): string {
  const others = readingModels(services);
  const id = (services.resolveModel(name) ?? others.find((model) => model.id === name))?.id;
  if (id === undefined) throw expertNotFound(name, [...services.experts(), ...others]);
  return id;
}

function busy(id: string, services: Needs): PublicError {
  const model = services.poolStatus().models.find(({ modelId }) => modelId === id);
  const uses = [
    model !== undefined && model.leases > 0 ? `${plural(model.leases, "request")} in progress` : "",
    model !== undefined && model.waiting > 0 ? `${plural(model.waiting, "request")} waiting` : "",
    model?.pinned === true ? "`keep` of the configuration" : "",
    model?.state === "loading" ? "its load under way" : "",
  ].filter(Boolean);
  const why = uses.length === 0 ? "it is in use" : uses.join(" and ");
  return new PublicError(`${id} was not unloaded: ${why}. Only an expert that nobody uses can be unloaded.`, {
    status: 409,
    type: "invalid_request_error",
    code: "expert_busy",
    shouldRetry: model?.pinned !== true,
  });
}
