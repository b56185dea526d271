// What becomes of each parameter of a chat body: converted, passed over and named, or refused by its name.
import { describe, expect, it } from "vitest";
import { chatBody, toChatQuestion } from "../../src/api/openai/chat-request.ts";
import { validate } from "../../src/api/common/validation.ts";
import { defaultReasoning } from "../../src/chat/contract.ts";
import { PublicError } from "../../src/core/errors.ts";
import { fakeHttp, post } from "../support/fake-http.ts";
import { fakeServices } from "../support/fake-services.ts";

const user = { role: "user", content: "Hi" };

function convert(fields: object, drops = false) {
  return toChatQuestion(validate(chatBody, { messages: [user], ...fields }), drops);
}

/** The refusal as "param: message". */
function refusalOf(fields: object): string {
  try {
    convert(fields);
  } catch (error) {
    if (error instanceof PublicError && error.status === 400) return `${error.param}: ${error.message}`;
    throw error;
  }
  return "";
}

describe("sampling", () => {
  it("passes every sampler on", () => {
    expect(
      convert({
        typical_p: 0.9,
        top_n_sigma: -1,
        repeat_last_n: -1,
        xtc_probability: 0.5,
        xtc_threshold: 0.2,
        dry_multiplier: 0.8,
        dry_base: 1.5,
        dry_allowed_length: 3,
        dry_penalty_last_n: 0,
        dry_sequence_breakers: ["\n", "."],
        ignore_eos: true,
        top_k: 2 ** 40,
      }).request.sampling,
    ).toEqual({
      typicalP: 0.9,
      topNSigma: -1,
      repeatLastN: -1,
      xtcProbability: 0.5,
      xtcThreshold: 0.2,
      dryMultiplier: 0.8,
      dryBase: 1.5,
      dryAllowedLength: 3,
      dryPenaltyLastN: 0,
      drySequenceBreakers: ["\n", "."],
      ignoreEos: true,
      topK: 2 ** 31 - 1,
    });
  });

  it.each([
    [{}, undefined],
    [[], undefined],
    [
      { 5: 1.5, 0: -100 },
      [
        [0, -100],
        [5, 1.5],
      ],
    ],
    [
      [
        [5, 1.5],
        [7, false],
      ],
      [
        [5, 1.5],
        [7, -Infinity],
      ],
    ],
  ])("reads logit_bias %j", (logit_bias, expected) => {
    expect(convert({ logit_bias }).request.sampling.logitBias).toEqual(expected);
  });

  it.each([
    [{ a: 1 }, "logit_bias.a", "token id"],
    [{ "1.5": 1 }, "logit_bias.1.5", "token id"],
    [{ "-1": 1 }, "logit_bias.-1", "token id"],
    [{ 2147483648: 1 }, "logit_bias.2147483648", "token id"],
    [{ ["9".repeat(5_000_000)]: 1 }, `logit_bias.${"9".repeat(60)}… (5000000 characters)`, "token id"],
    [{ 5: 101 }, "logit_bias.5", "a number from -100 to 100; received 101"],
    [{ 5: "1" }, "logit_bias.5", "a number from -100 to 100"],
    [{ 5: null }, "logit_bias.5", "a number from -100 to 100"],
    [[["the", 1]], "logit_bias[0]", "[token id, bias]"],
    [[[1, true]], "logit_bias[0]", "[token id, bias]"],
    [[[1]], "logit_bias[0]", "[token id, bias]"],
    [[1], "logit_bias[0]", "[token id, bias]"],
    ["x", "logit_bias", "at most 4096 token ids"],
    [Array.from({ length: 4097 }, () => [1, 1]), "logit_bias", "received an array of 4097"],
  ])("refuses logit_bias %#", (logit_bias, param, message) => {
    expect(refusalOf({ logit_bias })).toContain(`${param}: `);
    expect(refusalOf({ logit_bias })).toContain(message);
    expect(refusalOf({ logit_bias }).length).toBeLessThan(500);
  });

  it.each([
    [{ typical_p: 2 }, "typical_p must be a number from 0 to 1"],
    [{ dry_allowed_length: 2 ** 31 }, "dry_allowed_length must be an integer from 0 to 2147483647"],
    [{ repeat_last_n: -2 }, "repeat_last_n must be an integer of at least -1"],
    [{ dry_sequence_breakers: [] }, "dry_sequence_breakers must be an array of 1 to 16 non-empty strings"],
    [{ dry_sequence_breakers: ["a", ""] }, "dry_sequence_breakers[1] must be a non-empty string"],
    [{ stop: "x".repeat(10_000_000) }, "stop must be a string of at most 1000 characters"],
    [{ n: 0 }, "n must be an integer from 1 to 16; received 0"],
    [{ n: 17 }, "n must be an integer from 1 to 16; received 17"],
    [{ top_logprobs: 21, logprobs: true }, "top_logprobs must be an integer from 0 to 20"],
    [{ top_logprobs: 2 }, "top_logprobs needs logprobs to be true; received nothing"],
    [{ top_logprobs: 2, logprobs: false }, "top_logprobs needs logprobs to be true; received false"],
    [{ logprobs: 1 }, "logprobs must be true or false"],
    [{ max_tokens: -2 }, "max_tokens must be an integer of at least 1, or -1"],
    [{ n_predict: 0 }, "n_predict must be an integer of at least 1, or -1"],
  ])("refuses %#", (fields, message) => {
    expect(refusalOf(fields)).toContain(message);
  });

  it.each([
    [{}, null],
    [{ logprobs: false, top_logprobs: 0 }, null],
    [{ logprobs: true }, 0],
    [{ logprobs: true, top_logprobs: 20 }, 20],
    [{ n_probs: 3 }, 3],
    [{ n_probs: 0 }, null],
  ])("takes log probabilities from %j", (fields, topLogprobs) => {
    expect(convert(fields).request.topLogprobs).toBe(topLogprobs);
  });

  it.each([
    [{ max_tokens: -1 }, null],
    [{ n_predict: 7 }, 7],
    [{ n_predict: 7, max_tokens: 8 }, 8],
    [{ max_tokens: 8, max_completion_tokens: 9 }, 9],
  ])("takes the limit from %j", (fields, maxTokens) => {
    expect(convert(fields).request.maxTokens).toBe(maxTokens);
  });
});

