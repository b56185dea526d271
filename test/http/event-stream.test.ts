// Streams as a reader meets them, with the clock in the test's hand: when headers go out, heartbeats, back-pressure,
// stalls, and the reader's leaving.
import { describe, expect, it } from "vitest";
import type { StreamItem } from "../../src/api/endpoint.ts";
import type { AnswerEvent } from "../../src/chat/contract.ts";
import { AbandonedError, PublicError } from "../../src/core/errors.ts";
import { type Deferred, deferred } from "../../src/core/deferred.ts";
import { eventStream, type EventStreamOptions } from "../../src/http/event-stream.ts";
import { fakeHttp, parseEvents } from "../support/fake-http.ts";
import { ending, fakeServices, poolModel, poolStatus, SteppedClock } from "../support/fake-services.ts";

const heartbeatMs = 15_000;
const firstItemMs = 500;
const stallMs = 60_000;

const text = (content: string): AnswerEvent => ({ type: "text", text: content });
const end: AnswerEvent = ending();

/** Answers event by event, as the test gives them; a wait ends early when the signal fires. */
function setUp(beat = heartbeatMs) {
  // Nobody waits in this pool: its heartbeats are empty.
  const pool = { status: poolStatus([]) };
  const services = fakeServices({ poolStatus: () => pool.status });
  const steps: Deferred<AnswerEvent>[] = [];
  const asked: Deferred<void>[] = [];
  const slot = <T>(list: Deferred<T>[], index: number): Deferred<T> => (list[index] ??= deferred<T>());
  let askedCount = 0;
  let signalled = false;
  services.chat.script = async function* (_, signal) {
    signal.addEventListener("abort", () => (signalled = true));
    for (let index = 0; ; index += 1) {
      const step = slot(steps, index);
      signal.addEventListener("abort", () => step.reject(new AbandonedError()));
      askedCount += 1;
      slot(asked, index).resolve();
      const event = await step.promise;
      yield event;
      if (event.type === "end") return;
    }
  };
  const leave = new AbortController();
  const request = (): Promise<Response> =>
    Promise.resolve(
      fakeHttp(services, { heartbeatMs: beat }).request("/v1/chat/completions", {
        method: "POST",
        body: JSON.stringify({ messages: [{ role: "user", content: "Hi" }], stream: true }),
        signal: leave.signal,
      }),
    );
  return {
    clock: services.clock,
    chat: services.chat,
    pool,
    leave,
    request,
    give: (index: number, event: AnswerEvent) => slot(steps, index).resolve(event),
    fail: (index: number, error: Error) => slot(steps, index).reject(error),
    /** Resolves when the event of that index has been asked for. */
    wanted: (index: number) => slot(asked, index).promise,
    askedCount: () => askedCount,
    signalled: () => signalled,
  };
}

/** A stream whose first item never comes, and that nobody watches. */
function quiet(): EventStreamOptions {
  return {
    form: "events",
    items: (async function* () {})(),
    first: new Promise(() => {}),
    hasLeft: () => false,
    onLeave: () => {},
    heartbeatMs: 0,
    awaited: () => null,
    stallMs,
    clock: new SteppedClock(),
    errorItem: () => ({ json: null }),
    onStall: () => {},
    onWrite: () => {},
    onEnd: () => {},
  };
}

function readerOf(response: Response) {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  return {
    next: async (): Promise<string | undefined> => {
      const { done, value } = await reader.read();
      return done ? undefined : decoder.decode(value as Uint8Array);
    },
    cancel: () => reader.cancel(),
  };
}

describe("the first item", () => {
  it("that fails within half a second keeps its status", async () => {
    const world = setUp();
    const response = world.request();
    await world.wanted(0);
    expect(world.clock.timers.map(({ delayMs }) => delayMs)).toEqual([firstItemMs]);
    world.fail(0, new PublicError("No.", { status: 507, type: "insufficient_memory_error", code: "too_large" }));
    expect((await response).status).toBe(507);
    expect(world.clock.timers).toEqual([]);
  });

  it("that takes longer lets the headers go first, and its failure becomes an event", async () => {
    const world = setUp();
    const pending = world.request();
    await world.wanted(0);
    world.clock.fire(firstItemMs);
    const response = await pending;
    expect(response.status).toBe(200);
    expect(response.headers.get("x-expert")).toBe("qwen_coder");
    world.fail(0, new PublicError("No.", { status: 507, type: "insufficient_memory_error", code: "too_large" }));
    expect(parseEvents(await response.text())).toEqual([
      { error: { message: "No.", type: "insufficient_memory_error", param: null, code: "too_large" } },
    ]);
    expect(world.chat.endedCount).toBe(1);
    expect(world.clock.timers).toEqual([]);
  });
});

