// What all endpoints that put a model to work have in common: statuses and headers for the documentation, and who answered.
// May import the chat contract.
import type { Routing } from "../../chat/contract.ts";

/** Statuses of the endpoints that put a model to work. */
export const modelErrors = {
  404: "No such model; the message lists the known ones",
  429: "The queue is full; Retry-After says when to come back",
  503: "Loading failed or the server is shutting down; Retry-After says when to come back, where that helps",
  507: "The model is larger than the memory budget, or the machine lacks the memory",
} as const;

/** Headers of a generated answer. */
export const answerHeaders = {
  "x-expert": "The expert that answered",
  "x-ignored-parameters": "Parameters of the request that were passed over, where there are any",
} as const;

/** `routing` as it stands in bodies and first chunks. */
export function routingBody(routing: Routing) {
  return {
    expert_id: routing.expertId,
    confidence: routing.confidence,
    source: routing.source,
    reason: routing.reason,
  };
}
