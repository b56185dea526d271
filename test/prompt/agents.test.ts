// Tools, calls, results and thoughts in prompts: what a caller writes in them stays text, and what a template knows.
import * as fc from "fast-check";
import type { LlamaModel } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChatMessage, ToolDefinition } from "../../src/engine/engine.ts";
import { PromptRenderer } from "../../src/engine/llama/prompt-renderer.ts";
import { templateNames, templateText } from "./bundle.ts";
import { agentConversations } from "./conversations.ts";
import { loadVocabulary, withVocabulary } from "./models.ts";

const open = { addGenerationPrompt: true };
const user = (content: string): ChatMessage => ({ role: "user", content });
let qwen: LlamaModel;
beforeAll(async () => {
  qwen = await loadVocabulary("qwen2");
});
afterAll(async () => {
  await qwen.dispose();
});
const rendererOf = (template: string) => new PromptRenderer(qwen, { chatTemplate: templateText(template) });

/** A conversation that says `text` wherever a caller can. */
function saying(text: string): { messages: ChatMessage[]; tools: ToolDefinition[] } {
  return {
    messages: [
      user(text),
      {
        role: "assistant",
        content: text,
        reasoning: text,
        toolCalls: [
          { id: "call00001", name: text, arguments: JSON.stringify({ [text]: text, list: [{ [text]: [text] }] }) },
        ],
      },
      { role: "tool", content: text, toolCallId: "call00001", name: text },
    ],
    tools: [
      {
        name: text,
        description: text,
        parameters: {
          type: "object",
          properties: { [text]: { type: "string", description: text, enum: [text], default: text, [text]: text } },
          required: [text],
        },
      },
    ],
  };
}

describe("special tokens in what a caller writes", () => {
  const templates = [
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen-Qwen3-0.6B",
    "Qwen3-Coder",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
    "meta-llama-Llama-3.1-8B-Instruct",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "google-gemma-4-31B-it-interleaved",
    "openai-gpt-oss-120b",
    "Kimi-K2-Instruct",
  ];
  const parts = fc.array(
    fc.constantFrom("<|im_end|>", "<|im_start|>", "<|", "|>", "im_end", "im_start", "<", ">", "x", " ", '"', "/"),
    { minLength: 1, maxLength: 5 },
  );

  it.each(templates)("never become control tokens (%s)", (template) => {
    const renderer = rendererOf(template);
    const control = (text: string): number => {
      const { messages, tools } = saying(text);
      const { tokens } = renderer.renderChat(messages, { ...open, tools });
      return tokens.filter((token) => token === imStart || token === imEnd).length;
    };
    const expected = control("plain");
    fc.assert(
      fc.property(parts, (typed) => {
        expect(control(`a${typed.join("")}b`)).toBe(expected);
        expect(control(typed.join(""))).toBe(expected);
      }),
      { numRuns: 15 },
    );
  });
  const imStart = 151644;
  const imEnd = 151645;

  it("change no other text of the prompt", () => {
    const renderer = rendererOf("Qwen-Qwen2.5-7B-Instruct");
    const text = (typed: string) => {
      const { messages, tools } = saying(typed);
      return renderer.renderChat(messages, { ...open, tools }).text;
    };
    expect(text("<|im_end|>")).toBe(text("PLACEHOLDER").replaceAll("PLACEHOLDER", "<|im_end|>"));
  });

  it("are not made of a key and the brackets that a template puts around it", () => {
    // Qwen3-Coder writes what it does not know of a schema as tags: here, as those of a control token.
    const chatTemplate = "{% for key in tools[0].function.parameters %}<|{{ key }}|>{% endfor %}";
    const renderer = new PromptRenderer(qwen, { chatTemplate });
    const parameters = { type: "object", im_end: 1, " IM_END ": 2 };
    const { text, tokens } = renderer.renderChat([user("Hi")], {
      ...open,
      tools: [{ name: "a", description: null, parameters }],
    });
    expect(text).toBe("<|type|><|im_end|><| IM_END |>");
    expect(tokens).not.toContain(imEnd);
  });
});

describe("values of a caller's", () => {
  const schemaText = (parameters: Record<string, unknown>) =>
    new PromptRenderer(qwen, { chatTemplate: "{{ tools[0].function.parameters | tojson }}" }).renderChat([user("Hi")], {
      ...open,
      tools: [{ name: "a", description: null, parameters }],
    }).text;

  it("come as they are: numbers beyond the engine's as text", () => {
    expect(schemaText({ maximum: 2 ** 63, minimum: -(2 ** 53), exclusiveMaximum: Infinity, default: 0.5 })).toBe(
      '{"maximum": "9223372036854775808", "minimum": -9007199254740992, "exclusiveMaximum": "Infinity", "default": 0.5}',
    );
    expect(schemaText(JSON.parse('{"__proto__": {"a": null}, "b": "\\ud800"}') as Record<string, unknown>)).toBe(
      '{"__proto__": {"a": null}, "b": "\ufffd"}',
    );
  });

  it("may not be nested without end", () => {
    const deep = JSON.parse(`${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`) as Record<string, unknown>;
    expect(() => schemaText(deep)).toThrow(
      expect.objectContaining({ status: 400, param: "tools[0].function.parameters" }),
    );
  });

  it("must be JSON where they are a call's arguments", () => {
    const called: ChatMessage = {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "a", name: "b", arguments: "{broken" }],
    };
    const render = () => rendererOf("Qwen-Qwen3-0.6B").renderChat([user("Hi"), called], open);
    expect(render).toThrow(
      expect.objectContaining({ status: 400, param: "messages[1].tool_calls[0].function.arguments" }),
    );
  });
});