describe("items", () => {
  const one = async (options: { form: "events" | "lines"; fails?: boolean }): Promise<string> => {
    const items = (async function* (): AsyncGenerator<StreamItem, void, void> {
      yield { json: { a: 1 }, event: "first" };
      yield { raw: '{"b":2}' };
      if (options.fails === true) throw new Error("it broke");
    })();
    const { body } = eventStream({
      ...quiet(),
      form: options.form,
      items,
      first: items.next(),
      errorItem: (thrown) => ({ json: { error: String(thrown) }, event: "error" }),
    });
    return new Response(body).text();
  };

  it("are events, named where they have a name, the failure too", async () => {
    expect(await one({ form: "events", fails: true })).toBe(
      'event: first\ndata: {"a":1}\n\ndata: {"b":2}\n\nevent: error\ndata: {"error":"Error: it broke"}\n\n',
    );
  });

  it("are lines of JSON, the failure too", async () => {
    expect(await one({ form: "lines" })).toBe('{"a":1}\n{"b":2}\n');
    expect(await one({ form: "lines", fails: true })).toBe('{"a":1}\n{"b":2}\n{"error":"Error: it broke"}\n');
  });

  it("that are lines have no heartbeats between them", async () => {
    const clock = new SteppedClock();
    const { body } = eventStream({ ...quiet(), clock, form: "lines", heartbeatMs });
    void readerOf(new Response(body)).next();
    await Promise.resolve();
    expect(clock.timers.map(({ delayMs }) => delayMs)).not.toContain(heartbeatMs);
  });
});

describe("heartbeats", () => {
  it("come while nothing else does, and stop with the answer", async () => {
    const world = setUp();
    const pending = world.request();
    await world.wanted(0);
    world.clock.fire(firstItemMs);
    const reader = readerOf(await pending);
    world.clock.fire(heartbeatMs);
    expect(await reader.next()).toBe(":\n\n");
    const second = reader.next();
    world.clock.fire(heartbeatMs);
    expect(await second).toBe(":\n\n");
    world.give(0, text("a"));
    expect(await reader.next()).toContain('"role":"assistant"');
    expect(await reader.next()).toContain('"content":"a"');
    const third = reader.next();
    await world.wanted(1);
    world.clock.fire(heartbeatMs);
    expect(await third).toBe(":\n\n");
    world.give(1, end);
    expect(await reader.next()).toContain('"finish_reason":"stop"');
    expect(await reader.next()).toBe("data: [DONE]\n\n");
    expect(await reader.next()).toBe(undefined);
    expect(world.clock.timers).toEqual([]);
  });

  it("tell what is waited for at that moment, of the answer's own expert alone", async () => {
    const world = setUp();
    const other = poolModel("phi4_fast", { state: "loading", loadProgress: 0.99, waiting: 4 });
    const pending = world.request();
    await world.wanted(0);
    world.clock.fire(firstItemMs);
    const reader = readerOf(await pending);
    const beat = async (model: Parameters<typeof poolModel>[1]): Promise<string | undefined> => {
      world.pool.status = poolStatus([other, poolModel("qwen_coder", model)]);
      const read = reader.next();
      world.clock.fire(heartbeatMs);
      return read;
    };
    expect(await beat({ state: "available", waiting: 1 })).toBe(": waiting for memory to load qwen_coder\n\n");
    expect(await beat({ state: "loading", waiting: 1, loadProgress: 0.05 })).toBe(": loading qwen_coder 5 %\n\n");
    expect(await beat({ state: "loading", waiting: 1, loadProgress: 0.43 })).toBe(": loading qwen_coder 43 %\n\n");
    expect(await beat({ state: "loaded", waiting: 1 })).toBe(": waiting for a turn on qwen_coder, next in line\n\n");
    expect(await beat({ state: "loaded" })).toBe(":\n\n");
    world.give(0, { type: "started", promptTokens: 900, cachedTokens: 0 });
    expect(await reader.next()).toContain('"role":"assistant"');
    world.give(1, { type: "prefill", readTokens: 512, promptTokens: 900 });
    await world.wanted(2);
    expect(await beat({ state: "loaded", waiting: 3 })).toBe(": reading the prompt, 512 of 900 tokens\n\n");
    world.give(2, end);
    expect(await reader.next()).toContain('"finish_reason":"stop"');
  });

  it("stay one line, whatever they tell", async () => {
    const clock = new SteppedClock();
    const { body } = eventStream({ ...quiet(), clock, heartbeatMs, awaited: () => "one\n\ndata: [DONE]\r\ntwo" });
    const reader = readerOf(new Response(body));
    const line = reader.next();
    while (clock.timers.length === 0) await Promise.resolve();
    clock.fire(heartbeatMs);
    expect(await line).toBe(": one data: [DONE] two\n\n");
  });

  it("do not pile up for a reader that takes nothing", async () => {
    const world = setUp();
    const pending = world.request();
    await world.wanted(0);
    world.clock.fire(firstItemMs);
    const response = await pending;
    for (let count = 0; count < 5; count += 1) world.clock.fire(heartbeatMs);
    world.give(0, end);
    const events = parseEvents(await response.text());
    expect(events.filter((event) => event === ":")).toHaveLength(1);
    expect(events.at(-1)).toBe("[DONE]");
  });

  it("are off at 0", async () => {
    const world = setUp(0);
    const pending = world.request();
    await world.wanted(0);
    world.clock.fire(firstItemMs);
    const response = await pending;
    expect(world.clock.timers).toEqual([]);
    world.give(0, end);
    expect(await response.text()).not.toContain(":\n\n:");
  });
});

