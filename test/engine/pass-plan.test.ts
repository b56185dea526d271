// Which tokens enter the next pass: the plan alone, with made-up costs.
import { describe, expect, it } from "vitest";
import { PassPlanner, type StreamView } from "../../src/engine/llama/pass-plan.ts";

const decoder = (arrival = 0): StreamView => ({
  pendingTokens: 1,
  readableTokens: 1,
  generatedTokens: 100,
  arrival,
});
const reader = (tokens: number, arrival = 0): StreamView => ({
  pendingTokens: tokens,
  readableTokens: tokens,
  generatedTokens: 0,
  arrival,
});

/** Plays passes of a machine on which reading takes 3 ms a token and a decode pass 16 ms and 4 ms a row. */
function play(
  streams: { pending: number; arrival: number; generated?: number }[],
  { passes = 10_000, chunkTokens = 128 } = {},
) {
  const planner = new PassPlanner({ batchTokens: 512, chunkTokens });
  // Streams have run for a while.
  for (let pass = 0; pass < 50; pass++) planner.decoded(20);
  const log: { readonly kind: "decode" | "read"; readonly tokens: number; readonly ms: number }[] = [];
  while (log.length < passes && streams.some(({ pending }) => pending > 1)) {
    const sizes = planner.plan(
      streams.map(({ pending, arrival, generated = 0 }) => ({
        ...reader(pending, arrival),
        generatedTokens: generated,
      })),
    );
    const tokens = sizes.reduce((sum, size) => sum + size, 0);
    const isDecode = sizes.every((size, index) => size === 0 || streams[index]?.pending === 1);
    const ms = isDecode ? 16 + 4 * (tokens - 1) : 3 * tokens;
    if (isDecode) {
      planner.decoded(ms);
      for (const stream of streams) if (stream.pending === 1) stream.generated = (stream.generated ?? 0) + 1;
    } else {
      planner.read(tokens, ms);
      sizes.forEach((size, index) => {
        const stream = streams[index];
        if (stream !== undefined) stream.pending = Math.max(1, stream.pending - size);
      });
    }
    log.push({ kind: isDecode ? "decode" : "read", tokens, ms });
  }
  return log;
}

describe("PassPlanner", () => {
  it("decodes all streams together, and never mixes a chunk into their pass", () => {
    const planner = new PassPlanner({ batchTokens: 512, chunkTokens: 128 });
    expect(planner.plan([decoder(), decoder(), decoder()])).toEqual([1, 1, 1]);
    expect(planner.plan([decoder(), reader(300)])).toEqual([0, 128]);
    planner.read(128, 400);
    expect(planner.plan([decoder(), reader(172)])).toEqual([1, 0]);
  });

  it("plans nothing where every stream waits", () => {
    const planner = new PassPlanner({ batchTokens: 512, chunkTokens: 128 });
    expect(planner.plan([{ pendingTokens: 300, readableTokens: 0, generatedTokens: 0, arrival: 1 }])).toEqual([0]);
  });

  it("lets 19 of 20 tokens of a running stream come undisturbed while one prompt is read", () => {
    const log = play([
      { pending: 1, arrival: 1, generated: 100 },
      { pending: 2000, arrival: 2 },
    ]);
    const chunks = log.filter(({ kind }) => kind === "read").length;
    expect(chunks / (log.length - chunks)).toBeLessThanOrEqual(1 / 20);
    // And the prompt gets about half of the time.
    const readMs = log.filter(({ kind }) => kind === "read").reduce((sum, { ms }) => sum + ms, 0);
    const allMs = log.reduce((sum, { ms }) => sum + ms, 0);
    expect(readMs / allMs).toBeGreaterThan(0.4);
    expect(Math.max(...log.map(({ ms }) => ms))).toBeLessThanOrEqual(500);
  });

  it("reads prompts that come together before their streams begin, but for a token a second", () => {
    const log = play(Array.from({ length: 8 }, (_, index) => ({ pending: 370, arrival: index + 1 })));
    const decodes = log.filter(({ kind }) => kind === "decode").length;
    const readMs = log.filter(({ kind }) => kind === "read").reduce((sum, { ms }) => sum + ms, 0);
    expect(decodes).toBeGreaterThanOrEqual(Math.floor(readMs / 2000));
    expect(decodes).toBeLessThanOrEqual(Math.ceil(readMs / 1000));
  });

  it("shares the time between many prompts and a stream that runs, and gives the prompts more", () => {
    const streams = [
      { pending: 1, arrival: 1, generated: 100 },
      ...Array.from({ length: 7 }, (_, index) => ({ pending: 3000, arrival: index + 2 })),
    ];
    const log = play(streams, { passes: 60 });
    const readMs = log.filter(({ kind }) => kind === "read").reduce((sum, { ms }) => sum + ms, 0);
    const allMs = log.reduce((sum, { ms }) => sum + ms, 0);
    expect(readMs / allMs).toBeGreaterThan(0.7);
    expect(log.filter(({ kind }) => kind === "decode").length).toBeGreaterThan(10);
  });

  it("begins in turn with the prompt that came first and with the shortest rest", () => {
    const planner = new PassPlanner({ batchTokens: 512, chunkTokens: 128 });
    const streams = [reader(900, 1), reader(300, 2), reader(200, 3)];
    expect(planner.plan(streams)).toEqual([128, 0, 0]);
    planner.read(128, 600);
    expect(planner.plan(streams)).toEqual([0, 0, 128]);
  });

  it("fills a chunk with the next prompt where one ends", () => {
    const planner = new PassPlanner({ batchTokens: 512, chunkTokens: 128 });
    expect(planner.plan([reader(40, 1), reader(60, 2), reader(60, 3)])).toEqual([40, 60, 28]);
  });

  it("doubles the chunk while full ones are quick, up to the batch, and halves it when one was slow", () => {
    const planner = new PassPlanner({ batchTokens: 64, chunkTokens: null });
    const sizes = [10, 10, 10, 10, 1900, 1900].map((ms) => {
      const [tokens = 0] = planner.plan([reader(1000)]);
      planner.read(tokens, ms);
      return tokens;
    });
    expect(sizes).toEqual([16, 32, 64, 64, 64, 32]);
  });

  it("makes chunks longer beside a stream that is slow itself, but not for ever", () => {
    const planner = new PassPlanner({ batchTokens: 512, chunkTokens: 16 });
    planner.read(16, 960);
    for (let pass = 0; pass < 60; pass++) planner.decoded(200);
    const [, tokens = 0] = planner.plan([decoder(), reader(2000)]);
    expect(tokens).toBeGreaterThan(25);
    expect(tokens * 60).toBeLessThanOrEqual(2000);
    planner.read(tokens, tokens * 60);
    expect(planner.chunkTokens).toBe(16);
  });
});