describe("the format of the answer", () => {
  const schema = { type: "object" };

  it.each([
    [{ response_format: { type: "text" } }, null],
    [{ response_format: null, grammar: "", json_schema: null }, null],
    [{ response_format: { type: "json_object" } }, { type: "json_object" }],
    [
      { response_format: { type: "json_object", schema } },
      { type: "json_schema", schema, field: "response_format.schema" },
    ],
    [
      { response_format: { type: "json_schema", json_schema: { name: "x", strict: true, schema } } },
      { type: "json_schema", schema, field: "response_format.json_schema.schema" },
    ],
    [{ json_schema: schema }, { type: "json_schema", schema, field: "json_schema" }],
    [{ json_schema: {} }, { type: "json_schema", schema: {}, field: "json_schema" }],
    [{ guided_json: '{"type":"object"}' }, { type: "json_schema", schema, field: "guided_json" }],
    [{ grammar: 'root ::= "a"' }, { type: "grammar", source: 'root ::= "a"', field: "grammar" }],
    [{ guided_grammar: 'root ::= "a"' }, { type: "grammar", source: 'root ::= "a"', field: "guided_grammar" }],
    [
      { guided_choice: ["yes", 'n"o\\', "a\n\u0000b\u0085ñ😀"] },
      {
        type: "grammar",
        source: String.raw`root ::= "yes" | "n\"o\\" | "a\x0a\x00b\u0085ñ😀"`,
        field: "guided_choice",
      },
    ],
    [
      { structured_outputs: { choice: ["a"] } },
      { type: "grammar", source: 'root ::= "a"', field: "structured_outputs.choice" },
    ],
    [{ structured_outputs: { json: schema } }, { type: "json_schema", schema, field: "structured_outputs.json" }],
  ])("of %j", (fields, output) => {
    expect(convert(fields).request.output).toEqual(output);
  });

  const deep = JSON.parse(`${'{"items":'.repeat(100_000)}1${"}".repeat(100_000)}`) as object;
  const wide = { enum: Array.from({ length: 1_000_000 }, (_, index) => index) };

  it.each([
    [{ response_format: "json" }, "response_format must be an object such as"],
    [{ response_format: [] }, "response_format must be an object such as"],
    [{ response_format: { type: "sound" } }, 'response_format.type must be "text", "json_object" or "json_schema"'],
    [{ response_format: {} }, "response_format.type is missing"],
    [
      { response_format: { type: "json_object", schema: 123 } },
      "response_format.schema must be a JSON Schema (an object); received 123",
    ],
    [{ response_format: { type: "json_schema" } }, "response_format.json_schema is missing"],
    [{ response_format: { type: "json_schema", json_schema: {} } }, "response_format.json_schema.schema is missing"],
    [{ response_format: { type: "json_schema", json_schema: { schema: deep } } }, "nested at most 100 levels deep"],
    [{ json_schema: wide }, "json_schema must be JSON of at most 20000 values"],
    [
      { guided_json: "{" },
      'guided_json must be a JSON Schema (an object, or its JSON as a string); received the string "{"',
    ],
    [{ guided_json: "[".repeat(10_000_000) }, "guided_json must be a JSON Schema"],
    [{ grammar: "x".repeat(10_000_000) }, "grammar must be a GBNF grammar of at most 262144 characters"],
    [{ grammar: 5 }, "grammar must be a GBNF grammar"],
    [{ guided_choice: [] }, "guided_choice must be an array of 1 to 1000 non-empty strings"],
    [{ guided_choice: ["a", 5] }, "guided_choice[1] must be a non-empty string of whole characters"],
    [{ guided_choice: ["\ud800"] }, "guided_choice[0] must be a non-empty string of whole characters"],
    [{ guided_choice: Array.from({ length: 1000 }, () => "x".repeat(1000)) }, "262144 characters together"],
    [{ structured_outputs: { regex: "a+" } }, "structured_outputs.regex is not supported"],
    [{ grammar: "x", json_schema: {} }, "grammar cannot be given together with json_schema"],
    [
      { response_format: { type: "json_object" }, grammar: "x" },
      "grammar cannot be given together with response_format",
    ],
  ])("refuses %#", (fields, message) => {
    expect(refusalOf(fields)).toContain(message);
    expect(refusalOf(fields).length).toBeLessThan(500);
  });
});

