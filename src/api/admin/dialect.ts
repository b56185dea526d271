// The operators' side: health, experts, statistics, events, metrics, and the description of the whole surface.
// May import zod and core/.
import { z } from "zod";
import type { Call, Dialect, Endpoint } from "../endpoint.ts";
import { openapiDocument } from "../openapi.ts";
import type { Services } from "../services.ts";
import { eventEndpoint } from "./event-endpoint.ts";
import { expertEndpoints } from "./expert-endpoints.ts";
import { healthEndpoints } from "./health-endpoints.ts";
import { poolEndpoints } from "./pool-endpoints.ts";
import { reloadEndpoint } from "./reload-endpoint.ts";
import { statsEndpoint } from "./stats-endpoint.ts";

const metricsType = "text/plain; version=0.0.4; charset=utf-8";

export const serviceResponse = z.object({
  service: z.string(),
  version: z.string(),
  engine: z.string().optional().describe("For those with a key alone, where keys are configured; the experts too."),
  experts: z.array(z.string()).optional(),
  endpoints: z.array(z.string()),
});

/** `endpointsElsewhere`: those of the other dialects, for openapi.json and the service's description. */
export function adminDialect(services: Services, endpointsElsewhere: readonly Endpoint[]): Dialect {
  const metrics: Endpoint = {
    method: "get",
    path: "/metrics",
    summary: "Metrics in Prometheus's text format",
    tag: "Administration",
    textType: metricsType,
    handle: async () => ({ kind: "text", contentType: metricsType, body: await services.metricsText() }),
  };
  const openapi: Endpoint = {
    method: "get",
    path: "/openapi.json",
    summary: "This description",
    tag: "Administration",
    response: z.looseObject({ openapi: z.string() }),
    handle: () => ({ kind: "json", body: document }),
  };
  const service: Endpoint = {
    method: "get",
    path: "/",
    summary: 'What this service is and where its endpoints are; for a client of Ollama, the text "Ollama is running"',
    tag: "Administration",
    response: serviceResponse,
    textType: "text/plain",
    // Platforms ask it whether the service is up, and Ollama's clients whether it is one of theirs.
    public: true,
    handle: (call) =>
      isOllamaClient(call)
        ? { kind: "text", contentType: "text/plain; charset=utf-8", body: "Ollama is running" }
        : {
            kind: "json",
            body: {
              service: "gguf-experts",
              version: services.version,
              ...(call.authorised
                ? { engine: services.engine.name, experts: services.experts().map((expert) => expert.id) }
                : {}),
              endpoints: all.map((endpoint) => `${endpoint.method.toUpperCase()} ${endpoint.path}`),
            },
          },
  };
  const endpoints = [
    ...healthEndpoints(services),
    ...expertEndpoints(services),
    statsEndpoint(services),
    eventEndpoint(services),
    ...poolEndpoints(services),
    reloadEndpoint(services),
    metrics,
    openapi,
    service,
  ];
  const all = [...endpointsElsewhere, ...endpoints];
  const document = openapiDocument(all, services.version);
  return { name: "admin", endpoints };
}

/** Ollama's clients look for its greeting before all else; what else asks for text alone can read nothing but that either. */
function isOllamaClient({ header }: Pick<Call<unknown>, "header">): boolean {
  const accepted = header("accept") ?? "";
  return (
    /^ollama\b/i.test(header("user-agent") ?? "") || (accepted.includes("text/plain") && !accepted.includes("json"))
  );
}
