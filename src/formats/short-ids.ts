// Ids of calls for templates that take none but nine letters and digits. May import engine/ (types).
import { createHash } from "node:crypto";
import type { TemplateFacts } from "../engine/engine.ts";

export function needsShortIds({ source }: TemplateFacts): boolean {
  return source !== null && /length\s*!=\s*9/u.test(source);
}

/** The same id always becomes the same. */
export function shortened(id: string): string {
  if (/^[a-zA-Z0-9]{9}$/u.test(id)) return id;
  return createHash("sha256").update(id).digest("hex").slice(0, 9);
}
