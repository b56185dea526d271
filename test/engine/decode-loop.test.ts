// The decode loop over a scripted decoder: what is put into each batch, what is kept in the KV cache, who is freed
// when. No model, no time.
import { describe, expect, it } from "vitest";
import { deferred } from "../../src/core/deferred.ts";
import { AbandonedError } from "../../src/core/errors.ts";
import { ComputeTurn } from "../../src/engine/llama/compute-turn.ts";
import {
  DecodeLoop,
  type LearnedCosts,
  type StreamEvent,
  type StreamRequest,
} from "../../src/engine/llama/decode-loop.ts";
import type {
  ChosenTokens,
  Decoder,
  PassOptions,
  PassStream,
  SequenceStates,
  StreamSampler,
} from "../../src/engine/llama/decoder.ts";
import type { ThreadCounts } from "../../src/engine/engine.ts";
import { PromptCache } from "../../src/engine/prompt-cache/prompt-cache.ts";
import { silentLogger } from "../../src/core/log.ts";
import { ManualClock } from "../support/manual-clock.ts";

interface Added {
  readonly sequenceId: number;
  readonly position: number;
  readonly tokens: readonly number[];
  readonly drafts: number;
  readonly wantsLogits: boolean;
}

/** Chooses the scripted tokens one after the other, then the end token. */
class ScriptedSampler implements StreamSampler {
  readonly #script: readonly number[];
  #next = 0;

  constructor(script: readonly number[]) {
    this.#script = script;
  }

  choose(): number {
    return this.#script[this.#next++] ?? endToken;
  }

  dispose(): void {}
}

/** Keeps the tokens of each sequence as a KV cache would, and refuses what would leave a hole. */
class ScriptedDecoder implements Decoder {
  readonly takesDrafts: boolean;
  readonly choosesThreads = true;
  readonly states: { -readonly [Key in keyof SequenceStates]: SequenceStates[Key] } | null;
  readonly batches: Added[][] = [];
  /** Of each batch. */
  readonly threads: number[] = [];
  readonly removed: string[] = [];
  readonly copies: string[] = [];
  readonly cells = new Map<number, number[]>();
  failNext = false;
  minPosition = 0;
  canRemove = true;
  /** Each decode waits for this before it is done. */
  gate: Promise<void> = Promise.resolve();
  onDecode: () => void = () => {};
  elapse: (tokens: number) => void = () => {};
  onAbort: () => void = () => {};

  constructor({ takesDrafts = false, hasStates = false } = {}) {
    this.takesDrafts = takesDrafts;
    this.states = hasStates
      ? {
          copy: async (from, to, tokens) => {
            this.copies.push(`${from}>${to}:${tokens}`);
            this.cells.set(to, (this.cells.get(from) ?? []).slice(0, tokens));
          },
          bytes: (sequenceId) => 4 * (this.cells.get(sequenceId) ?? []).length,
          save: async (sequenceId, into) => {
            const view = new Int32Array(into.buffer, into.byteOffset, into.byteLength / 4);
            view.set(this.cells.get(sequenceId) ?? []);
          },
          load: async (sequenceId, state) => {
            const view = new Int32Array(state.buffer, state.byteOffset, state.byteLength / 4);
            this.cells.set(sequenceId, [...view]);
          },
        }
      : null;
  }

