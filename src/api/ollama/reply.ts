// What /api/chat and /api/generate reply with: lines, one object, or the news that a model was loaded. May import the chat
// contract.
import type { Reply } from "../endpoint.ts";
import { type AnswerEvents, takeRouting } from "../common/answer-events.ts";
import type { Services } from "../services.ts";
import { ignoredParameters } from "../common/unsupported.ts";
import { type AnswerForm, answerLines, noPiece, wholeAnswer } from "./answer.ts";
import { loadOrUnload } from "./loading.ts";
import { listedName } from "./names.ts";
import type { AnswerParameters } from "./parameters.ts";

export type AnswerServices = Pick<
  Services,
  "clock" | "defaultModel" | "dropsParameters" | "embedder" | "experts" | "loadExpert" | "resolveModel" | "unloadExpert"
>;

/** `id`: of the model that was asked for; null: the router. `ignored`: the parameters that were passed over. */
export async function answerReply(
  id: string | null,
  body: AnswerParameters,
  ignored: readonly string[],
  services: AnswerServices,
  pieceFields: AnswerForm["pieceFields"],
  events: AnswerEvents,
): Promise<Reply> {
  const { clock } = services;
  const startMs = clock.nowMs();
  const routing = await takeRouting(events);
  const asked = id === null ? null : { id, name: body.model ?? id };
  const form: AnswerForm = { asked, pieceFields, clock, startMs };
  if (body.stream !== false) {
    return {
      kind: "stream",
      form: "lines",
      headers: { "x-expert": routing.expertId, ...ignoredParameters(ignored) },
      items: answerLines(routing, events, form),
    };
  }
  const answer = await wholeAnswer(routing, events, form);
  return {
    kind: "json",
    headers: { "x-expert": answer.routing.expertId, ...ignoredParameters(ignored) },
    body: answer.body,
  };
}

/** One object, streamed or not, as Ollama itself does. */
export async function loadingReply(
  id: string | null,
  body: AnswerParameters,
  services: AnswerServices,
  pieceFields: AnswerForm["pieceFields"],
  signal: AbortSignal,
): Promise<Reply> {
  const { modelId, doneReason } = await loadOrUnload(id, body, services, signal);
  return {
    kind: "json",
    body: {
      model: id === null ? listedName(modelId) : body.model,
      created_at: new Date(services.clock.epochMs()).toISOString(),
      ...pieceFields(noPiece),
      done: true,
      done_reason: doneReason,
    },
  };
}
