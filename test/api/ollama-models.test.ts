// Ollama's lists of models, what it shows of one, embeddings, and what is not done; and its greeting at GET /.
import { describe, expect, it } from "vitest";
import {
  embedAnswer,
  embeddingsAnswer,
  psAnswer,
  showAnswer,
  tagsAnswer,
  versionAnswer,
} from "../../src/api/ollama/responses.ts";
import type { ModelFileInfo, TextModel } from "../../src/engine/engine.ts";
import type { Embedder } from "../../src/experts/expert.ts";
import { get, post } from "../support/fake-http.ts";
import {
  fakeExpert,
  type FakeServices,
  fakeServices,
  fiveExperts,
  poolModel,
  poolStatus,
  presentFile,
  startedAtMs,
} from "../support/fake-services.ts";
import { ollamaHttp } from "./ollama-http.ts";

const embedder: Embedder = { id: "embedder", modelPath: "/models/e.gguf", contextTokens: 512, cacheSize: 0 };
const startedAt = new Date(startedAtMs).toISOString();
const details = {
  parent_model: "",
  format: "gguf",
  family: "qwen2",
  families: ["qwen2"],
  parameter_size: "12K",
  quantization_level: "Q4_0",
};

function withFile(info: Partial<ModelFileInfo>, modifiedMs = startedAtMs): Partial<FakeServices> {
  return {
    fileState: (id) => {
      const file = presentFile(`/models/${id}.gguf`);
      if (file.state !== "present") return Promise.resolve(file);
      return Promise.resolve({
        ...file,
        info: { ...file.info, ...info },
        identity: { ...file.identity, modifiedMs, sizeBytes: info.sizeBytes ?? 1000 },
      });
    },
  };
}

describe("GET /api/tags", () => {
  const tags = async (overrides: Partial<FakeServices> = {}) =>
    tagsAnswer.parse((await get(ollamaHttp(fakeServices(overrides)), "/api/tags")).body).models;

  it("lists the experts, the embedder and the router, each with its tag", async () => {
    const models = await tags({ embedder: () => embedder });
    const names = [...fiveExperts.map(({ id }) => id), "embedder", "auto"].map((id) => `${id}:latest`);
    expect(models.map(({ name }) => name)).toEqual(names);
    expect(models.map(({ model }) => model)).toEqual(names);
    expect(new Set(models.map(({ digest }) => digest)).size).toBe(7);
    expect(models[0]).toMatchObject({ size: 1000, modified_at: startedAt, details });
    expect(models.at(-1)).toMatchObject({ size: 0, modified_at: startedAt, details: { family: "router" } });
  });

  it("lists no model whose file is not there or broken, and no router without experts", async () => {
    const missing = { state: "missing", reason: "No file." } as const;
    const onlyCoder = await tags({
      fileState: (id) => Promise.resolve(id === "qwen_coder" ? presentFile("/x.gguf") : missing),
    });
    expect(onlyCoder.map(({ name }) => name)).toEqual(["qwen_coder:latest", "auto:latest"]);
    const broken = { state: "invalid", reason: "No GGUF." } as const;
    expect(await tags({ fileState: () => Promise.resolve(broken) })).toEqual([]);
  });

  it("gives a name that has a tag no other one", async () => {
    const experts = [fakeExpert("llama3.2:3b", "general")];
    const models = await tags({ experts: () => experts });
    expect(models.map(({ name }) => name)).toEqual(["llama3.2:3b", "auto:latest"]);
  });

  it("changes the digest with the file, and only then", async () => {
    const digestOf = async (info: Partial<ModelFileInfo>, modifiedMs?: number) =>
      (await tags(withFile(info, modifiedMs)))[0]?.digest;
    const first = await digestOf({});
    expect(await digestOf({})).toBe(first);
    expect(await digestOf({}, startedAtMs + 1)).not.toBe(first);
    expect(await digestOf({ sizeBytes: 1001 })).not.toBe(first);
  });

  it.each([
    [999, "999"],
    [260_032, "260K"],
    [494_032_768, "494.03M"],
    [3_000_000_000, "3B"],
    [7_615_616_512, "7.6B"],
  ])("writes %d parameters as %s", async (parameterCount, text) => {
    expect((await tags(withFile({ parameterCount })))[0]?.details.parameter_size).toBe(text);
  });
});

describe("GET /api/ps", () => {
  it("lists what is in memory", async () => {
    const services = fakeServices({
      embedder: () => embedder,
      poolStatus: () =>
        poolStatus([
          poolModel("phi4_fast", { state: "loaded", reservedBytes: 1500, contextTokens: 2048 }),
          poolModel("qwen_coder", { state: "loading", reservedBytes: 900 }),
          poolModel("embedder", { state: "loaded", reservedBytes: 70, contextTokens: 512 }),
          poolModel("gone", { state: "loaded", reservedBytes: 1 }),
        ]),
    });
    const { models } = psAnswer.parse((await get(ollamaHttp(services), "/api/ps")).body);
    expect(models).toMatchObject([
      { name: "phi4_fast:latest", model: "phi4_fast:latest", size: 1500, context_length: 2048, size_vram: 0, details },
      { name: "embedder:latest", size: 70, context_length: 512 },
    ]);
    expect(models).toHaveLength(2);
    expect(new Date(models[0]?.expires_at ?? "").getFullYear()).toBeGreaterThan(2200);
  });
});

