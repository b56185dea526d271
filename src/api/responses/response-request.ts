// The body of POST /v1/responses and its way into a ChatRequest. May import zod, core/ and the chat contract.
import { z } from "zod";
import type { ChatRequest, PromptRequest } from "../../chat/contract.ts";
import { clip, invalidRequest } from "../../core/errors.ts";
import type { ToolDefinition } from "../../engine/engine.ts";
import type { OutputFormat, ToolUse } from "../../formats/answer-format.ts";
import {
  generationParameters,
  ignoredInGeneration,
  maxTopLogprobs,
  modelParameter,
  refusedInGeneration,
  toLimits,
  toModel,
} from "../openai/parameters.ts";
import { reasoningParameters, toReasoning } from "../openai/reasoning.ts";
import { schedulingParameters, toScheduling } from "../common/scheduling.ts";
import { is, isEmpty, never, type ParameterPolicy, passOver, unsupportedFields } from "../common/unsupported.ts";
import {
  checked,
  describe,
  isJsonObject,
  optionalInteger,
  refuseArray,
  type Refusal,
  withUnknownNames,
} from "../common/validation.ts";
import { keepsNothing, toConversation } from "./conversation.ts";
import { input } from "./input.ts";
import { type GivenTools, keptObject, maxTools, toGivenTools, toToolUse } from "./tool-use.ts";

const maxIncludes = 32;
const maxMetadata = 16;
const includeLogprobs = "message.output_text.logprobs";

const tool = z.object(
  {
    type: z.string().describe("`function`: tools that run on OpenAI's servers are refused."),
    name: z.string().nullish(),
    description: z.string().nullish(),
    parameters: keptObject().nullish().describe("The JSON Schema of the arguments, of type object. Absent: none."),
    strict: z.boolean().nullish().describe("Calls always match their schema."),
  },
  'a tool such as {"type": "function", "name": "…", "parameters": {…}}',
);
const toolBounds = { min: 0, max: maxTools, allowed: `an array of at most ${maxTools} tools` };

const namedTool = z.object({ type: z.literal("function"), name: z.string() });
const allowedTools = z.object({
  type: z.literal("allowed_tools"),
  mode: z.enum(["auto", "required"]),
  tools: checked(z.array(namedTool).max(maxTools), (value) => refuseArray(value, namedTool, toolBounds)),
});
const choiceAllowed = '"auto", "none", "required", {"type": "function", "name": "…"} or {"type": "allowed_tools", …}';
const toolChoice = z.union([z.enum(["auto", "none", "required"], choiceAllowed), namedTool, allowedTools], {
  error: choiceAllowed,
});

const format = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("text") }),
    z.object({ type: z.literal("json_object") }),
    z.object({
      type: z.literal("json_schema"),
      name: z.string().nullish(),
      description: z.string().nullish(),
      schema: keptObject(),
      strict: z.boolean().nullish(),
    }),
  ],
  {
    error: (issue) =>
      issue.code === "invalid_union" ? 'one of "text", "json_object", "json_schema"' : "an object with a type",
  },
);

/** What refers to an earlier request, or would be kept for a later one. */
const kept = [
  ["previous_response_id", isEmpty],
  ["conversation", isEmpty],
  ["prompt", isEmpty],
  ["background", is(false)],
] as const;
const keptField = z.unknown().optional().describe("Refused: this server keeps no responses.");

/** What OpenAI's servers do and this one does not. */
const policy = {
  refused: { ...refusedInGeneration, context_management: isEmpty, moderation: never },
  ignored: {
    ...ignoredInGeneration,
    truncation: is("disabled"),
    max_tool_calls: never,
    prompt_cache_options: never,
  },
} as const satisfies ParameterPolicy;

const { n: _n, n_probs: _nProbs, ...sampling } = generationParameters;

const promptFields = {
  model: modelParameter,
  input,
  instructions: z.string().nullish().describe("What the system says before the input."),
  tools: checked(z.array(tool).max(maxTools), (value) => refuseArray(value, tool, toolBounds)).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z.object({ format: format.nullish(), verbosity: z.string().nullish().describe("Ignored.") }).nullish(),
  use_semantic_router: generationParameters.use_semantic_router,
  ...reasoningParameters,
  ...schedulingParameters,
  ...unsupportedFields(policy),
  previous_response_id: keptField,
  conversation: keptField,
  prompt: keptField,
  background: keptField,
};

const include = z.string();
const includeBounds = { min: 0, max: maxIncludes, allowed: `an array of at most ${maxIncludes} strings` };

const countFields = z.object(promptFields);

export const countBody = withUnknownNames(countFields);

const responseFields = z.object({
  ...sampling,
  ...promptFields,
  max_output_tokens: optionalInteger(1).describe("Thinking included. Absent: up to the end of the context."),
  top_logprobs: optionalInteger(0, maxTopLogprobs).describe("Above 0, the answer's text comes with its logprobs."),
  include: checked(z.array(include).max(maxIncludes), (value) => refuseArray(value, include, includeBounds))
    .nullish()
    .describe(`${includeLogprobs} is honoured; what else there is belongs to tools that are not here.`),
  metadata: checked(z.record(z.string(), z.string()), refuseMetadata).nullish().describe("Comes back as it is."),
});

