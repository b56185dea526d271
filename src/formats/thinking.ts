// Whether an answer thinks, by its template and by how the prompt opened it. May import engine/ (types).
import type { TemplateFacts } from "../engine/engine.ts";

export interface Thinking {
  readonly start: string;
  readonly end: string;
  /** The prompt has opened it: the text begins inside. Else the model may open it. */
  readonly isOpen: boolean;
}

/** Null: the template knows no thinking, or the prompt has closed it. */
export function thinkingOf(marks: TemplateFacts["thinking"], generationPrompt: string): Thinking | null {
  if (marks === null) return null;
  const { start, end } = marks;
  if (end === "") return null;
  const opened = start === "" ? -1 : generationPrompt.lastIndexOf(start);
  const closed = generationPrompt.lastIndexOf(end);
  if (closed > opened) return null;
  // Where the prompt does not open it, thinking needs a mark of its own to be told from the answer.
  if (opened === -1 && start === "") return null;
  return { start, end, isOpen: opened !== -1 };
}

/** What ends thinking in a model's own manner: tags stand on lines of their own, special tokens do not. */
export function thinkingEndText({ end }: Thinking): string {
  return /^<\/[\w:]+>$/u.test(end) ? `\n${end}\n\n` : end;
}
