import { describe, expect, it } from "vitest";
import type { PublicError } from "../../src/core/errors.ts";
import type { AnswerFormat, AnswerFormatRequest, OutputFormat } from "../../src/formats/answer-format.ts";
import { answerFormat } from "../../src/formats/answer-formats.ts";
import { completionOf } from "../../src/grammar/completion.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import { countedIds, partsOf } from "./reading.ts";
import { template, templates, tools } from "./recordings.ts";

const plain = template("plain", { takesTools: false, takesToolMessages: false });
const schema: OutputFormat = {
  type: "json_schema",
  schema: { type: "object", properties: { n: { type: "integer" } }, required: ["n"], additionalProperties: false },
  field: "response_format.json_schema.schema",
};

function formatOf(request: Partial<AnswerFormatRequest>): AnswerFormat {
  return answerFormat({ template: plain, generationPrompt: "", tools: null, output: null, ...request }, countedIds);
}

function takes(grammar: Grammar | null, text: string): boolean {
  return grammar !== null && completionOf(grammar, text) === "";
}

function errorOf(make: () => unknown): PublicError {
  try {
    make();
  } catch (error) {
    return error as PublicError;
  }
  throw new Error("nothing was thrown");
}

const open = "<|im_start|>assistant\n<think>\n";
const closed = "<|im_start|>assistant\n<think>\n\n</think>\n\n";

describe("the grammar of an answer", () => {
  it("is none where nothing is asked for", () => {
    expect(formatOf({}).grammar).toBeNull();
    expect(formatOf({ template: templates.hermes }).grammar).toBeNull();
    expect(formatOf({ template: templates.hermes, tools: { ...tools, choice: "none" } }).grammar).toBeNull();
  });

  it("is a schema, any object, or the caller's own", () => {
    const { grammar } = formatOf({ output: schema });
    expect(takes(grammar, '{"n": 5}')).toBe(true);
    expect(takes(grammar, '{"n": "5"}')).toBe(false);
    expect(takes(grammar, 'Here: {"n": 5}')).toBe(false);
    expect(takes(formatOf({ output: { type: "json_object" } }).grammar, '{"a": [1]}')).toBe(true);
    expect(takes(formatOf({ output: { type: "json_object" } }).grammar, "[1]")).toBe(false);
    const source = 'root ::= "a" space{0,2} word # root\nspace ::= " "\nword ::= [root]+ "\\"space"';
    const own = formatOf({ output: { type: "grammar", source, field: "grammar" } }).grammar;
    expect(takes(own, 'a  root"space')).toBe(true);
    expect(takes(own, 'a   root"space')).toBe(false);
  });

  it("reads a caller's own with every kind of line end", () => {
    const source = "root ::= a # first\ra ::= [a-c]+ # second\r\n";
    const { grammar } = formatOf({ output: { type: "grammar", source, field: "grammar" } });
    expect(takes(grammar, "abc")).toBe(true);
  });

  it("lets nothing visible stand in front of what must have a form", () => {
    const request = { template: templates.gptOss, generationPrompt: "<|start|>assistant", tools };
    const answer = '<|channel|>final<|message|>{"n": 5}';
    const preamble = "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant";
    const formed = formatOf({ ...request, output: schema });
    expect(takes(formed.grammar, answer)).toBe(true);
    expect(takes(formed.grammar, preamble + answer)).toBe(false);
    expect(takes(formatOf(request).grammar, preamble + answer)).toBe(true);
  });

  it("lets a model think before it, where the template does and the prompt has not closed it", () => {
    const of = (generationPrompt: string) => formatOf({ template: templates.hermes, generationPrompt, output: schema });
    const json = '{"n": 5}';
    for (const { grammar } of [of("<|im_start|>assistant\n")]) {
      expect(takes(grammar, `<think>\nHm {\n</think>\n\n${json}`)).toBe(true);
      expect(takes(grammar, json)).toBe(true);
      expect(takes(grammar, `<think>\nHm ${json}`)).toBe(false);
    }
    expect(takes(of(open).grammar, `Hm.\n</think>\n\n${json}`)).toBe(true);
    expect(takes(of(open).grammar, json)).toBe(false);
    expect(takes(of(closed).grammar, json)).toBe(true);
    expect(takes(of(closed).grammar, `<think>\n</think>${json}`)).toBe(false);
    expect(partsOf(of(open), Array.from(`Hm.\n</think>\n\n${json}`))).toEqual([
      { type: "reasoning", text: "Hm." },
      { type: "text", text: json },
    ]);
  });

  it("goes on without thinking where that was ended", () => {
    const format = formatOf({ template: templates.hermes, generationPrompt: open, output: schema });
    expect(format.thinkingEnd).toBe("\n</think>\n\n");
    expect(takes(format.answerGrammar, '{"n": 1}')).toBe(true);
    expect(takes(format.answerGrammar, 'Hm</think>{"n": 1}')).toBe(false);
    expect(takes(format.grammar, `So far${format.thinkingEnd}{"n": 1}`)).toBe(true);
    expect(formatOf({ template: templates.hermes, generationPrompt: closed }).thinkingEnd).toBeNull();
    expect(formatOf({}).thinkingEnd).toBeNull();
    expect(formatOf({ template: templates.commandR7b }).thinkingEnd).toBe("<|END_THINKING|>");
    const channels = formatOf({ template: templates.gptOss, generationPrompt: "<|start|>assistant", output: schema });
    expect(channels.thinkingEnd).toBe("<|end|><|start|>assistant<|channel|>final<|message|>");
    expect(takes(channels.answerGrammar, '{"n": 1}')).toBe(true);
    const reader = channels.createReader();
    reader.push("<|channel|>analysis<|message|>So far");
    expect(reader.isThinking).toBe(true);
    expect(reader.push(`${channels.thinkingEnd ?? ""}{"n": 1}`)).toEqual([{ type: "text", text: '{"n": 1}' }]);
    expect(reader.isThinking).toBe(false);
  });

  it("takes calls or the format where both are asked for", () => {
    const { grammar } = formatOf({ template: templates.hermes, tools, output: schema });
    expect(takes(grammar, '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>')).toBe(true);
    expect(takes(grammar, '{"n": 5}')).toBe(true);
    expect(takes(grammar, "Text")).toBe(false);
    const must = formatOf({ template: templates.hermes, tools: { ...tools, choice: "required" }, output: schema });
    expect(takes(must.grammar, '{"n": 5}')).toBe(false);
  });

  it("demands calls after thinking, one where only one may come", () => {
    const { grammar } = formatOf({
      template: templates.hermes,
      generationPrompt: open,
      tools: { ...tools, choice: "required", parallel: false },
    });
    const call = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>';
    expect(takes(grammar, `Hm.\n</think>\n\n${call}`)).toBe(true);
    expect(takes(grammar, `Hm.\n</think>\n\n${call}\n${call}`)).toBe(false);
    expect(takes(grammar, "Hm.\n</think>\n\nText")).toBe(false);
  });

  it("encloses the answer as the family does", () => {
    const format = formatOf({ template: templates.commandR7b, output: schema });
    const text = '<|START_RESPONSE|>{"n": 5}<|END_RESPONSE|>';
    expect(takes(format.grammar, text)).toBe(true);
    expect(partsOf(format, Array.from(text))).toEqual([{ type: "text", text: '{"n": 5}' }]);
  });
});

