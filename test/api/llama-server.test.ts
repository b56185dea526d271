// llama-server's own endpoints over fakes.
import { describe, expect, it } from "vitest";
import type { RenderOptions, TextModel } from "../../src/engine/engine.ts";
import { fakeHttp, get, post } from "../support/fake-http.ts";
import {
  type FakeServices,
  fakeExpert,
  fakeServices,
  fiveExperts,
  poolModel,
  poolStatus,
} from "../support/fake-services.ts";

/** A token is a byte of the text; 300 begins a text, 301 is a special token. */
const fakeModel = {
  kind: "text",
  template: {
    source: "{{ messages }}",
    takesTools: true,
    takesToolMessages: false,
    thinking: null,
    switchesThinking: false,
  },
  vocabulary: { size: 302, bosText: "<s>", eosText: "</s>", infill: null },
  tokenize: (text: string, { addSpecial, parseSpecial }: { addSpecial: boolean; parseSpecial: boolean }) => [
    ...(addSpecial ? [300] : []),
    ...(parseSpecial
      ? text
          .split("<x>")
          .map((part) => [...Buffer.from(part)])
          .flatMap((part, index) => (index === 0 ? part : [301, ...part]))
      : Buffer.from(text)),
  ],
  tokenBytes: (token: number) => (token > 255 ? Buffer.from("<x>") : Buffer.of(token)),
  detokenize: (tokens: readonly number[], { special }: { special: boolean }) =>
    Buffer.concat(
      tokens.map((token) => (token > 255 ? Buffer.from(special ? "<x>" : "") : Buffer.of(token))),
    ).toString(),
  renderChat: (_: unknown, { thinks }: RenderOptions) => ({
    text: "",
    tokens: [],
    generationPrompt: thinks === false ? "opening without thought" : "opening",
  }),
} as unknown as TextModel;

function withModel(overrides: Partial<FakeServices> = {}): FakeServices {
  const services = fakeServices(overrides);
  services.chat.model = fakeModel;
  return services;
}

describe("POST /tokenize", () => {
  const tokenize = async (body: object) => (await post(fakeHttp(withModel()), "/tokenize", body)).body;

  it("reads special tokens, and adds none, unless it is told otherwise", async () => {
    expect(await tokenize({ content: "a<x>b" })).toEqual({ tokens: [97, 301, 98] });
    expect(await tokenize({ content: "a", add_special: true })).toEqual({ tokens: [300, 97] });
    expect(await tokenize({ content: "<x>", parse_special: false })).toEqual({ tokens: [60, 120, 62] });
    expect(await tokenize({})).toEqual({ tokens: [] });
  });

  it("tells the pieces, as bytes where they are no whole characters", async () => {
    expect(await tokenize({ content: "aé<x>", with_pieces: true })).toEqual({
      tokens: [
        { id: 97, piece: "a" },
        { id: 195, piece: [195] },
        { id: 169, piece: [169] },
        { id: 301, piece: "<x>" },
      ],
    });
  });

  it("takes texts and tokens mixed", async () => {
    expect(await tokenize({ content: ["a", 7, "b"], add_special: true })).toEqual({ tokens: [300, 97, 7, 98] });
    expect(await tokenize({ content: [7, "b"], add_special: true })).toEqual({ tokens: [7, 98] });
  });

  it.each([
    [{ content: 5 }, "content"],
    [{ content: null }, "content"],
    [{ content: ["a", {}] }, "content[1]"],
    [{ content: ["a", -1] }, "content[1]"],
    [{ content: ["a", 302] }, "content[1]"],
    [{ content: "a".repeat(1_000_001) }, "content"],
    [{ content: ["a".repeat(600_000), "a".repeat(600_000)] }, "content"],
    [{ content: "a", add_special: 1 }, "add_special"],
    [{ content: "a", with_pieces: "yes" }, "with_pieces"],
    [{ content: "a", model: 5 }, "model"],
  ])("refuses %.60j", async (body, param) => {
    const answer = await post(fakeHttp(withModel(), { maxBodyBytes: 10_000_000 }), "/tokenize", body);
    expect(answer).toMatchObject({ status: 400, body: { error: { type: "invalid_request_error", param } } });
  });

  it("asks the model that is named", async () => {
    const answer = await post(fakeHttp(withModel()), "/tokenize", { content: "a", model: "nobody" });
    expect(answer).toMatchObject({ status: 404, body: { error: { code: "model_not_found" } } });
  });
});

