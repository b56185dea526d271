// POST /v1/embeddings, GET /v1/models and /v1/models/{id} over fakes.
import { describe, expect, it } from "vitest";
import { embeddings, model, models } from "../../src/api/openai/responses.ts";
import { defaultScheduling } from "../../src/chat/contract.ts";
import { PublicError } from "../../src/core/errors.ts";
import { fakeHttp, get, post } from "../support/fake-http.ts";
import { fakeServices, fiveExperts, poolModel, poolStatus, presentFile } from "../support/fake-services.ts";

describe("POST /v1/embeddings", () => {
  const path = "/v1/embeddings";

  it.each([
    ["text", ["text"]],
    [
      ["a", "b"],
      ["a", "b"],
    ],
    [[1, 2], [[1, 2]]],
    [
      [[1], [2]],
      [[1], [2]],
    ],
  ])("takes the input %j", async (input, inputs) => {
    const services = fakeServices();
    const { status, body } = await post(fakeHttp(services), path, { model: "embedder", input });
    expect(status).toBe(200);
    const request = { model: "embedder", inputs, truncates: false, scheduling: defaultScheduling };
    expect(services.chat.embeddings).toEqual([request]);
    expect(embeddings.strict().parse(body)).toEqual(body);
    expect(body).toEqual({
      object: "list",
      data: inputs.map((_, index) => ({ object: "embedding", index, embedding: [index, 0.5, -0.25] })),
      model: "embedder",
      usage: { prompt_tokens: 7, total_tokens: 7 },
    });
  });

  it("writes base64 as little-endian floats, also of a vector inside a larger buffer", async () => {
    const services = fakeServices();
    services.chat.embedding = () =>
      Promise.resolve({
        model: "e",
        vectors: [new Float32Array(Float32Array.from([9, 1, -2]).buffer, 4)],
        promptTokens: 1,
        loadMs: 0,
      });
    const { body } = await post(fakeHttp(services), path, { input: "x", encoding_format: "base64" });
    expect(body.data[0].embedding).toBe("AACAPwAAAMA=");
  });

  it("passes on how many dimensions are asked for", async () => {
    const services = fakeServices();
    expect((await post(fakeHttp(services), path, { input: "x", dimensions: 2 })).status).toBe(200);
    expect(services.chat.embeddings).toMatchObject([{ dimensions: 2 }]);
  });

  it.each([
    [{ truncate: true }, true],
    [{ truncate_prompt_tokens: -1 }, true],
    [{ truncate: false, truncate_prompt_tokens: -1 }, false],
    [{ truncate: null, truncate_prompt_tokens: null }, false],
  ])("cuts long texts where %j asks for it", async (parameters, truncates) => {
    const services = fakeServices();
    expect((await post(fakeHttp(services), path, { input: "x", ...parameters })).status).toBe(200);
    expect(services.chat.embeddings).toMatchObject([{ truncates }]);
  });

  it.each([
    [{}, "input", "input is missing"],
    [{ input: "" }, "input", "input must be a non-empty string"],
    [{ input: ["a", ""] }, "input[1]", "input[1] must be a non-empty string"],
    [{ input: [1.5] }, "input[0]", "input[0] must be a token id (an integer from 0 to 2147483647); received 1.5."],
    [{ input: [true] }, "input[0]", "input[0] must be a string, a token id or an array of token ids; received true."],
    [{ input: { text: "x" } }, "input", "input must be a string, an array of token ids, or an array of 1 to 2048"],
    [{ input: [] }, "input", "an array of 1 to 2048 strings or arrays of token ids; received an empty array."],
    [
      { input: "x", encoding_format: "hex" },
      "encoding_format",
      'must be one of "float", "base64"; received the string',
    ],
    [{ input: "x", dimensions: 0 }, "dimensions", "dimensions must be an integer of at least 1; received 0."],
    [{ input: "x", truncate_prompt_tokens: 5 }, "truncate_prompt_tokens", "truncate_prompt_tokens must be -1"],
    [{ input: [[1], [2, null]] }, "input[1][1]", "input[1][1] must be a token id"],
    [{ input: [["a"]] }, "input[0][0]", "input[0][0] must be a token id"],
  ])("refuses %j", async (body, param, message) => {
    const answer = await post(fakeHttp(), path, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.param).toBe(param);
    expect(answer.body.error.message).toContain(message);
  });

  it("takes at most 2048 inputs", async () => {
    const answer = await post(fakeHttp(), path, { input: Array.from({ length: 2049 }, () => "a") });
    expect(answer.status).toBe(400);
    expect(answer.body.error.message).toMatch(/^input must be .* received an array of 2049\.$/);
  });

  it("passes on that no embedding model is configured", async () => {
    const services = fakeServices();
    services.chat.embedding = () =>
      Promise.reject(
        new PublicError("No embedding model is configured.", {
          status: 404,
          type: "not_found_error",
          code: "no_embedder",
        }),
      );
    expect((await post(fakeHttp(services), path, { input: "x" })).body.error.code).toBe("no_embedder");
  });
});

