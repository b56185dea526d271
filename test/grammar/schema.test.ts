// JSON Schemas by example: what is written, what never is, what is refused by keyword and path, and the schemas of real users.
import { describe, expect, it } from "vitest";
import { completionOf } from "../../src/grammar/completion.ts";
import { SchemaError } from "../../src/grammar/errors.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import { GrammarBuilder } from "../../src/grammar/grammar-builder.ts";
import { validatorOf } from "../support/json-judge.ts";
import { randomSentence, seededRandom } from "./random-sentence.ts";

function grammarOf(schema: unknown): Grammar {
  const builder = new GrammarBuilder();
  return builder.build(builder.schema(schema));
}

function takes(schema: unknown, text: string): boolean {
  return completionOf(grammarOf(schema), text) === "";
}

function refusalOf(schema: unknown): SchemaError {
  try {
    grammarOf(schema);
  } catch (error) {
    if (error instanceof SchemaError) return error;
    throw error;
  }
  throw new Error(`not refused: ${JSON.stringify(schema).slice(0, 200)}`);
}

const closed = (properties: object, required = Object.keys(properties)): object => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});

describe("what is written", () => {
  it.each<[object | boolean, string[], string[]]>([
    [
      closed({ a: { type: "string" }, b: { type: "integer" } }),
      ['{"a":"","b":1}', '{"a": "x", "b": -20}', '{\n  "a": "é\\n",\n  "b": 0\n}'],
      ['{"b":1,"a":""}', '{"a":""}', '{"a":"","b":1,"c":2}', '{"a":"","b":01}', '{"a":"","b":1.5}', "{}"],
    ],
    [
      closed({ a: { type: "null" }, b: { type: "null" }, c: { type: "null" } }, ["b"]),
      ['{"b":null}', '{"a":null,"b":null}', '{"b":null,"c":null}', '{"a":null,"b":null,"c":null}'],
      ["{}", '{"a":null}', '{"c":null,"b":null}', '{"b":null,}', '{,"b":null}'],
    ],
    [
      closed({ a: { type: "null" }, b: { type: "null" } }, []),
      ["{}", "{ }", '{"a":null}', '{"b":null}'],
      ['{"b":null,"a":null}'],
    ],
    [{ type: "object", properties: {} }, ["{}"], ['{"a":1}']],
    [
      { type: "object", properties: { a: { type: "null" } }, additionalProperties: { type: "integer" } },
      ['{"a":null}', '{"b":1}', '{"a":null,"b":1,"aa":2,"":3}'],
      ['{"a":1}', '{"b":1,"a":null}', '{"b":null}', '{"\\u0061":1}'],
    ],
    [{ type: "object", required: ["x"] }, ['{"x":[{}]}'], ["{}"]],
    [
      { type: "array", items: { type: "integer" } },
      ["[]", "[ ]", "[1]", "[1, 2,3]", "[\n  1,\n  2\n]"],
      ["[1,]", "[,1]", "[1 , 2]"],
    ],
    [
      { type: "array", items: { type: "integer" }, minItems: 2, maxItems: 3 },
      ["[1,2]", "[1,2,3]"],
      ["[]", "[1]", "[1,2,3,4]"],
    ],
    [{ type: "array", items: { type: "integer" }, maxItems: 0 }, ["[]"], ["[1]"]],
    [
      {
        type: "array",
        prefixItems: [{ type: "null" }, { type: "boolean" }],
        items: { type: "integer" },
        minItems: 1,
        maxItems: 4,
      },
      ["[null]", "[null,true]", "[null,true,1,2]"],
      ["[]", "[true]", "[null,1]", "[null,true,1,2,3]"],
    ],
    [
      { type: "string", minLength: 2, maxLength: 3 },
      ['"ab"', '"a\\n😀"', '"\\ud83d\\ude00a"'],
      ['"a"', '"abcd"', '"\\ud83d\\ude00"', '"\\ud83da"'],
    ],
    [
      { type: "string", pattern: "^[a-c]+$", minLength: 2, maxLength: 4 },
      ['"ab"', '"abca"'],
      ['"a"', '"abcab"', '"ad"'],
    ],
    [{ type: "string", pattern: "x" }, ['"x"', '"axb\\""'], ['""', '"ab"']],
    [
      { type: "string", format: "date" },
      ['"2024-02-29"', '"2026-11-21"'],
      ['"2023-02-29"', '"2100-02-29"', '"2026-11-31"', '"2026-13-01"'],
    ],
    [{ type: "string", format: "made-up" }, ['"anything"'], ["1"]],
    [
      { enum: ["red", "reddish", "green", 1, 10, null, { a: [1] }] },
      ['"red"', '"reddish"', "1", "10", "null", '{"a":[1]}'],
      ['"re"', '"redd"', "2"],
    ],
    [{ type: "string", enum: ["a", 1, "b"] }, ['"a"', '"b"'], ["1"]],
    [{ type: "string", enum: ["a", "bb"], minLength: 2 }, ['"bb"'], ['"a"']],
    [{ const: 'say "hi"\n' }, ['"say \\"hi\\"\\n"'], ['"say"']],
    [{ type: ["string", "null"] }, ['"a"', "null"], ["1"]],
    [{ type: "integer", nullable: true }, ["1", "null"], ['"a"']],
    [{ type: "integer", minimum: 3, exclusiveMaximum: 12 }, ["3", "11"], ["2", "12", "30"]],
    [{ type: "number", minimum: 0, maximum: 1 }, ["0", "0.5", "1", "1.0"], ["1.1", "-0.1", "2"]],
    [{ type: "integer", multipleOf: 25 }, ["0", "-75", "1000"], ["10", "30"]],
    [{ anyOf: [{ type: "integer" }, { type: "array", items: { type: "string" } }] }, ["1", '["a"]'], ["true", "[1]"]],
    [
      {
        type: "object",
        properties: { a: { type: "null" }, b: { type: "null" } },
        anyOf: [{ required: ["a"] }, { required: ["b"] }],
      },
      ['{"a":null}', '{"b":null}'],
      ["{}"],
    ],
    [
      {
        allOf: [{ $ref: "#/$defs/base" }, { properties: { b: { type: "integer" } }, required: ["b"] }],
        $defs: { base: { type: "object", properties: { a: { type: "integer" } }, required: ["a"] } },
      },
      ['{"a":1,"b":2}'],
      ['{"a":1}', '{"b":2}'],
    ],
    [
      {
        allOf: [
          { type: "integer", minimum: 3 },
          { type: "number", maximum: 4 },
        ],
      },
      ["3", "4"],
      ["2", "5", "3.5"],
    ],
    [
      { $ref: "#/definitions/a~1b%25", minLength: 2, definitions: { "a/b%": { type: "string", maxLength: 2 } } },
      ['"ab"'],
      ['"a"', '"abc"'],
    ],
    [{ $defs: { n: { type: "null" } }, type: "array", items: { $ref: "#/$defs/n" } }, ["[null]"], ["[1]"]],
    [true, ["1", '{"a":[1,{"b":null}]}', '"x"'], ["", "nul"]],
    [
      {
        description: "anything",
        examples: [1],
        default: 2,
        title: "t",
        deprecated: true,
        readOnly: true,
        "x-order": 1,
      },
      ["[]"],
      [],
    ],
    [{ properties: { a: { type: "null" } } }, ['{"a":null}', "{}"], ["1"]],
    [
      { type: "object", properties: { a: false, b: { type: "null" } }, additionalProperties: false },
      ["{}", '{"b":null}'],
      ['{"a":1}'],
    ],
  ])("%j", (schema, texts, others) => {
    expect(texts.filter((text) => !takes(schema, text))).toEqual([]);
    expect(others.filter((text) => takes(schema, text))).toEqual([]);
  });

  it("is never more than one blank, or one line break with its indentation, between two signs", () => {
    const grammar = grammarOf(closed({ a: { type: "array", items: { type: "integer" } } }));
    const spaced = [
      "  {",
      " {",
      "{  ",
      "{\n\n",
      `{\n${" ".repeat(33)}`,
      '{"a":  ',
      '{"a":[1,  ',
      '{"a":[1]} ',
      "{\t",
      '{"a" ',
    ];
    expect(spaced.filter((text) => completionOf(grammar, text) !== null)).toEqual([]);
  });

  it("keeps free values to a bounded depth", () => {
    const grammar = grammarOf({});
    expect(completionOf(grammar, "[".repeat(16))).not.toBeNull();
    expect(completionOf(grammar, "[".repeat(17))).toBeNull();
  });

  it("has one branch of oneOf", () => {
    const byKind = { oneOf: [closed({ kind: { const: "a" }, x: { type: "null" } }), closed({ kind: { const: "b" } })] };
    expect(takes(byKind, '{"kind":"a","x":null}')).toBe(true);
    expect(takes(byKind, '{"kind":"b","x":null}')).toBe(false);
    expect(takes({ oneOf: [{ type: "string" }, { type: "integer" }, { type: "null" }] }, "null")).toBe(true);
    const open = (name: string): object => ({
      type: "object",
      properties: { [name]: { type: "null" } },
      required: [name],
    });
    expect(takes({ oneOf: [open("a"), open("b")] }, '{"b":null}')).toBe(true);
  });
});

