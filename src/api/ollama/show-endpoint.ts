// POST /api/show: what a model is and can do. May import zod, experts/ (types) and core/.
import { z } from "zod";
import { invalidRequest, PublicError } from "../../core/errors.ts";
import type { Expert } from "../../experts/expert.ts";
import type { Endpoint } from "../endpoint.ts";
import { canServe, type ExpertView, placementBody, viewExpert, viewExperts } from "../common/expert-view.ts";
import type { Services } from "../services.ts";
import { describe } from "../common/validation.ts";
import { fileDigest, type PresentFile } from "./model-entry.ts";
import { modelIdOf } from "./names.ts";
import { showAnswer } from "./responses.ts";
import { embedderShow, expertShow, type LoadedFacts, noFacts, routerShow } from "./show-answer.ts";

type Needs = Pick<
  Services,
  "chat" | "embedder" | "experts" | "fileState" | "poolStatus" | "resolveModel" | "startedAtMs"
>;

const showBody = z.object({
  model: z.string().nullish(),
  name: z.string().nullish().describe("The older name of model."),
});

type ShowBody = z.output<typeof showBody>;

export function showEndpoint(services: Needs): Endpoint<ShowBody> {
  const factsOf = factFinder(services);
  return {
    method: "post",
    path: "/api/show",
    summary: "What a model is and can do, as Ollama shows it",
    tag: "Ollama",
    body: showBody,
    response: showAnswer,
    errors: { 404: "No such model, or its file is missing" },
    async handle({ body, signal }) {
      const name = nameOf(body);
      const id = modelIdOf(name, services);
      if (id === null) {
        const views = (await viewExperts(services)).filter(({ status }) => canServe(status));
        const contextTokens = Math.min(...views.map(contextOf));
        if (views.length === 0) throw unusableFile(name, "no expert's file can be used");
        return { kind: "json", body: routerShow(contextTokens, services.startedAtMs) };
      }
      const file = await services.fileState(id);
      if (file.state !== "present") throw unusableFile(name, file.reason);
      const embedder = services.embedder();
      if (embedder?.id === id) return { kind: "json", body: embedderShow(embedder, file) };
      const expert = services.resolveModel(id);
      if (expert === undefined) throw unusableFile(name, "it has left the configuration");
      const contextTokens = contextOf(await viewExpert(services, expert));
      return { kind: "json", body: expertShow(expert, file, contextTokens, await factsOf(expert, file, signal)) };
    },
  };
}

/** Remembers of each model what was found: it holds as long as its file does, whether or not it is in memory. */
function factFinder(services: Needs) {
  const known = new Map<string, { readonly digest: string; readonly facts: LoadedFacts }>();
  return async ({ id }: Expert, file: PresentFile, signal: AbortSignal): Promise<LoadedFacts> => {
    const digest = fileDigest(file);
    const entry = known.get(id);
    if (entry?.digest === digest) return entry.facts;
    const isLoaded = services.poolStatus().models.some(({ modelId, state }) => modelId === id && state === "loaded");
    // To look at a model must not bring it into memory.
    if (!isLoaded) return noFacts;
    const facts = await services.chat.withModel(
      id,
      ({ template, vocabulary }): LoadedFacts => ({
        template: template.source ?? "",
        capabilities: [
          ...(template.thinking === null ? [] : (["thinking"] as const)),
          ...(vocabulary.infill === null ? [] : (["insert"] as const)),
        ],
      }),
      signal,
    );
    known.set(id, { digest, facts });
    return facts;
  };
}

function nameOf({ model, name }: ShowBody): string {
  const given = model ?? name ?? "";
  if (given !== "") return given;
  throw invalidRequest(`model must be the name of a model; received ${describe(model ?? name)}.`, "model");
}

/** Tokens; 0 where neither file nor configuration say. */
function contextOf(view: ExpertView): number {
  return placementBody(view).context_length ?? 0;
}

function unusableFile(name: string, reason: string): PublicError {
  return new PublicError(`model '${name}' not found: ${reason}`, {
    status: 404,
    type: "not_found_error",
    code: "model_file_unusable",
    param: "model",
    shouldRetry: false,
  });
}
