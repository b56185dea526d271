// GET /admin/events: the pool's latest decisions, each with a sentence that explains it. May import zod and core/.
import { z } from "zod";
import { clip, invalidRequest } from "../../core/errors.ts";
import type { PoolEvent } from "../../core/pool-event.ts";
import { describePoolEvent } from "../../core/pool-event-text.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { readingModels } from "./reading-models.ts";

/** Grants are too many to be listed: they are counted. A type that is missing here does not compile. */
const knownTypes: Readonly<Record<Exclude<PoolEvent["type"], "granted">, true>> = {
  proof_started: true,
  proof_finished: true,
  load_started: true,
  load_progress: true,
  load_finished: true,
  load_failed: true,
  load_abandoned: true,
  unload_started: true,
  unload_finished: true,
  draining_started: true,
  refused: true,
  context_reduced: true,
  quarantined: true,
  quarantine_lifted: true,
  memory_short: true,
  reconfigured: true,
};
const eventTypes = Object.keys(knownTypes);

const defaultLimit = 100;
const largestLimit = 1000;

const event = z.looseObject({
  sequence: z.int().describe("1, 2, 3 … since the start."),
  at: z.string(),
  type: z.enum(eventTypes),
  text: z.string().describe("What happened and why, in one sentence; the figures in it stand beside it as fields."),
  expert_id: z.string().optional(),
  for_expert_id: z.string().nullable().optional().describe("Who gets the memory; null: nobody waits for it."),
});

export const eventsResponse = z.object({
  events: z.array(event).describe("Newest last."),
  last_sequence: z.int().describe("Of all events; send it as `since` to get what is new."),
  dropped: z.int().describe("Events after `since` that are no longer kept, whatever they were about."),
});

export function eventEndpoint(
  services: Pick<Services, "embedder" | "reranker" | "experts" | "poolEvents" | "resolveModel">,
): Endpoint {
  return {
    method: "get",
    path: "/admin/events",
    summary: "What the pool decided lately, and why: loads, evictions, waits, refusals",
    tag: "Administration",
    query: {
      since: "Only events after this sequence; the oldest of them first come in, so that a reader can page through.",
      limit: `At most this many: an integer from 1 to ${largestLimit}. Absent: ${defaultLimit}.`,
      model: "Only events about this expert (id or alias), or for its sake.",
      type: `Only events of this type: ${eventTypes.join(", ")}.`,
    },
    response: eventsResponse,
    errors: { 400: "A query parameter is wrong" },
    handle({ query }) {
      const since = integerOf(query, "since", 0, Number.MAX_SAFE_INTEGER);
      const limit = integerOf(query, "limit", 1, largestLimit) ?? defaultLimit;
      const type = typeOf(query["type"]);
      const all = services.poolEvents();
      const modelId = modelOf(query["model"], services, all);
      const wanted = all.filter(
        (each) =>
          each.sequence > (since ?? 0) &&
          (type === null || each.type === type) &&
          (modelId === null || concerns(each, modelId)),
      );
      const lastSequence = all.at(-1)?.sequence ?? 0;
      const oldestSequence = all[0]?.sequence ?? lastSequence + 1;
      return {
        kind: "json",
        body: {
          events: (since === null ? wanted.slice(-limit) : wanted.slice(0, limit)).map(eventBody),
          last_sequence: lastSequence,
          dropped: Math.max(0, oldestSequence - 1 - (since ?? 0)),
        },
      };
    },
  };
}

/** The event's own fields in the words of this API, beside its sentence. */
function eventBody(event: PoolEvent): z.output<typeof eventsResponse>["events"][number] {
  const { sequence, atMs, type, ...fields } = event;
  return {
    sequence,
    at: new Date(atMs).toISOString(),
    type,
    text: describePoolEvent(event),
    ...Object.fromEntries(Object.entries(fields).map(([name, value]) => [apiName(name), value as unknown])),
  };
}

/** `forModelId` is `for_expert_id` */
function apiName(name: string): string {
  return name
    .replace(/modelId$/, "expertId")
    .replace(/ModelId$/, "ExpertId")
    .replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function concerns(event: PoolEvent, modelId: string): boolean {
  if (event.type === "reconfigured") {
    return [event.added, event.changed, event.removed].some((ids) => ids.includes(modelId));
  }
  return ("modelId" in event && event.modelId === modelId) || ("forModelId" in event && event.forModelId === modelId);
}

type Query = Readonly<Record<string, string>>;

function integerOf(query: Query, name: string, min: number, max: number): number | null {
  const text = query[name];
  if (text === undefined) return null;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw wrong(
    name,
    text,
    max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`,
  );
}

function typeOf(text: string | undefined): string | null {
  if (text === undefined || eventTypes.includes(text)) return text ?? null;
  throw wrong("type", text, `one of ${eventTypes.join(", ")}`);
}

/** Also an expert that has left the configuration, as long as an event tells of it. */
function modelOf(
  name: string | undefined,
  services: Pick<Services, "embedder" | "reranker" | "experts" | "resolveModel">,
  events: readonly PoolEvent[],
): string | null {
  if (name === undefined) return null;
  const others = readingModels(services);
  const expert = services.resolveModel(name);
  if (expert !== undefined) return expert.id;
  if (others.some(({ id }) => id === name) || events.some((event) => concerns(event, name))) return name;
  const known = [...services.experts(), ...others].map(({ id }) => id);
  throw wrong("model", name, `one of ${known.join(", ")}`);
}

function wrong(name: string, received: string, allowed: string) {
  return invalidRequest(`${name} must be ${allowed}; received ${JSON.stringify(clip(received))}.`, name);
}
