// What the timeline makes of the pool's events.
import { describe, expect, it } from "vitest";
import type { PoolEventBody, UnloadReason } from "../../src/core/pool-event.ts";
import { PoolTimeline } from "../../src/telemetry/pool-timeline.ts";

function timelineOf(events: readonly PoolEventBody[], window?: number) {
  const timeline = new PoolTimeline(window);
  for (const [index, event] of events.entries()) timeline.add({ ...event, sequence: index + 1, atMs: 1000 + index });
  return timeline.snapshot();
}

const started = (modelId: string): PoolEventBody => ({
  type: "load_started",
  modelId,
  reservedBytes: 1,
  contextTokens: 1,
  waiting: 1,
});
const finished = (modelId: string, loadMs: number): PoolEventBody => ({
  type: "load_finished",
  modelId,
  predictedBytes: 1,
  measuredBytes: 1,
  loadMs,
});
const unload = (modelId: string, reason: UnloadReason, forModelId: string | null = null): PoolEventBody => ({
  type: "unload_started",
  modelId,
  reason,
  bytes: 7,
  idleMs: null,
  forModelId,
  waiting: 0,
});
const granted = (queueMs: number, loadMs: number): PoolEventBody => ({
  type: "granted",
  modelId: "a",
  hit: loadMs === 0,
  queueMs,
  loadMs,
});

describe("the timeline", () => {
  it("counts loads by how they ended", () => {
    const { loads } = timelineOf([
      started("a"),
      finished("a", 30),
      started("b"),
      { type: "load_failed", modelId: "b", reason: "x", failures: 1, retryAfterMs: 0 },
      started("c"),
      { type: "load_abandoned", modelId: "c", forModelId: null },
      started("a"),
      finished("a", 10),
    ]);
    expect(loads).toEqual({
      finished: 2,
      failed: 1,
      abandoned: 1,
      loadMs: { p50: 10, p95: 30, max: 30 },
    });
  });

  it("counts unloads by reason", () => {
    const { unloads } = timelineOf([unload("a", "idle"), unload("b", "idle"), unload("a", "requested")]);
    expect(unloads).toEqual({ idle: 2, requested: 1 });
  });

  it("counts a load as one swap, however many left for it", () => {
    const { swaps } = timelineOf([
      started("a"),
      unload("a", "evicted", "c"),
      unload("b", "evicted", "c"),
      started("c"),
      finished("c", 1),
      unload("c", "idle"),
      started("c"),
      unload("c", "evicted", "a"),
      started("a"),
    ]);
    expect(swaps).toBe(2);
  });

  it("forgets whom room was made for when that model leaves the configuration", () => {
    const { swaps } = timelineOf([
      unload("a", "evicted", "b"),
      { type: "reconfigured", added: [], changed: [], removed: ["b"] },
      { type: "reconfigured", added: ["b"], changed: [], removed: [] },
      started("b"),
    ]);
    expect(swaps).toBe(0);
  });

  it("measures the waits of those who waited", () => {
    const { grants } = timelineOf([granted(0.4, 0), granted(0, 0), granted(20, 0), granted(10, 500)]);
    expect(grants).toEqual({ count: 4, waited: 2, waitMs: { p50: 20, p95: 510, max: 510 } });
    expect(timelineOf([granted(0, 0)]).grants.waitMs).toBe(null);
  });

  it("looks at the latest loads and waits only, and keeps the greatest", () => {
    const events = [900, 1, 2].flatMap((ms) => [finished("a", ms), granted(ms, 0)]);
    const { loads, grants } = timelineOf(events, 2);
    expect(loads.loadMs).toEqual({ p50: 1, p95: 2, max: 900 });
    expect(grants.waitMs).toEqual({ p50: 1, p95: 2, max: 900 });
  });

  it("counts refusals by code", () => {
    const refused = (code: string): PoolEventBody => ({ type: "refused", modelId: "a", code, reason: "because" });
    expect(timelineOf([refused("queue_full"), refused("draining"), refused("queue_full")]).refusals).toEqual({
      queue_full: 2,
      draining: 1,
    });
  });

  it("remembers the last that had to go", () => {
    expect(timelineOf([unload("a", "idle")]).lastEviction).toBe(null);
    expect(timelineOf([unload("a", "evicted", "b"), unload("c", "idle")]).lastEviction).toEqual({
      modelId: "a",
      forModelId: "b",
      reason: "evicted",
      bytes: 7,
      atMs: 1000,
    });
    expect(timelineOf([unload("a", "evicted", "b"), unload("c", "memory_pressure")]).lastEviction).toMatchObject({
      modelId: "c",
      forModelId: null,
      atMs: 1001,
    });
  });
});