export const responseBody = withUnknownNames(responseFields);

export type CountBody = z.output<typeof countBody>;
export type ResponseBody = z.output<typeof responseBody>;

interface PromptQuestion {
  readonly request: PromptRequest;
  /** Parameters that were passed over. */
  readonly ignored: readonly string[];
}

interface ResponseQuestion extends PromptQuestion {
  readonly request: ChatRequest;
}

/** Throws a PublicError (400) for what this server cannot do; `drops`: not for parameters. */
export function toResponseQuestion(body: ResponseBody, drops: boolean): ResponseQuestion {
  const { request, ignored } = toPromptQuestion(body, drops);
  const wantsLogprobs = body.include?.includes(includeLogprobs) === true || (body.top_logprobs ?? 0) > 0;
  return {
    request: {
      ...request,
      ...toLimits(body, body.max_output_tokens ?? null),
      topLogprobs: wantsLogprobs ? (body.top_logprobs ?? 0) : null,
    },
    ignored,
  };
}

/** Throws a PublicError (400) for what this server cannot do; `drops`: not for parameters. */
export function toPromptQuestion(body: CountBody, drops: boolean): PromptQuestion {
  for (const [name, asksForNothing] of kept) {
    const value = body[name];
    if (value !== undefined && value !== null && !asksForNothing(value)) throw keepsNothing(name, value);
  }
  const ignored = passOver(body, policy, drops);
  const tools = toGivenTools(body.tools ?? [], toDefinition, drops);
  return {
    request: {
      model: toModel(body.model),
      forceRouting: body.use_semantic_router === true,
      messages: toConversation(body.instructions, body.input),
      tools: choose(tools, body.tool_choice ?? "auto", body.parallel_tool_calls !== false),
      output: toOutput(body),
      reasoning: toReasoning(body),
      scheduling: toScheduling(body),
    },
    ignored: [...ignored, ...tools.ignored, ...body.unknownNames],
  };
}

function choose(
  { tools, ignored }: GivenTools,
  choice: z.output<typeof toolChoice>,
  parallel: boolean,
): ToolUse | null {
  if (typeof choice === "string") return toToolUse({ tools, ignored }, { choice, parallel, nameField: "tool_choice" });
  if (choice.type === "function") {
    const nameField = "tool_choice.name";
    return toToolUse({ tools, ignored }, { choice: { name: choice.name }, parallel, nameField });
  }
  const names = new Set(tools.map(({ name }) => name));
  for (const [index, { name }] of choice.tools.entries()) {
    if (names.has(name)) continue;
    const field = `tool_choice.tools[${index}].name`;
    throw invalidRequest(`${field} names no tool of this request; received ${JSON.stringify(clip(name))}.`, field);
  }
  const allowed = new Set(choice.tools.map(({ name }) => name));
  return toToolUse(
    { tools: tools.filter(({ name }) => allowed.has(name)), ignored },
    { choice: choice.mode, parallel, nameField: "tool_choice" },
  );
}

/** Null: a tool of OpenAI's, or one that takes something else than JSON. */
function toDefinition(
  { type, name, description, parameters }: z.output<typeof tool>,
  path: string,
): ToolDefinition | null {
  if (type !== "function") return null;
  if (name === undefined || name === null) {
    throw invalidRequest(`${path}.name is missing; it must be a string.`, `${path}.name`, "missing_required_parameter");
  }
  const schema = parameters ?? {};
  const schemaType = schema["type"] ?? "object";
  if (schemaType !== "object") {
    const field = `${path}.parameters.type`;
    throw invalidRequest(`${field} must be "object"; received ${describe(schemaType)}.`, field);
  }
  const isBare = schema["type"] === undefined;
  return {
    name,
    description: description ?? null,
    parameters: isBare ? { type: "object", properties: {}, ...schema } : schema,
  };
}

function toOutput({ text }: CountBody): OutputFormat | null {
  const wanted = text?.format;
  if (wanted === null || wanted === undefined || wanted.type === "text") return null;
  if (wanted.type === "json_object") return { type: "json_object" };
  return { type: "json_schema", schema: wanted.schema, field: "text.format.schema" };
}

function refuseMetadata(value: unknown): Refusal | null {
  const allowed = `an object of at most ${maxMetadata} strings`;
  if (!isJsonObject(value)) return { path: [], code: "invalid_type", allowed };
  const entries = Object.entries(value);
  if (entries.length > maxMetadata) return { path: [], code: "invalid_value", allowed };
  const wrong = entries.find(([, text]) => typeof text !== "string");
  return wrong === undefined ? null : { path: [wrong[0]], code: "invalid_type", allowed: "a string" };
}
