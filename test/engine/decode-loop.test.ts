// The decode loop over a scripted native context: what is put into each batch, what is kept in the KV cache, who is freed
// when. No model, no time.
import { describe, expect, it } from "vitest";
import { deferred } from "../../src/core/deferred.ts";
import { AbandonedError } from "../../src/core/errors.ts";
import type { NativeContext } from "../../src/engine/llama/bindings.ts";
import { ComputeTurn } from "../../src/engine/llama/compute-turn.ts";
import { DecodeLoop, type StreamEvent, type StreamRequest } from "../../src/engine/llama/decode-loop.ts";

interface Added {
  readonly sequenceId: number;
  readonly position: number;
  readonly tokens: readonly number[];
  readonly wantsLogits: boolean;
}

class ScriptedContext implements NativeContext {
  readonly batches: Added[][] = [];
  readonly removed: string[] = [];
  failNext = false;
  minPosition = 0;
  canRemove = true;
  /** Each decode waits for this before it is done. */
  gate: Promise<void> = Promise.resolve();
  onDecode: () => void = () => {};
  elapse: (tokens: number) => void = () => {};
  #rows = 0;

  initBatch(): void {
    this.batches.push([]);
    this.#rows = 0;
  }
  addToBatch(sequenceId: number, position: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array {
    this.batches.at(-1)?.push({ sequenceId, position, tokens: [...tokens], wantsLogits: logitIndexes.length > 0 });
    this.#rows += tokens.length;
    return logitIndexes.map(() => this.#rows - 1);
  }
  async decodeBatch(): Promise<void> {
    this.onDecode();
    this.elapse((this.batches.at(-1) ?? []).reduce((sum, added) => sum + added.tokens.length, 0));
    await this.gate;
    if (this.failNext) {
      this.failNext = false;
      throw new Error("Eval has failed");
    }
  }
  sampleToken(): Promise<number> {
    throw new Error("the requests of these tests sample for themselves");
  }
  removeTokenCellsFromSequence(sequenceId: number, start: number): boolean {
    this.removed.push(`${sequenceId}:${start}`);
    return this.canRemove;
  }
  disposeSequence(sequenceId: number): void {
    this.removed.push(`${sequenceId}:all`);
  }
  getSequenceKvCacheMinPosition(): number {
    return this.minPosition;
  }
  getMemoryBreakdown() {
    return { cpuRam: 0 };
  }
}

const endToken = 99;

function setUp(
  options: { slots?: number; contextTokens?: number; slidingWindowTokens?: number; turn?: ComputeTurn } = {},
) {
  const context = new ScriptedContext();
  let nowMs = 0;
  // Ten thousand tokens a second: the largest chunk is always quick enough.
  context.elapse = (tokens) => (nowMs += tokens / 10);
  const loop = new DecodeLoop({
    context,
    slots: options.slots ?? 1,
    contextTokens: options.contextTokens ?? 64,
    batchTokens: 32,
    slidingWindowTokens: options.slidingWindowTokens ?? null,
    turn: options.turn ?? new ComputeTurn(),
    nowMs: () => nowMs,
  });
  return { context, loop, advance: (ms: number) => (nowMs += ms) };
}

/** Samples the scripted tokens one after the other, then the end token. */
function request(promptTokens: number[], script: number[], maxTokens = 1000): StreamRequest {
  let next = 0;
  return {
    promptTokens,
    maxTokens,
    sample: async () => script[next++] ?? endToken,
    isEndOfGeneration: (token) => token === endToken,
  };
}

async function collect(stream: AsyncGenerator<StreamEvent, void, void>): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

const never = new AbortController().signal;
const tokensOf = (events: StreamEvent[]) => events.flatMap((event) => (event.type === "token" ? [event.token] : []));

describe("DecodeLoop", () => {
  it("reads the prompt, then decodes token by token until the end of generation", async () => {
    const { context, loop } = setUp();
    const events = await collect(loop.run(request([1, 2, 3], [10, 11]), never));
    expect(events).toEqual([
      { type: "prefill", readTokens: 3, cachedTokens: 0 },
      { type: "token", token: 10 },
      { type: "token", token: 11 },
      { type: "end", reason: "stop" },
    ]);
    expect(context.batches.map((batch) => batch.map((added) => [added.position, added.tokens]))).toEqual([
      [[0, [1, 2, 3]]],
      [[3, [10]]],
      [[4, [11]]],
    ]);
  });

  it("stops at max_tokens and at the end of the context with reason length", async () => {
    const { loop } = setUp({ contextTokens: 6 });
    expect(await collect(loop.run(request([1, 2], [5, 6, 7], 2), never))).toContainEqual({
      type: "end",
      reason: "length",
    });
    const events = await collect(loop.run(request([7, 8, 9], [5, 5, 5, 5, 5]), never));
    expect(tokensOf(events)).toHaveLength(3);
    expect(events.at(-1)).toEqual({ type: "end", reason: "length" });
  });

  it("keeps the shared prefix of the next prompt in the KV cache and reads only the rest", async () => {
    const { context, loop } = setUp();
    await collect(loop.run(request([1, 2, 3], [10, 11]), never));
    context.batches.length = 0;
    const events = await collect(loop.run(request([1, 2, 3, 10, 20, 21], []), never));
    expect(context.removed).toEqual(["0:4"]);
    expect(context.batches[0]?.[0]).toMatchObject({ position: 4, tokens: [20, 21] });
    expect(events[0]).toEqual({ type: "prefill", readTokens: 6, cachedTokens: 4 });
  });

  it("decodes the last prompt token again when the whole prompt is cached", async () => {
    const { context, loop } = setUp();
    await collect(loop.run(request([1, 2, 3], []), never));
    context.batches.length = 0;
    await collect(loop.run(request([1, 2, 3], [7]), never));
    expect(context.batches[0]?.[0]).toMatchObject({ position: 2, tokens: [3], wantsLogits: true });
  });

  it("starts afresh where the cache cannot go back, or a sliding window has dropped what is needed", async () => {
    const first = setUp();
    first.context.canRemove = false;
    await collect(first.loop.run(request([1, 2, 3, 4], []), never));
    const again = await collect(first.loop.run(request([1, 2, 9], []), never));
    expect(again[0]).toEqual({ type: "prefill", readTokens: 3, cachedTokens: 0 });

    const windowed = setUp({ slidingWindowTokens: 2 });
    await collect(windowed.loop.run(request([1, 2, 3, 4, 5, 6], []), never));
    windowed.context.minPosition = 3;
    const back = await collect(windowed.loop.run(request([1, 2, 3, 4, 9], []), never));
    expect(back[0]).toEqual({ type: "prefill", readTokens: 5, cachedTokens: 0 });
    await collect(windowed.loop.run(request([1, 2, 3, 4, 5, 6, 7], []), never));
    windowed.context.minPosition = 3;
    const near = await collect(windowed.loop.run(request([1, 2, 3, 4, 5, 8], []), never));
    expect(near[0]).toEqual({ type: "prefill", readTokens: 6, cachedTokens: 5 });
  });

  it("puts all streams into one batch, by ascending sequence", async () => {
    const { context, loop } = setUp({ slots: 3 });
    const scripts = [
      [10, 11, 12],
      [20, 21, 22],
      [30, 31, 32],
    ];
    const answers = await Promise.all(
      scripts.map((script, index) => collect(loop.run(request([index + 1, 50 + index], script), never))),
    );
    expect(answers.map(tokensOf)).toEqual(scripts);
    for (const batch of context.batches) {
      const sequences = batch.map((added) => added.sequenceId);
      expect(sequences).toEqual([...sequences].sort((left, right) => left - right));
    }
    expect(context.batches).toHaveLength(4);
    expect(context.batches.at(-1)).toHaveLength(3);
  });

  it("lets running streams go on while a long prompt is read in chunks", async () => {
    const { context, loop } = setUp({ slots: 2 });
    const long = Array.from({ length: 60 }, (_, index) => index + 100);
    const running = collect(loop.run(request([1], [10, 11, 12, 13, 14, 15]), never));
    const reading = collect(loop.run(request(long, [40]), never));
    expect(tokensOf(await running)).toEqual([10, 11, 12, 13, 14, 15]);
    expect(tokensOf(await reading)).toEqual([40]);
    for (const batch of context.batches) {
      expect(batch.reduce((sum, added) => sum + added.tokens.length, 0)).toBeLessThanOrEqual(32);
    }
    expect(context.batches[1]?.map((added) => added.sequenceId)).toEqual([0, 1]);
  });

  it("never lets a running stream stand still while prompts are read, whatever their slots", async () => {
    const { context, loop } = setUp({ slots: 3, contextTokens: 2000 });
    const long = (first: number) => Array.from({ length: 600 }, (_, index) => first + index);
    await loop.warmUp(1);
    context.batches.length = 0;
    const reading = [
      collect(loop.run(request(long(1000), [40]), never)),
      collect(loop.run(request(long(5000), [41]), never)),
    ];
    const script = Array.from({ length: 12 }, (_, index) => 10 + index);
    expect(tokensOf(await collect(loop.run(request([1], script), never)))).toEqual(script);
    for (const batch of context.batches.slice(0, 12)) {
      expect(batch.map(({ sequenceId }) => sequenceId)).toEqual([0, 1, 2]);
      expect(batch[2]?.tokens).toHaveLength(1);
      // The two prompts share one chunk between them.
      expect((batch[0]?.tokens.length ?? 0) + (batch[1]?.tokens.length ?? 0)).toBeLessThanOrEqual(32);
    }
    expect((await Promise.all(reading)).map(tokensOf)).toEqual([[40], [41]]);
  });

  it("decodes nothing for a stream that was left while it waited for its compute turn", async () => {
    const turn = new ComputeTurn();
    const { context, loop } = setUp({ turn });
    const held = deferred<void>();
    const other = turn.take(() => held.promise);
    const leaving = new AbortController();
    const answer = collect(loop.run(request([1, 2, 3], [10]), leaving.signal));
    const outcome = answer.catch((error: unknown) => error);
    leaving.abort();
    held.resolve();
    await other;
    expect(await outcome).toBeInstanceOf(AbandonedError);
    expect(context.batches).toEqual([]);
  });

  it("halves the chunk when reading is slow and doubles it when it is quick", async () => {
    const { context, loop, advance } = setUp({ contextTokens: 600 });
    const prompt = Array.from({ length: 200 }, (_, index) => index);
    await loop.warmUp(1);
    context.batches.length = 0;
    context.elapse = () => advance(5000);
    await collect(loop.run(request(prompt, []), never));
    expect(context.batches.map((batch) => batch[0]?.tokens.length).slice(0, 3)).toEqual([32, 16, 16]);
  });

  it("frees the slot within one pass when the signal fires, and rejects with AbandonedError", async () => {
    const { context, loop } = setUp();
    const leaving = new AbortController();
    const stream = loop.run(request([1], [10, 11, 12, 13, 14]), leaving.signal);
    const seen: number[] = [];
    await expect(
      (async () => {
        for await (const event of stream) {
          if (event.type !== "token") continue;
          seen.push(event.token);
          if (seen.length === 2) leaving.abort();
        }
      })(),
    ).rejects.toBeInstanceOf(AbandonedError);
    await loop.idle();
    expect(context.batches.length).toBeLessThanOrEqual(4);
    expect(tokensOf(await collect(loop.run(request([1, 10, 11], [40]), never)))).toEqual([40]);
  });

  it("holds `return` until the pass under way has ended", async () => {
    const { context, loop } = setUp();
    const stream = loop.run(request([1], [10, 11, 12]), never);
    await stream.next();
    const held = deferred<void>();
    const decoding = deferred<void>();
    context.gate = held.promise;
    context.onDecode = () => decoding.resolve();
    await decoding.promise;
    let returned = false;
    const returning = stream.return().then(() => (returned = true));
    await Promise.resolve();
    expect(returned).toBe(false);
    held.resolve();
    await returning;
    expect(returned).toBe(true);
  });

  it("fails the streams of a failed decode, forgets their cells, and serves the next", async () => {
    const { context, loop } = setUp();
    context.failNext = true;
    await expect(collect(loop.run(request([1, 2], [10]), never))).rejects.toThrow("Eval has failed");
    expect(context.removed).toContain("0:all");
    const events = await collect(loop.run(request([1, 2], [10]), never));
    expect(events[0]).toEqual({ type: "prefill", readTokens: 2, cachedTokens: 0 });
  });

  it("fails a stream whose sampling fails, and only that one", async () => {
    const { loop } = setUp({ slots: 2 });
    const failing: StreamRequest = { ...request([1], []), sample: () => Promise.reject(new Error("no sampler")) };
    const other = collect(loop.run(request([2], [10, 11]), never));
    await expect(collect(loop.run(failing, never))).rejects.toThrow("no sampler");
    expect(tokensOf(await other)).toEqual([10, 11]);
  });

  it("refuses more streams than there are slots", async () => {
    const { loop } = setUp();
    const first = loop.run(request([1], [10, 11]), never);
    await first.next();
    await expect(loop.run(request([2], []), never).next()).rejects.toThrow("no free slot");
    await first.return();
  });
});