describe("POST /detokenize", () => {
  const detokenize = (body: object) => post(fakeHttp(withModel()), "/detokenize", body);

  it("gives the text, special tokens too", async () => {
    expect((await detokenize({ tokens: [97, 301, 195, 169] })).body).toEqual({ content: "a<x>é" });
    expect((await detokenize({})).body).toEqual({ content: "" });
  });

  it.each([
    [{ tokens: "a" }, "tokens"],
    [{ tokens: [1, "a"] }, "tokens[1]"],
    [{ tokens: [1, 1.5] }, "tokens[1]"],
    [{ tokens: [1, -1] }, "tokens[1]"],
    [{ tokens: [1, 2 ** 40] }, "tokens[1]"],
  ])("refuses %j", async (body, param) => {
    expect(await detokenize(body)).toMatchObject({ status: 400, body: { error: { param } } });
  });
});

describe("POST /apply-template", () => {
  const tool = { type: "function", function: { name: "now", parameters: { type: "object", properties: {} } } };
  const messages = [{ role: "user", content: "Hi" }];

  it("gives the default model's prompt", async () => {
    const services = withModel();
    const { status, body } = await post(fakeHttp(services), "/apply-template", { messages });
    expect({ status, body }).toEqual({ status: 200, body: { prompt: "user: Hi\n" } });
    expect(services.chat.renderings).toMatchObject([
      { model: "mistral_balanced", messages, tools: null, reasoning: { thinks: null, effort: null } },
    ]);
  });

  it("hands over tools, thinking and the model that is named", async () => {
    const services = withModel();
    await post(fakeHttp(services), "/apply-template", {
      model: "phi",
      messages,
      tools: [tool],
      chat_template_kwargs: { enable_thinking: false },
      reasoning_effort: "low",
    });
    expect(services.chat.renderings).toMatchObject([
      { model: "phi4_fast", tools: { tools: [{ name: "now" }] }, reasoning: { effort: "low" } },
    ]);
  });

  it("leaves away what opens the answer, where that is asked for", async () => {
    const services = withModel();
    services.chat.generationPrompt = ({ reasoning }) =>
      `opening${reasoning.thinks === false ? " without thought" : ""}`;
    services.chat.rendering = (request) => `Hi ${services.chat.generationPrompt(request)}`;
    const prompt = async (more: object) =>
      (await post(fakeHttp(services), "/apply-template", { messages, ...more })).body.prompt;
    expect(await prompt({})).toBe("Hi opening");
    expect(await prompt({ add_generation_prompt: true })).toBe("Hi opening");
    expect(await prompt({ add_generation_prompt: false })).toBe("Hi ");
    expect(await prompt({ add_generation_prompt: false, chat_template_kwargs: { enable_thinking: false } })).toBe(
      "Hi ",
    );
  });

  it("goes on with the answer that is begun", async () => {
    const begun = [...messages, { role: "assistant", content: "Yes," }];
    const services = withModel();
    for (const more of [{}, { add_generation_prompt: false }]) {
      const { body } = await post(fakeHttp(services), "/apply-template", { messages: begun, ...more });
      expect(body).toEqual({ prompt: "user: Hi\nassistant: Yes,\n" });
    }
  });

  it.each([
    [{}, "messages"],
    [{ messages: "Hi" }, "messages"],
    [{ messages: [{ role: "wizard", content: "Hi" }] }, "messages[0].role"],
    [{ messages, tools: "all" }, "tools"],
    [{ messages, chat_template_kwargs: { enable_thinking: "no" } }, "chat_template_kwargs.enable_thinking"],
  ])("refuses %j", async (body, param) => {
    const answer = await post(fakeHttp(withModel()), "/apply-template", body);
    expect(answer).toMatchObject({ status: 400, body: { error: { param } } });
  });
});

