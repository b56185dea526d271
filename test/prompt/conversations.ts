// The conversations of the golden files. None has a special token in its text: there llama-server means something else.
import { createHash } from "node:crypto";
import type { ChatMessage } from "../../src/engine/engine.ts";

export interface GoldenConversation {
  readonly name: string;
  readonly messages: readonly ChatMessage[];
  readonly addGenerationPrompt: boolean;
}

const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });
const system = (content: string): ChatMessage => ({ role: "system", content });

export const goldenConversations: readonly GoldenConversation[] = [
  { name: "one question", messages: [user("¿Lloverá mañana en Jaén?")], addGenerationPrompt: true },
  { name: "system", messages: [system("Eres un asistente agrónomo."), user("Hola")], addGenerationPrompt: true },
  { name: "system alone", messages: [system("Eres breve.")], addGenerationPrompt: true },
  {
    name: "several turns",
    messages: [
      system("You are terse.\n"),
      user("  def f(x):\n\treturn x['a'] + 1  # 👩‍🌾 農家"),
      assistant("It adds 1.\n\n"),
      user("And <b>now</b>? [1] {2} 100 %\r\n"),
    ],
    addGenerationPrompt: true,
  },
  {
    name: "no generation prompt",
    messages: [user("Uno"), assistant("Dos"), user("Tres")],
    addGenerationPrompt: false,
  },
  { name: "continued", messages: [user("Cuenta"), assistant("Uno, dos,")], addGenerationPrompt: false },
  { name: "two of a role", messages: [user("Uno"), user("Dos")], addGenerationPrompt: true },
  { name: "empty", messages: [user(""), assistant(""), user(" ")], addGenerationPrompt: true },
];

/** The date of the golden files, for templates that tell it. */
export const goldenDate = { date: new Date(2025, 6, 4), datetime: "Jul 04 2025", dateString: "04 Jul 2025" };

/** Templates that every vocabulary meets; each names the vocabulary that it was written for. */
export const coreTemplates: Readonly<Record<string, string>> = {
  "Qwen-Qwen2.5-7B-Instruct": "qwen2",
  "mistralai-Mistral-Nemo-Instruct-2407": "llama-spm",
  "google-gemma-2-2b-it": "gemma-4",
  "microsoft-Phi-3.5-mini-instruct": "phi-3",
  "CohereForAI-c4ai-command-r-plus-tool_use": "command-r",
  "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "command-r",
  "meta-llama-Llama-3.1-8B-Instruct": "llama-bpe",
  "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek-llm",
  "google-gemma-4-31B-it": "gemma-4",
};

/** The vocabularies of models that chat or complete; the others of the bundle are for embedding. */
export const vocabularies: readonly string[] = [
  "aquila",
  "baichuan",
  "command-r",
  "deepseek-coder",
  "deepseek-llm",
  "falcon",
  "gemma-4",
  "gpt-2",
  "gpt-neox",
  "llama-bpe",
  "llama-spm",
  "mpt",
  "phi-3",
  "qwen2",
  "qwen35",
  "refact",
  "starcoder",
];

/** Where templates that no vocabulary of the bundle was made for are tried. */
export const commonVocabulary = "llama-bpe";

/** "own" stands for the template in the vocabulary's file, or ChatML where it has none. */
export function goldenPairs(templates: readonly string[]): { vocabulary: string; template: string }[] {
  return [
    ...vocabularies.flatMap((vocabulary) =>
      ["own", ...Object.keys(coreTemplates)].map((template) => ({ vocabulary, template })),
    ),
    ...templates
      .filter((template) => coreTemplates[template] === undefined)
      .map((template) => ({ vocabulary: commonVocabulary, template })),
  ];
}

export interface GoldenAnswer {
  /** Null: llama-server refused. */
  readonly text: string | null;
  readonly tokens: readonly number[];
}

/** How much of an answer the golden file holds: all where template and vocabulary belong together, else digests. */
export function goldenDetail(vocabulary: string, template: string): "full" | "text" | "digest" {
  if (template === "own" || coreTemplates[template] === vocabulary) return "full";
  return coreTemplates[template] === undefined ? "text" : "digest";
}

/** The form in which a golden file holds an answer. */
export function recorded({ text, tokens }: GoldenAnswer, detail: "full" | "text" | "digest"): unknown {
  if (text === null) return null;
  if (detail === "full") return [text, tokens];
  return detail === "text" ? [text, digest(tokens)] : digest([text, ...tokens]);
}

function digest(items: readonly (string | number)[]): string {
  return createHash("sha256").update(items.join()).digest("hex").slice(0, 16);
}