describe("an answer's reader", () => {
  const hermes = formatOf({ template: templates.hermes, tools });

  it("tells text as soon as it can be no marker, and arguments as they come", () => {
    const reader = hermes.createReader();
    expect(reader.push("Hel")).toEqual([{ type: "text", text: "Hel" }]);
    expect(reader.push("lo <to")).toEqual([{ type: "text", text: "lo " }]);
    expect(reader.push("p> <tool_call>")).toEqual([{ type: "text", text: "<top> " }]);
    expect(reader.push('\n{"name": "get_weather", "arguments": {"ci').map(({ type }) => type)).toEqual([
      "tool_call",
      "tool_arguments",
    ]);
    expect(reader.push('ty": "P')).toEqual([{ type: "tool_arguments", index: 0, text: 'ty": "P' }]);
    expect(reader.push('"}}')).toEqual([{ type: "tool_arguments", index: 0, text: '"}' }]);
    expect(reader.push("\n</tool_")).toEqual([]);
    expect(reader.end()).toEqual([]);
  });

  it.each([
    '<tool_call>\n{"name": "unknown", "arguments": {}}\n</tool_call>',
    "<tool_call>get_time()</tool_call>",
    '<tool_call>{"name": "get_time", "arguments": 5}</tool_call> and more',
    '<tool_call>{"name": "get_ti',
    'a <tool_call> b </tool_call> c {"name": "get_time"}',
    "<tool_call>",
    "ends with <tool_c",
  ])("leaves what is no call as text: %s", (text) => {
    expect(partsOf(hermes, [text])).toEqual([{ type: "text", text }]);
    expect(partsOf(hermes, Array.from(text))).toEqual([{ type: "text", text }]);
  });

  it("keeps text that stands between and after calls", () => {
    const call = '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>';
    const parts = partsOf(hermes, Array.from(`${call}\nand\n${call} end.`));
    expect(parts.filter(({ type }) => type === "text")).toEqual([
      { type: "text", text: "\nand\n" },
      { type: "text", text: " end." },
    ]);
  });

  it("takes the keys of a call in any order, and leaves what it does not know", () => {
    const text =
      '<tool_call>{"type": "function", "arguments": {"city": "Rome"}, "id": "x", "name": "get_weather"}</tool_call>';
    const expected = [
      { type: "tool_call", index: 0, id: "x", name: "get_weather" },
      { type: "tool_arguments", index: 0, text: '{"city": "Rome"}' },
    ];
    expect(partsOf(hermes, [text])).toEqual(expected);
    expect(partsOf(hermes, Array.from(text))).toEqual(expected);
    expect(partsOf(hermes, ['<tool_call>{"name": "get_time"}</tool_call>'])).toEqual([
      { type: "tool_call", index: 0, id: "id-1", name: "get_time" },
      { type: "tool_arguments", index: 0, text: "{}" },
    ]);
  });

  it("looks for no calls where there are no tools to call", () => {
    const text = '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>';
    const format = formatOf({ template: templates.hermes, tools: { ...tools, choice: "none" } });
    expect(partsOf(format, Array.from(text))).toEqual([{ type: "text", text }]);
  });

  it("takes a gpt-oss call whose header names it before its channel", () => {
    const format = formatOf({ template: templates.gptOss, generationPrompt: "<|start|>assistant", tools });
    const text = " to=functions.get_time<|channel|>commentary json<|message|>{}<|call|>";
    const expected = [
      { type: "tool_call", index: 0, id: "id-1", name: "get_time" },
      { type: "tool_arguments", index: 0, text: "{}" },
    ];
    expect(partsOf(format, [text])).toEqual(expected);
    expect(partsOf(format, Array.from(text))).toEqual(expected);
    const unknown = "<|channel|>commentary to=python <|constrain|>code<|message|>print(1)";
    expect(partsOf(format, Array.from(unknown))).toEqual([{ type: "text", text: "print(1)" }]);
  });

  it("says whether the model thinks", () => {
    const reader = formatOf({ template: templates.hermes, generationPrompt: open }).createReader();
    expect(reader.isThinking).toBe(true);
    reader.push("Hm.\n</think");
    expect(reader.isThinking).toBe(true);
    reader.push(">");
    expect(reader.isThinking).toBe(false);
  });

  it("gives random ids in the family's form", () => {
    const idOf = (source: AnswerFormatRequest["template"], text: string) => {
      const format = answerFormat({ template: source, generationPrompt: "", tools, output: null });
      const [part] = partsOf(format, [text]);
      return part?.type === "tool_call" ? part.id : "";
    };
    expect(idOf(templates.mistral, '[TOOL_CALLS][{"name": "get_time", "arguments": {}}]')).toMatch(/^[a-zA-Z0-9]{9}$/u);
    expect(idOf(templates.generic, '<tool_call>{"name": "get_time"}</tool_call>')).toMatch(/^call_[a-z0-9]{24}$/u);
  });

  it("reads a megabyte of anything", () => {
    for (const unit of ["<", "[", "<tool_call>", "\n"]) {
      const text = unit.repeat(Math.ceil(2 ** 20 / unit.length));
      const pieces = text.match(/.{1,7}/gsu) ?? [];
      expect(partsOf(hermes, pieces)).toEqual([{ type: "text", text }]);
    }
  });
});

