// The Prometheus text for request records and a pool status.
import { describe, expect, it } from "vitest";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { poolModel, poolStatus } from "../support/fake-services.ts";
import { requestRecord } from "./records.ts";

/** The samples of a metric, by their labels as they are written. */
function samples(text: string, name: string): Record<string, number> {
  return Object.fromEntries(
    text
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .map((line) => [line.slice(name.length, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

describe("the metrics", () => {
  it("count requests and tokens by expert", async () => {
    const metrics = createMetrics(() => poolStatus([]));
    metrics.record(requestRecord());
    metrics.record(requestRecord({ outcome: "error", errorCode: "queue_full", ttftMs: null }));
    metrics.record(requestRecord({ expertId: null, routingSource: null, outcome: "abandoned", ttftMs: null }));
    const text = await metrics.text();
    expect(samples(text, "gguf_experts_requests_total")).toEqual({
      '{expert="phi4_fast",kind="chat",outcome="ok",code=""}': 1,
      '{expert="phi4_fast",kind="chat",outcome="error",code="queue_full"}': 1,
      '{expert="none",kind="chat",outcome="abandoned",code=""}': 1,
    });
    expect(samples(text, "gguf_experts_tokens_total")).toMatchObject({
      '{expert="phi4_fast",kind="prompt"}': 12,
      '{expert="phi4_fast",kind="cached"}': 8,
      '{expert="phi4_fast",kind="generated"}': 10,
    });
    expect(samples(text, "gguf_experts_request_duration_seconds_count")).toEqual({
      '{expert="phi4_fast",kind="chat"}': 1,
    });
    expect(samples(text, "gguf_experts_time_to_first_token_seconds_sum")).toEqual({ '{expert="phi4_fast"}': 0.02 });
    expect(samples(text, "gguf_experts_routing_decisions_total")).toEqual({
      '{expert="phi4_fast",source="request"}': 2,
    });
  });

  it("show the pool as it is at each scrape", async () => {
    let status = poolStatus([poolModel("a", { state: "loaded", reservedBytes: 700, leases: 2, waiting: 3 })]);
    const metrics = createMetrics(() => status);
    const before = await metrics.text();
    expect(samples(before, "gguf_experts_model_resident_bytes")).toEqual({ '{expert="a"}': 700 });
    expect(samples(before, "gguf_experts_model_queue_depth")).toEqual({ '{expert="a"}': 3 });
    expect(samples(before, "gguf_experts_model_leases")).toEqual({ '{expert="a"}': 2 });
    expect(samples(before, "gguf_experts_memory_budget_bytes")).toEqual({ "": 10_000 });
    expect(samples(before, "gguf_experts_memory_reserved_bytes")).toEqual({ "": 700 });
    expect(samples(before, "gguf_experts_model_loads_total")).toEqual({ "": 2 });

    status = poolStatus([poolModel("b")], {
      counters: { loads: 5, loadFailures: 1, evictions: 4, hits: 9 },
      progressing: false,
    });
    const after = await metrics.text();
    expect(samples(after, "gguf_experts_model_resident_bytes")).toEqual({ '{expert="b"}': 0 });
    expect(samples(after, "gguf_experts_model_loads_total")).toEqual({ "": 5 });
    expect(samples(after, "gguf_experts_model_evictions_total")).toEqual({ "": 4 });
    expect(samples(after, "gguf_experts_pool_progressing")).toEqual({ "": 0 });
  });

  it("of two servers in one process do not mix", async () => {
    const first = createMetrics(() => poolStatus([]));
    const second = createMetrics(() => poolStatus([]));
    first.record(requestRecord());
    expect(samples(await second.text(), "gguf_experts_requests_total")).toEqual({});
  });
});
