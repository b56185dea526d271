// What a pool over the fake engine takes beside its models: limits that no test runs into unless it says so.
import { silentLogger } from "../../src/core/log.ts";
import type { EnginePoolOptions, PoolModel } from "../../src/pool/model-pool.ts";
import type { FakeEngine } from "./fake-engine.ts";
import type { ManualClock } from "./manual-clock.ts";

export function fakePoolOptions(
  engine: FakeEngine,
  clock: ManualClock,
  models: readonly PoolModel[],
): EnginePoolOptions {
  const needs = new Map<string, number>();
  return {
    engine,
    files: engine.files,
    fileMemory: {
      needBytes: (file, key) => needs.get(JSON.stringify([file, key])) ?? null,
      rememberNeedBytes: (file, key, bytes) => void needs.set(JSON.stringify([file, key]), bytes),
    },
    models,
    clock,
    logger: silentLogger,
    budgetBytes: 1_000_000,
    processBytes: 0,
    maxLoadedExperts: null,
    autoUnloadAfterMs: null,
    loadTimeoutMs: 60_000,
    maxWaiting: 64,
    swapQuantumMs: 10_000,
    availableBytes: () => null,
    memoryReserveBytes: 0,
    onEvent: () => {},
    onActivity: () => {},
    quarantined: new Map(),
  };
}
