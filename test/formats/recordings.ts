// What models of each family write, and what it means: for the tests of reader and grammar.
import type { TemplateFacts } from "../../src/engine/engine.ts";
import type { AnswerPart, ToolUse } from "../../src/formats/answer-format.ts";

export interface Recording {
  readonly name: string;
  readonly template: TemplateFacts;
  readonly generationPrompt: string;
  readonly text: string;
  /** Pieces of one part joined. Ids that the text does not give are `id-1`, `id-2`. */
  readonly parts: readonly AnswerPart[];
  /** Texts that are none of the grammar's, by what was changed. */
  readonly wrong: readonly string[];
}

export const tools: ToolUse = {
  tools: [
    {
      name: "get_weather",
      description: "The weather at a place",
      parameters: {
        type: "object",
        properties: {
          city: { type: "string" },
          unit: { type: "string", enum: ["C", "F"] },
          days: { type: "integer" },
        },
        required: ["city"],
        additionalProperties: false,
      },
    },
    {
      name: "get_time",
      description: null,
      parameters: { type: "object", properties: {}, additionalProperties: false },
    },
    {
      name: "store",
      description: "Keeps a document",
      parameters: {
        type: "object",
        properties: {
          document: {
            type: "object",
            properties: { title: { type: "string" }, tags: { type: "array", items: { type: "string" } } },
            required: ["title", "tags"],
            additionalProperties: false,
          },
          isPublic: { type: "boolean" },
        },
        required: ["document"],
        additionalProperties: false,
      },
    },
  ],
  choice: "auto",
  parallel: true,
  field: "tools",
};

const tags = { start: "<think>", end: "</think>" };

export function template(source: string | null, more: Partial<TemplateFacts> = {}): TemplateFacts {
  return { source, takesTools: true, takesToolMessages: true, thinking: null, switchesThinking: false, ...more };
}

/** Stand-ins for templates: what a family is known by. */
export const templates = {
  hermes: template('<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>', {
    thinking: tags,
  }),
  qwenCoder: template("<tool_call>\n<function=example>\n<parameter=a>\n", { thinking: tags }),
  seed: template("<seed:tool_call>\n<function=example>\n<parameter=a>1</parameter>"),
  glm: template("<tool_call>{name}\n<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n</tool_call>"),
  glm47: template("<tool_call>{name}<arg_key>{key}</arg_key><arg_value>{value}</arg_value></tool_call>"),
  mistral: template('"[TOOL_CALLS] [" tool_call.id|length != 9'),
  devstral: template("[TOOL_CALLS] [ARGS]"),
  mistralSmall: template("[TOOL_CALLS] [CALL_ID] tool_call.id|length != 9 [ARGS]"),
  ministral: template("[TOOL_CALLS] [ARGS]", { thinking: { start: "[THINK]", end: "[/THINK]" } }),
  commandR7b: template("<|START_ACTION|> <|START_RESPONSE|>", {
    thinking: { start: "<|START_THINKING|>", end: "<|END_THINKING|>" },
  }),
  commandR: template("<|CHATBOT_TOKEN|> Action: ```json"),
  llama: template('<|start_header_id|> {"name": function name, "parameters": dictionary}'),
  functionary: template("<|start_header_id|> <function=a>{}</function>"),
  phi: template("<|tool|> <|/tool|>"),
  granite: template("<|start_of_role|> <|tool_call|>", { thinking: tags }),
  nemotron: template("<TOOLCALL>[", { thinking: tags }),
  firefunction: template("functools[", {}),
  deepseekR1: template("<｜tool▁calls▁begin｜> ```json", { thinking: tags }),
  deepseekV31: template("<｜tool▁calls▁begin｜>", { thinking: tags }),
  kimi: template("<|tool_calls_section_begin|>", { thinking: tags }),
  gemma4: template("'<|tool_call>call:'", { thinking: { start: "<|channel>thought", end: "<channel|>" } }),
  gptOss: template("<|channel|>analysis"),
  generic: template("no tools", { takesTools: false, takesToolMessages: false }),
} as const;