describe("what cannot be used", () => {
  it("names the field of a tool's schema", () => {
    const [tool] = tools.tools;
    const bad = {
      name: "bad",
      description: null,
      parameters: { type: "object", properties: { a: { type: "strin" } } },
    };
    const make = (source: AnswerFormatRequest["template"]) =>
      errorOf(() => formatOf({ template: source, tools: { ...tools, tools: [tool!, bad] } }));
    for (const source of [templates.hermes, templates.qwenCoder, templates.gemma4]) {
      expect(make(source)).toMatchObject({
        status: 400,
        type: "invalid_request_error",
        param: "tools[1].parameters.properties.a",
      });
    }
  });

  it("names the field of the output", () => {
    const field = "response_format.json_schema.schema";
    const output = { type: "json_schema", schema: { type: "array", items: { type: 5 } }, field } as const;
    expect(errorOf(() => formatOf({ output }))).toMatchObject({ status: 400, param: `${field}.items` });
    const grammar = { type: "grammar", source: 'root ::= "a" other', field: "grammar" } as const;
    const error = errorOf(() => formatOf({ output: grammar }));
    expect(error).toMatchObject({ status: 400, param: "grammar" });
    expect(error.message).toMatch(/line 1, column \d+/u);
  });

  it("refuses a tool that is not there, and schemas nested without end", () => {
    expect(errorOf(() => formatOf({ tools: { ...tools, choice: { name: "other" } } }))).toMatchObject({
      status: 400,
      param: "tool_choice",
    });
    const deep = JSON.parse(`${'{"items":'.repeat(100_000)}{}${"}".repeat(100_000)}`) as Record<string, unknown>;
    const output = { type: "json_schema", schema: deep, field: "format" } as const;
    const request = { template: plain, generationPrompt: "", tools: null, output };
    expect(errorOf(() => answerFormat(request))).toMatchObject({ status: 400, param: "format" });
  });
});

it("is made once for the same request", () => {
  const request = { template: templates.hermes, generationPrompt: open, tools, output: null };
  expect(answerFormat({ ...request, tools: { ...tools } })).toBe(answerFormat(request));
  expect(answerFormat({ ...request, generationPrompt: closed })).not.toBe(answerFormat(request));
});