describe("what is refused", () => {
  const inA = (schema: object): object => closed({ a: { type: "array", items: schema } });

  it.each<[object, string]>([
    [{ not: { type: "string" } }, "not"],
    [{ if: { type: "string" } }, "if"],
    [{ type: "object", patternProperties: { "^x": { type: "string" } } }, "patternProperties"],
    [{ type: "object", propertyNames: { maxLength: 3 } }, "propertyNames"],
    [{ type: "object", dependentRequired: { a: ["b"] } }, "dependentRequired"],
    [{ type: "object", unevaluatedProperties: false }, "unevaluatedProperties"],
    [{ type: "object", minProperties: 1 }, "minProperties"],
    [{ type: "object", maxProperties: 1 }, "maxProperties"],
    [{ type: "array", contains: { type: "string" } }, "contains"],
    [{ type: "array", uniqueItems: true }, "uniqueItems"],
    [{ type: "array", items: [{ type: "string" }] }, "items"],
    [{ type: "array", minItems: 10_000 }, "minItems"],
    [{ type: "string", minLength: 100_000 }, "minLength"],
    [{ type: "string", minLength: -1 }, "minLength"],
    [{ type: "string", pattern: "(?=a)b" }, "pattern"],
    [{ type: "string", pattern: "(" }, "pattern"],
    [{ type: "string", pattern: "^[a-z ]+$", maxLength: 100_000, minLength: 9_000 }, "pattern"],
    [{ type: "string", format: "regex" }, "format"],
    [{ type: "number", multipleOf: 0.01 }, "multipleOf"],
    [{ type: "integer", multipleOf: 99_991 }, "multipleOf"],
    [{ type: "integer", multipleOf: 997 }, "multipleOf"],
    [{ type: "integer", minimum: "3" }, "minimum"],
    [{ type: "text" }, "type"],
    [{ type: [] }, "type"],
    [{ enum: [] }, "enum"],
    [{ required: "a" }, "required"],
    [{ properties: [] }, "properties"],
    [{ anyOf: [] }, "anyOf"],
    [{ anyOf: {} }, "anyOf"],
    [{ oneOf: [{ type: "integer" }, { type: "number" }] }, "oneOf"],
    [
      {
        oneOf: [
          { type: "object", properties: { a: {} } },
          { type: "object", properties: { b: {} } },
        ],
      },
      "oneOf",
    ],
    [{ $ref: "#/$defs/nowhere" }, "$ref"],
    [{ $ref: "https://example.com/schema.json" }, "$ref"],
    [{ $ref: "#anchor" }, "$ref"],
    [{ $dynamicRef: "#x" }, "$dynamicRef"],
    [{ $id: "https://example.com/inner" }, "$id"],
    [{ madeUp: 1 }, "madeUp"],
  ])("%j", (schema, keyword) => {
    const error = refusalOf(inA(schema));
    expect(error.keyword).toBe(keyword);
    expect(error.path).toBe("properties.a.items");
    expect(error.message).toContain(`properties.a.items.${keyword}: `);
    expect(error.message.length).toBeLessThan(700);
  });

  it.each<[unknown, string]>([
    [false, ""],
    ["text", ""],
    [null, ""],
    [undefined, ""],
    [[], ""],
    [7, ""],
    [{ allOf: [{ type: "string" }, { type: "integer" }] }, ""],
    [{ type: "integer", minimum: 5, maximum: 4 }, ""],
    [{ type: "integer", minimum: 6, maximum: 9, multipleOf: 5 }, ""],
    [{ type: "string", pattern: "^a$", minLength: 2 }, ""],
    [{ type: "string", enum: [1, 2] }, ""],
    [closed({ a: { type: "string" } }, ["b"]), ""],
    [{ $ref: "#" }, "$ref"],
    [{ anyOf: [{ type: "string" }, { $ref: "#" }] }, ""],
    [closed({ next: { $ref: "#" } }), "$ref"],
    [{ type: "array", items: { $ref: "#" }, minItems: 1 }, "$ref"],
  ])("%j: nothing can be written", (schema, keyword) => {
    expect(refusalOf(schema).keyword).toBe(keyword);
  });

  it("names the schema that a reference leads to", () => {
    const error = refusalOf({ $ref: "#/$defs/inner", $defs: { inner: closed({ a: { not: {} } }) } });
    expect(error.path).toBe("$defs.inner.properties.a");
  });
});

