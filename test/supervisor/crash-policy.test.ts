import { describe, expect, it } from "vitest";
import { CrashPolicy, deathsLimit, deathsWindowMs, unreadyDeathsLimit } from "../../src/supervisor/crash-policy.ts";

const served = (atMs: number) => ({ wasReady: true, atMs });
const unready = (atMs: number) => ({ wasReady: false, atMs });

describe("when the next worker starts", () => {
  it("at once after the first deaths, then after pauses that double", () => {
    const policy = new CrashPolicy();
    const pauses = Array.from({ length: deathsLimit - 1 }, (_, index) => policy.died(served(index)));
    expect(pauses.map((decision) => decision.type === "restart" && decision.afterMs)).toEqual([
      0, 0, 250, 500, 1000, 2000, 4000, 8000, 16_000,
    ]);
  });

  it("at once again when the earlier deaths are long ago", () => {
    const policy = new CrashPolicy();
    for (let index = 0; index < 5; index++) policy.died(served(index));
    expect(policy.died(served(4 + deathsWindowMs))).toEqual({ type: "restart", afterMs: 0 });
  });
});

describe("when it ends", () => {
  it(`the ${deathsLimit}th death within the window gives up, one at its edge does not`, () => {
    const policy = new CrashPolicy();
    for (let index = 0; index < deathsLimit - 1; index++) policy.died(served(0));
    expect(policy.died(served(deathsWindowMs - 1))).toEqual({
      type: "give-up",
      reason: "it ended 10 times within 5 minutes",
    });
    const slower = new CrashPolicy();
    for (let index = 0; index < deathsLimit - 1; index++) slower.died(served(0));
    expect(slower.died(served(deathsWindowMs)).type).toBe("restart");
  });

  it(`${unreadyDeathsLimit} deaths in a row before the worker served give up`, () => {
    const policy = new CrashPolicy();
    expect(policy.died(unready(0)).type).toBe("restart");
    expect(policy.died(unready(1)).type).toBe("restart");
    expect(policy.died(unready(2))).toEqual({
      type: "give-up",
      reason: "it ended 3 times in a row before it could serve",
    });
  });

  it("a worker that served in between begins the row anew", () => {
    const policy = new CrashPolicy();
    const types = [unready(0), unready(1), served(2), unready(3), unready(4)].map((death) => policy.died(death).type);
    expect(new Set(types)).toEqual(new Set(["restart"]));
    expect(policy.died(unready(5)).type).toBe("give-up");
  });
});
