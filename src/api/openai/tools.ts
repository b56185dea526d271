// `tools`, `tool_choice` and what came before them, `functions` and `function_call`, and what they become inside. May
// import zod, core/ and the chat contract's types.
import { z } from "zod";
import { invalidRequest } from "../../core/errors.ts";
import type { ToolDefinition } from "../../engine/engine.ts";
import type { ToolUse } from "../../formats/answer-format.ts";
import { unsupported } from "../common/unsupported.ts";
import { at, checked, describe, isJsonObject, refuseHugeJson, type Refusal } from "../common/validation.ts";

const maxTools = 128;
const maxDescriptionLength = 65_536;
const namePattern = /^[\w.:/-]{1,128}$/;
const nameAllowed = "a name of 1 to 128 letters, digits and _ . : / -";
const toolAllowed = 'a tool such as {"type": "function", "function": {"name": "…", "parameters": {…}}}';
const functionAllowed = 'a function such as {"name": "…", "parameters": {…}}';
const choiceAllowed =
  '"auto", "none", "required", {"type": "function", "function": {"name": "…"}} or {"type": "allowed_tools", …}';
const functionCallAllowed = '"auto", "none" or {"name": "…"}';
const toolsAllowed = `an array of at most ${maxTools} tools`;

const name = z.string().regex(namePattern);
const functionDocumentation = z.object({
  name,
  description: z.string().max(maxDescriptionLength).nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});
const namedDocumentation = z.object({ type: z.literal("function"), function: z.object({ name }) });

type GivenFunction = z.output<typeof functionDocumentation>;
/** Of tools that are no functions, no more is known than their type. */
interface GivenTool {
  readonly type?: string;
  readonly function: GivenFunction;
}
type NamedTool = z.output<typeof namedDocumentation>;
type GivenChoice =
  | "auto"
  | "none"
  | "required"
  | "any"
  | NamedTool
  | {
      readonly type: "allowed_tools";
      readonly allowed_tools: { readonly mode: "auto" | "required"; readonly tools: readonly NamedTool[] };
    };

const toolsDocumentation = z
  .array(z.object({ type: z.literal("function"), function: functionDocumentation }))
  .max(maxTools);
const choiceDocumentation = z.union([
  z.enum(["auto", "none", "required"]),
  namedDocumentation,
  z.object({
    type: z.literal("allowed_tools"),
    allowed_tools: z.object({
      mode: z.enum(["auto", "required"]),
      tools: z.array(namedDocumentation).min(1).max(maxTools),
    }),
  }),
]);

export const toolParameters = {
  tools: checked(toolsDocumentation as z.ZodType<readonly GivenTool[]>, refuseTools)
    .nullish()
    .describe("Functions that the model may call. What it calls always has one of these names and matching arguments."),
  tool_choice: checked(choiceDocumentation as z.ZodType<GivenChoice>, refuseChoice)
    .nullish()
    .describe("Whether it may, must or must not call, and what. Absent: auto."),
  parallel_tool_calls: z.boolean().nullish().describe("More than one call in an answer. Absent: true."),
  functions: checked(z.array(functionDocumentation).max(maxTools), refuseFunctions)
    .nullish()
    .describe("The older form of `tools`; calls then come as `function_call`."),
  function_call: checked(z.union([z.enum(["auto", "none"]), z.object({ name })]), refuseFunctionCall)
    .nullish()
    .describe("The older form of `tool_choice`."),
} as const;

export type ToolParameters = z.output<z.ZodObject<typeof toolParameters>>;

export interface GivenTools {
  /** Null: none. */
  readonly use: ToolUse | null;
  /** The caller speaks of functions: calls come as `function_call`. */
  readonly isLegacy: boolean;
  /** What was passed over. */
  readonly ignored: readonly string[];
}

/**
 * Throws a PublicError (400) where a choice names what is not there, and, unless it `drops` them, for tools that are no
 * functions.
 */