function call(index: number, name: string, written: string, id = `id-${index + 1}`): AnswerPart[] {
  return [
    { type: "tool_call", index, id, name },
    ...(written === "" ? [] : [{ type: "tool_arguments", index, text: written } as const]),
  ];
}

const text = (said: string): AnswerPart => ({ type: "text", text: said });
const reasoning = (thought: string): AnswerPart => ({ type: "reasoning", text: thought });

const paris = '{"city": "Paris", "unit": "C"}';
const odd = String.raw`{"city": "Žižkov \"5\" \\ \u00e9 😀\n"}`;
const nested = '{"document": {"title": "A {b} [c]", "tags": ["x", "}", "\\"]"]}, "isPublic": true}';

/** The same conversations in a form of JSON calls: `one` makes a call, `several` puts calls together. */
function jsonForms(
  name: string,
  family: TemplateFacts,
  one: (name: string, written: string, index: number) => string,
  several: (calls: readonly string[]) => string,
  more: {
    readonly id?: (name: string, index: number) => string;
    readonly parallel?: boolean;
    readonly says?: boolean;
  } = {},
): Recording[] {
  const { id = (_name: string, index: number) => `id-${index + 1}`, parallel = true, says = true } = more;
  const generationPrompt = "";
  const single = (tool: string, written: string) => several([one(tool, written, 0)]);
  const parts = (tool: string, written: string) => call(0, tool, written, id(tool, 0));
  return [
    {
      name: `${name}: one call`,
      text: single("get_weather", paris),
      parts: parts("get_weather", paris),
      wrong: [
        single("get_wether", paris),
        single("get_weather", '{"city": 5}'),
        single("get_weather", '{"city": "Paris", "unit": "K"}'),
        single("get_weather", "{}"),
        single("get_time", '{"a": 1}'),
      ],
    },
    { name: `${name}: no arguments`, text: single("get_time", "{}"), parts: parts("get_time", "{}"), wrong: [] },
    { name: `${name}: signs`, text: single("get_weather", odd), parts: parts("get_weather", odd), wrong: [] },
    { name: `${name}: nested`, text: single("store", nested), parts: parts("store", nested), wrong: [] },
    ...(says
      ? [
          {
            name: `${name}: text, then a call`,
            text: `Let me look < [ {it} up.\n${single("get_time", "{}")}`,
            parts: [text("Let me look < [ {it} up.\n"), ...parts("get_time", "{}")],
            wrong: [],
          },
        ]
      : []),
    { name: `${name}: text alone`, text: "No <tool>, [no] call.", parts: [text("No <tool>, [no] call.")], wrong: [] },
    ...(parallel
      ? [
          {
            name: `${name}: three calls`,
            text: several([one("get_weather", odd, 0), one("get_time", "{}", 1), one("store", nested, 2)]),
            parts: [
              ...call(0, "get_weather", odd, id("get_weather", 0)),
              ...call(1, "get_time", "{}", id("get_time", 1)),
              ...call(2, "store", nested, id("store", 2)),
            ],
            wrong: [],
          },
        ]
      : []),
  ].map((recording) => ({ ...recording, template: family, generationPrompt }));
}

const named = (keyOfName: string, keyOfArguments: string) => (name: string, written: string) =>
  `{"${keyOfName}": "${name}", "${keyOfArguments}": ${written}}`;
const r1 = (name: string, written: string) =>
  `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${name}\n\`\`\`json\n${written}\n\`\`\`<｜tool▁call▁end｜>`;

