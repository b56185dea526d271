// An answer's events as Ollama's lines: pieces, then one that is done and tells the durations. May import the chat contract
// and core/.
import type { AnswerEnd, NamedLogprobs, NamedToken, Routing } from "../../chat/contract.ts";
import type { Clock } from "../../core/clock.ts";
import type { StreamItem } from "../endpoint.ts";
import { endMissing, type AnswerEvents } from "../common/answer-events.ts";
import { routingBody } from "../common/model-answer.ts";

interface CalledTool {
  readonly id: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: unknown };
}

/** What a line tells of the answer itself. */
export interface Piece {
  readonly text: string;
  readonly thinking: string;
  readonly toolCalls: readonly CalledTool[];
}

export interface AnswerForm {
  /** What the caller named; null: the router was asked. The line names it as long as that is who answers. */
  readonly asked: { readonly name: string; readonly id: string } | null;
  /** The fields in which a kind of answer carries a piece. */
  readonly pieceFields: (piece: Piece) => object;
  readonly clock: Clock;
  /** When the request came, by `clock.nowMs`. */
  readonly startMs: number;
}

export const noPiece: Piece = { text: "", thinking: "", toolCalls: [] };

export function chatFields({ text, thinking, toolCalls }: Piece) {
  return {
    message: {
      role: "assistant" as const,
      content: text,
      ...(thinking === "" ? {} : { thinking }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
    },
  };
}

export function generateFields({ text, thinking }: Piece) {
  return { response: text, ...(thinking === "" ? {} : { thinking }) };
}

/** One line for each piece; calls of tools come whole. */
export async function* answerLines(
  firstRouting: Routing,
  events: AnswerEvents,
  form: AnswerForm,
): AsyncGenerator<StreamItem, void, void> {
  for await (const { piece, logprobs, end, routing } of pieces(firstRouting, events)) {
    if (piece !== noPiece) yield { json: { ...lineOf(routing, form, piece, logprobs), done: false } };
    if (end !== null) yield { json: { ...lineOf(routing, form, noPiece, []), ...endFields(end, routing, form) } };
  }
}

/** The answer as one object, and who gave it. */
export async function wholeAnswer(firstRouting: Routing, events: AnswerEvents, form: AnswerForm) {
  const texts: string[] = [];
  const thoughts: string[] = [];
  const toolCalls: CalledTool[] = [];
  const allLogprobs: NamedLogprobs[] = [];
  for await (const { piece, logprobs, end, routing } of pieces(firstRouting, events)) {
    texts.push(piece.text);
    thoughts.push(piece.thinking);
    toolCalls.push(...piece.toolCalls);
    allLogprobs.push(...logprobs);
    if (end === null) continue;
    const whole = { text: texts.join(""), thinking: thoughts.join(""), toolCalls };
    return {
      routing,
      body: { ...lineOf(routing, form, whole, allLogprobs), ...endFields(end, routing, form) },
    };
  }
  throw endMissing();
}

interface PlacedPiece {
  readonly piece: Piece;
  readonly logprobs: readonly NamedLogprobs[];
  /** Of the last one. */
  readonly end: AnswerEnd | null;
  readonly routing: Routing;
}

async function* pieces(firstRouting: Routing, events: AnswerEvents): AsyncGenerator<PlacedPiece, void, void> {
  let routing = firstRouting;
  let open: { readonly index: number; readonly id: string; readonly name: string; text: string } | null = null;
  for await (const event of events) {
    switch (event.type) {
      case "routing":
        routing = event.routing;
        break;
      case "text":
        if (event.text === "" && event.logprobs === undefined) break;
        yield { piece: { ...noPiece, text: event.text }, logprobs: event.logprobs ?? [], end: null, routing };
        break;
      case "reasoning":
        yield { piece: { ...noPiece, thinking: event.text }, logprobs: [], end: null, routing };
        break;
      case "tool_call":
        if (open !== null) yield { piece: callPiece(open), logprobs: [], end: null, routing };
        open = { index: event.index, id: event.id, name: event.name, text: "" };
        break;
      case "tool_arguments":
        if (open !== null) open.text += event.text;
        break;
      case "end":
        if (open !== null && (event.reason !== "length" || isJson(open.text))) {
          yield { piece: callPiece(open), logprobs: [], end: null, routing };
        }
        yield { piece: noPiece, logprobs: [], end: event, routing };
        return;
      case "started":
      case "prefill":
        break;
    }
  }
  throw endMissing();
}

function callPiece(call: {
  readonly index: number;
  readonly id: string;
  readonly name: string;
  readonly text: string;
}) {
  const { index, id, name, text } = call;
  const written = text === "" ? "{}" : text;
  return { ...noPiece, toolCalls: [{ id, function: { index, name, arguments: JSON.parse(written) as unknown } }] };
}

/** False: the token limit cut the call's arguments, and half a call is none. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function lineOf(routing: Routing, form: AnswerForm, piece: Piece, logprobs: readonly NamedLogprobs[]) {
  return {
    model: form.asked?.id === routing.expertId ? form.asked.name : routing.expertId,
    created_at: new Date(form.clock.epochMs()).toISOString(),
    ...form.pieceFields(piece),
    ...(logprobs.length === 0 ? {} : { logprobs: logprobs.map(logprobBody) }),
  };
}

function endFields({ reason, timings }: AnswerEnd, routing: Routing, { clock, startMs }: AnswerForm) {
  return {
    done: true as const,
    done_reason: reason === "length" ? ("length" as const) : ("stop" as const),
    total_duration: nanoseconds(clock.nowMs() - startMs),
    load_duration: nanoseconds(timings.loadMs),
    prompt_eval_count: timings.promptTokens,
    prompt_eval_duration: nanoseconds(timings.promptMs),
    eval_count: timings.generatedTokens,
    eval_duration: nanoseconds(timings.generatedMs),
    routing: routingBody(routing),
  };
}

export function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

function logprobBody(entry: NamedLogprobs) {
  return { ...tokenBody(entry), top_logprobs: entry.top.map(tokenBody) };
}

function tokenBody({ text, bytes, logprob }: NamedToken) {
  return { token: text, logprob, bytes: [...bytes] };
}
