// The Prometheus text for request records and a pool status.
import { describe, expect, it } from "vitest";
import type { PoolEventBody } from "../../src/core/pool-event.ts";
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

  it("count what the pool did, in labels of a few words", async () => {
    const metrics = createMetrics(() => poolStatus([]));
    const events: readonly PoolEventBody[] = [
      { type: "load_failed", modelId: "a", reason: "/srv/a.gguf is broken", failures: 1, retryAfterMs: 1 },
      { type: "load_finished", modelId: "a", predictedBytes: 1, measuredBytes: 1, loadMs: 4000 },
      { type: "granted", modelId: "a", hit: false, queueMs: 500, loadMs: 4000 },
      { type: "granted", modelId: "a", hit: true, queueMs: 0, loadMs: 0 },
      { type: "granted", modelId: "a", hit: true, queueMs: 0, loadMs: 0 },
      { type: "unload_started", modelId: "a", reason: "idle", bytes: 1, idleMs: 1, forModelId: null, waiting: 0 },
      { type: "refused", modelId: "b", code: "queue_full", reason: "64 wait." },
      { type: "quarantined", modelId: "b", reason: "It ended the process twice." },
      { type: "memory_short", availableBytes: 1, wantedBytes: 2 },
    ];
    for (const [index, event] of events.entries()) metrics.poolEvent({ ...event, sequence: index + 1, atMs: 0 });
    const text = await metrics.text();
    expect(samples(text, "gguf_experts_pool_events_total")).toEqual({
      '{type="load_failed",model="a",reason=""}': 1,
      '{type="load_finished",model="a",reason=""}': 1,
      '{type="granted",model="a",reason="miss"}': 1,
      '{type="granted",model="a",reason="hit"}': 2,
      '{type="unload_started",model="a",reason="idle"}': 1,
      '{type="refused",model="b",reason="queue_full"}': 1,
      '{type="quarantined",model="b",reason=""}': 1,
      '{type="memory_short",model="",reason=""}': 1,
    });
    expect(samples(text, "gguf_experts_model_load_seconds_sum")).toEqual({ '{model="a"}': 4 });
    expect(samples(text, "gguf_experts_model_wait_seconds_sum")).toEqual({ '{model="a"}': 4.5 });
    expect(samples(text, "gguf_experts_model_wait_seconds_count")).toEqual({ '{model="a"}': 3 });
  });

  it("show quarantine, and what the machine can give where it tells", async () => {
    let status = poolStatus([poolModel("a", { quarantined: true }), poolModel("b")]);
    const metrics = createMetrics(() => status);
    const before = await metrics.text();
    expect(samples(before, "gguf_experts_model_quarantined")).toEqual({ '{expert="a"}': 1, '{expert="b"}': 0 });
    expect(samples(before, "gguf_experts_machine_available_bytes")).toEqual({ "": 20_000 });
    status = poolStatus([], { machineAvailableBytes: null });
    expect(samples(await metrics.text(), "gguf_experts_machine_available_bytes")).toEqual({});
    status = poolStatus([], { machineAvailableBytes: 5 });
    expect(samples(await metrics.text(), "gguf_experts_machine_available_bytes")).toEqual({ "": 5 });
  });

  it("of two servers in one process do not mix", async () => {
    const first = createMetrics(() => poolStatus([]));
    const second = createMetrics(() => poolStatus([]));
    first.record(requestRecord());
    expect(samples(await second.text(), "gguf_experts_requests_total")).toEqual({});
  });
});
