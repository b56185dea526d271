// Anthropic's Messages API. The headers `anthropic-version` and `anthropic-beta` are taken and change nothing: what is
// beyond this server is refused by its field. May import the folder's endpoints.
import type { Dialect } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { countEndpoint } from "./count-endpoint.ts";
import { anthropicErrors } from "./errors.ts";
import { messageEndpoint } from "./message-endpoint.ts";

export function anthropicDialect(services: Services): Dialect {
  return {
    name: "anthropic",
    endpoints: [messageEndpoint(services), countEndpoint(services)],
    errors: anthropicErrors,
    // Where Anthropic's own clients find it.
    requestIdHeader: "request-id",
  };
}
