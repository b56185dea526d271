// OpenAI's Responses API, without what it keeps between requests. May import the folder's endpoints and core/.
import type { Dialect } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { countEndpoint } from "./count-endpoint.ts";
import { responseEndpoint } from "./response-endpoint.ts";

export function responsesDialect(services: Services): Dialect {
  return {
    name: "responses",
    endpoints: [responseEndpoint(services), countEndpoint(services)],
    // OpenAI's form; as an event it needs a type, as all of this dialect have.
    errors: {
      body: ({ message, type, param, code }) => ({ type: "error", error: { message, type, param, code } }),
      event: "error",
    },
  };
}