describe("reasoning", () => {
  it.each([
    [{}, defaultReasoning],
    [{ reasoning_effort: "none" }, { thinks: false, effort: null, budgetTokens: null }],
    [{ reasoning_effort: "minimal" }, { thinks: true, effort: "low", budgetTokens: null }],
    [{ reasoning_effort: "medium" }, { thinks: true, effort: "medium", budgetTokens: null }],
    [{ reasoning_effort: "xhigh" }, { thinks: true, effort: "high", budgetTokens: null }],
    [{ enable_thinking: false }, { thinks: false, effort: null, budgetTokens: null }],
    [{ chat_template_kwargs: { enable_thinking: false } }, { thinks: false, effort: null, budgetTokens: null }],
    [{ chat_template_kwargs: { thinking: true, other: [1] } }, { thinks: true, effort: null, budgetTokens: null }],
    [{ thinking: { type: "enabled", budget_tokens: 100 } }, { thinks: true, effort: null, budgetTokens: 100 }],
    [{ thinking: { type: "disabled" } }, { thinks: false, effort: null, budgetTokens: null }],
    [{ reasoning: { effort: "high", max_tokens: 50 } }, { thinks: true, effort: "high", budgetTokens: 50 }],
    [{ thinking_budget: 64 }, { thinks: null, effort: null, budgetTokens: 64 }],
    [{ reasoning_budget: 0 }, { thinks: false, effort: null, budgetTokens: null }],
    [{ thinking_budget_tokens: -1 }, defaultReasoning],
  ])("of %j", (fields, reasoning) => {
    expect(convert(fields).request.reasoning).toEqual(reasoning);
  });

  it.each([
    [{ reasoning_effort: "extreme" }, "reasoning_effort must be one of"],
    [{ thinking_budget: -2 }, "thinking_budget must be an integer of at least -1"],
    [{ chat_template_kwargs: { enable_thinking: "no" } }, "chat_template_kwargs.enable_thinking must be true or false"],
    [{ thinking: {} }, "thinking.type is missing"],
  ])("refuses %j", (fields, message) => {
    expect(refusalOf(fields)).toContain(message);
  });
});