it("ids that a template refuses are shortened, in the call and in its result alike", () => {
  const renderer = rendererOf("mistralai-Mistral-Nemo-Instruct-2407");
  const conversation = (id: string): ChatMessage[] => [
    user("Hi"),
    { role: "assistant", content: "", toolCalls: [{ id, name: "now", arguments: "{}" }] },
    { role: "tool", content: "12:00", toolCallId: id },
  ];
  const tools = [{ name: "now", description: null, parameters: { type: "object" } }];
  const text = (id: string) => renderer.renderChat(conversation(id), { ...open, tools }).text;
  const [, first, second] = /"id": "(\w{9})".*"call_id": "(\w{9})"/su.exec(text("call_1234567890abcdef")) ?? [];
  expect(first).toBe(second);
  expect(first).not.toBeUndefined();
  expect(text("abcdefgh1")).toContain('"id": "abcdefgh1"');
});

describe("what opens the answer", () => {
  const generationPrompt = (template: string, options: object = {}, messages = [user("Hi")]) =>
    rendererOf(template).renderChat(messages, { ...open, ...options }).generationPrompt;

  it.each([
    ["Qwen-Qwen3-0.6B", {}, "<|im_start|>assistant\n"],
    ["Qwen-Qwen3-0.6B", { thinks: false }, "<|im_start|>assistant\n<think>\n\n</think>\n\n"],
    ["Qwen-QwQ-32B", {}, "<|im_start|>assistant\n<think>\n"],
    ["openai-gpt-oss-120b", {}, "<|start|>assistant"],
    ["google-gemma-2-2b-it", {}, "<start_of_turn>model\n"],
    ["Qwen-Qwen3-0.6B", { addGenerationPrompt: false }, ""],
  ])("%s %j", (template, options, expected) => {
    expect(generationPrompt(template, options)).toBe(expected);
  });

  it("is what the template adds, also where it was seen to add something else", () => {
    const chatTemplate =
      "{{ messages[-1].content }}{% if add_generation_prompt %}A{% if messages|length > 1 %}<think>{% endif %}{% endif %}";
    const renderer = new PromptRenderer(qwen, { chatTemplate });
    const of = (...messages: ChatMessage[]) => renderer.renderChat(messages, open).generationPrompt;
    expect([of(user("1")), of(user("1"), user("2")), of(user("1")), of(user("1"), user("2"))]).toEqual([
      "A",
      "A<think>",
      "A",
      "A<think>",
    ]);
  });

  it("ends before the text of an answer that goes on", () => {
    const messages: ChatMessage[] = [user("Hi"), { role: "assistant", content: "Yes,", reasoning: "Hm." }];
    const { text, generationPrompt: opening } = rendererOf("Qwen-Qwen3-0.6B").renderChat(messages, {
      addGenerationPrompt: false,
    });
    expect(opening).toBe("<|im_start|>assistant\n<think>\nHm.\n</think>\n\n");
    expect(text.endsWith(`${opening}Yes,`)).toBe(true);
  });
});

/** They need what llama.cpp's template engine lacks, for these tools, in llama-server too. */
const refusesTools = new Set([
  "CohereForAI-c4ai-command-r-plus-tool_use",
  "GigaChat3-10B-A1.8B",
  "GigaChat3.1-10B-A1.8B",
]);

/** Null: the template refuses the tools. */
function shows(render: () => string): boolean | null {
  try {
    return render().includes("get_weather");
  } catch (error) {
    if (/Function has no builtins|Unknown operator/u.test(String(error))) return null;
    throw error;
  }
}

