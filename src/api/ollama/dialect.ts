// Ollama's dialect. May import the folder's endpoints.
import type { Dialect } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { chatEndpoint } from "./chat-endpoint.ts";
import { embedEndpoint, embeddingsEndpoint } from "./embed-endpoints.ts";
import { generateEndpoint } from "./generate-endpoint.ts";
import { listEndpoints } from "./list-endpoints.ts";
import { managementEndpoints } from "./management-endpoints.ts";
import { showEndpoint } from "./show-endpoint.ts";

export function ollamaDialect(services: Services): Dialect {
  return {
    name: "ollama",
    errors: { body: ({ message }) => ({ error: message }) },
    endpoints: [
      chatEndpoint(services),
      generateEndpoint(services),
      embedEndpoint(services),
      embeddingsEndpoint(services),
      ...listEndpoints(services),
      showEndpoint(services),
      ...managementEndpoints(services),
    ],
  };
}
