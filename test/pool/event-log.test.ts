// The pool's event log: what is kept, in which order, and what is only told.
import { describe, expect, it } from "vitest";
import type { PoolEvent } from "../../src/core/pool-event.ts";
import { EventLog } from "../../src/pool/event-log.ts";

describe("EventLog", () => {
  const refused = (modelId: string, code: string) => ({ type: "refused", modelId, code, reason: "r" }) as const;
  it("keeps the newest thousand, numbered, and one of equal refusals in a row", () => {
    const told: PoolEvent[] = [];
    const log = new EventLog({ epochMs: () => 0 }, (event) => void told.push(event));
    for (let n = 0; n < 2500; n += 1) {
      log.add({ type: "quarantine_lifted", modelId: `m${n}` });
      expect(log.events.length).toBe(Math.min(1000, n + 1));
    }
    expect([log.events[0]?.sequence, log.events.at(-1)?.sequence]).toEqual([1501, 2500]);
    for (const code of ["x", "x", "y"]) log.add(refused("a", code));
    expect(log.events.slice(-3).map(({ type }) => type)).toEqual(["quarantine_lifted", "refused", "refused"]);
    expect(told).toHaveLength(2503);
  });

  it("keeps one of refusals that alternate between two models, until something else happens to one", () => {
    const log = new EventLog({ epochMs: () => 0 }, () => {});
    for (let n = 0; n < 600; n += 1) for (const id of ["a", "b"]) log.add(refused(id, "x"));
    expect(log.events).toHaveLength(2);
    log.add({ type: "granted", modelId: "a", hit: true, queueMs: 0, loadMs: 0 });
    for (const id of ["a", "b"]) log.add(refused(id, "x"));
    expect(log.events.map((event) => event.type === "refused" && event.modelId)).toEqual(["a", "b", "a"]);
  });
});
