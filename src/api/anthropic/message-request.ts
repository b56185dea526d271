// The bodies of POST /v1/messages and /v1/messages/count_tokens and their way inside. May import zod, core/ and the chat
// contract.
import { z } from "zod";
import type { ChatRequest, PromptRequest, ReasoningOptions } from "../../chat/contract.ts";
import type { ToolDefinition } from "../../engine/engine.ts";
import { invalidRequest } from "../../core/errors.ts";
import type { OutputFormat } from "../../formats/answer-format.ts";
import { toModel } from "../openai/parameters.ts";
import { schedulingParameters, toScheduling } from "../common/scheduling.ts";
import { keptObject, maxTools, type ToolChoice, toGivenTools, toToolUse } from "../responses/tool-use.ts";
import { is, isEmpty, type ParameterPolicy, passOver, unsupportedFields } from "../common/unsupported.ts";
import { anyObject, checked, describe, optionalNumber, refuseArray, withUnknownNames } from "../common/validation.ts";
import { content, systemContent } from "./content.ts";
import { toConversation } from "./conversation.ts";

/** Anthropic's own limit. */
const maxMessages = 100_000;
const maxStops = 16;
const maxTokensAllowed = "an integer of at least 0; 0 reads the prompt and generates nothing";
const topKAllowed = "an integer of at least 0; 0 considers the whole vocabulary";
const budgetAllowed = "an integer of at least 1";
const stopAllowed = "a non-empty string";

const message = z.object(
  { role: z.enum(["user", "assistant", "system"]), content },
  'a message such as {"role": "user", "content": "…"}',
);

const tool = z.object(
  {
    type: z.string().nullish().describe("Absent or `custom`: tools that run on Anthropic's servers are refused."),
    name: z.string(),
    description: z.string().nullish(),
    input_schema: keptObject().optional().describe("The JSON Schema of the input, of type object."),
  },
  'a tool such as {"name": "…", "input_schema": {…}}',
);

const parallelField = { disable_parallel_tool_use: z.boolean().nullish() };
const toolChoice = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("auto"), ...parallelField }),
    z.object({ type: z.literal("any"), ...parallelField }),
    z.object({ type: z.literal("tool"), name: z.string(), ...parallelField }),
    z.object({ type: z.literal("none") }),
  ],
  {
    error: (issue) =>
      issue.code === "invalid_union" ? 'one of "auto", "any", "tool", "none"' : 'an object such as {"type": "auto"}',
  },
);

const display = z
  .enum(["summarized", "omitted"])
  .nullish()
  .describe("`omitted`: thinking blocks come without their text. Else with all of it.");
const thinking = z.discriminatedUnion(
  "type",
  [
    z.object({
      type: z.literal("enabled"),
      budget_tokens: z
        .int(budgetAllowed)
        .min(1, budgetAllowed)
        .describe("Thinking is ended after as many tokens; they count as part of max_tokens."),
      display,
    }),
    z.object({ type: z.literal("adaptive"), display }),
    z.object({ type: z.literal("disabled") }),
  ],
  {
    error: (issue) =>
      issue.code === "invalid_union"
        ? 'one of "enabled", "adaptive", "disabled"'
        : 'an object such as {"type": "enabled", "budget_tokens": 1024}',
  },
);

const outputFormat = z.object({ type: z.literal("json_schema"), schema: keptObject() });

const messageBounds = { min: 1, max: maxMessages, allowed: `an array of 1 to ${maxMessages} messages` };
const toolBounds = { min: 0, max: maxTools, allowed: `an array of at most ${maxTools} tools` };
const stopText = z.string(stopAllowed).min(1, stopAllowed);
const stopBounds = { min: 0, max: maxStops, allowed: `an array of at most ${maxStops} non-empty strings` };

/** What Anthropic's servers do and this one does not. */
const policy = {
  refused: { mcp_servers: isEmpty, container: isEmpty },
  ignored: { context_management: isEmpty, service_tier: is("auto", "standard_only"), speed: is("standard") },
} as const satisfies ParameterPolicy;

const promptFields = {
  model: z.string().nullish().describe('An expert\'s id or alias. Absent, "" or "auto": the router picks the expert.'),
  messages: checked(z.array(message).min(1).max(maxMessages), (value) =>
    refuseArray(value, message, messageBounds),
  ).describe("A last message of the assistant is continued."),
  system: systemContent.nullish(),
  tools: checked(z.array(tool).max(maxTools), (value) => refuseArray(value, tool, toolBounds)).nullish(),
  tool_choice: toolChoice.nullish(),
  thinking: thinking.nullish().describe("Absent: disabled, where the model's template can switch it."),
  output_config: z
    .object({
      effort: z.enum(["low", "medium", "high", "xhigh", "max"]).nullish(),
      format: outputFormat.nullish(),
    })
    .nullish(),
  output_format: outputFormat.nullish().describe("The older name of output_config.format."),
  cache_control: z.unknown().optional().describe("Ignored: what was read before is found without it."),
  ...schedulingParameters,
  ...unsupportedFields(policy),
};