describe("GET /api/version", () => {
  it("is late enough for clients that ask for a smallest one", async () => {
    const { version, server } = versionAnswer.parse((await get(ollamaHttp(), "/api/version")).body);
    expect(version).toMatch(/^0\.\d+\.\d+$/);
    expect(Number(version.split(".")[1])).toBeGreaterThanOrEqual(12);
    expect(server).toBe("gguf-experts 1.2.3");
  });
});

describe("POST /api/show", () => {
  const show = async (services: FakeServices, model: string) => {
    const { status, body } = await post(ollamaHttp(services), "/api/show", { model });
    expect(status).toBe(200);
    return showAnswer.parse(body);
  };

  it.each(["qwen_coder", "qwen_coder:latest"])("shows %s, which is not in memory, by its file", async (name) => {
    const experts = fiveExperts.map((expert) => ({
      ...expert,
      systemPrompt: "You write code.",
      sampling: { temperature: 0.2, topK: 30 },
    }));
    const services = fakeServices({
      experts: () => experts,
      resolveModel: (id) => experts.find((expert) => expert.id === id),
    });
    expect(await show(services, name)).toEqual({
      license: "",
      modelfile: "FROM qwen_coder.gguf\n",
      parameters: [
        "num_ctx                        4096",
        "temperature                    0.2",
        "top_k                          30",
      ].join("\n"),
      template: "",
      system: "You write code.",
      details,
      model_info: {
        "general.architecture": "qwen2",
        "general.basename": "qwen_coder",
        "general.parameter_count": 12_345,
        "qwen2.context_length": 4096,
      },
      capabilities: ["completion", "tools"],
      modified_at: startedAt,
    });
  });

  it("knows more of a model that is or was in memory, and asks it once", async () => {
    let asked = 0;
    let loaded = true;
    const services = fakeServices({
      poolStatus: () => poolStatus([poolModel("phi4_fast", { state: loaded ? "loaded" : "available" })]),
    });
    services.chat.withModel = (_name, use) => {
      asked += 1;
      const model = {
        template: { source: "{{ messages }}", thinking: { start: "<think>", end: "</think>" } },
        vocabulary: { infill: { prefix: 1, suffix: 2, middle: 3 } },
      } as unknown as TextModel;
      return Promise.resolve(use(model, "phi4_fast"));
    };
    const app = ollamaHttp(services);
    for (const state of [true, false]) {
      loaded = state;
      const { body } = await post(app, "/api/show", { name: "phi" });
      expect(body).toMatchObject({
        template: "{{ messages }}",
        capabilities: ["completion", "tools", "thinking", "insert"],
      });
    }
    expect(asked).toBe(1);
  });

  it("shows the embedder", async () => {
    const services = fakeServices({ embedder: () => embedder });
    expect(await show(services, "embedder")).toMatchObject({
      capabilities: ["embedding"],
      model_info: { "qwen2.context_length": 512 },
    });
  });

  it("shows the router, with the room that all experts have", async () => {
    expect(await show(fakeServices(), "auto:latest")).toMatchObject({
      capabilities: ["completion", "tools"],
      model_info: { "general.architecture": "router", "router.context_length": 4096 },
    });
  });

  it.each([
    [{}, 400, /^model must be the name of a model; received nothing\.$/],
    [{ model: "" }, 400, /^model must be the name of a model; received the string ""\.$/],
    [{ model: 5 }, 400, /^model must be a string; received 5\.$/],
    [{ model: "llama" }, 404, /^model 'llama' not found; known models: /],
  ])("refuses %j", async (body, status, message) => {
    const answer = await post(ollamaHttp(), "/api/show", body);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatch(message);
  });

  it("does not find a model without its file", async () => {
    const services = fakeServices({
      fileState: () => Promise.resolve({ state: "missing", reason: "No file." }),
      poolStatus: () => poolStatus([]),
    });
    for (const model of ["phi", "auto"]) {
      const { status, body } = await post(ollamaHttp(services), "/api/show", { model });
      expect(status).toBe(404);
      expect(body.error).toMatch(`model '${model}' not found: `);
    }
  });
});

