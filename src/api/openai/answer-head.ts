// What every body and chunk of one answer repeats. May import the chat contract.
import { randomUUID } from "node:crypto";
import type { Routing } from "../../chat/contract.ts";
import type { Services } from "../services.ts";

export interface AnswerHead {
  /** One for all chunks of an answer. */
  readonly id: string;
  /** Seconds since the Unix epoch. */
  readonly created: number;
  /** The version of what answers. */
  readonly fingerprint: string;
  readonly routing: Routing;
}

export function newHead(
  prefix: "chatcmpl" | "cmpl",
  { clock, version }: Pick<Services, "clock" | "version">,
  routing: Routing,
): AnswerHead {
  return {
    id: `${prefix}-${randomUUID()}`,
    created: Math.floor(clock.epochMs() / 1000),
    fingerprint: `b${version}`,
    routing,
  };
}

/** The fields that bodies and chunks begin with. */
export function headBody<Kind extends string>(head: AnswerHead, object: Kind) {
  return {
    id: head.id,
    object,
    created: head.created,
    model: head.routing.expertId,
    system_fingerprint: head.fingerprint,
  };
}