const countFields = z.object(promptFields);

export const countBody = withUnknownNames(countFields);

const messageFields = z.object({
  ...promptFields,
  max_tokens: z.int(maxTokensAllowed).min(0, maxTokensAllowed),
  stop_sequences: checked(z.array(stopText).max(maxStops), (value) => refuseArray(value, stopText, stopBounds))
    .nullish()
    .describe("The answer ends before the first of these."),
  temperature: optionalNumber(0, 1).describe("0 always takes the likeliest token."),
  top_p: optionalNumber(0, 1),
  top_k: z.int(topKAllowed).min(0, topKAllowed).nullish(),
  stream: z.boolean().nullish(),
  metadata: anyObject().nullish().describe("Ignored."),
});

export const messageBody = withUnknownNames(messageFields);

export type CountBody = z.output<typeof countBody>;
export type MessageBody = z.output<typeof messageBody>;

interface PromptQuestion {
  readonly request: PromptRequest;
  /** Parameters that were passed over. */
  readonly ignored: readonly string[];
}

interface MessageQuestion extends PromptQuestion {
  readonly request: ChatRequest;
}

/** Throws a PublicError (400) for what this server cannot do; `drops`: not for parameters. */
export function toMessageQuestion(body: MessageBody, drops: boolean): MessageQuestion {
  const { temperature, top_p: topP, top_k: topK } = body;
  const { request, ignored } = toPromptQuestion(body, drops);
  return {
    request: {
      ...request,
      maxTokens: body.max_tokens,
      stop: body.stop_sequences ?? [],
      sampling: {
        ...(typeof temperature === "number" ? { temperature } : {}),
        ...(typeof topP === "number" ? { topP } : {}),
        ...(typeof topK === "number" ? { topK } : {}),
      },
      topLogprobs: null,
    },
    ignored,
  };
}

/** Throws a PublicError (400) for what this server cannot do; `drops`: not for parameters. */
export function toPromptQuestion(body: CountBody, drops: boolean): PromptQuestion {
  const ignored = passOver(body, policy, drops);
  const tools = toGivenTools(body.tools ?? [], toDefinition, drops);
  return {
    request: {
      model: toModel(body.model),
      forceRouting: false,
      messages: toConversation(body.system, body.messages),
      tools: toToolUse(tools, toToolChoice(body.tool_choice ?? { type: "auto" })),
      output: toOutput(body),
      reasoning: toReasoning(body),
      scheduling: toScheduling(body),
    },
    ignored: [...ignored, ...tools.ignored, ...body.unknownNames],
  };
}

/** Whether thinking blocks come without their text. */
export function omitsThinking({ thinking: config }: CountBody): boolean {
  return config !== null && config !== undefined && config.type !== "disabled" && config.display === "omitted";
}

function toToolChoice(given: z.output<typeof toolChoice>): ToolChoice {
  return {
    choice: given.type === "tool" ? { name: given.name } : given.type === "any" ? "required" : given.type,
    parallel: given.type === "none" || given.disable_parallel_tool_use !== true,
    nameField: "tool_choice.name",
  };
}

/** Null: a tool of Anthropic's. */
function toDefinition(entry: z.output<typeof tool>, path: string): ToolDefinition | null {
  const { type, name, description, input_schema: parameters } = entry;
  if (typeof type === "string" && type !== "custom") return null;
  const field = `${path}.input_schema`;
  if (parameters === undefined) {
    throw invalidRequest(
      `${field} is missing; it must be a JSON Schema of type object.`,
      field,
      "missing_required_parameter",
    );
  }
  if (parameters["type"] !== "object") {
    throw invalidRequest(`${field}.type must be "object"; received ${describe(parameters["type"])}.`, `${field}.type`);
  }
  return { name, description: description ?? null, parameters };
}

function toOutput(body: CountBody): OutputFormat | null {
  const current = body.output_config?.format;
  if (current !== null && current !== undefined) {
    return { type: "json_schema", schema: current.schema, field: "output_config.format.schema" };
  }
  const older = body.output_format;
  return older === null || older === undefined
    ? null
    : { type: "json_schema", schema: older.schema, field: "output_format.schema" };
}

function toReasoning({ thinking: config, output_config: output }: CountBody): ReasoningOptions {
  const effort = output?.effort ?? null;
  return {
    thinks: config !== null && config !== undefined && config.type !== "disabled",
    effort: effort === "xhigh" || effort === "max" ? "high" : effort,
    budgetTokens: config?.type === "enabled" ? config.budget_tokens : null,
  };
}
