// The response object: what was asked for, and what has come of it. Pure; may import the chat contract.
import type { AnswerEnd, Routing } from "../../chat/contract.ts";
import { PublicError } from "../../core/errors.ts";
import { routingBody } from "../common/model-answer.ts";
import { performanceBody, timingsBody } from "../openai/usage.ts";
import type { ResponseBody } from "./response-request.ts";

export interface ResponseHead {
  readonly id: string;
  /** Seconds since the Unix epoch. */
  readonly createdAt: number;
  readonly routing: Routing;
  readonly body: ResponseBody;
}

/** Before its end. */
export function openResponse(head: ResponseHead) {
  return responseBody(head, { status: "in_progress", output: [] });
}

/** `completedAt`: seconds since the Unix epoch. */
export function endedResponse(head: ResponseHead, output: readonly object[], end: AnswerEnd, completedAt: number) {
  const { timings } = end;
  const isCut = end.reason === "length";
  return {
    ...responseBody(head, {
      status: isCut ? "incomplete" : "completed",
      output,
      completed_at: isCut ? null : completedAt,
      incomplete_details: isCut ? { reason: "max_output_tokens" } : null,
      usage: {
        input_tokens: timings.promptTokens,
        input_tokens_details: { cached_tokens: timings.cachedTokens },
        output_tokens: timings.generatedTokens,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: timings.promptTokens + timings.generatedTokens,
      },
    }),
    timings: timingsBody(timings),
    performance: performanceBody(timings),
  };
}

export function failedResponse(head: ResponseHead, output: readonly object[], thrown: unknown) {
  return responseBody(head, { status: "failed", output, error: errorBody(thrown) });
}

/** What is no PublicError is not for the caller. */
function errorBody(thrown: unknown) {
  if (!(thrown instanceof PublicError))
    return { code: "server_error", message: "The server failed while it answered." };
  const { status, message } = thrown;
  if (status === 429) return { code: "rate_limit_exceeded", message };
  return { code: status < 500 ? "invalid_prompt" : "server_error", message };
}

interface ResponseState {
  readonly status: "in_progress" | "completed" | "incomplete" | "failed";
  readonly output: readonly object[];
  readonly completed_at?: number | null;
  readonly incomplete_details?: object | null;
  readonly error?: object;
  readonly usage?: object;
}

function responseBody({ id, createdAt, routing, body }: ResponseHead, state: ResponseState) {
  return {
    id,
    object: "response" as const,
    created_at: createdAt,
    status: state.status,
    completed_at: state.completed_at ?? null,
    background: false,
    error: state.error ?? null,
    incomplete_details: state.incomplete_details ?? null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: null,
    metadata: body.metadata ?? {},
    model: routing.expertId,
    output: state.output,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    prompt_cache_key: null,
    reasoning: { effort: body.reasoning_effort ?? body.reasoning?.effort ?? null, summary: null },
    safety_identifier: null,
    service_tier: "default" as const,
    store: false,
    temperature: body.temperature ?? null,
    text: { format: body.text?.format ?? { type: "text" }, verbosity: "medium" },
    tool_choice: body.tool_choice ?? "auto",
    tools: (body.tools ?? []).filter(({ type }) => type === "function").map(toolBody),
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? null,
    presence_penalty: body.presence_penalty ?? null,
    frequency_penalty: body.frequency_penalty ?? null,
    truncation: "disabled" as const,
    usage: state.usage ?? null,
    user: body.user ?? null,
    routing: routingBody(routing),
  };
}

function toolBody({ name, description, parameters, strict }: NonNullable<ResponseBody["tools"]>[number]) {
  return {
    type: "function" as const,
    name,
    description: description ?? null,
    parameters: parameters ?? null,
    strict: strict ?? null,
  };
}
