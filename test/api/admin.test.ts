// Health, experts, statistics, metrics and the service's description over fakes.
import { describe, expect, it } from "vitest";
import { debugResponse, expertsResponse } from "../../src/api/admin/expert-endpoints.ts";
import { expertHealthResponse, healthResponse } from "../../src/api/admin/health-endpoints.ts";
import { probeObstacle } from "../../src/api/admin/probe-obstacle.ts";
import { statsResponse } from "../../src/api/admin/stats-endpoint.ts";
import type { PoolEventBody } from "../../src/core/pool-event.ts";
import type { ModelFileState } from "../../src/engine/model-files.ts";
import { RequestStats } from "../../src/telemetry/request-stats.ts";
import { fakeHttp, get } from "../support/fake-http.ts";
import { fakeServices, fiveExperts, poolModel, poolStatus, presentFile } from "../support/fake-services.ts";
import { requestRecord } from "../telemetry/records.ts";

const missing: ModelFileState = { state: "missing", reason: "/models/x.gguf does not exist" };
const filesMissing =
  (...ids: readonly string[]) =>
  (modelId: string) =>
    Promise.resolve(ids.includes(modelId) ? missing : presentFile(`/models/${modelId}.gguf`));
const allIds = fiveExperts.map(({ id }) => id);

describe("GET /health", () => {
  it("is healthy when all experts can answer", async () => {
    const { status, body } = await get(fakeHttp(), "/health");
    expect(status).toBe(200);
    expect(healthResponse.strict().parse(body)).toEqual(body);
    expect(body).toEqual({
      status: "healthy",
      models_loaded: 1,
      models_available: 5,
      models_configured: 5,
      problems: [],
      draining: false,
      uptime_s: 5,
      version: "1.2.3",
    });
  });

  it("is degraded, still 200, when an expert cannot answer", async () => {
    const services = fakeServices({
      fileState: filesMissing("qwen_coder"),
      poolStatus: () => poolStatus([poolModel("phi4_fast", { state: "failed", lastError: "It crashed." })]),
    });
    const { status, body } = await get(fakeHttp(services), "/health");
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: "degraded", models_loaded: 0, models_available: 3 });
    expect(body.problems).toEqual([
      "phi4_fast is failed: It crashed.",
      "qwen_coder is missing: /models/x.gguf does not exist",
    ]);
  });

  it("is unhealthy when nothing can serve, although the process lives", async () => {
    const app = fakeHttp(fakeServices({ fileState: filesMissing(...allIds), poolStatus: () => poolStatus([]) }));
    expect(await get(app, "/health")).toMatchObject({
      status: 503,
      body: { status: "unhealthy", models_available: 0 },
    });
    expect(await get(app, "/health/ready")).toMatchObject({ status: 503, body: { status: "unhealthy" } });
    expect(await get(app, "/health/live")).toMatchObject({ status: 200, body: { status: "alive" } });
  });

  it("is unhealthy, and not alive, when requests wait and nothing moves", async () => {
    const app = fakeHttp(fakeServices({ poolStatus: () => poolStatus([], { progressing: false }) }));
    const health = await get(app, "/health");
    expect(health).toMatchObject({ status: 503, body: { status: "unhealthy", models_available: 5 } });
    expect(health.body.problems).toEqual(["Requests wait, and no model runs, loads or unloads."]);
    expect(await get(app, "/health/live")).toMatchObject({ status: 503, body: { status: "stuck" } });
  });

  it("is not ready while it drains", async () => {
    const app = fakeHttp(fakeServices({ isDraining: () => true }));
    expect(await get(app, "/health/ready")).toMatchObject({ status: 503, body: { status: "draining" } });
    expect(await get(app, "/health")).toMatchObject({ status: 200, body: { draining: true } });
    expect(await get(fakeHttp(), "/health/ready")).toMatchObject({ status: 200, body: { status: "ready" } });
  });

  it("tells of one expert", async () => {
    const app = fakeHttp(fakeServices({ fileState: filesMissing("qwen_coder") }));
    const well = await get(app, "/health/experts/phi");
    expect(well).toMatchObject({ status: 200, body: { expert_id: "phi4_fast", status: "loaded", healthy: true } });
    expect(expertHealthResponse.strict().parse(well.body)).toEqual(well.body);
    expect(await get(app, "/health/experts/qwen_coder")).toMatchObject({
      status: 503,
      body: {
        status: "missing",
        healthy: false,
        last_error: "/models/x.gguf does not exist",
      },
    });
    const unknown = await get(app, "/health/experts/nobody");
    expect(unknown.status).toBe(404);
    expect(unknown.body.error.message).toContain("aya_expanse_multilingual");
    const long = await get(app, `/health/experts/${"x".repeat(5000)}`);
    expect(long.body.error.message.length).toBeLessThan(300);
  });
});

