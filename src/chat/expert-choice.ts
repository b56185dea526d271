// Which model a request gets: the one that it names, or the expert that the router chooses among those that can answer.
// May import contract.ts, engine/, experts/, pool/ and routing/ (types) and core/.
import { invalidRequest, modelNotFound, PublicError } from "../core/errors.ts";
import type { ModelFiles } from "../engine/model-files.ts";
import type { ExpertCatalogue } from "../experts/catalogue.ts";
import type { Embedder, Expert, Reranker } from "../experts/expert.ts";
import type { Router } from "../routing/router.ts";
import type { Routing } from "./contract.ts";

export interface ExpertChoiceParts {
  readonly catalogue: ExpertCatalogue;
  readonly embedder: Embedder | null;
  readonly reranker: Reranker | null;
  readonly files: Pick<ModelFiles, "look">;
  readonly router: Router;
}

export interface ChosenExpert {
  readonly expert: Expert;
  readonly routing: Routing;
  /** For the record; null where no router was asked. */
  readonly routingSource: string;
}

/** The expert that a request names, or null where the router is to decide. Throws a PublicError (404) for an unknown name. */
export function namedExpert(
  { catalogue, embedder, reranker }: Pick<ExpertChoiceParts, "catalogue" | "embedder" | "reranker">,
  name: string | null,
): Expert | null {
  if (name === null || name === "" || name === "auto") return null;
  const expert = catalogue.find(name);
  if (expert !== undefined) return expert;
  if (name === embedder?.id) throw notForThis(`${name} only makes embeddings; ask it at /v1/embeddings.`);
  if (name === reranker?.id) throw notForThis(`${name} only ranks documents; ask it at /v1/rerank.`);
  throw modelNotFound(name, [...catalogue.knownNames, "auto"]);
}

/** `prompt`: the text that decides where nobody is named. */
export async function chooseExpert(
  parts: ExpertChoiceParts,
  request: { readonly model: string | null; readonly forceRouting: boolean },
  prompt: string,
): Promise<ChosenExpert> {
  const named = request.forceRouting ? null : namedExpert(parts, request.model);
  if (named !== null) {
    const reason = "the request named this model";
    return {
      expert: named,
      routing: { expertId: named.id, confidence: 1, source: "request", reason },
      routingSource: "request",
    };
  }
  const decision = parts.router.route({ prompt, hasImages: false });
  const expert = await firstOnDisk(parts, decision.expertId, decision.scores);
  const isFirst = expert.id === decision.expertId;
  const reason = isFirst
    ? decision.reason
    : `${decision.reason}; the file of ${decision.expertId} is not there, ${expert.id} fits next best`;
  const confidence = isFirst ? decision.confidence : (decision.scores[expert.id] ?? 0);
  const routing = { expertId: expert.id, confidence, source: decision.source, reason };
  return { expert, routing, routingSource: decision.source };
}

/** The router's choice, or where its file is not there the likeliest expert whose file is. */
async function firstOnDisk(
  { catalogue, files }: ExpertChoiceParts,
  chosenId: string,
  scores: Readonly<Record<string, number>>,
): Promise<Expert> {
  const ranked = catalogue.experts.toSorted((left, right) => (scores[right.id] ?? 0) - (scores[left.id] ?? 0));
  const chosen = ranked.filter(({ id }) => id === chosenId);
  for (const expert of [...chosen, ...ranked]) {
    if ((await files.look(expert.modelPath)).state === "present") return expert;
  }
  throw new PublicError(
    `No expert can answer: no model file of ${catalogue.ids.join(", ")} can be used. GET /experts says why.`,
    { status: 503, type: "unavailable_error", code: "no_expert_available", shouldRetry: false },
  );
}

export function chooseEmbedder({ embedder, catalogue }: ExpertChoiceParts, name: string | null): Embedder {
  if (embedder === null) {
    throw invalidRequest(
      "No embedding model is configured; set embedding_model.model_path to a GGUF file.",
      "model",
      "embeddings_not_configured",
    );
  }
  if (name === null || name === "" || name === embedder.id) return embedder;
  if (catalogue.find(name) !== undefined)
    throw notForThis(`${name} generates text; the embedding model is ${embedder.id}.`);
  throw modelNotFound(name, [embedder.id]);
}

export function chooseReranker({ reranker, catalogue }: ExpertChoiceParts, name: string | null): Reranker {
  if (reranker === null) {
    throw new PublicError("No reranking model is configured; set rerank_model.model_path to a GGUF file.", {
      status: 501,
      type: "not_supported_error",
      code: "reranking_not_configured",
      shouldRetry: false,
    });
  }
  if (name === null || name === "" || name === reranker.id) return reranker;
  if (catalogue.find(name) !== undefined)
    throw notForThis(`${name} generates text; the reranking model is ${reranker.id}.`);
  throw modelNotFound(name, [reranker.id]);
}

function notForThis(message: string): PublicError {
  return invalidRequest(message, "model", "model_not_supported");
}
