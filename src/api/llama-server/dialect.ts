// llama-server's own endpoints beside OpenAI's: tokens, templates, properties, slots. May import the folder's endpoints.
import type { Dialect } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { propsEndpoint } from "./props-endpoint.ts";
import { slotsEndpoint } from "./slots-endpoint.ts";
import { templateEndpoint } from "./template-endpoint.ts";
import { detokenizeEndpoint, tokenizeEndpoint } from "./token-endpoints.ts";

export function llamaServerDialect(services: Services): Dialect {
  return {
    name: "llama-server",
    endpoints: [
      tokenizeEndpoint(services),
      detokenizeEndpoint(services),
      templateEndpoint(services),
      propsEndpoint(services),
      slotsEndpoint(services),
    ],
  };
}
