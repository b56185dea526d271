// The format of an answer: what its text must match, and how it is read, by the model's family and by what was asked for. May
// import its neighbours, engine/ (types), grammar/ and core/.
import { createHash, randomInt, randomUUID } from "node:crypto";
import { LRUCache } from "lru-cache";
import { clip, invalidRequest } from "../core/errors.ts";
import type { TemplateFacts, ToolDefinition } from "../engine/engine.ts";
import { GrammarError, SchemaError } from "../grammar/errors.ts";
import type { Grammar } from "../grammar/grammar.ts";
import { GrammarBuilder } from "../grammar/grammar-builder.ts";
import type { AnswerFormat, AnswerFormatRequest, OutputFormat, ToolUse } from "./answer-format.ts";
import { type CallIds, createAnswerReader } from "./answer-reader.ts";
import { type AnswerContent, type AnswerShape, plainShape } from "./answer-shape.ts";
import { type EmbeddedGrammar, embeddedGrammar } from "./embedded-grammar.ts";
import { channelShape } from "./families/gpt-oss.ts";
import { familyOf, genericCalls, ownCalls } from "./families/registry.ts";
import { needsShortIds } from "./short-ids.ts";
import { thinkingOf } from "./thinking.ts";

/** Agents send the same tools with every turn. */
const formats = new LRUCache<string, AnswerFormat>({ max: 100 });

/**
 * Throws a PublicError (400) that names the field for a schema or a grammar that cannot be used.
 * `callIds`: for calls that come without an id; by default random.
 */
export function answerFormat(request: AnswerFormatRequest, callIds?: CallIds): AnswerFormat {
  if (callIds !== undefined) return createFormat(request, callIds);
  const key = keyOf(request);
  let format = formats.get(key);
  if (format === undefined) {
    format = createFormat(request, needsShortIds(request.template) ? shortId : longId);
    formats.set(key, format);
  }
  return format;
}

/** A template may be long, and is the same object for as long as its model is loaded. */
const templateKeys = new WeakMap<TemplateFacts, string>();

function templateKey(template: TemplateFacts): string {
  let key = templateKeys.get(template);
  if (key === undefined) {
    key = createHash("sha256").update(JSON.stringify(template)).digest("base64");
    templateKeys.set(template, key);
  }
  return key;
}

function keyOf({ template, generationPrompt, tools, output }: AnswerFormatRequest): string {
  const hash = createHash("sha256");
  for (const part of [templateKey(template), JSON.stringify(generationPrompt)]) hash.update(part).update("\0");
  for (const [value, field] of [
    [tools, tools?.field],
    [output, output === null || output.type === "json_object" ? undefined : output.field],
  ] as const) {
    hash.update(jsonOf(value, field)).update("\0");
  }
  return hash.digest("base64");
}

function jsonOf(value: unknown, field: string | undefined): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw invalidRequest(`${field ?? "The format"} is nested too deeply.`, field);
  }
}

function createFormat(request: AnswerFormatRequest, callIds: CallIds): AnswerFormat {
  const { tools, output } = request;
  const offered = offeredTools(tools);
  const shape = shapeOf(request, offered.length > 0);
  const grammar = (isThinkingEnded: boolean): Grammar | null =>
    offered.length === 0 && output === null ? null : grammarOf(shape, tools, offered, output, isThinkingEnded);
  const whole = grammar(false);
  let withoutThinking = shape.thinkingEnd === null ? whole : undefined;
  const toolsByName = new Map(offered.map((tool) => [tool.name, tool]));
  return {
    grammar: whole,
    get answerGrammar() {
      return (withoutThinking ??= grammar(true));
    },
    preservedTokens: shape.preservedTokens,
    thinkingEnd: shape.thinkingEnd,
    createReader: () => createAnswerReader(shape, toolsByName, callIds),
  };
}

/** Those that the answer may call. */
function offeredTools(use: ToolUse | null): readonly ToolDefinition[] {
  if (use === null || use.choice === "none") return [];
  const { tools, choice } = use;
  if (typeof choice === "string") return tools;
  const named = tools.filter(({ name }) => name === choice.name);
  if (named.length > 0) return named;
  const known = tools.map(({ name }) => name).join(", ");
  throw invalidRequest(
    `tool_choice names the tool ${JSON.stringify(clip(choice.name))}; ${use.field} has ${clip(known, 300)}.`,
    "tool_choice",
  );
}

function shapeOf({ template, generationPrompt }: AnswerFormatRequest, canCall: boolean): AnswerShape {
  const family = familyOf(template);
  if (family?.hasChannels === true) return channelShape(generationPrompt, canCall);
  return plainShape({
    thinking: thinkingOf(template.thinking, generationPrompt),
    calls: canCall ? (ownCalls(template) ?? genericCalls) : null,
    content: family?.content ?? null,
    preservedTokens: family?.preservedTokens ?? [],
  });
}

function grammarOf(
  shape: AnswerShape,
  use: ToolUse | null,
  offered: readonly ToolDefinition[],
  output: OutputFormat | null,
  isThinkingEnded: boolean,
): Grammar {
  const builder = new GrammarBuilder();
  const embedded = output?.type === "grammar" ? callersGrammar(output) : null;
  const content: AnswerContent = {
    builder,
    calls:
      use === null || offered.length === 0
        ? null
        : {
            tools: offered,
            parallel: use.parallel,
            mustCall: use.choice !== "auto",
            schema: (tool, schema, path) => {
              const index = use.tools.indexOf(tool);
              return schemaRule(builder, schema, `${use.field}[${index}].parameters${path}`);
            },
          },
    output: embedded?.root ?? outputRule(builder, output),
  };
  const body = shape.grammar(content, isThinkingEnded);
  try {
    return builder.build(embedded === null ? body : `${body}\n${embedded.lines}`);
  } catch (error) {
    // Each part could be used by itself: together they are too large.
    if (error instanceof GrammarError)
      throw invalidRequest(`${use?.field ?? "The format"}: ${error.message}`, use?.field);
    throw error;
  }
}

function outputRule(builder: GrammarBuilder, output: OutputFormat | null): string | null {
  if (output === null || output.type === "grammar") return null;
  return output.type === "json_object" ? builder.jsonObject() : schemaRule(builder, output.schema, output.field);
}

function schemaRule(builder: GrammarBuilder, schema: unknown, field: string): string {
  try {
    return builder.schema(schema);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    const place = error.path === "" ? field : `${field}.${error.path}`;
    throw invalidRequest(`${field}: ${error.message}`, place, "invalid_schema");
  }
}

function callersGrammar({ source, field }: Extract<OutputFormat, { type: "grammar" }>): EmbeddedGrammar {
  try {
    return embeddedGrammar(source);
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    throw invalidRequest(`${field}: ${error.message}`, field, "invalid_grammar");
  }
}

function longId(): string {
  return `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

function shortId(): string {
  return Array.from({ length: 9 }, () => letters[randomInt(letters.length)]).join("");
}
