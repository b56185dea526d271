// POST /v1/embeddings. May import the chat contract and core/.
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { embeddingAnswer } from "./embedding-answer.ts";
import { embeddingBody, toEmbeddingRequest, type EmbeddingBody } from "./embedding-request.ts";
import { embeddings } from "./responses.ts";
import { modelErrors } from "../common/model-answer.ts";

export function embeddingEndpoint(services: Pick<Services, "chat">): Endpoint<EmbeddingBody> {
  return {
    method: "post",
    path: "/v1/embeddings",
    aliases: ["/embeddings"],
    summary: "Turn texts into vectors with the embedding model",
    tag: "OpenAI",
    body: embeddingBody,
    response: embeddings,
    errors: modelErrors,
    async handle({ body, signal }) {
      const answer = await services.chat.embed(toEmbeddingRequest(body), signal);
      return { kind: "json", body: embeddingAnswer(answer, body.encoding_format ?? "float") };
    },
  };
}
