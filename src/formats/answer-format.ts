// What a model family writes when it thinks, answers and calls tools: the interfaces between a model's raw text and an
// answer's parts. Types only. May import engine/ and grammar/ (types).
import type { ChatMessage, TemplateFacts, ToolDefinition } from "../engine/engine.ts";
import type { Grammar } from "../grammar/grammar.ts";

export interface ToolUse {
  /** At least one; names are unique. */
  readonly tools: readonly ToolDefinition[];
  /** `none`: the model knows of them, and calls none. An object: it must call the tool of that name. */
  readonly choice: "auto" | "none" | "required" | { readonly name: string };
  /** More than one call in an answer. */
  readonly parallel: boolean;
  /** Where the tools stood in the caller's request, for errors: `tools`. */
  readonly field: string;
}

/** What the visible answer must be. `field`: where it stood in the caller's request, for errors. */
export type OutputFormat =
  | { readonly type: "json_object" }
  | { readonly type: "json_schema"; readonly schema: unknown; readonly field: string }
  /** GBNF. */
  | { readonly type: "grammar"; readonly source: string; readonly field: string };

/** What is handed to the template. */
export interface ConversationPlan {
  readonly messages: readonly ChatMessage[];
  /** For templates that take tools; else the tools are described in `messages`. */
  readonly tools: readonly ToolDefinition[];
}

/** How the answer to one prompt is to be constrained and read. */
export interface AnswerFormat {
  /** Of the whole text that the model writes: its thinking, the answer, the calls. Null: anything. */
  readonly grammar: Grammar | null;
  /** Of what follows `thinkingEnd`, where that had to be added. */
  readonly answerGrammar: Grammar | null;
  /** Control tokens that belong to the form of an answer: they must come as text. */
  readonly preservedTokens: readonly string[];
  /** What ends thinking that has come to its budget: appended to the prompt and to what was generated. Null: it cannot. */
  readonly thinkingEnd: string | null;
  createReader(): AnswerReader;
}

export interface AnswerFormatRequest {
  readonly template: TemplateFacts;
  /** The end of the prompt that opened the answer; it may have opened its thinking. */
  readonly generationPrompt: string;
  readonly tools: ToolUse | null;
  readonly output: OutputFormat | null;
}

/** A part of an answer as soon as it is certain what it is. */
export type AnswerPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  /** `index`: of the call in the answer, from 0. Its arguments follow. */
  | { readonly type: "tool_call"; readonly index: number; readonly id: string; readonly name: string }
  /** A piece of the JSON text of the call's arguments. */
  | { readonly type: "tool_arguments"; readonly index: number; readonly text: string };

/** Reads one answer; the parts are the same however the text is cut into pieces. */
export interface AnswerReader {
  push(text: string): readonly AnswerPart[];
  /** The text has ended: what was held back. */
  end(): readonly AnswerPart[];
  /** The text so far is inside the model's thinking. */
  readonly isThinking: boolean;
}
