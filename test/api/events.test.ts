// GET /admin/events over fakes: what is listed, in which order, and what the query may ask.
import { describe, expect, it } from "vitest";
import { eventsResponse } from "../../src/api/admin/event-endpoint.ts";
import type { PoolEvent, PoolEventBody } from "../../src/core/pool-event.ts";
import { fakeHttp, get } from "../support/fake-http.ts";
import { fakeServices, startedAtMs } from "../support/fake-services.ts";

const load = (modelId: string): PoolEventBody => ({
  type: "load_started",
  modelId,
  reservedBytes: 2 ** 30,
  contextTokens: 4096,
  waiting: 1,
});
const eviction: PoolEventBody = {
  type: "unload_started",
  modelId: "phi4_fast",
  reason: "evicted",
  bytes: 2.4 * 2 ** 30,
  idleMs: 41_000,
  forModelId: "qwen_coder",
  waiting: 3,
};

function number(bodies: readonly PoolEventBody[], first = 1): PoolEvent[] {
  return bodies.map((body, index) => ({ ...body, sequence: first + index, atMs: startedAtMs + index }));
}

async function events(list: readonly PoolEvent[], query = "") {
  const answer = await get(fakeHttp(fakeServices({ poolEvents: () => list })), `/admin/events${query}`);
  return { ...answer, sequences: (answer.body.events ?? []).map((event: PoolEvent) => event.sequence) as number[] };
}

describe("GET /admin/events", () => {
  it("explains each event, newest last", async () => {
    const { status, body } = await events(number([eviction, load("qwen_coder")]));
    expect(status).toBe(200);
    expect(eventsResponse.parse(body)).toEqual(body);
    expect(body).toEqual({
      events: [
        {
          sequence: 1,
          at: "2023-11-14T22:13:20.000Z",
          type: "unload_started",
          text: "phi4_fast (2.4 GiB, idle for 41 s) was unloaded to make room for qwen_coder, for which 3 requests wait",
          expert_id: "phi4_fast",
          reason: "evicted",
          bytes: 2.4 * 2 ** 30,
          idle_ms: 41_000,
          for_expert_id: "qwen_coder",
          waiting: 3,
        },
        {
          sequence: 2,
          at: "2023-11-14T22:13:20.001Z",
          type: "load_started",
          text: "qwen_coder is being loaded with a context of 4096 tokens: 1.0 GiB are reserved, 1 request waits for it",
          expert_id: "qwen_coder",
          reserved_bytes: 2 ** 30,
          context_tokens: 4096,
          waiting: 1,
        },
      ],
      last_sequence: 2,
      dropped: 0,
    });
  });

  it("is empty before the first", async () => {
    expect((await events([])).body).toEqual({ events: [], last_sequence: 0, dropped: 0 });
  });

  it("gives the newest hundred, or as many as asked for", async () => {
    const list = number(Array.from({ length: 150 }, () => load("phi4_fast")));
    expect((await events(list)).sequences).toEqual(list.slice(50).map(({ sequence }) => sequence));
    expect((await events(list, "?limit=2")).sequences).toEqual([149, 150]);
  });

  it("is paged through with since, and says what was dropped", async () => {
    const list = number(
      Array.from({ length: 10 }, () => load("phi4_fast")),
      21,
    );
    expect(await events(list, "?since=25&limit=3")).toMatchObject({
      sequences: [26, 27, 28],
      body: { last_sequence: 30, dropped: 0 },
    });
    expect(await events(list, "?since=30")).toMatchObject({ sequences: [], body: { last_sequence: 30, dropped: 0 } });
    expect(await events(list, "?since=15&limit=1")).toMatchObject({ sequences: [21], body: { dropped: 5 } });
    expect((await events(list)).body.dropped).toBe(20);
  });

  it("tells of one expert, by id or alias, and of what happened for its sake", async () => {
    const list = number([
      eviction,
      load("qwen_coder"),
      load("phi4_fast"),
      { type: "memory_short", availableBytes: 1, wantedBytes: 2 },
      { type: "reconfigured", added: ["gone_later"], changed: [], removed: ["qwen_coder"] },
    ]);
    expect((await events(list, "?model=qwen_coder")).sequences).toEqual([1, 2, 5]);
    expect((await events(list, "?model=phi")).sequences).toEqual([1, 3]);
    expect((await events(list, "?model=gemma3_multimodal")).sequences).toEqual([]);
    // Not in the configuration any more, but in an event.
    expect((await events(list, "?model=gone_later")).sequences).toEqual([5]);
    expect((await events(list, "?type=memory_short")).sequences).toEqual([4]);
    expect((await events(list, "?type=load_started&model=phi4_fast")).sequences).toEqual([3]);
  });

  it.each([
    ["limit", "0", "an integer from 1 to 1000"],
    ["limit", "1001", "an integer from 1 to 1000"],
    ["limit", "1.5", "an integer from 1 to 1000"],
    ["limit", "", "an integer from 1 to 1000"],
    ["since", "-1", "an integer of at least 0"],
    ["since", "x".repeat(5000), "an integer of at least 0"],
    ["type", "explosion", "one of proof_started, proof_finished, load_started, load_progress,"],
    ["type", "toString", "one of proof_started, proof_finished, load_started, load_progress,"],
    ["model", "gpt-4o", "one of phi4_fast, mistral_balanced,"],
  ])("refuses %s=%s", async (name, value, allowed) => {
    const { status, body } = await events([], `?${name}=${value}`);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param: name, code: "invalid_value" });
    expect(body.error.message).toContain(`${name} must be ${allowed}`);
    expect(body.error.message).toContain(`received "${value.slice(0, 100)}`);
    expect(body.error.message.length).toBeLessThan(500);
  });
});
