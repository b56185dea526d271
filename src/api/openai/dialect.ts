// OpenAI's dialect: chat, completions, embeddings, models, and reranking beside them. May import the folder's endpoints.
import type { Dialect } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { chatEndpoint } from "./chat-endpoint.ts";
import { completionEndpoint } from "./completion-endpoint.ts";
import { embeddingEndpoint } from "./embedding-endpoint.ts";
import { modelEndpoints } from "./model-endpoints.ts";
import { rerankEndpoint } from "./rerank-endpoint.ts";

export function openaiDialect(services: Services): Dialect {
  return {
    name: "openai",
    endpoints: [
      chatEndpoint(services),
      completionEndpoint(services),
      embeddingEndpoint(services),
      rerankEndpoint(services),
      ...modelEndpoints(services),
    ],
  };
}