export const recordings: readonly Recording[] = [
  ...jsonForms("Hermes", templates.hermes, named("name", "arguments"), (calls) =>
    calls.map((one) => `<tool_call>\n${one}\n</tool_call>`).join("\n"),
  ),
  ...jsonForms("generic", templates.generic, named("name", "arguments"), (calls) =>
    calls.map((one) => `<tool_call>${one}</tool_call>`).join(""),
  ),
  ...jsonForms(
    "Mistral",
    templates.mistral,
    named("name", "arguments"),
    (calls) => `[TOOL_CALLS] [${calls.join(", ")}]`,
  ),
  ...jsonForms(
    "Mistral with ids",
    templates.mistral,
    (name, written) => `{"name": "${name}", "arguments": ${written}, "id": "VvvODy9mT"}`,
    (calls) => `[TOOL_CALLS][${calls.join(", ")}]`,
  ),
  ...jsonForms(
    "Devstral",
    templates.devstral,
    (name, written) => `[TOOL_CALLS]${name}[ARGS]${written}`,
    (calls) => calls.join(""),
  ),
  ...jsonForms(
    "Mistral Small",
    templates.mistralSmall,
    (name, written, index) => `[TOOL_CALLS]${name}[CALL_ID]00000000${index}[ARGS]${written}`,
    (calls) => calls.join(""),
    { id: (_name, index) => `00000000${index}` },
  ),
  ...jsonForms(
    "Command R7B",
    templates.commandR7b,
    (name, written, index) => `    {"tool_call_id": "${index}", "tool_name": "${name}", "parameters": ${written}}`,
    (calls) => `<|START_ACTION|>[\n${calls.join(",\n")}\n]<|END_ACTION|>`,
    { id: (_name, index) => String(index) },
  ),
  ...jsonForms(
    "Command R",
    templates.commandR,
    (name, written) => `    {\n        "tool_name": "${name}",\n        "parameters": ${written}\n    }`,
    (calls) => `Action:\n\`\`\`json\n[\n${calls.join(",\n")}\n]\`\`\``,
  ),
  ...jsonForms("Llama 3", templates.llama, named("name", "parameters"), (calls) => calls.join(""), {
    parallel: false,
    says: false,
  }),
  ...jsonForms(
    "Llama 3 with its tag",
    templates.llama,
    named("name", "parameters"),
    (calls) => `<|python_tag|>${calls.join("")}`,
    { parallel: false, says: false },
  ),
  ...jsonForms(
    "Functionary",
    templates.functionary,
    (name, written) => `<function=${name}>${written}</function>`,
    (calls) => calls.join(""),
  ),
  ...jsonForms(
    "Phi-4-mini",
    templates.phi,
    named("name", "arguments"),
    (calls) => `<|tool_call|>[${calls.join(", ")}]<|/tool_call|>`,
  ),
  ...jsonForms(
    "Granite 3",
    templates.granite,
    named("name", "arguments"),
    (calls) => `<|tool_call|>[${calls.join(", ")}]`,
  ),
  ...jsonForms(
    "Nemotron Nano",
    templates.nemotron,
    named("name", "arguments"),
    (calls) => `<TOOLCALL>[${calls.join(", ")}]</TOOLCALL>`,
  ),
  ...jsonForms(
    "Firefunction",
    templates.firefunction,
    named("name", "arguments"),
    (calls) => `functools[${calls.join(", ")}]`,
  ),
  ...jsonForms(
    "DeepSeek R1",
    templates.deepseekR1,
    r1,
    (calls) => `<｜tool▁calls▁begin｜>${calls.join("\n")}<｜tool▁calls▁end｜>`,
  ),
  ...jsonForms(
    "DeepSeek V3.1",
    templates.deepseekV31,
    (name, written) => `<｜tool▁call▁begin｜>${name}<｜tool▁sep｜>${written}<｜tool▁call▁end｜>`,
    (calls) => `<｜tool▁calls▁begin｜>${calls.join("")}<｜tool▁calls▁end｜>`,
  ),
  ...jsonForms(
    "Kimi K2",
    templates.kimi,
    (name, written, index) =>
      `<|tool_call_begin|>functions.${name}:${index}<|tool_call_argument_begin|>${written}<|tool_call_end|>`,
    (calls) => `<|tool_calls_section_begin|>${calls.join("")}<|tool_calls_section_end|>`,
    { id: (name, index) => `functions.${name}:${index}` },
  ),
  ...thoughts(),
  ...tagged(),
  ...gemma(),
  ...harmony(),
];