describe("GET /experts", () => {
  it("lists the five with their files", async () => {
    const { status, body } = await get(fakeHttp(fakeServices({ fileState: filesMissing("qwen_coder") })), "/experts");
    expect(status).toBe(200);
    expect(expertsResponse.strict().parse(body)).toEqual(body);
    expect(body.experts).toHaveLength(5);
    expect(body.experts[0]).toMatchObject({
      expert_id: "phi4_fast",
      domain: "technical",
      status: "loaded",
      size_bytes: 1000,
      context_length: 4096,
      quantization: "Q4_0",
      default: false,
      error: null,
      reduced_from: null,
      retry_at: null,
      quarantined: false,
      load_progress: null,
      reserved_bytes: 1500,
    });
    // No max_model_len: what the model was trained for, at most 8,192.
    expect(body.experts[1]).toMatchObject({ context_length: 8192, default: true });
    expect(body.experts[2]).toMatchObject({ status: "missing", size_bytes: null, context_length: 4096 });
    expect(body.experts[2].error).toContain("does not exist");
  });

  it("tells what memory made of each", async () => {
    const services = fakeServices({
      poolStatus: () =>
        poolStatus([
          poolModel("phi4_fast", { state: "loaded", reservedBytes: 900, contextTokens: 2048, reducedFromTokens: 4096 }),
          poolModel("mistral_balanced", { state: "loading", reservedBytes: 800, loadProgress: 0.43 }),
          poolModel("qwen_coder", { state: "failed", lastError: "Broken.", retryAtMs: 1_700_000_060_000 }),
          poolModel("gemma3_multimodal", { state: "failed", lastError: "It killed.", quarantined: true }),
        ]),
    });
    const { body } = await get(fakeHttp(services), "/experts");
    expect(expertsResponse.strict().parse(body)).toEqual(body);
    expect(body.experts).toMatchObject([
      { status: "loaded", context_length: 2048, reduced_from: 4096, reserved_bytes: 900 },
      { status: "loading", context_length: 8192, reduced_from: null, load_progress: 0.43, reserved_bytes: 800 },
      { status: "failed", retry_at: "2023-11-14T22:14:20.000Z", quarantined: false, error: "Broken." },
      { status: "failed", retry_at: null, quarantined: true, error: "It killed." },
      { status: "available", context_length: 4096, retry_at: null, quarantined: false, load_progress: null },
    ]);
    const one = await get(fakeHttp(services), "/health/experts/phi4_fast");
    expect(expertHealthResponse.strict().parse(one.body)).toEqual(one.body);
    expect(one.body).toMatchObject({ context_length: 2048, reduced_from: 4096 });
    expect((await get(fakeHttp(services), "/v1/models/qwen_coder")).body.retry_at).toBe("2023-11-14T22:14:20.000Z");
    expect(await get(fakeHttp(services), "/health")).toMatchObject({
      status: 200,
      body: {
        status: "degraded",
        problems: ["qwen_coder is failed: Broken.", "gemma3_multimodal is failed: It killed."],
      },
    });
  });
});