describe("tools", () => {
  const parameters = { type: "object", properties: { city: { type: "string" } } };
  const named = (name: string) => ({ type: "function", function: { name } });
  const tools = [
    { type: "function", function: { name: "a", description: "A.", parameters, strict: true } },
    named("b"),
  ];
  const a = { name: "a", description: "A.", parameters };
  const b = { name: "b", description: null, parameters: { type: "object", properties: {} } };
  const use = { tools: [a, b], choice: "auto", parallel: true, field: "tools" };

  it.each([
    [{ tools: [] }, null],
    [{ tools: [], tool_choice: "none" }, null],
    [{ tools }, use],
    [
      { tools, parallel_tool_calls: false },
      { ...use, parallel: false },
    ],
    [
      { tools, tool_choice: "none" },
      { ...use, choice: "none" },
    ],
    [
      { tools, tool_choice: "required" },
      { ...use, choice: "required" },
    ],
    [
      { tools, tool_choice: "any" },
      { ...use, choice: "required" },
    ],
    [
      { tools, tool_choice: named("b") },
      { ...use, choice: { name: "b" } },
    ],
    [
      { tools, tool_choice: { type: "allowed_tools", allowed_tools: { mode: "required", tools: [named("b")] } } },
      { ...use, tools: [b], choice: "required" },
    ],
    [{ functions: [tools[0]?.function] }, { ...use, tools: [a], parallel: false, field: "functions" }],
    [
      { functions: [{ name: "a", description: "A.", parameters }], function_call: { name: "a" } },
      { ...use, tools: [a], choice: { name: "a" }, parallel: false, field: "functions" },
    ],
  ])("of %j", (fields, expected) => {
    expect(convert(fields).request.tools).toEqual(expected);
  });

  it.each([
    [{ tools: {} }, "tools must be an array of at most 128 tools"],
    [{ tools: ["a"] }, "tools[0] must be a tool such as"],
    [{ tools: [{ type: "function" }] }, "tools[0].function is missing; it must be a tool such as"],
    [{ tools: [named("a b")] }, "tools[0].function.name must be a name of 1 to 128 letters"],
    [{ tools: [named("a\u0000")] }, "tools[0].function.name must be a name"],
    [{ tools: [named("a".repeat(10_000_000))] }, "tools[0].function.name must be a name"],
    [{ tools: [named("a"), named("a")] }, "tools[1].function.name must be another name than those before it"],
    [{ tools: [{ ...named("a"), type: "custom" }] }, "tools[0].type is not supported by this server"],
    [{ tools: [{ type: "web_search" }] }, "tools[0].type is not supported by this server"],
    [{ tools: [{ type: 5 }] }, 'tools[0].type must be "function"'],
    [
      { tools: [{ type: "function", function: { name: "a", parameters: [] } }] },
      "tools[0].function.parameters must be the JSON Schema",
    ],
    [
      { tools: [{ type: "function", function: { name: "a", parameters: { type: "string" } } }] },
      'tools[0].function.parameters.type must be "object"',
    ],
    [
      { tools: [{ type: "function", function: { name: "a", description: "x".repeat(70_000) } }] },
      "tools[0].function.description",
    ],
    [{ tools: Array.from({ length: 129 }, (_, index) => named(`t${index}`)) }, "received an array of 129"],
    [{ tool_choice: "required" }, "tool_choice asks for a tool, but tools is empty"],
    [{ tool_choice: named("a") }, "tool_choice asks for a tool, but tools is empty"],
    [{ tools, tool_choice: "sometimes" }, 'tool_choice must be "auto", "none", "required"'],
    [{ tools, tool_choice: 5 }, "tool_choice must be"],
    [{ tools, tool_choice: { type: "function" } }, "tool_choice.function is missing"],
    [{ tools, tool_choice: named("c") }, 'tool_choice.function.name must be one of a, b; received the string "c"'],
    [
      {
        tools,
        tool_choice: { type: "allowed_tools", allowed_tools: { mode: "auto", tools: [named("b"), named("c")] } },
      },
      "tool_choice.allowed_tools.tools[1].function.name must be one of a, b",
    ],
    [
      { tools, tool_choice: { type: "allowed_tools", allowed_tools: { mode: "auto", tools: [] } } },
      "tool_choice.allowed_tools.tools must be a non-empty array",
    ],
    [{ tools, functions: [{ name: "a" }] }, "functions cannot be given together with tools"],
    [{ functions: [{ name: "a" }], function_call: { name: "b" } }, "function_call.name must be one of a"],
    [{ functions: [{ name: "a" }], function_call: "b" }, "function_call must be"],
    [{ functions: ["a"] }, "functions[0] must be a function such as"],
    [{ parallel_tool_calls: "yes" }, "parallel_tool_calls must be true or false"],
  ])("refuses %#", (fields, message) => {
    expect(refusalOf(fields)).toContain(message);
    expect(refusalOf(fields).length).toBeLessThan(500);
  });

  it("that nest or grow without bound are refused at their place", () => {
    const properties = JSON.parse(`${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`) as object;
    const message = refusalOf({ tools: [{ type: "function", function: { name: "a", parameters: { properties } } }] });
    expect(message).toContain("tools must be JSON that is nested at most 100 levels deep");
  });
});