function thoughts(): Recording[] {
  const weather = `<tool_call>\n{"name": "get_weather", "arguments": ${paris}}\n</tool_call>`;
  const open = "<|im_start|>assistant\n<think>\n";
  const closed = "<|im_start|>assistant\n<think>\n\n</think>\n\n";
  const hermes = { template: templates.hermes, generationPrompt: "<|im_start|>assistant\n", wrong: [] };
  const r7b = { template: templates.commandR7b, generationPrompt: "<|CHATBOT_TOKEN|>", wrong: [] };
  return [
    {
      ...hermes,
      name: "thinking, then text",
      text: "<think>\nI'm\n\nthinking <b>\n</think>\n\nHello, < world!\nWhat's up?\n",
      parts: [reasoning("I'm\n\nthinking <b>"), text("Hello, < world!\nWhat's up?\n")],
    },
    {
      ...hermes,
      name: "thinking, then a call",
      text: `<think>\nThe <tool_call> it is. \n</think>\n\n${weather}\n`.trimEnd(),
      parts: [reasoning("The <tool_call> it is."), ...call(0, "get_weather", paris)],
    },
    {
      ...hermes,
      name: "thinking that the prompt opened",
      generationPrompt: open,
      text: `Hm.\n</think>\n\nLook:\n${weather}`,
      parts: [reasoning("Hm."), text("Look:\n"), ...call(0, "get_weather", paris)],
    },
    {
      ...hermes,
      name: "empty thinking",
      text: "<think>\n\n</think>\n\nHello.",
      parts: [text("Hello.")],
    },
    {
      ...hermes,
      name: "thinking that the prompt closed",
      generationPrompt: closed,
      text: "Hm. </think> is text.",
      parts: [text("Hm. </think> is text.")],
    },
    {
      ...hermes,
      name: "no thinking",
      text: "\n\nJust text: a < b.",
      parts: [text("\n\nJust text: a < b.")],
    },
    {
      ...r7b,
      name: "Command R7B: thinking, then a call",
      text: `<|START_THINKING|>I'm\nthinking<|END_THINKING|><|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": ${paris}}\n]<|END_ACTION|>`,
      parts: [reasoning("I'm\nthinking"), ...call(0, "get_weather", paris, "0")],
    },
    {
      ...r7b,
      name: "Command R7B: thinking, then its answer",
      text: "<|START_THINKING|>I'm\nthinking<|END_THINKING|><|START_RESPONSE|>Hello, world!\nWhat's up?<|END_RESPONSE|>",
      parts: [reasoning("I'm\nthinking"), text("Hello, world!\nWhat's up?")],
    },
    {
      name: "Ministral: thinking, text, a call",
      template: templates.ministral,
      generationPrompt: "[/INST]",
      text: "[THINK]Let [it] be[/THINK]Looking.[TOOL_CALLS]get_time[ARGS]{}",
      parts: [reasoning("Let [it] be"), text("Looking."), ...call(0, "get_time", "{}")],
      wrong: ["[THINK]Let[/THINK][TOOL_CALLS]get_tim[ARGS]{}"],
    },
  ];
}

