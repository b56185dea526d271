// What enters the next pass of the decode loop: the next token of every stream that decodes, or a chunk of a prompt. Pure;
// imports nothing.
//
// A pass holds one or the other. A context with a KV cache for each sequence would split a mixed batch into two anyway, and
// a chunk of a dozen tokens costs a small model as much as three decode passes. So chunks come rarely enough that hardly a
// token waits for one, and are long enough that a prompt still gets its part of the time.

export interface StreamView {
  /** Tokens that are known and not decoded: one while the stream decodes, more while its prompt is read. */
  readonly pendingTokens: number;
  /** Of the pending tokens, those that may be read now; 0 while it waits for something. */
  readonly readableTokens: number;
  readonly generatedTokens: number;
  /** Grows with the arrival. */
  readonly arrival: number;
}

export interface PassPlannerOptions {
  /** Largest batch, the context's own. */
  readonly batchTokens: number;
  /** What was learned when this model was in memory the last time; null: nothing. */
  readonly chunkTokens: number | null;
}

/** What a chunk may take, so that who comes in the middle of one need not wait longer. */
const chunkTargetMs = 1000;
export const smallestChunkTokens = 16;
/**
 * Decode passes between two chunks while one prompt is read beside streams: at most every twentieth token of a running stream
 * waits for a chunk, so that 95 of 100 come as if nobody read.
 */
const passesBetweenChunks = 21;
/** A stream that has not begun in earnest waits for the prompts that came with it: soon all decode in one batch. */
const establishedTokens = 8;
/** But it gets a token now and then. */
const longestWaitMs = 1000;
/** Beside streams on a slow machine, where so many passes take long, a chunk takes longer too, but not than this. */
const longestChunkMs = 2000;
/** Nor shorter than this beside many quick ones: a chunk of a few tokens costs nearly as much as one of dozens. */
const leastChunkMs = 250;

/** Drafted tokens in one pass, of all streams together: each takes memory for the logits of a whole vocabulary. */
export const mostDrafts = 24;

export class PassPlanner {
  readonly #batchTokens: number;
  #chunkTokens: number;
  #readMsPerToken: number | null = null;
  #decodePasses = passesBetweenChunks;
  #decodeMs = Number.POSITIVE_INFINITY;
  #decodePassMs = 0;
  #lastChunkMs = 0;
  /** Since the last decode pass. */
  #readMs = 0;
  #chunks = 0;

  constructor({ batchTokens, chunkTokens }: PassPlannerOptions) {
    this.#batchTokens = batchTokens;
    this.#chunkTokens = Math.min(chunkTokens ?? smallestChunkTokens, batchTokens);
  }

  get chunkTokens(): number {
    return this.#chunkTokens;
  }

  /** How many pending tokens of each stream enter the next pass; all 0 where every stream waits. */
  plan(streams: readonly StreamView[]): number[] {
    const decoders = streams.filter(({ pendingTokens, readableTokens }) => pendingTokens === 1 && readableTokens === 1);
    const readers = streams.filter(({ pendingTokens, readableTokens }) => pendingTokens > 1 && readableTokens > 0);
    const established = decoders.filter(({ generatedTokens }) => generatedTokens >= establishedTokens).length;
    const isChunkDue =
      decoders.length === 0 ||
      (established === 0 ? this.#readMs < longestWaitMs : this.#isChunkDue(established, readers.length));
    if (readers.length > 0 && isChunkDue) {
      const sizes = this.#shareChunk(readers, this.#chunkSize(established, readers.length));
      return streams.map((stream) => sizes.get(stream) ?? 0);
    }
    return streams.map(({ pendingTokens, readableTokens }) => (pendingTokens === 1 ? readableTokens : 0));
  }

  /** A pass that decoded took so long. */
  decoded(elapsedMs: number): void {
    this.#readMs = 0;
    this.#decodePasses += 1;
    this.#decodeMs += elapsedMs;
    this.#decodePassMs = this.#decodePassMs * 0.9 + elapsedMs * 0.1;
  }

  /**
   * A pass that read so many tokens took so long. Doubles the chunk when a full one was quick, halves it when one was too
   * slow: powers of two, so that on a machine that is fast enough for the largest every prompt is cut at the same places.
   */
  read(tokens: number, elapsedMs: number): void {
    this.#decodePasses = 0;
    this.#decodeMs = 0;
    this.#lastChunkMs = elapsedMs;
    this.#readMs += elapsedMs;
    this.#chunks += 1;
    if (tokens >= smallestChunkTokens) {
      const latest = elapsedMs / tokens;
      this.#readMsPerToken = this.#readMsPerToken === null ? latest : this.#readMsPerToken * 0.7 + latest * 0.3;
    }
    // Beside streams it may have been larger than a chunk alone should be.
    if (tokens > this.#chunkTokens) return;
    if (elapsedMs > chunkTargetMs) this.#chunkTokens = Math.max(smallestChunkTokens, this.#chunkTokens / 2);
    else if (tokens >= this.#chunkTokens && elapsedMs * 2 <= chunkTargetMs && tokens * 2 <= this.#batchTokens)
      this.#chunkTokens *= 2;
  }

  /**
   * One prompt leaves running streams nearly undisturbed. Where more are read, streams get their share of the time by
   * number, and less than that where they are few: passes over few rows are a waste, and soon there are more to decode.
   */
  #isChunkDue(decoders: number, readers: number): boolean {
    const streamsPerReader = decoders / readers;
    return (
      this.#decodePasses >= passesBetweenChunks / readers ** 2 &&
      this.#decodeMs >= this.#lastChunkMs * streamsPerReader * Math.min(1, streamsPerReader)
    );
  }

  #chunkSize(decoders: number, readers: number): number {
    if (decoders === 0 || this.#readMsPerToken === null) return this.#chunkTokens;
    // As long as the streams have between two, for each prompt as for each stream.
    const betweenMs = passesBetweenChunks * this.#decodePassMs;
    const fairMs = Math.max(leastChunkMs, Math.min(longestChunkMs, betweenMs * (readers / decoders)));
    const fairTokens = Math.floor(fairMs / this.#readMsPerToken);
    return Math.min(this.#batchTokens, Math.max(smallestChunkTokens, fairTokens));
  }

  /** In turn the prompt that came first and the shortest rest begin: no prompt waits for ever, and short ones not for long. */
  #shareChunk(readers: readonly StreamView[], chunkTokens: number): Map<StreamView, number> {
    const ordered = [...readers].sort(
      this.#chunks % 2 === 0
        ? (left, right) => left.arrival - right.arrival
        : (left, right) => left.pendingTokens - right.pendingTokens,
    );
    const sizes = new Map<StreamView, number>();
    let room = chunkTokens;
    for (const reader of ordered) {
      const size = Math.min(room, reader.readableTokens);
      if (size === 0) break;
      sizes.set(reader, size);
      room -= size;
    }
    return sizes;
  }
}