export function toTools(body: ToolParameters, drops: boolean): GivenTools {
  const given = body.tools ?? [];
  const functions = body.functions ?? [];
  if (given.length > 0 && functions.length > 0) {
    throw invalidRequest("functions cannot be given together with tools, which are their newer form.", "functions");
  }
  const isLegacy = functions.length > 0;
  const { tools, ignored } = isLegacy
    ? { tools: functions.map(toDefinition), ignored: [] }
    : functionsAmong(given, drops);
  refuseRepeatedNames(tools, isLegacy);
  const choice = isLegacy ? legacyChoice(body.function_call) : (body.tool_choice ?? "auto");
  if (tools.length === 0) {
    const isEmptyChoice = choice === "auto" || choice === "none" || ignored.length > 0;
    if (isEmptyChoice) return { use: null, isLegacy, ignored };
    throw invalidRequest("tool_choice asks for a tool, but tools is empty.", "tool_choice");
  }
  const field = isLegacy ? "functions" : "tools";
  const parallel = !isLegacy && body.parallel_tool_calls !== false;
  return { use: { ...choose(tools, choice, isLegacy), parallel, field }, isLegacy, ignored };
}

function functionsAmong(given: readonly GivenTool[], drops: boolean) {
  const tools: ToolDefinition[] = [];
  const ignored: string[] = [];
  for (const [index, tool] of given.entries()) {
    if (tool.type === undefined || tool.type === "function") {
      tools.push(toDefinition(tool.function));
      continue;
    }
    const field = `tools[${index}].type`;
    if (!drops) throw unsupported(field, tool.type);
    ignored.push(`tools[${index}]`);
  }
  return { tools, ignored };
}

function toDefinition({ name: functionName, description, parameters }: GivenFunction): ToolDefinition {
  const schema = parameters ?? {};
  // What OpenAI's API takes for a function without parameters: none, {} or an object without properties.
  return {
    name: functionName,
    description: description ?? null,
    parameters: "type" in schema ? schema : { type: "object", properties: {}, ...schema },
  };
}

function refuseRepeatedNames(tools: readonly ToolDefinition[], isLegacy: boolean): void {
  const seen = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    if (seen.has(tool.name)) {
      const field = isLegacy ? `functions[${index}].name` : `tools[${index}].function.name`;
      throw invalidRequest(
        `${field} must be another name than those before it; received ${describe(tool.name)}.`,
        field,
      );
    }
    seen.add(tool.name);
  }
}

function legacyChoice(call: ToolParameters["function_call"]): GivenChoice {
  if (call === null || call === undefined) return "auto";
  return typeof call === "string" ? call : { type: "function", function: call };
}

function choose(
  tools: readonly ToolDefinition[],
  choice: GivenChoice,
  isLegacy: boolean,
): Pick<ToolUse, "tools" | "choice"> {
  if (typeof choice === "string") return { tools, choice: choice === "any" ? "required" : choice };
  const known = (wanted: string, field: string): ToolDefinition => {
    const tool = tools.find((each) => each.name === wanted);
    if (tool !== undefined) return tool;
    const names = tools.map((each) => each.name).slice(0, 20);
    throw invalidRequest(`${field} must be one of ${names.join(", ")}; received ${describe(wanted)}.`, field);
  };
  if (choice.type === "function") {
    const field = isLegacy ? "function_call.name" : "tool_choice.function.name";
    return { tools, choice: { name: known(choice.function.name, field).name } };
  }
  const { mode, tools: allowed } = choice.allowed_tools;
  const field = (index: number) => `tool_choice.allowed_tools.tools[${index}].function.name`;
  const names = new Set(allowed.map((each, index) => known(each.function.name, field(index)).name));
  return { tools: tools.filter((tool) => names.has(tool.name)), choice: mode };
}

function refuseTools(tools: unknown): Refusal | null {
  return refuseEach(tools, (tool) => {
    if (!isJsonObject(tool)) return { path: [], code: "invalid_type", allowed: toolAllowed };
    const { type } = tool;
    if (type !== undefined && typeof type !== "string") {
      return { path: ["type"], code: "invalid_type", allowed: '"function"' };
    }
    return type === undefined || type === "function"
      ? at("function", refuseFunction(tool["function"], toolAllowed))
      : null;
  });
}

