// How many threads compute beside neighbours: a simulated machine of a few cores, by passes, without time.
import { describe, expect, it } from "vitest";
import { ThreadGovernor } from "../../src/engine/llama/thread-governor.ts";

/** A machine whose cores are shared fairly between our threads and busy neighbours. */
function machine(cores: number) {
  let nowMs = 0;
  let idleCpuMs = 0;
  const state = { neighbours: 0, passes: 0, slowPasses: 0 };
  const governor = new ThreadGovernor({ nowMs: () => nowMs, idleCpuMs: () => idleCpuMs });
  const pass = (wanted: number): number => {
    const threads = governor.threads(wanted);
    const runnable = threads + state.neighbours;
    const used = threads * Math.min(1, cores / runnable);
    const isCrowded = runnable > cores;
    const elapsedMs = isCrowded ? 200 : 20;
    state.passes += 1;
    if (isCrowded && threads > 1) state.slowPasses += 1;
    nowMs += elapsedMs;
    idleCpuMs += Math.max(0, cores - runnable) * elapsedMs;
    governor.passed({ threads, rows: 1, elapsedMs, cpuMs: used * elapsedMs });
    return threads;
  };
  const run = (passes: number, wanted = cores) => Array.from({ length: passes }, () => pass(wanted));
  return { state, run, pause: (ms: number) => (nowMs += ms) };
}

describe("ThreadGovernor", () => {
  it("uses all threads that are wanted on cores of its own", () => {
    const { run } = machine(4);
    expect(new Set(run(200))).toEqual(new Set([4]));
  });

  it.each([2, 4, 8])("gives up one of %i threads within a pass or two when a neighbour takes a core", (cores) => {
    const { run, state } = machine(cores);
    run(20);
    state.neighbours = 1;
    expect(run(3).at(-1)).toBe(cores - 1);
  });

  it("takes the core back when the neighbour has gone", () => {
    const { run, state } = machine(2);
    state.neighbours = 1;
    run(20);
    state.neighbours = 0;
    // Half a second at twenty milliseconds a pass.
    expect(run(50).at(-1)).toBe(2);
    expect(new Set(run(100))).toEqual(new Set([2]));
  });

  it("hardly ever tries in vain beside a neighbour that stays", () => {
    const { run, state } = machine(2);
    state.neighbours = 1;
    run(2000);
    expect(state.slowPasses).toBeLessThanOrEqual(5);
  });

  it("tries ever less often where idle cores are not ours to use", () => {
    // A control group's quota: other cores of the machine are idle all the time.
    let nowMs = 0;
    let slow = 0;
    const governor = new ThreadGovernor({ nowMs: () => nowMs, idleCpuMs: () => nowMs * 8 });
    for (let pass = 0; pass < 3000; pass++) {
      const threads = governor.threads(2);
      const elapsedMs = threads === 2 ? 200 : 20;
      if (threads === 2) slow += 1;
      nowMs += elapsedMs;
      governor.passed({ threads, rows: 1, elapsedMs, cpuMs: Math.min(threads, 1.2) * elapsedMs });
    }
    expect(slow).toBeLessThan(20);
  });

  it("keeps all threads beside a neighbour that takes little, because fewer would be slower", () => {
    let nowMs = 0;
    const governor = new ThreadGovernor({ nowMs: () => nowMs, idleCpuMs: () => 0 });
    let reduced = 0;
    for (let pass = 0; pass < 3000; pass++) {
      const threads = governor.threads(2);
      if (threads === 1) reduced += 1;
      const elapsedMs = threads === 2 ? 17 : 27;
      nowMs += elapsedMs;
      governor.passed({ threads, rows: 1, elapsedMs, cpuMs: elapsedMs * (threads === 2 ? 1.6 : 1) });
    }
    expect(reduced).toBeLessThan(40);
  });

  it("compares only passes of the same size", () => {
    let nowMs = 0;
    const governor = new ThreadGovernor({ nowMs: () => nowMs, idleCpuMs: () => 0 });
    const pass = (rows: number, elapsedMs: number) => {
      const threads = governor.threads(2);
      nowMs += elapsedMs;
      governor.passed({ threads, rows, elapsedMs, cpuMs: elapsedMs * (threads === 2 ? 1.2 : 1) });
      return threads;
    };
    pass(1, 100);
    // A chunk of a prompt takes longer than the crowded pass of one row, and says nothing about it.
    expect([pass(64, 500), pass(64, 500), pass(1, 20), pass(1, 20), pass(1, 20), pass(1, 20)]).toEqual([
      1, 1, 1, 1, 1, 1,
    ]);
  });

  it("never goes below one thread, and leaves a model alone that wants just one", () => {
    const { run, state } = machine(2);
    state.neighbours = 20;
    expect(Math.min(...run(50))).toBe(1);
    expect(new Set(run(20, 1))).toEqual(new Set([1]));
  });
});