describe("messages", () => {
  const messagesOf = (...messages: readonly object[]) => convert({ messages }).request.messages;

  it("with calls, their results, and what was thought", () => {
    const call = { id: "x", type: "function", function: { name: "f", arguments: '{"a":1}' } };
    expect(
      messagesOf(
        user,
        { role: "assistant", content: null, reasoning_content: "Hm.", tool_calls: [call] },
        { role: "tool", tool_call_id: "x", content: [{ type: "text", text: "42" }] },
        { role: "assistant", content: "Well.", reasoning: "So.", tool_calls: [] },
        { role: "assistant", refusal: "No." },
        user,
      ).slice(1, -1),
    ).toEqual([
      { role: "assistant", content: "", reasoning: "Hm.", toolCalls: [{ id: "x", name: "f", arguments: '{"a":1}' }] },
      { role: "tool", content: "42", toolCallId: "x" },
      { role: "assistant", content: "Well.", reasoning: "So." },
      { role: "assistant", content: "No." },
    ]);
  });

  it("in the older form: each function's message answers the last call of its name", () => {
    const call = (name: string) => ({ role: "assistant", content: null, function_call: { name, arguments: "{}" } });
    const result = (name: string) => ({ role: "function", name, content: "1" });
    const messages = messagesOf(user, call("f"), call("g"), result("f"), result("g"), call("f"), result("f"));
    expect(messages.map(({ toolCalls, toolCallId }) => toolCalls?.[0]?.id ?? toolCallId)).toEqual([
      undefined,
      "call_1",
      "call_2",
      "call_1",
      "call_2",
      "call_5",
      "call_5",
    ]);
  });

  it.each([
    [undefined, "{}"],
    ["", "{}"],
    ["{}", "{}"],
    [' {"a": [1]} ', ' {"a": [1]} '],
    [{ a: "\ud800" }, '{"a":"\\ud800"}'],
  ])("with the arguments %j", (given, written) => {
    const messages = messagesOf(user, {
      role: "assistant",
      tool_calls: [{ function: { name: "f", arguments: given } }],
    });
    expect(messages[1]?.toolCalls).toEqual([{ id: "call_1_0", name: "f", arguments: written }]);
  });

  it.each([
    ["{", "a JSON object, written as a string"],
    ["[]", "a JSON object, written as a string"],
    ["5", "a JSON object, written as a string"],
    [5, "a JSON object, written as a string"],
    ['{"a":'.repeat(100_000) + "1" + "}".repeat(100_000), "nested at most 100 levels deep"],
    [`{"a":[${"1,".repeat(1_000_000)}1]}`, "at most 20000 values"],
  ])("refuses the arguments %#", (given, allowed) => {
    const message = refusalOf({
      messages: [
        user,
        { role: "assistant", tool_calls: [{ id: "x", function: { name: "f", arguments: given } }] },
        user,
      ],
    });
    expect(message).toContain("messages[1].tool_calls[0].function.arguments must be");
    expect(message).toContain(allowed);
    expect(message.length).toBeLessThan(500);
  });

  it.each([
    [{ messages: [user, { role: "assistant", content: "a" }] }, ""],
    [
      {
        messages: [user, { role: "assistant", content: "a" }],
        continue_final_message: true,
        add_generation_prompt: false,
      },
      "",
    ],
    [{ add_generation_prompt: true, continue_final_message: false }, ""],
    [
      {
        messages: [user, { role: "assistant", content: "a" }],
        continue_final_message: true,
        add_generation_prompt: true,
      },
      "add_generation_prompt must be false where the last message is of the role assistant; received true.",
    ],
    [
      { continue_final_message: true },
      "continue_final_message must be false where the last message is of the role user",
    ],
    [{ add_generation_prompt: false }, "add_generation_prompt must be true where the last message is of the role user"],
    [
      { messages: [user, { role: "assistant", content: "a" }, { role: "assistant", content: "b" }] },
      "messages[2] cannot follow another message of the assistant where it is the last",
    ],
  ])("may end with the assistant's: %#", (fields, message) => {
    const refusal = refusalOf(fields);
    expect(message === "" ? refusal === "" : refusal.includes(message)).toBe(true);
  });
});

