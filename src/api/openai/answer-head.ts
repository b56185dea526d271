// What every body and chunk of one answer repeats. May import the chat contract.
import type { Routing } from "../../chat/contract.ts";

export interface AnswerHead {
  /** One for all chunks of an answer. */
  readonly id: string;
  /** Seconds since the Unix epoch. */
  readonly created: number;
  readonly routing: Routing;
}

/** `routing` as it stands in bodies and first chunks. */
export function routingBody(routing: Routing) {
  return {
    expert_id: routing.expertId,
    confidence: routing.confidence,
    source: routing.source,
    reason: routing.reason,
  };
}
