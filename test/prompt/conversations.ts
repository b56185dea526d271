// The conversations of the golden files. None has a special token in its text: there llama-server means something else.
import { createHash } from "node:crypto";
import type { ChatMessage, RenderOptions, ToolDefinition } from "../../src/engine/engine.ts";

export interface GoldenConversation extends RenderOptions {
  readonly name: string;
  readonly messages: readonly ChatMessage[];
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

const tools: readonly ToolDefinition[] = [
  {
    name: "get_weather",
    description: 'Weather at a place, now or later. Temperatures in "°C".',
    parameters: {
      type: "object",
      properties: {
        place: { type: "string", description: "City or village" },
        days: { type: "integer", minimum: 0, maximum: 14, default: 0 },
        unit: { type: "string", enum: ["celsius", "fahrenheit"] },
        where: { type: "object", properties: { lat: { type: "number" }, lon: { type: ["number", "null"] } } },
        tags: { type: "array", items: { type: "string" } },
      },
      required: ["place"],
    },
  },
  { name: "now", description: "The time", parameters: { type: "object", properties: {} } },
];
const weather = (id: string, place: string) => ({
  id,
  name: "get_weather",
  arguments: JSON.stringify({ place, days: 2, where: { lat: 37.5, lon: null }, tags: ["a", "b"] }),
});
const called = (...toolCalls: ReturnType<typeof weather>[]): ChatMessage => ({
  role: "assistant",
  content: "",
  toolCalls,
});
const result = (toolCallId: string, content: string): ChatMessage => ({ role: "tool", content, toolCallId });
const oneCall = [
  user("¿Lloverá en Jaén?"),
  called(weather("call00001", "Jaén")),
  result("call00001", '{"rain": true, "mm": 3.5}'),
];

/** Conversations with tools and reasoning. */
export const agentConversations: readonly GoldenConversation[] = [
  { name: "tools", messages: [user("¿Lloverá?")], tools, addGenerationPrompt: true },
  {
    name: "tools and system",
    messages: [system("Eres un asistente agrónomo."), user("¿Lloverá?")],
    tools,
    addGenerationPrompt: true,
  },
  { name: "call and result", messages: oneCall, tools, addGenerationPrompt: true },
  {
    name: "answered call",
    messages: [system("Sé breve."), ...oneCall, assistant("Sí, 3,5 mm."), user("¿Y en Úbeda?")],
    tools,
    addGenerationPrompt: true,
  },
  {
    name: "parallel calls",
    messages: [
      user("¿Lloverá en Jaén o en Úbeda?"),
      called(weather("call00001", "Jaén"), weather("call00002", "Úbeda")),
      result("call00001", "sí"),
      result("call00002", "no"),
    ],
    tools,
    addGenerationPrompt: true,
  },
  {
    name: "call with text and thought",
    messages: [
      user("¿Qué hora es?"),
      {
        role: "assistant",
        content: "Lo miro.",
        reasoning: "There is a tool.",
        toolCalls: [{ id: "call00001", name: "now", arguments: "{}" }],
      },
      { ...result("call00001", "12:00"), name: "now" },
    ],
    tools,
    addGenerationPrompt: true,
  },
  {
    // Some templates can write no schemas but the simplest.
    name: "simple tool",
    messages: [
      user("¿Qué es un olivo?"),
      {
        role: "assistant",
        content: "",
        toolCalls: [{ id: "call00001", name: "look_up", arguments: '{"word": "olivo"}' }],
      },
      result("call00001", "Un árbol."),
    ],
    tools: [
      {
        name: "look_up",
        description: "Looks a word up",
        parameters: {
          type: "object",
          properties: { word: { type: "string", description: "The word" } },
          required: ["word"],
        },
      },
    ],
    addGenerationPrompt: true,
  },
  { name: "calls without tools", messages: oneCall, addGenerationPrompt: true },
  { name: "thinking off", messages: [user("Hola")], thinks: false, addGenerationPrompt: true },
  { name: "thinking on", messages: [system("Piensa."), user("Hola")], thinks: true, addGenerationPrompt: true },
  { name: "low effort", messages: [user("Hola")], reasoningEffort: "low", addGenerationPrompt: true },
  {
    name: "earlier thoughts",
    messages: [
      user("Uno"),
      { ...assistant("Dos"), reasoning: "After one comes two." },
      user("Tres"),
      { ...assistant("Cuatro"), reasoning: "\nFour.\n" },
      user("Cinco"),
    ],
    addGenerationPrompt: true,
  },
  {
    name: "continued thought",
    messages: [user("Cuenta"), { ...assistant(""), reasoning: "Count from" }],
    addGenerationPrompt: false,
  },
  {
    name: "continued after thought",
    messages: [user("Cuenta"), { ...assistant("Uno,"), reasoning: "Count from one." }],
    addGenerationPrompt: false,
  },
];

/** Those that are tried with a vocabulary and a template: agents' only where it says something new. */
export function conversationsFor(vocabulary: string, template: string): readonly GoldenConversation[] {
  const isCore = coreTemplates[template] !== undefined || template === "own";
  return isCore && coreTemplates[template] !== vocabulary
    ? goldenConversations
    : [...goldenConversations, ...agentConversations];
}

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
export function goldenDetail(
  vocabulary: string,
  template: string,
  conversation: GoldenConversation,
): "full" | "text" | "digest" {
  if (agentConversations.includes(conversation) && coreTemplates[template] === undefined) return "digest";
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
