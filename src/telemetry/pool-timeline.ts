// Counts, times and reasons of what the pool did: the timeline's aggregates in /stats. Its size depends on the number of
// models and codes alone. Pure. May import core/.
import type { PoolEvent, UnloadReason } from "../core/pool-event.ts";
import type { PoolTimelineSnapshot } from "../core/stats-snapshot.ts";
import { RecentValues } from "./percentiles.ts";

/** A grant that took less is one that did not wait. */
const leastWaitMs = 1;

export class PoolTimeline {
  readonly #loads = { finished: 0, failed: 0, abandoned: 0 };
  readonly #loadMs: RecentValues;
  readonly #unloads = new Map<UnloadReason, number>();
  readonly #refusals = new Map<string, number>();
  readonly #waitMs: RecentValues;
  /** Models for which another one was evicted, until their load begins. */
  readonly #roomMadeFor = new Set<string>();
  #swaps = 0;
  #grants = 0;
  #waited = 0;
  #lastEviction: PoolTimelineSnapshot["lastEviction"] = null;

  /** `window`: how many of the latest loads and waits the percentiles look at. */
  constructor(window = 256) {
    this.#loadMs = new RecentValues(window);
    this.#waitMs = new RecentValues(window);
  }

  add(event: PoolEvent): void {
    switch (event.type) {
      case "load_started":
        if (this.#roomMadeFor.delete(event.modelId)) this.#swaps += 1;
        break;
      case "load_finished":
        this.#loads.finished += 1;
        this.#loadMs.add(event.loadMs);
        break;
      case "load_failed":
        this.#loads.failed += 1;
        break;
      case "load_abandoned":
        this.#loads.abandoned += 1;
        break;
      case "unload_started":
        this.#unloadStarted(event);
        break;
      case "granted":
        this.#granted(event.queueMs + event.loadMs);
        break;
      case "refused":
        this.#refusals.set(event.code, (this.#refusals.get(event.code) ?? 0) + 1);
        break;
      case "reconfigured":
        for (const modelId of event.removed) this.#roomMadeFor.delete(modelId);
        break;
      case "context_reduced":
      case "draining_started":
      case "load_progress":
      case "memory_short":
      case "proof_finished":
      case "proof_started":
      case "quarantined":
      case "quarantine_lifted":
      case "unload_finished":
        // They have no place among the aggregates.
        break;
    }
  }

  snapshot(): PoolTimelineSnapshot {
    return {
      loads: { ...this.#loads, loadMs: this.#loadMs.spread() },
      unloads: Object.fromEntries(this.#unloads),
      swaps: this.#swaps,
      grants: { count: this.#grants, waited: this.#waited, waitMs: this.#waitMs.spread() },
      refusals: Object.fromEntries(this.#refusals),
      lastEviction: this.#lastEviction,
    };
  }

  #unloadStarted(event: Extract<PoolEvent, { readonly type: "unload_started" }>): void {
    const { modelId, forModelId, reason, bytes, atMs } = event;
    this.#unloads.set(reason, (this.#unloads.get(reason) ?? 0) + 1);
    if (forModelId !== null) this.#roomMadeFor.add(forModelId);
    if (forModelId !== null || reason === "evicted" || reason === "memory_pressure") {
      this.#lastEviction = { modelId, forModelId, reason, bytes, atMs };
    }
  }

  #granted(waitMs: number): void {
    this.#grants += 1;
    if (waitMs < leastWaitMs) return;
    this.#waited += 1;
    this.#waitMs.add(waitMs);
  }
}