describe("POST /api/embed", () => {
  const embed = async (body: object, overrides: Partial<FakeServices> = {}) => {
    const services = fakeServices({ embedder: () => embedder, ...overrides });
    const answer = await post(ollamaHttp(services), "/api/embed", body);
    return { ...answer, requests: services.chat.embeddings };
  };

  it.each([
    [{ model: "embedder:latest", input: "a" }, ["a"], "embedder:latest"],
    [{ model: "embedder", input: ["a", "b"] }, ["a", "b"], "embedder"],
    [{ input: "a" }, ["a"], "embedder"],
  ])("%j", async (body, inputs, model) => {
    const { status, body: answer, requests } = await embed(body);
    expect(status).toBe(200);
    expect(requests).toEqual([
      {
        model: "model" in body ? "embedder" : null,
        inputs,
        truncates: true,
        scheduling: { priority: 0, keepAliveMs: null },
      },
    ]);
    expect(embedAnswer.parse(answer)).toMatchObject({
      model,
      embeddings: inputs.map((_, index) => [index, 0.5, -0.25]),
      prompt_eval_count: 7,
    });
  });

  it("truncates unless it may not, and takes keep_alive", async () => {
    const { requests } = await embed({ input: "a", truncate: false, keep_alive: 5, options: { num_ctx: 9 } });
    expect(requests).toMatchObject([{ truncates: false, scheduling: { keepAliveMs: 5000 } }]);
  });

  it("passes the dimensions on that are asked for", async () => {
    expect((await embed({ input: "a", dimensions: 2 })).requests).toMatchObject([{ dimensions: 2 }]);
  });

  it.each([{}, { input: "" }, { input: [] }])("loads the embedding model for %j", async (body) => {
    const loaded: string[] = [];
    const answer = await embed(body, {
      loadExpert: (id) => {
        loaded.push(id);
        return Promise.resolve();
      },
    });
    expect(answer.body).toMatchObject({ model: "embedder", embeddings: [] });
    expect([loaded, answer.requests]).toEqual([["embedder"], []]);
  });

  it.each([
    [{ input: ["a", ""] }, 400, /^input\[1\] must be a non-empty string; received ""\.$/],
    [{ input: ["a", 5] }, 400, /^input\[1\] must be a string; received 5\.$/],
    [{ input: 5 }, 400, /^input must be a string or an array of at most 65536 strings; received 5\.$/],
    [{ input: "a", dimensions: 0 }, 400, /^dimensions must be an integer of at least 1; received 0\.$/],
    [{ input: "a", model: "llama" }, 404, /^model 'llama' not found/],
  ])("refuses %j", async (body, status, message) => {
    const answer = await embed(body);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatch(message);
  });

  it("has an older form for one text", async () => {
    const services = fakeServices({ embedder: () => embedder });
    const app = ollamaHttp(services);
    const { body } = await post(app, "/api/embeddings", { model: "embedder", prompt: "a" });
    expect(embeddingsAnswer.parse(body)).toEqual({ embedding: [0, 0.5, -0.25] });
    expect((await post(app, "/api/embeddings", { model: "embedder" })).body).toEqual({ embedding: [] });
    expect(services.chat.embeddings).toMatchObject([{ inputs: ["a"], truncates: true }]);
  });
});

describe("what is not done", () => {
  it.each(["/api/push", "/api/create", "/api/copy"])("%s says how models get here", async (path) => {
    const { status, headers, body } = await post(ollamaHttp(), path, { model: "phi" });
    expect(status).toBe(501);
    expect(headers.get("x-should-retry")).toBe("false");
    expect(body).toEqual({ error: expect.stringMatching(/download-model\.sh.*model_path/) as string });
  });

  it("/api/pull has nothing to do for a model that is here, and fetches no other", async () => {
    const app = ollamaHttp();
    for (const name of ["phi", "auto"])
      expect((await post(app, "/api/pull", { name })).body).toEqual({ status: "success" });
    const unknown = await post(app, "/api/pull", { model: "llama3.2" });
    expect(unknown.status).toBe(404);
    const services = fakeServices({ fileState: () => Promise.resolve({ state: "missing", reason: "No file" }) });
    const missing = await post(ollamaHttp(services), "/api/pull", { model: "phi" });
    expect(missing.status).toBe(501);
    expect(missing.body.error).toMatch(/^No file\. .*download-model\.sh/);
  });
});

describe("GET /", () => {
  const greeting = async (headers: Record<string, string>, method = "GET") => {
    const response = await ollamaHttp().request("/", { method, headers });
    return { type: response.headers.get("content-type"), text: await response.text() };
  };

  it.each([
    { "user-agent": "ollama/0.12.0 (amd64 linux) Go/go1.24" },
    { "user-agent": "ollama-js/0.6.4 (x64 linux Node.js/v20)", accept: "application/json" },
    { "user-agent": "Ollama-Python/0.5" },
    { accept: "text/plain" },
  ])("greets an Ollama client: %j", async (headers) => {
    expect(await greeting(headers)).toEqual({ type: "text/plain; charset=utf-8", text: "Ollama is running" });
    expect((await greeting(headers, "HEAD")).type).toBe("text/plain; charset=utf-8");
  });

  it.each([
    {},
    { "user-agent": "curl/8", accept: "*/*" },
    { accept: "application/json, text/plain, */*" },
    { "user-agent": "my-ollama" },
    { "user-agent": "ollamas" },
  ])("says to others what this service is: %j", async (headers) => {
    const { type, text } = await greeting(headers);
    expect(type).toBe("application/json");
    expect(JSON.parse(text)).toMatchObject({ service: "gguf-experts" });
  });
});
