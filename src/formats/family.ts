// What tells one model family's answers from another's: the type that families/ fills in. May import engine/ (types),
// call-syntax.ts and answer-shape.ts.
import type { CallSyntax } from "./call-syntax.ts";

export interface Family {
  readonly name: string;
  /** Whether a chat template is of this family. The first family that says so is taken. */
  matches(source: string): boolean;
  /** The form of calls that models of this template write. */
  calls(source: string): CallSyntax;
  /** What encloses the visible answer; in texts it is left out. */
  readonly content?: { readonly start: string; readonly end: string };
  /** Special tokens that do not belong to calls. */
  readonly preservedTokens?: readonly string[];
  /** The answer's parts are messages on channels, thinking among them. */
  readonly hasChannels?: boolean;
}
