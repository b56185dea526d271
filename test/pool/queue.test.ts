// Turns on one model: p-queue's trap, and who must wait.
import { describe, expect, it } from "vitest";
import { TurnQueue } from "../../src/pool/queue.ts";
import { ManualClock } from "../support/manual-clock.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));
const none = new AbortController().signal;

describe("a turn", () => {
  it("that has begun outlives its signal", async () => {
    const queue = new TurnQueue({ modelId: "a", slots: 1, maxWaiting: 5, clock: new ManualClock() });
    const caller = new AbortController();
    const turn = await queue.enter(caller.signal, 0);
    caller.abort();
    let second = false;
    void queue.enter(none, 0).then(() => (second = true));
    await settled();
    expect(second).toBe(false);
    turn.end();
    await settled();
    expect(second).toBe(true);
  });
  it("takes who need not wait although nobody may wait", async () => {
    const queue = new TurnQueue({ modelId: "a", slots: 1, maxWaiting: 0, clock: new ManualClock() });
    queue.checkRoom();
    await queue.enter(none, 0);
    expect(() => queue.checkRoom()).toThrow(/busy/);
  });
});