  createSampler(): StreamSampler {
    throw new Error("the requests of these tests bring their own");
  }
  async decode(streams: readonly PassStream[], { threads }: PassOptions): Promise<ChosenTokens[]> {
    this.threads.push(threads);
    this.batches.push(
      streams.map(({ sequenceId, firstPosition, tokens, drafts, sampler }) => ({
        sequenceId,
        position: firstPosition,
        tokens,
        drafts,
        wantsLogits: sampler !== null,
      })),
    );
    this.onDecode();
    this.elapse(streams.reduce((sum, { tokens }) => sum + tokens.length, 0));
    await this.gate;
    if (this.failNext) {
      this.failNext = false;
      throw new Error("Eval has failed");
    }
    return streams.map((stream) => ({ tokens: this.#decodeStream(stream), logprobs: null, failure: null }));
  }
  #decodeStream({ sequenceId, firstPosition, tokens, drafts, sampler }: PassStream): number[] {
    const cells = this.cells.get(sequenceId) ?? [];
    if (cells.length !== firstPosition) throw new Error(`position ${firstPosition} after ${cells.length} cells`);
    const known = tokens.length - drafts;
    cells.push(...tokens.slice(0, known));
    this.cells.set(sequenceId, cells);
    if (!(sampler instanceof ScriptedSampler)) return [];
    const chosen: number[] = [];
    for (const draft of [...tokens.slice(known), undefined]) {
      const token = sampler.choose();
      chosen.push(token);
      if (token !== draft || token === endToken) break;
      cells.push(token);
    }
    return chosen;
  }
  abort(): void {
    this.onAbort();
  }
  forget(sequenceId: number, start: number): boolean {
    this.removed.push(`${sequenceId}:${start}`);
    if (this.canRemove) this.cells.set(sequenceId, (this.cells.get(sequenceId) ?? []).slice(0, start));
    return this.canRemove;
  }
  forgetAll(sequenceId: number): void {
    this.removed.push(`${sequenceId}:all`);
    this.cells.delete(sequenceId);
  }
  firstPosition(): number {
    return this.minPosition;
  }
  close(): void {}
}

const endToken = 99;

interface SetUpOptions {
  readonly slots?: number;
  readonly contextTokens?: number;
  readonly batchTokens?: number;
  readonly slidingWindowTokens?: number;
  readonly turn?: ComputeTurn;
  readonly takesDrafts?: boolean;
  readonly hasStates?: boolean;
  readonly hasSpareCore?: boolean;
  readonly promptCache?: PromptCache;
  readonly learned?: LearnedCosts;
  readonly threads?: ThreadCounts;
}

function setUp(options: SetUpOptions = {}) {
  const context = new ScriptedDecoder(options);
  let nowMs = 0;
  // Ten thousand tokens a second: the largest chunk is always quick enough.
  context.elapse = (tokens) => (nowMs += tokens / 10);
  const loop = new DecodeLoop({
    decoder: context,
    slots: options.slots ?? 1,
    contextTokens: options.contextTokens ?? 64,
    batchTokens: options.batchTokens ?? 32,
    slidingWindowTokens: options.slidingWindowTokens ?? null,
    threads: options.threads ?? { decode: 1, prefill: 1 },
    hasSpareCore: options.hasSpareCore ?? false,
    promptCache: options.promptCache === undefined ? null : { cache: options.promptCache, modelKey: "model" },
    learned: options.learned ?? null,
    turn: options.turn ?? new ComputeTurn(),
    nowMs: () => nowMs,
  });
  return { context, loop, advance: (ms: number) => (nowMs += ms) };
}

function request(promptTokens: number[], script: number[], maxTokens = 1000): StreamRequest {
  return {
    promptTokens,
    maxTokens,
    sampler: new ScriptedSampler(script),
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

  it("reads prompts with one number of threads and decodes with another", async () => {
    const { context, loop } = setUp({ threads: { decode: 2, prefill: 5 } });
    await loop.warmUp(1);
    expect(new Set(context.threads)).toEqual(new Set([5]));
    context.threads.length = 0;
    await collect(loop.run(request([1, 2, 3], [10, 11]), never));
    expect(context.threads).toEqual([5, 2, 2]);
  });

  it("measures in a free slot that is empty, whatever it held, and never in one that is in use", async () => {
    const { context, loop } = setUp();
    await collect(loop.run(request([1, 2, 3], [10]), never));
    const cells = await loop.withFreeSequence(async (sequenceId) => {
      const before = [...(context.cells.get(sequenceId) ?? [])];
      context.cells.set(sequenceId, [7, 7]);
      await expect(loop.withFreeSequence(async () => {})).rejects.toThrow("no free slot");
      return before;
    });
    expect(cells).toEqual([]);
    await expect(loop.withFreeSequence(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    const events = await collect(loop.run(request([1, 2, 3], [10]), never));
    expect(events[0]).toMatchObject({ cachedTokens: 0 });
    expect(tokensOf(events)).toEqual([10]);
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

  it("reads a long prompt in chunks between the passes of running streams, never in one with them", async () => {
    const { context, loop } = setUp({ slots: 2, contextTokens: 200 });
    const long = Array.from({ length: 100 }, (_, index) => index + 100);
    const script = Array.from({ length: 60 }, (_, index) => 10 + index);
    const running = loop.run(request([1], script), never);
    const first: number[] = [];
    while (first.length < 10) first.push(...tokensOf([(await running.next()).value as StreamEvent]));
    const reading = collect(loop.run(request(long, [40]), never));
    expect([...first, ...tokensOf(await collect(running))]).toEqual(script);
    expect(tokensOf(await reading)).toEqual([40]);
    const reads = context.batches.flatMap((batch, index) =>
      batch.some(({ tokens }) => tokens.length > 1) ? [index] : [],
    );
    for (const index of reads) expect(context.batches[index]).toHaveLength(1);
    // Twenty tokens and more come undisturbed between two chunks.
    const gaps = reads.slice(1).map((index, at) => index - (reads[at] ?? 0) - 1);
    expect(gaps.length).toBeGreaterThanOrEqual(2);
    expect(Math.min(...gaps.slice(0, 2))).toBeGreaterThanOrEqual(20);
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

  it("breaks a pass off when everybody in it has left, and keeps what was read before it", async () => {
    const { context, loop } = setUp({ contextTokens: 200 });
    const prompt = Array.from({ length: 100 }, (_, index) => index + 100);
    await loop.warmUp(1);
    const leaving = new AbortController();
    const broken = deferred<void>();
    context.onAbort = () => broken.reject(new Error("aborted"));
    const answer = collect(loop.run(request(prompt, [10]), leaving.signal)).catch((error: unknown) => error);
    let passes = 0;
    context.onDecode = () => {
      passes += 1;
      if (passes !== 2) return;
      context.gate = broken.promise;
      leaving.abort();
    };
    expect(await answer).toBeInstanceOf(AbandonedError);
    context.gate = Promise.resolve();
    const again = await collect(loop.run(request(prompt, [10]), never));
    expect(again[0]).toMatchObject({ type: "prefill", cachedTokens: 32 });
    expect(tokensOf(again)).toEqual([10]);
  });

  it("does not break a pass off while somebody in it stays", async () => {
    const { context, loop } = setUp({ slots: 2 });
    let aborts = 0;
    context.onAbort = () => (aborts += 1);
    const leaving = new AbortController();
    const left = collect(loop.run(request([1], [10, 11, 12]), leaving.signal)).catch((error: unknown) => error);
    const staying = collect(loop.run(request([2], [20, 21, 22]), never));
    context.onDecode = () => leaving.abort();
    expect(await left).toBeInstanceOf(AbandonedError);
    expect(tokensOf(await staying)).toEqual([20, 21, 22]);
    expect(aborts).toBe(0);
  });

  it("refuses more streams than there are slots", async () => {
    const { loop } = setUp();
    const first = loop.run(request([1], [10, 11]), never);
    await first.next();
    await expect(loop.run(request([2], []), never).next()).rejects.toThrow("no free slot");
    await first.return();
  });

  describe("drafts", () => {
    const costs: LearnedCosts = {
      chunkTokens: 32,
      passes: [1, 2, 4, 8, 16].map((rows) => ({ rows, ms: 10 })),
    };
    const phrase = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

    it("decodes what the text repeats many tokens at a time, and gives the same tokens", async () => {
      const prompt = [...phrase, 50, 1, 2, 3];
      const script = [...phrase.slice(3), 51, 52];
      const plain = setUp({ contextTokens: 200, learned: costs });
      const drafting = setUp({ contextTokens: 200, learned: costs, takesDrafts: true });
      const expected = await collect(plain.loop.run(request(prompt, script), never));
      const events = await collect(drafting.loop.run(request(prompt, script), never));
      expect(tokensOf(events)).toEqual(tokensOf(expected));
      expect(events.at(-1)).toEqual({ type: "end", reason: "stop" });
      expect(drafting.context.batches.some((batch) => (batch[0]?.drafts ?? 0) > 2)).toBe(true);
      expect(drafting.context.batches.length).toBeLessThan(plain.context.batches.length - 5);
    });

    it("counts wrong drafts as nothing: the next prompt finds just the text in the cache", async () => {
      const prompt = [...phrase, 50, 1, 2, 3, 4, 5, 6];
      const { context, loop } = setUp({ contextTokens: 200, learned: costs, takesDrafts: true });
      const script = [7, 8, 60, 61, 62];
      await collect(loop.run(request(prompt, script), never));
      expect(context.batches.some((batch) => (batch[0]?.drafts ?? 0) > 0)).toBe(true);
      const next = [...prompt, ...script, 70];
      const events = await collect(loop.run(request(next, [71]), never));
      expect(events[0]).toMatchObject({ type: "prefill", cachedTokens: prompt.length + script.length });
    });

    it("never drafts beyond max_tokens or the context", async () => {
      const prompt = [...phrase, 50, 1, 2, 3];
      for (const [maxTokens, contextTokens] of [
        [3, 200],
        [100, prompt.length + 3],
      ] as const) {
        const { context, loop } = setUp({ contextTokens, learned: costs, takesDrafts: true });
        const events = await collect(loop.run(request(prompt, phrase.slice(3), maxTokens), never));
        expect(tokensOf(events)).toEqual([4, 5, 6]);
        expect(events.at(-1)).toEqual({ type: "end", reason: "length" });
        expect(context.cells.get(0)?.length).toBeLessThanOrEqual(contextTokens);
      }
    });
  });

  describe("streams that are no neighbours", () => {
    /** Three streams of which the middle one ends at once; the others go on in the sequences 0 and 2. */
    async function apart(passMs: number) {
      const world = setUp({ slots: 3, hasStates: true });
      world.context.elapse = () => world.advance(passMs);
      const long = Array.from({ length: 8 }, (_, index) => index + 20);
      const answers = await Promise.all(
        [long, [10], long].map((script, index) => collect(world.loop.run(request([index + 1, 50], script), never))),
      );
      expect(answers.map(tokensOf)).toEqual([long, [10], long]);
      const together = world.context.batches.map((batch) => batch.map(({ sequenceId }) => sequenceId).join());
      return { ...world, together };
    }

    it("are brought together once they have lost by it what the move costs, with what they hold", async () => {
      const { context, loop, together } = await apart(10);
      expect([...new Set(together)]).toEqual(["0,1,2", "0,2", "0,1"]);
      expect(together.filter((ids) => ids === "0,2")).toHaveLength(1);
      expect(context.cells.get(1)?.slice(0, 3)).toEqual([3, 50, 20]);
      // What was in the free one moved too: whoever comes back to it finds it.
      expect(context.cells.get(2)?.slice(0, 3)).toEqual([2, 50, 10]);
      const [first] = await collect(loop.run(request([2, 50, 10, 7], []), never));
      expect(first).toMatchObject({ cachedTokens: 3 });
    });

    it("stay where they are while that is not so", async () => {
      expect((await apart(0)).together).not.toContain("0,1");
    });

    it("read again what a move has lost, and answer the same", async () => {
      const { context, loop, advance } = setUp({ slots: 3, hasStates: true });
      context.elapse = () => advance(10);
      if (context.states === null) throw new Error("this decoder has states");
      context.states.load = () => Promise.reject(new Error("refused"));
      const long = Array.from({ length: 8 }, (_, index) => index + 20);
      const answers = await Promise.all(
        [long, [10], long].map((script, index) => collect(loop.run(request([index + 1, 50], script), never))),
      );
      expect(answers.map(tokensOf)).toEqual([long, [10], long]);
    });
  });

  describe("what several prompts share", () => {
    const shared = Array.from({ length: 100 }, (_, index) => index + 100);

    it("is read once: those that came later wait for it, copy it, and read only their own rest", async () => {
      const { context, loop } = setUp({ slots: 4, contextTokens: 400, hasStates: true });
      const answers = await Promise.all(
        [1, 2, 3, 4].map((own) => collect(loop.run(request([...shared, own, own + 10], [own + 20]), never))),
      );
      expect(answers.map(tokensOf)).toEqual([[21], [22], [23], [24]]);
      const read = context.batches.flat().reduce((sum, { tokens }) => sum + tokens.length, 0);
      expect(read).toBe(shared.length + 4 * 3);
      expect(context.copies).toHaveLength(3);
      expect(answers.map(([first]) => first?.type === "prefill" && first.cachedTokens)).toEqual([0, 100, 100, 100]);
    });

    it("is not waited for when the one who reads it leaves", async () => {
      const { context, loop } = setUp({ slots: 2, contextTokens: 400, hasStates: true });
      const leaving = new AbortController();
      context.onDecode = () => leaving.abort();
      const left = collect(loop.run(request([...shared, 1], [10]), leaving.signal)).catch((error: unknown) => error);
      const staying = collect(loop.run(request([...shared, 2], [20]), never));
      expect(await left).toBeInstanceOf(AbandonedError);
      expect(tokensOf(await staying)).toEqual([20]);
    });

    it("is read up to where they part under a sliding window, whose cells are those of the end alone", async () => {
      const { context, loop } = setUp({ slots: 2, contextTokens: 400, hasStates: true, slidingWindowTokens: 16 });
      const answers = await Promise.all(
        [1, 2].map((own) => {
          const rest = Array.from({ length: 50 }, (_, index) => own * 1000 + index);
          return collect(loop.run(request([...shared, ...rest], [own + 20]), never));
        }),
      );
      expect(answers.map(tokensOf)).toEqual([[21], [22]]);
      expect(context.copies).toEqual(["0>1:100"]);
    });
  });

  it("is not waited for, under a sliding window, once it has read beyond what is shared", async () => {
    const { context, loop } = setUp({ slots: 2, contextTokens: 4000, hasStates: true, slidingWindowTokens: 16 });
    const shared = Array.from({ length: 40 }, (_, index) => index + 100);
    const rest = Array.from({ length: 2000 }, (_, index) => index + 1000);
    const long = loop.run(request([...shared, ...rest], [10]), never);
    await long.next();
    await long.next();
    await long.next();
    const before = context.batches.length;
    const short = await collect(loop.run(request([...shared, 1, 2], [20]), never));
    expect(tokensOf(short)).toEqual([20]);
    const isRead = (batch: Added[]) => batch.some(({ sequenceId, wantsLogits }) => sequenceId === 1 && wantsLogits);
    expect(context.batches.slice(before).findIndex(isRead)).toBeLessThan(6);
    await long.return();
  });

  it("shares even whole prompts that are the same, under a sliding window", async () => {
    const { context, loop } = setUp({ slots: 3, contextTokens: 400, hasStates: true, slidingWindowTokens: 16 });
    const prompt = Array.from({ length: 100 }, (_, index) => index + 100);
    const answers = await Promise.all([1, 2, 3].map((own) => collect(loop.run(request(prompt, [own + 20]), never))));
    expect(answers.map(tokensOf)).toEqual([[21], [22], [23]]);
    const read = context.batches.flat().reduce((sum, { tokens }) => sum + tokens.length, 0);
    expect(read).toBeLessThan(120);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])("serves who comes %i turns after the only other one has left", async (turns) => {
    const { loop } = setUp({ slots: 2, contextTokens: 400 });
    const leaving = new AbortController();
    const left = collect(loop.run(request([1, 2, 3], [10, 11, 12]), leaving.signal)).catch((error: unknown) => error);
    leaving.abort();
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    expect(tokensOf(await collect(loop.run(request([4, 5], [20]), never)))).toEqual([20]);
    await left;
  });

  it("ends everybody's stream when the decoder fails and cannot even forget", async () => {
    const { context, loop } = setUp({ slots: 2 });
    context.failNext = true;
    context.forgetAll = () => {
      throw new Error("cannot forget");
    };
    const outcomes = await Promise.allSettled([1, 2].map((own) => collect(loop.run(request([own], [10]), never))));
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });

  it("takes nothing from a long sequence for the sake of its beginning", async () => {
    const { context, loop } = setUp({ slots: 2, contextTokens: 4000, hasStates: true });
    const shared = Array.from({ length: 50 }, (_, index) => index + 100);
    const rest = Array.from({ length: 1000 }, (_, index) => index + 1000);
    const long = loop.run(
      request(
        [...shared, ...rest],
        Array.from({ length: 50 }, () => 10),
      ),
      never,
    );
    while ((await long.next()).value?.type !== "token");
    await collect(loop.run(request([...shared, 1, 2], [20]), never));
    expect(context.copies).toEqual([]);
    await long.return();
  });

  describe("with a prompt cache", () => {
    const talk = (first: number) => Array.from({ length: 80 }, (_, index) => first + index);
    const openCache = () =>
      PromptCache.open({
        ramBytes: 2 ** 20,
        diskBytes: 0,
        maxAgeMs: 1e9,
        folder: null,
        allocate: (sizeBytes) => ({ bytes: new Uint8Array(sizeBytes), free: () => {} }),
        clock: new ManualClock(),
        log: silentLogger,
      });

    it("keeps a conversation that loses its slot, and brings it back when it returns", async () => {
      const promptCache = await openCache();
      const { context, loop } = setUp({ contextTokens: 400, hasStates: true, promptCache });
      await collect(loop.run(request(talk(1000), [10, 11]), never));
      await collect(loop.run(request(talk(2000), [20]), never));
      context.batches.length = 0;
      const events = await collect(loop.run(request([...talk(1000), 10, 30, 31], [40]), never));
      expect(events[0]).toMatchObject({ type: "prefill", cachedTokens: 81 });
      expect(tokensOf(events)).toEqual([40]);
      expect(context.batches.flat().reduce((sum, { tokens }) => sum + tokens.length, 0)).toBe(3);
    });

    it("keeps what is in the slots when the model goes, for the next time that it is loaded", async () => {
      const promptCache = await openCache();
      const before = setUp({ contextTokens: 400, hasStates: true, promptCache });
      await collect(before.loop.run(request(talk(1000), [10, 11]), never));
      await before.loop.close();
      const after = setUp({ contextTokens: 400, hasStates: true, promptCache });
      const events = await collect(after.loop.run(request([...talk(1000), 10, 11, 12], [40]), never));
      expect(events[0]).toMatchObject({ type: "prefill", cachedTokens: 82 });
    });

    it("leaves alone what the slot holds anyway, and does not copy for the sake of a few tokens", async () => {
      const promptCache = await openCache();
      const { context, loop } = setUp({ contextTokens: 400, hasStates: true, promptCache });
      await collect(loop.run(request(talk(1000), [10]), never));
      await collect(loop.run(request([...talk(1000), 10, 11], [12]), never));
      await collect(loop.run(request([...talk(1000), 13], [14]), never));
      expect(promptCache.status()).toMatchObject({ entries: 0, hits: 0 });
      expect(context.removed.filter((entry) => entry.endsWith("all"))).toEqual([]);
    });

    it("reads the prompt where a state is refused", async () => {
      const promptCache = await openCache();
      const { context, loop } = setUp({ contextTokens: 400, hasStates: true, promptCache });
      await collect(loop.run(request(talk(1000), [10]), never));
      await collect(loop.run(request(talk(2000), [20]), never));
      (context.states as { load: unknown }).load = () => Promise.reject(new Error("refused"));
      const events = await collect(loop.run(request([...talk(1000), 10], [40]), never));
      expect(events.at(-1)).toEqual({ type: "end", reason: "stop" });
      expect(tokensOf(events)).toEqual([40]);
      expect(context.cells.get(0)?.slice(0, 80)).toEqual(talk(1000));
    });
  });
});
