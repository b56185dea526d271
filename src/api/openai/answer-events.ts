// Reads an answer's events: its routing first, then the rest of it. May import the chat contract.
import type { AnswerEvent, AnswerTimings, Routing } from "../../chat/contract.ts";

export type AnswerEvents = AsyncGenerator<AnswerEvent, void, void>;

export interface WholeAnswer {
  readonly routing: Routing;
  readonly text: string;
  readonly reason: "stop" | "length";
  readonly timings: AnswerTimings;
}

/** The event that every answer begins with; the others stay in `events`. What fails before it is thrown. */
export async function takeRouting(events: AnswerEvents): Promise<Routing> {
  const first = await events.next();
  if (first.done === true || first.value.type !== "routing") {
    throw new Error("An answer did not begin with its routing.");
  }
  return first.value.routing;
}

/** `routing`: what `takeRouting` gave; a later one, after a fallback, replaces it. */
export async function readAnswer(routing: Routing, events: AnswerEvents): Promise<WholeAnswer> {
  let current = routing;
  let text = "";
  for await (const event of events) {
    if (event.type === "routing") current = event.routing;
    if (event.type === "text") text += event.text;
    if (event.type === "end") return { routing: current, text, reason: event.reason, timings: event.timings };
  }
  throw endMissing();
}

/** A generator that stops without its last event is a bug, and must not look like a whole answer. */
export function endMissing(): Error {
  return new Error("An answer ended without its end event.");
}