function tagged(): Recording[] {
  const coder = { template: templates.qwenCoder, generationPrompt: "<|im_start|>assistant\n" };
  const code = "def f(x):\n\treturn \"<b>\\n\" < x & 'é😀'\n";
  return [
    {
      ...coder,
      name: "Qwen3-Coder: one call",
      text: "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=unit>\nF\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
      parts: call(0, "get_weather", '{"city": "Paris", "unit": "F", "days": 3}'),
      wrong: [
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=unit>\nK\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\nthree\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>\n<function=get_weather>\n</function>\n</tool_call>",
        "<tool_call>\n<function=get_wether>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
      ],
    },
    {
      ...coder,
      name: "Qwen3-Coder: text of several lines, signs, no quotes",
      text: `I will.\n<tool_call>\n<function=get_weather>\n<parameter=city>\n${code}\n</parameter>\n</function>\n</tool_call>`,
      parts: [text("I will.\n"), ...call(0, "get_weather", `{"city": ${JSON.stringify(code)}}`)],
      wrong: [],
    },
    {
      ...coder,
      name: "Qwen3-Coder: several calls after thinking",
      generationPrompt: "<think>\n",
      text: `So.\n</think>\n\n<tool_call>\n<function=get_time>\n</function>\n</tool_call>\n<tool_call>\n<function=store>\n<parameter=document>\n{"title": "A", "tags": ["</b>", "}"]}\n</parameter>\n<parameter=isPublic>\nfalse\n</parameter>\n</function>\n</tool_call>`,
      parts: [
        reasoning("So."),
        ...call(0, "get_time", "{}"),
        ...call(1, "store", '{"document": {"title": "A", "tags": ["</b>", "}"]}, "isPublic": false}'),
      ],
      wrong: [],
    },
    {
      name: "Seed-OSS",
      template: templates.seed,
      generationPrompt: "",
      text: "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Par\nis</parameter>\n</function>\n</seed:tool_call>",
      parts: call(0, "get_weather", '{"city": "Par\\nis"}'),
      wrong: [],
    },
    {
      name: "GLM 4.6",
      template: templates.glm,
      generationPrompt: "",
      text: "\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
      parts: call(0, "get_weather", '{"city": "Paris", "days": 2}'),
      wrong: ["<tool_call>get_weather\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"],
    },
    {
      name: "GLM 4.7",
      template: templates.glm47,
      generationPrompt: "",
      text: "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call><tool_call>get_time</tool_call>",
      parts: [...call(0, "get_weather", '{"city": "Paris"}'), ...call(1, "get_time", "{}")],
      wrong: ["<tool_call>get_times</tool_call>"],
    },
  ];
}

function gemma(): Recording[] {
  const gemma4 = { template: templates.gemma4, generationPrompt: "<|turn>model\n" };
  return [
    {
      ...gemma4,
      name: "Gemma 4: thinking, text, calls",
      text: '<|channel>thought\nI\'m\nthinking<channel|>Well.<|tool_call>call:get_weather{city:<|"|>Pa"r{i}s\n<|"|>,days:-7}<tool_call|><|tool_call>call:get_time{}<tool_call|>',
      parts: [
        reasoning("I'm\nthinking"),
        text("Well."),
        ...call(0, "get_weather", '{"city": "Pa\\"r{i}s\\n", "days": -7}'),
        ...call(1, "get_time", "{}"),
      ],
      wrong: [
        "<|tool_call>call:get_weather{city:5}<tool_call|>",
        '<|tool_call>call:get_time{city:<|"|>a<|"|>}<tool_call|>',
      ],
    },
    {
      ...gemma4,
      name: "Gemma 4: JSON inside",
      text: '<|tool_call>call:store{document:{"title": "A", "tags": ["x"]},isPublic:true}<tool_call|>',
      parts: call(0, "store", '{"document": {"title": "A", "tags": ["x"]}, "isPublic": true}'),
      wrong: [],
    },
  ];
}

function harmony(): Recording[] {
  const gptOss = { template: templates.gptOss, generationPrompt: "<|start|>assistant" };
  return [
    {
      ...gptOss,
      name: "gpt-oss: analysis and final",
      text: "<|channel|>analysis<|message|>I'm\nthinking<|end|><|start|>assistant<|channel|>final<|message|>Hello, world!\nWhat's up?",
      parts: [reasoning("I'm\nthinking"), text("Hello, world!\nWhat's up?")],
      wrong: [],
    },
    {
      ...gptOss,
      name: "gpt-oss: analysis, preamble, call",
      text: `<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>Looking.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>${paris}`,
      parts: [reasoning("Hm."), text("Looking."), ...call(0, "get_weather", paris)],
      wrong: [
        '<|channel|>commentary to=functions.get_weather<|message|>{"city": 1}',
        "<|channel|>commentary to=functions.a<|message|>{}",
      ],
    },
  ];
}