describe("a reader that is slow", () => {
  it("is not run ahead of by more than what it asked for and one", async () => {
    const world = setUp();
    for (let index = 0; index < 10; index += 1) world.give(index, text(`t${index}`));
    const reader = readerOf(await world.request());
    await reader.next(); // the opening chunk
    await reader.next(); // t0
    await world.wanted(1);
    // Timers of the stream show where it stands: an item waits for the reader.
    for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
    expect(world.askedCount()).toBeLessThanOrEqual(3);
    await reader.cancel();
    expect(world.chat.endedCount).toBe(1);
  });

  it.each([
    ["a minute", undefined, stallMs],
    ["the time that is configured", 5000, 5000],
  ])("is cut off after %s of taking nothing", async (_, stallTimeoutMs, expectedMs) => {
    const services = fakeServices();
    let destroyed = 0;
    services.chat.script = async function* () {
      for (;;) yield text("x");
    };
    const app = fakeHttp(services, stallTimeoutMs === undefined ? {} : { stallTimeoutMs });
    const response = await app.fetch(
      new Request("http://x/v1/chat/completions", {
        method: "POST",
        body: JSON.stringify({ messages: [{ role: "user", content: "Hi" }], stream: true }),
      }),
      { outgoing: { destroy: () => (destroyed += 1), cork: () => {}, uncork: () => {} } },
    );
    expect(response.status).toBe(200);
    for (let turn = 0; turn < 100 && services.clock.timers[0]?.delayMs !== expectedMs; turn += 1)
      await Promise.resolve();
    expect(destroyed).toBe(0);
    services.clock.fire(expectedMs);
    expect(destroyed).toBe(1);
    await response.body?.cancel();
    expect(services.chat.endedCount).toBe(1);
  });
});

describe("a reader that leaves", () => {
  it("while an item is made: the signal fires, and the answer ends", async () => {
    const world = setUp();
    world.give(0, text("a"));
    const reader = readerOf(await world.request());
    await reader.next();
    await reader.next();
    await world.wanted(1);
    expect(world.signalled()).toBe(false);
    await reader.cancel();
    expect(world.signalled()).toBe(true);
    expect(world.chat.endedCount).toBe(1);
    expect(world.clock.timers).toEqual([]);
  });

  it("while an item waits for it: the answer ends where it stands", async () => {
    const world = setUp();
    for (let index = 0; index < 10; index += 1) world.give(index, text(`t${index}`));
    const response = await world.request();
    await response.body?.cancel();
    expect(world.signalled()).toBe(true);
    expect(world.chat.endedCount).toBe(1);
    expect(world.askedCount()).toBeLessThan(10);
  });

  it("before the headers: nothing is written, and the answer ends", async () => {
    const world = setUp();
    const pending = world.request();
    await world.wanted(0);
    world.leave.abort();
    expect((await pending).status).toBe(499);
    expect(world.chat.endedCount).toBe(1);
    expect(world.clock.timers).toEqual([]);
  });
});