describe("GET /stats", () => {
  it("counts experts, memory and requests", async () => {
    const services = fakeServices();
    const stats = new RequestStats(services.clock);
    stats.record(requestRecord({ expertId: "qwen_coder", routingSource: "keywords" }));
    stats.record(requestRecord({ expertId: "qwen_coder", outcome: "error", errorCode: "queue_full" }));
    const { status, body } = await get(fakeHttp({ ...services, stats: () => stats.snapshot() }), "/stats");
    expect(status).toBe(200);
    expect(statsResponse.strict().parse(body)).toEqual(body);
    expect(body.router_stats).toEqual({
      num_experts: 5,
      default_model: "mistral_balanced",
      decisions: { keywords: 1, request: 1 },
    });
    expect(body.lazy_loading).toEqual({
      total_experts: 5,
      loaded_count: 1,
      loaded_experts: [{ expert_id: "phi4_fast", bytes: 1500, leases: 0, waiting: 0 }],
      process_bytes: 0,
      budget_bytes: 10_000,
      reserved_bytes: 1500,
      loads: 2,
      load_failures: 0,
      hits: 3,
      evictions: 1,
      waiting: 0,
      machine_available_bytes: 20_000,
      timeline: {
        loads: { finished: 0, failed: 0, abandoned: 0 },
        load_ms: null,
        unloads: {},
        swaps: 0,
        grants: 0,
        waited: 0,
        wait_ms: null,
        refusals: {},
        last_eviction: null,
      },
    });
    expect(Object.keys(body.experts)).toEqual(allIds);
    expect(body.experts.qwen_coder).toEqual({
      request_count: 2,
      success_count: 1,
      error_count: 1,
      abandoned_count: 0,
      success_rate: 0.5,
      latency_ms: { p50: 100, p95: 100 },
      ttft_ms: { p50: 20, p95: 20 },
      tokens_per_second: 100,
      prompt_tokens: 20,
      cached_tokens: 8,
      generated_tokens: 10,
      last_success_at: "2023-11-14T22:13:25.000Z",
      last_error: { code: "queue_full", at: "2023-11-14T22:13:25.000Z" },
    });
    expect(body.experts.phi4_fast).toMatchObject({ request_count: 0, success_rate: null, latency_ms: null });
    expect(body.requests.request_count).toBe(2);
  });

  it("sums up the pool's timeline", async () => {
    const services = fakeServices({
      poolStatus: () => poolStatus([], { machineAvailableBytes: null }),
    });
    const stats = new RequestStats(services.clock);
    const events: readonly PoolEventBody[] = [
      {
        type: "unload_started",
        modelId: "phi4_fast",
        reason: "evicted",
        bytes: 700,
        idleMs: 1,
        forModelId: "qwen_coder",
        waiting: 1,
      },
      { type: "load_started", modelId: "qwen_coder", reservedBytes: 1, contextTokens: 1, waiting: 1 },
      { type: "load_finished", modelId: "qwen_coder", predictedBytes: 1, measuredBytes: 1, loadMs: 40 },
      { type: "granted", modelId: "qwen_coder", hit: false, queueMs: 10, loadMs: 40 },
      { type: "refused", modelId: "qwen_coder", code: "queue_full", reason: "Full." },
    ];
    for (const [index, event] of events.entries()) {
      stats.poolEvent({ ...event, sequence: index + 1, atMs: 1_700_000_000_000 });
    }
    const { body } = await get(fakeHttp({ ...services, stats: () => stats.snapshot() }), "/stats");
    expect(statsResponse.strict().parse(body)).toEqual(body);
    expect(body.lazy_loading.machine_available_bytes).toBe(null);
    expect(body.lazy_loading.timeline).toEqual({
      loads: { finished: 1, failed: 0, abandoned: 0 },
      load_ms: { p50: 40, p95: 40, max: 40 },
      unloads: { evicted: 1 },
      swaps: 1,
      grants: 1,
      waited: 1,
      wait_ms: { p50: 50, p95: 50, max: 50 },
      refusals: { queue_full: 1 },
      last_eviction: {
        expert_id: "phi4_fast",
        for_expert_id: "qwen_coder",
        reason: "evicted",
        bytes: 700,
        at: "2023-11-14T22:13:20.000Z",
      },
    });
  });
});