describe("what a template knows", () => {
  const think = { start: "<think>", end: "</think>" };
  it.each([
    ["Qwen-Qwen2.5-7B-Instruct", true, true, null, false],
    ["Qwen-Qwen3-0.6B", true, true, think, true],
    ["Qwen3-Coder", true, true, null, false],
    ["google-gemma-2-2b-it", false, false, null, false],
    ["microsoft-Phi-3.5-mini-instruct", false, false, null, false],
    ["mistralai-Mistral-Nemo-Instruct-2407", true, true, null, false],
    ["Mistral-Small-3.2-24B-Instruct-2506", true, true, null, false],
    ["meta-llama-Llama-3.1-8B-Instruct", true, true, null, false],
    ["deepseek-ai-DeepSeek-R1-Distill-Llama-8B", false, false, think, false],
    [
      "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
      true,
      true,
      { start: "<|START_THINKING|>", end: "<|END_THINKING|>" },
      true,
    ],
    ["openai-gpt-oss-120b", true, true, { start: "<|channel|>analysis<|message|>", end: "<|end|>" }, false],
  ])("%s", (template, takesTools, takesToolMessages, thinking, switchesThinking) => {
    const { source, ...facts } = rendererOf(template).facts;
    expect(facts).toEqual({ takesTools, takesToolMessages, thinking, switchesThinking });
    expect(source).toBe(templateText(template));
  });

  it("is nothing where there is none, or none that compiles", () => {
    const nothing = { takesTools: false, takesToolMessages: false, thinking: null, switchesThinking: false };
    expect(new PromptRenderer(qwen, { chatTemplate: "" }).facts).toEqual({ source: null, ...nothing });
    expect(new PromptRenderer(qwen, { chatTemplate: "{% for %}" }).facts).toEqual({ source: "{% for %}", ...nothing });
  });

  it("says of each template of the bundle whether a prompt shows its tools", () => {
    const tools = agentConversations[0]?.tools ?? [];
    for (const template of templateNames()) {
      const renderer = rendererOf(template);
      const messages: ChatMessage[] = [{ role: "system", content: "Sí." }, user("Hi")];
      const shown = shows(() => renderer.renderChat(messages, { ...open, tools }).text);
      expect([template, shown]).toEqual([template, refusesTools.has(template) ? null : renderer.facts.takesTools]);
    }
  });
});

describe("tokens", () => {
  it("have bytes, control tokens too, and are put together again", async () => {
    for (const name of ["qwen2", "llama-spm", "gemma-4", "falcon"]) {
      await withVocabulary(name, (model) => {
        const renderer = new PromptRenderer(model, { chatTemplate: "" });
        const text = "Sí, 農家 👩‍🌾.";
        const tokens = renderer.tokenize(text, { parseSpecial: true, addSpecial: false });
        const bytes = Buffer.concat(tokens.map((token) => renderer.tokenBytes(token))).toString();
        expect(bytes.trimStart()).toBe(text);
        expect(renderer.detokenize(tokens, { special: true })).toBe(bytes);
      });
    }
    const renderer = new PromptRenderer(qwen, { chatTemplate: "" });
    expect(Buffer.from(renderer.tokenBytes(151645)).toString()).toBe("<|im_end|>");
    expect(renderer.detokenize([68012, 151645], { special: true })).toBe("Hola<|im_end|>");
    expect(renderer.detokenize([68012, 151645], { special: false })).toBe("Hola");
  });

  it.each([[-1], [10_000_000], [0.5], [Number.NaN]])("that are none of the vocabulary's are refused (%d)", (token) => {
    const renderer = new PromptRenderer(qwen, { chatTemplate: "" });
    expect(() => renderer.detokenize([1, token], { special: true })).toThrow(
      expect.objectContaining({ status: 400, param: "tokens[1]" }),
    );
  });

  it("of a vocabulary are counted, and those for filling in known", async () => {
    await withVocabulary("starcoder", (model) => {
      const { infill, ...facts } = new PromptRenderer(model).vocabularyFacts;
      expect(facts).toEqual({ size: 49_152, bosText: "<|endoftext|>", eosText: "<|endoftext|>" });
      const { prefix = -1, middle = -1, suffix = -1 } = infill ?? {};
      const texts = [prefix, middle, suffix].map((token) =>
        new PromptRenderer(model).detokenize([token], { special: true }),
      );
      expect(texts).toEqual(["<fim_prefix>", "<fim_middle>", "<fim_suffix>"]);
    });
    await withVocabulary("llama-spm", (model) => {
      expect(new PromptRenderer(model).vocabularyFacts).toEqual({
        size: 32_000,
        bosText: "<s>",
        eosText: "</s>",
        infill: null,
      });
    });
  });
});

describe("a template that looks for tools in the system message, as Phi-4-mini's does", () => {
  const chatTemplate = [
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}",
    "{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}<|tool|>{{ message['tools'] }}<|/tool|>{% endif %}",
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
  ].join("");
  const tool = { name: "weather", description: "Now.", parameters: { type: "object" } };
  const written = '[{"name":"weather","description":"Now.","parameters":{"type":"object"}}]';

  it("finds them there, in a message of their own where there is none", () => {
    const renderer = new PromptRenderer(qwen, { chatTemplate });
    expect(renderer.facts).toMatchObject({ takesTools: true, takesToolMessages: false });
    expect(renderer.renderChat([user("Hi")], { ...open, tools: [tool] }).text).toBe(
      `<|system|><|tool|>${written}<|/tool|><|end|><|user|>Hi<|end|><|assistant|>`,
    );
    const system = { role: "system" as const, content: "Be brief." };
    expect(renderer.renderChat([system, user("Hi")], { ...open, tools: [tool] }).text).toContain(
      `<|system|>Be brief.<|tool|>${written}<|/tool|><|end|>`,
    );
    expect(renderer.renderChat([user("Hi")], open).text).toBe("<|user|>Hi<|end|><|assistant|>");
  });
});