describe("what is passed over", () => {
  it.each([
    [{ user: "u", metadata: {}, safety_identifier: "x", prompt_cache_key: "y", cache_prompt: false }, []],
    [
      { store: true, id_slot: 3, samplers: ["top_k"], timings_per_token: true },
      ["store", "samplers", "id_slot", "timings_per_token"],
    ],
    [{ store: false, id_slot: -1, verbosity: "medium", service_tier: "auto" }, []],
    [{ zebra: 1, ant: null }, ["zebra", "ant"]],
  ])("of %j", (fields, ignored) => {
    expect(convert(fields).ignored).toEqual(ignored);
  });

  it("names those within objects too", async () => {
    const { headers } = await post(fakeHttp(), "/v1/chat/completions", {
      messages: [user],
      chat_template_kwargs: { enable_thinking: false, foo: 1 },
      metadata: { anything: 1 },
      stream_options: { include_usage: true, bar: 2 },
    });
    expect(headers.get("x-ignored-parameters")).toBe("chat_template_kwargs.foo, stream_options.bar");
  });

  it.each([true, false])("is named by one header, streamed: %s", async (stream) => {
    const app = fakeHttp(fakeServices({ dropsParameters: true }));
    const response = await app.request("/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify({ messages: [user], stream, mirostat: 2, "x\r\ny: ü": 1 }),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-ignored-parameters")).toBe("mirostat, x??y???");
    await response.text();
  });

  it("is named within bounds, however much there is", async () => {
    const names = Array.from({ length: 5000 }, (_, index) => [`${"n".repeat(1000)}${index}`, 0]);
    const { headers, status } = await post(fakeHttp(undefined, { maxBodyBytes: 2 ** 24 }), "/v1/chat/completions", {
      messages: [user],
      ...Object.fromEntries(names),
    });
    expect(status).toBe(200);
    expect(headers.get("x-ignored-parameters")).toMatch(/^(n{60}, ){6}\.\.\.$|^(n{60}, ){5,6}\.\.\.$/);
  });
});
