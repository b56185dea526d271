// The tools of a request and the choice among them, whatever a dialect calls its fields. May import zod, core/ and formats/
// (types).
import { z } from "zod";
import { clip, invalidRequest } from "../../core/errors.ts";
import type { ToolDefinition } from "../../engine/engine.ts";
import type { ToolUse } from "../../formats/answer-format.ts";
import { checked, isJsonObject, refuseHugeJson } from "../common/validation.ts";

export const maxTools = 512;
const namePattern = /^[\w.:/-]{1,128}$/;
const nameAllowed = "a name of 1 to 128 letters, digits and _ . : / -";

/** An object that is kept as it is: a schema, the arguments of a call. */
export function keptObject() {
  return checked(z.record(z.string(), z.unknown()), (value) =>
    isJsonObject(value) ? refuseHugeJson(value) : { path: [], code: "invalid_type", allowed: "an object" },
  );
}

export interface ToolChoice {
  readonly choice: ToolUse["choice"];
  readonly parallel: boolean;
  /** Where the name of a named tool stood, for errors: `tool_choice.name`. */
  readonly nameField: string;
}

/** What was given as tools: those that this server knows, and where the others stood. */
export interface GivenTools {
  readonly tools: readonly ToolDefinition[];
  /** Passed over: `tools[1]`. */
  readonly ignored: readonly string[];
}

/**
 * Leaves out the tools of which `definitionOf` gives no definition, which run on the servers of others. Throws a PublicError
 * (400) for them unless it `drops` them.
 */
export function toGivenTools<Tool extends { readonly type?: string | null | undefined }>(
  given: readonly Tool[],
  definitionOf: (tool: Tool, path: string) => ToolDefinition | null,
  drops: boolean,
): GivenTools {
  const tools: ToolDefinition[] = [];
  const ignored: string[] = [];
  for (const [index, tool] of given.entries()) {
    const path = `tools[${index}]`;
    const definition = definitionOf(tool, path);
    if (definition !== null) tools.push(definition);
    else if (drops) ignored.push(path);
    else throw unsupportedTool(path, tool.type ?? "");
  }
  return { tools, ignored };
}

function unsupportedTool(path: string, type: string): Error {
  return invalidRequest(
    `Tools of type ${JSON.stringify(clip(type))} are not supported: ${path} must be a tool that the caller runs.`,
    `${path}.type`,
    "unsupported_tool",
  );
}

/** Null: the model is told of no tools. Throws a PublicError (400) for names that are wrong, doubled or unknown. */
export function toToolUse({ tools, ignored }: GivenTools, toolChoice: ToolChoice): ToolUse | null {
  const { choice, parallel, nameField } = toolChoice;
  const names = new Set<string>();
  for (const [index, { name }] of tools.entries()) {
    const field = `tools[${index}].name`;
    const received = JSON.stringify(clip(name));
    if (!namePattern.test(name)) {
      throw invalidRequest(`${field} must be ${nameAllowed}; received the string ${received}.`, field);
    }
    if (names.has(name)) {
      throw invalidRequest(`${field} must be a name that no other tool has; received ${received} again.`, field);
    }
    names.add(name);
  }
  if (typeof choice === "object" && !names.has(choice.name)) {
    const known = tools.length === 0 ? "there are no tools" : `it must be one of ${clip([...names].join(", "), 300)}`;
    const received = JSON.stringify(clip(choice.name));
    throw invalidRequest(`${nameField} names no tool of this request: ${known}; received ${received}.`, nameField);
  }
  if (tools.length === 0) {
    if (choice !== "required" || ignored.length > 0) return null;
    throw invalidRequest("tool_choice demands a call, but there are no tools in this request.", "tool_choice");
  }
  return { tools, choice, parallel, field: "tools" };
}