describe("GET /props", () => {
  it("tells of a model in memory, and of its file no more than the name", async () => {
    const services = withModel({
      experts: () => [fakeExpert("phi4_fast", "technical", { parallel: 3, sampling: { temperature: 0.1, seed: 42 } })],
      resolveModel: () =>
        fakeExpert("phi4_fast", "technical", { parallel: 3, sampling: { temperature: 0.1, seed: 42 } }),
      poolStatus: () => poolStatus([poolModel("phi4_fast", { state: "loaded", contextTokens: 2048 })]),
    });
    const { status, body } = await get(fakeHttp(services), "/props?model=phi4_fast");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      default_generation_settings: { n_ctx: 2048, params: { temperature: 0.1, seed: 42, top_k: 40 } },
      total_slots: 3,
      model_alias: "phi4_fast",
      model_path: "phi4_fast.gguf",
      model_ftype: "Q4_0",
      chat_template: "{{ messages }}",
      chat_template_caps: { supports_tools: true, supports_tool_calls: false },
      bos_token: "<s>",
      eos_token: "</s>",
      modalities: { vision: false, audio: false },
      is_sleeping: false,
    });
    expect(JSON.stringify(body)).not.toContain("/models");
  });

  it("loads nothing: what is in no memory has no template yet", async () => {
    const services = fakeServices();
    const { body } = await get(fakeHttp(services), "/props");
    expect(body).toMatchObject({
      model_alias: "mistral_balanced",
      chat_template: null,
      bos_token: null,
      is_sleeping: true,
      default_generation_settings: { n_ctx: 8192, params: { seed: 4_294_967_295, temperature: 0.8 } },
    });
  });

  it("knows who it is not", async () => {
    expect(await get(fakeHttp(), "/props?model=nobody")).toMatchObject({ status: 404 });
  });
});

describe("GET /slots", () => {
  const services = (leases: number) =>
    fakeServices({
      experts: () => fiveExperts.map((expert) => ({ ...expert, parallel: 2 })),
      resolveModel: (name) => fiveExperts.find(({ id }) => id === name),
      poolStatus: () =>
        poolStatus([
          poolModel("phi4_fast", { state: "loaded", leases, contextTokens: 2048 }),
          poolModel("qwen_coder", { state: "loading" }),
        ]),
    });

  it("lists those of the models in memory", async () => {
    const slot = { model: "phi4_fast", n_ctx: 2048, speculative: false };
    const { status, body } = await get(fakeHttp(services(1)), "/slots");
    expect(status).toBe(200);
    expect(body).toEqual([
      { ...slot, id: 0, is_processing: true },
      { ...slot, id: 1, is_processing: false },
    ]);
    expect((await get(fakeHttp(services(1)), "/slots?model=qwen_coder")).body).toEqual([]);
    expect((await get(fakeHttp(services(1)), "/slots?model=nobody")).status).toBe(404);
  });

  it("fails on request where none is free", async () => {
    expect((await get(fakeHttp(services(1)), "/slots?fail_on_no_slot=1")).status).toBe(200);
    const busy = await get(fakeHttp(services(2)), "/slots?fail_on_no_slot=1");
    expect(busy).toMatchObject({
      status: 503,
      body: { error: { type: "unavailable_error", code: "no_slot_available" } },
    });
  });
});

it.each(["/tokenize", "/detokenize", "/apply-template", "/props", "/slots"])("%s wants the API key", async (path) => {
  const isRead = path === "/props" || path === "/slots";
  const app = fakeHttp(withModel(), { apiKeys: ["secret"] });
  const ask = (key: string) =>
    app.request(path, {
      method: isRead ? "GET" : "POST",
      headers: { authorization: `Bearer ${key}` },
      ...(isRead ? {} : { body: JSON.stringify({ messages: [{ role: "user", content: "Hi" }] }) }),
    });
  expect((await ask("wrong")).status).toBe(401);
  expect((await ask("secret")).status).toBe(200);
});
