// POST /v1/rerank. May import the chat contract and core/.
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { rerankAnswer } from "./rerank-answer.ts";
import { type RerankBody, rerankBody, toRankingRequest } from "./rerank-request.ts";
import { reranking } from "./responses.ts";
import { modelErrors } from "../common/model-answer.ts";

export function rerankEndpoint(services: Pick<Services, "chat">): Endpoint<RerankBody> {
  return {
    method: "post",
    path: "/v1/rerank",
    aliases: ["/v1/reranking", "/rerank", "/reranking"],
    summary: "Order documents by how well they answer a query",
    tag: "OpenAI",
    body: rerankBody,
    response: reranking,
    errors: { ...modelErrors, 501: "No reranking model is configured" },
    async handle({ body, signal }) {
      return { kind: "json", body: rerankAnswer(await services.chat.rank(toRankingRequest(body), signal), body) };
    },
  };
}