function refuseFunctions(functions: unknown): Refusal | null {
  return refuseEach(functions, (each) => refuseFunction(each, functionAllowed));
}

function refuseEach(list: unknown, check: (item: unknown) => Refusal | null): Refusal | null {
  if (!Array.isArray(list)) return { path: [], code: "invalid_type", allowed: toolsAllowed };
  if (list.length > maxTools) return { path: [], code: "invalid_value", allowed: toolsAllowed };
  for (const [index, item] of list.entries()) {
    const refusal = check(item);
    if (refusal !== null) return at(index, refusal);
  }
  return refuseHugeJson(list);
}

function refuseFunction(given: unknown, allowed: string): Refusal | null {
  if (!isJsonObject(given)) return { path: [], code: "invalid_type", allowed };
  const refusal = refuseName(given["name"]);
  if (refusal !== null) return at("name", refusal);
  const { description, parameters } = given;
  if (description !== undefined && description !== null) {
    const descriptionAllowed = `a string of at most ${maxDescriptionLength} characters`;
    if (typeof description !== "string")
      return { path: ["description"], code: "invalid_type", allowed: descriptionAllowed };
    if (description.length > maxDescriptionLength) {
      return { path: ["description"], code: "invalid_value", allowed: descriptionAllowed };
    }
  }
  if (parameters === undefined || parameters === null) return null;
  const schemaAllowed = 'the JSON Schema of an object, {"type": "object", "properties": {…}}';
  if (!isJsonObject(parameters)) return { path: ["parameters"], code: "invalid_type", allowed: schemaAllowed };
  const { type } = parameters;
  return type === undefined || type === "object"
    ? null
    : { path: ["parameters", "type"], code: "invalid_value", allowed: '"object"' };
}

function refuseName(given: unknown): Refusal | null {
  if (typeof given !== "string") return { path: [], code: "invalid_type", allowed: nameAllowed };
  return namePattern.test(given) ? null : { path: [], code: "invalid_value", allowed: nameAllowed };
}

function refuseChoice(choice: unknown): Refusal | null {
  const allowed = choiceAllowed;
  // `any` is Mistral's word for `required`.
  if (choice === "auto" || choice === "none" || choice === "required" || choice === "any") return null;
  if (typeof choice === "string") return { path: [], code: "invalid_value", allowed };
  if (!isJsonObject(choice)) return { path: [], code: "invalid_type", allowed };
  if (choice["type"] === "function") return refuseNamed(choice);
  if (choice["type"] !== "allowed_tools")
    return { path: ["type"], code: "invalid_value", allowed: '"function" or "allowed_tools"' };
  const inner = choice["allowed_tools"];
  if (!isJsonObject(inner))
    return { path: ["allowed_tools"], code: "invalid_type", allowed: 'an object {"mode", "tools"}' };
  if (inner["mode"] !== "auto" && inner["mode"] !== "required") {
    return { path: ["allowed_tools", "mode"], code: "invalid_value", allowed: '"auto" or "required"' };
  }
  const refusal = refuseEach(inner["tools"], refuseNamed);
  const isEmpty = Array.isArray(inner["tools"]) && inner["tools"].length === 0;
  if (isEmpty) return { path: ["allowed_tools", "tools"], code: "invalid_value", allowed: "a non-empty array" };
  return refusal === null ? null : at("allowed_tools", at("tools", refusal));
}

function refuseNamed(tool: unknown): Refusal | null {
  const allowed = '{"type": "function", "function": {"name": "…"}}';
  if (!isJsonObject(tool)) return { path: [], code: "invalid_type", allowed };
  const inner = tool["function"];
  if (!isJsonObject(inner)) return { path: ["function"], code: "invalid_type", allowed: 'an object {"name"}' };
  const refusal = refuseName(inner["name"]);
  return refusal === null ? null : at("function", at("name", refusal));
}

function refuseFunctionCall(call: unknown): Refusal | null {
  if (call === "auto" || call === "none") return null;
  if (!isJsonObject(call)) return { path: [], code: "invalid_value", allowed: functionCallAllowed };
  const refusal = refuseName(call["name"]);
  return refusal === null ? null : at("name", refusal);
}
