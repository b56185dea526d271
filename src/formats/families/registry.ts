// Which family a chat template is of, and what calls it writes. May import its neighbours and engine/ (types).
import type { TemplateFacts } from "../../engine/engine.ts";
import type { CallSyntax } from "../call-syntax.ts";
import type { Family } from "../family.ts";
import { commandR, commandR7b, north } from "./command.ts";
import { deepseek, kimi } from "./deepseek.ts";
import { gemma4 } from "./gemma-4.ts";
import { glm } from "./glm.ts";
import { gptOss } from "./gpt-oss.ts";
import { hermes, taggedJsonCalls } from "./hermes.ts";
import { apriel, firefunction, granite3, nemotronNano2, phi4Mini } from "./lists.ts";
import { functionary, llama3 } from "./llama-3.ts";
import { mistral } from "./mistral.ts";
import { qwenCoder } from "./qwen-coder.ts";

// Where two could match, the one that is more particular stands first.
const families: readonly Family[] = [
  gptOss,
  gemma4,
  mistral,
  north,
  commandR7b,
  commandR,
  kimi,
  deepseek,
  glm,
  qwenCoder,
  apriel,
  nemotronNano2,
  phi4Mini,
  granite3,
  firefunction,
  hermes,
  functionary,
  llama3,
];

export function familyOf(template: TemplateFacts): Family | null {
  const { source } = template;
  return source === null ? null : (families.find((family) => family.matches(source)) ?? null);
}

/** The calls that the template's own models write; null: it takes no tools, or its form is none of the known ones. */
export function ownCalls(template: TemplateFacts): CallSyntax | null {
  const family = template.takesTools ? familyOf(template) : null;
  return family === null ? null : family.calls(template.source ?? "");
}

/** The form that models are asked for whose templates have none: one that many models have seen. */
export const genericCalls: CallSyntax = taggedJsonCalls;