describe("GET /v1/models", () => {
  it("lists the experts, their aliases, and auto", async () => {
    const { status, body } = await get(fakeHttp(), "/v1/models");
    expect(status).toBe(200);
    expect(models.strict().parse(body)).toEqual(body);
    expect(body.object).toBe("list");
    expect(body.data.map((entry: { id: string }) => entry.id)).toEqual([
      ...fiveExperts.map(({ id }) => id),
      "phi",
      "vendor/phi-4",
      "auto",
    ]);
    expect(body.data[0]).toEqual({
      id: "phi4_fast",
      object: "model",
      created: 1_700_000_000,
      owned_by: "gguf-experts",
      domain: "technical",
      description: "The technical expert.",
      status: "loaded",
      aliases: ["phi", "vendor/phi-4"],
      meta: { n_ctx_train: 32_768, n_params: 12_345, size: 1000 },
      context_length: 4096,
      reduced_from: null,
      reserved_bytes: 1500,
      load_progress: null,
      retry_at: null,
      quarantined: false,
    });
    expect(body.data.at(-1)).not.toHaveProperty("quarantined");
  });

  it.each([
    ["loaded", presentFile("/x"), "loaded"],
    ["loaded", { state: "missing", reason: "gone" }, "loaded"],
    ["loading", presentFile("/x"), "loading"],
    ["unloading", presentFile("/x"), "available"],
    ["available", presentFile("/x"), "available"],
    ["available", { state: "missing", reason: "gone" }, "missing"],
    ["available", { state: "invalid", reason: "not a GGUF file" }, "failed"],
    ["missing", presentFile("/x"), "available"],
    ["failed", presentFile("/x"), "failed"],
    ["failed", { state: "missing", reason: "gone" }, "missing"],
  ] as const)("calls a model that the pool says is %s with the file %j %s", async (state, file, status) => {
    const app = fakeHttp(
      fakeServices({
        poolStatus: () => poolStatus([poolModel("phi4_fast", { state })]),
        fileState: () => Promise.resolve(file),
      }),
    );
    const { body } = await get(app, "/v1/models/phi4_fast");
    expect(body.status).toBe(status);
    expect(body.meta === null).toBe(file.state !== "present");
  });

  it("calls a model in quarantine failed, whatever its file and the pool's state", async () => {
    for (const file of [presentFile("/x"), { state: "missing", reason: "gone" } as const]) {
      const quarantined = poolModel("phi4_fast", { state: "available", quarantined: true, lastError: "It killed." });
      const services = fakeServices({
        poolStatus: () => poolStatus([quarantined]),
        fileState: () => Promise.resolve(file),
      });
      const { body } = await get(fakeHttp(services), "/v1/models/phi4_fast");
      expect(body).toMatchObject({ status: "failed", quarantined: true });
      expect((await get(fakeHttp(services), "/health/experts/phi4_fast")).body.last_error).toBe("It killed.");
    }
  });

  it.each(["phi", "vendor/phi-4", "vendor%2Fphi-4"])("finds the alias %s", async (alias) => {
    const { status, body } = await get(fakeHttp(), `/v1/models/${alias}`);
    expect(status).toBe(200);
    expect(model.strict().parse(body)).toEqual(body);
    expect(body).toMatchObject({ id: decodeURIComponent(alias), alias_of: "phi4_fast" });
  });

  it.each([
    ["available", [presentFile("/x")]],
    ["available", [{ state: "missing", reason: "gone" }, presentFile("/x")]],
    ["missing", [{ state: "missing", reason: "gone" }]],
    [
      "failed",
      [
        { state: "missing", reason: "gone" },
        { state: "invalid", reason: "not a GGUF file" },
      ],
    ],
  ] as const)("finds auto, which is %s when the files are %j", async (status, files) => {
    const services = fakeServices({
      poolStatus: () => poolStatus([]),
      fileState: (id) => Promise.resolve(files[id === "phi4_fast" ? 0 : files.length - 1] ?? files[0]),
    });
    const { body } = await get(fakeHttp(services), "/v1/models/auto");
    expect(model.strict().parse(body)).toEqual(body);
    expect(body).toMatchObject({ id: "auto", status });
    const list = await get(fakeHttp(services), "/v1/models");
    expect(list.body.data.at(-1)).toEqual(body);
  });

  it("names the known ones where there is no such model", async () => {
    const { status, body } = await get(fakeHttp(), "/v1/models/gpt-4o");
    expect(status).toBe(404);
    expect(body.error.code).toBe("model_not_found");
    for (const name of [...fiveExperts.map(({ id }) => id), "vendor/phi-4", "auto"]) {
      expect(body.error.message).toContain(name);
    }
  });
});