describe("GET /debug/models", () => {
  it("shows each expert's file, state and last answer, and probes nothing unasked", async () => {
    const services = fakeServices({
      fileState: filesMissing("qwen_coder"),
      probe: () => Promise.reject(new Error("not asked for")),
    });
    const { status, body } = await get(fakeHttp(services), "/debug/models");
    expect(status).toBe(200);
    expect(debugResponse.strict().parse(body)).toEqual(body);
    expect(body.models.map((entry: { expert_id: string }) => entry.expert_id)).toEqual(allIds);
    expect(body.models[0]).toEqual({
      expert_id: "phi4_fast",
      status: "loaded",
      file: {
        path: "/models/phi4_fast.gguf",
        state: "present",
        reason: null,
        size_bytes: 1000,
        architecture: "qwen2",
        quantization: "Q4_0",
        has_chat_template: true,
      },
      reserved_bytes: 1500,
      context_length: 4096,
      reduced_from: null,
      retry_at: null,
      quarantined: false,
      leases: 0,
      waiting: 0,
      load_progress: null,
      pinned: false,
      last_error: null,
      breaker: "closed",
      last_good_answer_at: null,
      probe: null,
    });
    expect(body.models[2]).toMatchObject({ status: "missing", file: { state: "missing", size_bytes: null } });
  });

  it.each([
    [poolModel("phi4_fast", { state: "failed", quarantined: true }), "open"],
    // The clock stands at 22:13:25, five seconds after 1,700,000,000,000.
    [poolModel("phi4_fast", { state: "failed", retryAtMs: 1_700_000_005_001 }), "open"],
    [poolModel("phi4_fast", { state: "failed", retryAtMs: 1_700_000_005_000 }), "half_open"],
    [poolModel("phi4_fast", { state: "failed" }), "half_open"],
    [poolModel("phi4_fast", { state: "loading" }), "closed"],
  ])("%# shows the breaker", async (model, breaker) => {
    const services = fakeServices({ poolStatus: () => poolStatus([model]) });
    const { body } = await get(fakeHttp(services), "/debug/models");
    expect(debugResponse.strict().parse(body)).toEqual(body);
    expect(body.models[0].breaker).toBe(breaker);
    expect(body.models[1].breaker).toBe("closed");
  });

  it("probes on demand, one after the other, those that are free", async () => {
    const probed: string[] = [];
    const services = fakeServices({
      fileState: filesMissing("qwen_coder"),
      poolStatus: () =>
        poolStatus([poolModel("phi4_fast", { state: "loaded", leases: 1 }), poolModel("mistral_balanced")]),
      probe: (modelId) => {
        probed.push(modelId);
        return Promise.resolve({ ok: modelId !== "gemma3_multimodal", detail: "Done.", durationMs: 3 });
      },
    });
    const { body } = await get(fakeHttp(services), "/debug/models?probe=1");
    expect(debugResponse.strict().parse(body)).toEqual(body);
    expect(probed).toEqual(["mistral_balanced", "gemma3_multimodal", "aya_expanse_multilingual"]);
    expect(body.models.map((entry: { probe: object }) => entry.probe)).toEqual([
      { ok: null, detail: "Not probed: it is busy.", duration_ms: null },
      { ok: true, detail: "Done.", duration_ms: 3 },
      { ok: null, detail: "Not probed: /models/x.gguf does not exist.", duration_ms: null },
      { ok: false, detail: "Done.", duration_ms: 3 },
      { ok: true, detail: "Done.", duration_ms: 3 },
    ]);
  });
});

describe("what a live probe may touch", () => {
  const file = presentFile("/m.gguf", 6000);
  it.each([
    ["an idle model in memory", [poolModel("m", { state: "loaded", reservedBytes: 9000 })], true],
    ["a model in use", [poolModel("m", { state: "loaded", leases: 1 })], false],
    ["a model that others wait for", [poolModel("m", { state: "loaded", waiting: 1 })], false],
    ["a model that is loading", [poolModel("m", { state: "loading" })], false],
    ["a model that fits", [poolModel("m")], true],
    ["a model that the pool has not heard of", [], true],
    ["a model that fits where an idle one is", [poolModel("other", { state: "loaded", reservedBytes: 9000 })], true],
    ["one that fits only where a busy one is", [poolModel("other", { reservedBytes: 5000, leases: 1 })], false],
    ["one that fits only where a pinned one is", [poolModel("other", { reservedBytes: 5000, pinned: true })], false],
    ["one that fits beside a busy one", [poolModel("other", { reservedBytes: 4000, leases: 1 })], true],
  ])("%s", (_, models, allowed) => {
    expect(probeObstacle("m", file, poolStatus(models)) === null).toBe(allowed);
  });

  it("leaves a file alone that is no model", () => {
    const invalid: ModelFileState = { state: "invalid", reason: "/m.gguf is not a GGUF file" };
    expect(probeObstacle("m", invalid, poolStatus([]))).toBe("Not probed: /m.gguf is not a GGUF file.");
  });
});

describe("the rest", () => {
  it("GET /metrics is Prometheus text", async () => {
    const response = await fakeHttp().request("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await response.text()).toBe("up 1\n");
  });

  it("GET / says what this is and where its endpoints are", async () => {
    const { body } = await get(fakeHttp(), "/");
    expect(body).toMatchObject({ service: "gguf-experts", version: "1.2.3", experts: allIds });
    expect(body.endpoints).toContain("POST /v1/chat/completions");
    expect(body.endpoints).toContain("GET /health/experts/{id}");
  });
});
