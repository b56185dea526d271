// How texts of several requests are packed into batches, over a reader that computes nothing.
import { describe, expect, it } from "vitest";
import { AbandonedError } from "../../src/core/errors.ts";
import { ComputeTurn } from "../../src/engine/llama/compute-turn.ts";
import { TextQueue } from "../../src/engine/llama/text-queue.ts";
import type { TextPart, TextReader } from "../../src/engine/llama/text-reader.ts";

const never = new AbortController().signal;

/** Its vector is a text's last token and the position of that. A batch ends when the test says so. */
class HeldReader implements TextReader {
  readonly width = 2;
  readonly texts: number;
  readonly batches: (readonly TextPart[])[] = [];
  aborts = 0;
  #settle: ((error?: Error) => void) | null = null;

  constructor(texts = 64) {
    this.texts = texts;
  }

  compute(parts: readonly TextPart[]): Promise<Float32Array> {
    this.batches.push(parts);
    const vectors = parts.flatMap(({ tokens, firstPosition }) => [
      tokens.at(-1) ?? -1,
      firstPosition + tokens.length - 1,
    ]);
    return new Promise((resolve, reject) => {
      this.#settle = (error) => (error === undefined ? resolve(Float32Array.from(vectors)) : reject(error));
    });
  }

  abort(): void {
    this.aborts += 1;
    this.#settle?.(new Error("aborted"));
  }

  close(): void {}

  /** Ends the batch under way and lets the next begin. */
  async end(error?: Error): Promise<void> {
    await settled();
    this.#settle?.(error);
    await settled();
  }

  /** Ends batches until there are no more. */
  async endAll(): Promise<void> {
    for (let seen = -1; seen !== this.batches.length; await this.end()) seen = this.batches.length;
  }

  get lengths(): number[][] {
    return this.batches.map((parts) => parts.map(({ tokens }) => tokens.length));
  }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function queueOver(reader: TextReader, batchTokens = 512): TextQueue {
  return new TextQueue({ reader, turn: new ComputeTurn(), batchTokens });
}

const text = (token: number, length: number): number[] => Array.from({ length }, () => token);

describe("a text queue", () => {
  it("packs texts up to 256 tokens into a batch, and gives each its own vector", async () => {
    const reader = new HeldReader();
    const answer = queueOver(reader).compute(
      [text(1, 100), text(2, 100), text(3, 100), text(4, 300), text(5, 1)],
      never,
    );
    await reader.endAll();
    expect(reader.lengths).toEqual([[100, 100], [100], [300], [1]]);
    expect((await answer).map((vector) => [...vector])).toEqual([
      [1, 99],
      [2, 99],
      [3, 99],
      [4, 299],
      [5, 0],
    ]);
  });

  it("puts no more texts into a batch than the reader takes", async () => {
    const reader = new HeldReader(1);
    const answer = queueOver(reader).compute([text(1, 1), text(2, 1)], never);
    await reader.endAll();
    expect(reader.lengths).toEqual([[1], [1]]);
    expect(await answer).toHaveLength(2);
  });

  it("reads a text that is longer than a batch in parts, alone", async () => {
    const reader = new HeldReader();
    const queue = queueOver(reader, 512);
    const long = queue.compute([[...text(7, 1024), 8]], never);
    const short = queue.compute([text(1, 5)], never);
    await reader.endAll();
    expect(
      reader.batches.map((parts) => parts.map(({ firstPosition, tokens }) => [firstPosition, tokens.length])),
    ).toEqual([[[0, 512]], [[512, 512]], [[1024, 1]], [[0, 5]]]);
    expect([...((await long)[0] ?? [])]).toEqual([8, 1024]);
    expect([...((await short)[0] ?? [])]).toEqual([1, 4]);
  });

  it("gives every request its share of a batch, and each the first place in turn", async () => {
    const reader = new HeldReader();
    const queue = queueOver(reader);
    const many = queue.compute(
      Array.from({ length: 6 }, () => text(1, 100)),
      never,
    );
    const [few, wide] = [queue.compute([text(2, 100)], never), queue.compute([text(3, 250)], never)];
    await reader.endAll();
    const tokens = reader.batches.map((parts) => parts.map((part) => part.tokens[0]));
    expect(tokens).toEqual([[1, 2], [3], [1, 1], [1, 1], [1]]);
    expect([await many, await few, await wide].map(({ length }) => length)).toEqual([6, 1, 1]);
  });

  it("fails those whose batch failed, and goes on", async () => {
    const reader = new HeldReader();
    const queue = queueOver(reader);
    const failing = queue.compute([text(1, 200), text(2, 200)], never);
    const good = queue.compute([text(3, 200)], never);
    const failure = failing.catch((error: unknown) => error);
    await reader.end(new Error("out of order"));
    await reader.endAll();
    expect(await failure).toMatchObject({ message: "out of order" });
    expect(await good).toHaveLength(1);
    expect(reader.batches.flat().map(({ tokens }) => tokens[0])).toEqual([1, 3]);
  });

  it("breaks a batch off where all in it have left, and reads nothing more of theirs", async () => {
    const reader = new HeldReader();
    const leaving = new AbortController();
    const left = queueOver(reader).compute([text(1, 200), text(2, 200)], leaving.signal);
    const failure = left.catch((error: unknown) => error);
    await settled();
    leaving.abort();
    expect(await failure).toBeInstanceOf(AbandonedError);
    expect(reader.aborts).toBe(1);
    await reader.endAll();
    expect(reader.batches).toHaveLength(1);
  });

  it("lets a batch end where somebody else waits for it, and the leaver with it", async () => {
    const reader = new HeldReader();
    const queue = queueOver(reader);
    const leaving = new AbortController();
    const first = queue.compute([text(1, 200)], never);
    const left = queue.compute([text(2, 10), text(2, 250)], leaving.signal);
    const stayed = queue.compute([text(3, 10)], never);
    let hasEnded = false;
    const failure = left.finally(() => (hasEnded = true)).catch((error: unknown) => error);
    await settled();
    leaving.abort();
    await settled();
    expect(hasEnded).toBe(false);
    await reader.endAll();
    expect(await failure).toBeInstanceOf(AbandonedError);
    expect(reader.aborts).toBe(0);
    expect([await first, await stayed].map(({ length }) => length)).toEqual([1, 1]);
    expect(reader.batches.flat().map(({ tokens }) => tokens.length)).not.toContain(250);
  });

  it("lets go at once who is in no batch, between the parts of a text too", async () => {
    const reader = new HeldReader();
    const queue = queueOver(reader, 100);
    const leaving = new AbortController();
    const first = queue.compute([text(1, 150)], never);
    const left = queue.compute([text(2, 10)], leaving.signal);
    const failure = left.catch((error: unknown) => error);
    await settled();
    leaving.abort();
    expect(await failure).toBeInstanceOf(AbandonedError);
    await reader.endAll();
    expect(await first).toHaveLength(1);
    expect(reader.lengths).toEqual([[100], [50]]);
  });

  it("computes nothing for no texts, nor for a signal that has fired", async () => {
    const reader = new HeldReader();
    expect(await queueOver(reader).compute([], never)).toEqual([]);
    await expect(queueOver(reader).compute([[1]], AbortSignal.abort())).rejects.toBeInstanceOf(AbandonedError);
    expect(reader.batches).toEqual([]);
  });
});