describe("hostile schemas are soon done with", () => {
  const nested = (depth: number): object => {
    let schema: object = { type: "string" };
    for (let level = 0; level < depth; level += 1) schema = { type: "array", items: schema };
    return schema;
  };
  const doubling = Object.fromEntries(
    Array.from({ length: 30 }, (_, level) => [
      `d${level}`,
      { anyOf: [{ $ref: `#/$defs/d${level + 1}` }, { $ref: `#/$defs/d${level + 1}` }] },
    ]),
  );
  const chain = Object.fromEntries(
    Array.from({ length: 5_000 }, (_, level) => [`d${level}`, closed({ a: { $ref: `#/$defs/d${level + 1}` } })]),
  );
  it.each<[string, unknown]>([
    ["depth", nested(100_000)],
    ["a million values", { enum: Array.from({ length: 1_000_000 }, (_, index) => index) }],
    ["a long string", { const: "a".repeat(10_000_000) }],
    ["branches that double", { $ref: "#/$defs/d0", $defs: { ...doubling, d30: { type: "string" } } }],
    ["a chain of references", { $ref: "#/$defs/d0", $defs: { ...chain, d5000: { type: "string" } } }],
    [
      "combinations",
      {
        allOf: Array.from({ length: 40 }, (_, index) => ({
          anyOf: [{ minLength: index }, { maxLength: 100 - index }],
        })),
      },
    ],
    [
      "overlapping branches",
      { oneOf: Array.from({ length: 400 }, (_, index) => closed({ a: { type: "integer", minimum: index } })) },
    ],
    [
      "a pattern of many characters in many places",
      {
        type: "string",
        pattern: `.*[${Array.from({ length: 400 }, (_, index) => String.fromCharCode(0x4e00 + 2 * index)).join("")}]{1500}`,
      },
    ],
    [
      "many properties beside many branches",
      {
        type: "object",
        properties: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`n${index}`, true])),
        oneOf: Array.from({ length: 200 }, (_, index) => ({ required: ["k"], properties: { k: { const: index } } })),
      },
    ],
    ["patterns that explode", { type: "string", pattern: "(a|b)*a(a|b){40}" }],
    [
      "patterns together",
      { allOf: [7, 11, 13, 17, 19, 23].map((prime) => ({ type: "string", pattern: `^(a{${prime}})*$` })) },
    ],
  ])("%s", (_what, schema) => {
    expect(refusalOf(schema).message.length).toBeLessThan(700);
  });

  it.each<[string, unknown]>([
    [
      "many properties",
      closed(
        Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`name${index}`, { type: "integer" }])),
        [],
      ),
    ],
    ["many values", { enum: Array.from({ length: 5_000 }, (_, index) => `value ${index}`) }],
    ["names that begin alike", { enum: Array.from({ length: 300 }, (_, index) => "a".repeat(index)) }],
    ["wide bounds", closed({ a: { type: "string", maxLength: 1e9 }, b: { type: "array", maxItems: 1e9, items: {} } })],
    ["nesting that is allowed", nested(30)],
    [
      "recursion of many kinds",
      {
        $ref: "#/$defs/t",
        $defs: {
          t: {
            anyOf: [
              { type: "null" },
              { type: "array", items: { $ref: "#/$defs/t" } },
              closed({ t: { $ref: "#/$defs/t" } }),
            ],
          },
        },
      },
    ],
  ])("%s are taken", (_what, schema) => {
    const completion = completionOf(grammarOf(schema), "");
    expect(validatorOf(schema)(JSON.parse(completion ?? ""))).toBe(true);
  });
});

describe("schemas of real users", () => {
  const mathSteps = closed({
    steps: { type: "array", items: closed({ explanation: { type: "string" }, output: { type: "string" } }) },
    final_answer: { type: "string" },
  });
  const ui = {
    ...closed({
      type: {
        type: "string",
        description: "The type of the UI component",
        enum: ["div", "button", "header", "section", "field", "form"],
      },
      label: { type: "string" },
      children: { type: "array", items: { $ref: "#" } },
      attributes: { type: "array", items: closed({ name: { type: "string" }, value: { type: "string" } }) },
    }),
    title: "ui",
  };
  const linkedList = {
    ...closed({ linked_list: { $ref: "#/$defs/linked_list_node" } }),
    $defs: {
      linked_list_node: closed({
        value: { type: "number" },
        next: { anyOf: [{ $ref: "#/$defs/linked_list_node" }, { type: "null" }] },
      }),
    },
  };
  const item = {
    ...closed({
      item: {
        anyOf: [
          closed({ name: { type: "string" }, age: { type: "number" } }),
          closed({ number: { type: "string" }, street: { type: "string" }, city: { type: "string" } }),
        ],
      },
    }),
  };
  const agronomy = closed({
    role: { type: "string", enum: ["formulario", "consulta", "intervencion"] },
    respuesta_chat: { type: "string", minLength: 1, maxLength: 1_200 },
    acciones: closed(
      {
        actualizar_formulario: {
          type: "object",
          additionalProperties: { type: ["string", "number", "boolean", "null"] },
        },
        alerta: { anyOf: [{ type: "string" }, { type: "null" }] },
        log: { type: "string" },
        bitacora: { type: "string" },
        actualizar_tarea: { type: "object" },
      },
      ["actualizar_formulario", "alerta", "log"],
    ),
    estado: closed({ formulario_completo: { type: "boolean" }, confianza: { type: "number", minimum: 0, maximum: 1 } }),
  });
  const weather = closed({
    location: { type: "string", description: "City and country" },
    units: { type: ["string", "null"], enum: ["celsius", "fahrenheit", null] },
    days: { type: "integer", minimum: 1, maximum: 14, default: 3 },
    when: { type: "string", format: "date-time" },
    id: { type: "string", format: "uuid" },
  });
  it.each<[string, object]>([
    ["math steps", mathSteps],
    ["recursive UI", ui],
    ["linked list", linkedList],
    ["anyOf", item],
    ["agronomy", agronomy],
    ["tool arguments", weather],
  ])("%s", (_name, schema) => {
    const isValid = validatorOf(schema);
    const grammar = grammarOf(schema);
    const random = seededRandom(11);
    for (let round = 0; round < 40; round += 1) {
      const sentence = randomSentence(grammar, random);
      const beginning = sentence.slice(0, Math.floor(random() * (sentence.length + 1)));
      const completed = beginning + (completionOf(grammar, beginning) ?? "none");
      expect([sentence, completed].filter((text) => !isValid(JSON.parse(text)))).toEqual([]);
    }
  });

  it("ends an agronomist's answer that was cut", () => {
    const grammar = grammarOf(agronomy);
    expect(completionOf(grammar, '{"role": "form')).toBe(
      'ulario","respuesta_chat":".","acciones":{"actualizar_formulario":{},"alerta":"","log":""},"estado":{"formulario_completo":true,"confianza":0}}',
    );
  });
});

describe("GrammarBuilder", () => {
  it("gives the same rule for the same schema, and another for another", () => {
    const builder = new GrammarBuilder();
    expect(builder.schema({ type: "string", maxLength: 3 })).toBe(builder.schema({ type: "string", maxLength: 3 }));
    expect(builder.schema({ type: "string", maxLength: 3 })).not.toBe(builder.schema({ type: "string", maxLength: 4 }));
  });

  it("puts rules together", () => {
    const builder = new GrammarBuilder();
    const call = builder.rule(`${builder.literal('<"call">\n')} ${builder.schema({ type: "integer" })}`, "a call!");
    expect(builder.rule(`${builder.literal('<"call">\n')} ${builder.schema({ type: "integer" })}`)).toBe(call);
    const grammar = builder.build(`${call} (${builder.literal("\\^-]😀\u0000\u007f")} ${builder.jsonObject()})?`);
    expect(completionOf(grammar, '<"call">\n12')).toBe("");
    expect(completionOf(grammar, '<"call">\n12\\^-]😀\u0000\u007f{')).toBe("}");
    expect(grammar.source.startsWith(`root ::= ${call} (`)).toBe(true);
  });
});
