// The loop that keeps one context's sequences in step: each pass adds a token of every decoding stream and the next chunk
// of every prompt to one batch, in ascending order of sequence (llama.cpp splits a batch that is not), decodes it, samples.
// May import bindings.ts, slot-choice.ts, compute-turn.ts (types) and core/.
import { AbandonedError } from "../../core/errors.ts";
import type { Token } from "../engine.ts";
import type { NativeContext } from "./bindings.ts";
import type { ComputeTurn } from "./compute-turn.ts";
import { chooseSlot, commonPrefixLength } from "./slot-choice.ts";

export interface DecodeLoopOptions {
  readonly context: NativeContext;
  readonly slots: number;
  /** Tokens that fit in one slot. */
  readonly contextTokens: number;
  /** Largest batch, the context's own. */
  readonly batchTokens: number;
  /** Positions that a sliding-window layer attends to; null where every layer sees all. */
  readonly slidingWindowTokens: number | null;
  readonly turn: ComputeTurn;
  readonly nowMs: () => number;
}

export interface StreamRequest {
  /** At least one token, fewer than `contextTokens`. */
  readonly promptTokens: readonly Token[];
  /** At least 1. */
  readonly maxTokens: number;
  /** Draws the next token from a row of the decoded batch; `tokens` is all that came before it. */
  sample(batchRow: number, tokens: readonly Token[]): Promise<Token>;
  isEndOfGeneration(token: Token): boolean;
}

export type StreamEvent =
  | { readonly type: "prefill"; readonly readTokens: number; readonly cachedTokens: number }
  | { readonly type: "token"; readonly token: Token }
  | { readonly type: "end"; readonly reason: "stop" | "length" };

interface Slot {
  readonly sequenceId: number;
  busy: boolean;
  lastUse: number;
  cachedTokens: Token[];
}

interface Stream {
  readonly request: StreamRequest;
  readonly slot: Slot;
  /** Prompt and generated tokens; those beyond `slot.cachedTokens.length` are still to be decoded. */
  readonly tokens: Token[];
  readonly reusedTokens: number;
  generatedTokens: number;
  cancelled: boolean;
  /** The row of the current batch whose logits choose the next token. */
  batchRow: number | null;
  readonly events: StreamEvent[];
  failure: { readonly error: unknown } | null;
  ended: boolean;
  wake: () => void;
}

/** What a prompt chunk may take, so that a client that leaves frees its slot within a second even on a busy machine. */
const chunkTargetMs = 500;
const smallestChunkTokens = 16;

export class DecodeLoop {
  readonly #options: DecodeLoopOptions;
  readonly #slots: Slot[];
  readonly #streams = new Set<Stream>();
  #running: Promise<void> = Promise.resolve();
  #isRunning = false;
  #uses = 0;
  #chunkTokens = smallestChunkTokens;

  constructor(options: DecodeLoopOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.slots }, (_, sequenceId) => ({
      sequenceId,
      busy: false,
      lastUse: 0,
      cachedTokens: [],
    }));
  }

  /**
   * Learns how long a prompt chunk may be on this machine, and makes the weights resident on the way (they are mapped, not
   * read, until they are used): decodes chunks of doubling size until one takes half of what a chunk may take.
   */
  async warmUp(token: Token): Promise<void> {
    const { context, contextTokens, nowMs } = this.#options;
    const round = async (tokens: number) => {
      const startMs = nowMs();
      context.initBatch(tokens);
      context.addToBatch(0, 0, new Uint32Array(tokens).fill(token), Uint32Array.of(tokens - 1));
      await context.decodeBatch();
      context.disposeSequence(0);
      return nowMs() - startMs;
    };
    await this.#options.turn.take(() => round(1));
    for (let tokens = 0; tokens !== this.#chunkTokens && this.#chunkTokens < contextTokens;) {
      tokens = this.#chunkTokens;
      await this.#options.turn.take(async () => this.#fitChunk(tokens, await round(tokens)));
    }
  }

  /** Ends within a pass of the loop when the signal fires (AbandonedError) or when the iterator is returned. */
  async *run(request: StreamRequest, signal: AbortSignal): AsyncGenerator<StreamEvent, void, void> {
    if (signal.aborted) throw new AbandonedError();
    const stream = this.#open(request);
    const onAbort = () => {
      stream.cancelled = true;
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (true) {
        const event = stream.events.shift();
        if (event !== undefined) {
          yield event;
          continue;
        }
        if (stream.failure !== null) throw stream.failure.error;
        if (stream.ended) {
          if (signal.aborted) throw new AbandonedError();
          return;
        }
        await new Promise<void>((resolve) => (stream.wake = resolve));
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      stream.cancelled = true;
      // The slot is free only when the loop has let go of it: until then its cells may still be written.
      while (!stream.ended) await new Promise<void>((resolve) => (stream.wake = resolve));
    }
  }

  /** Resolves when no pass is under way; call only when no stream is left. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #open(request: StreamRequest): Stream {
    const slot = this.#slots[chooseSlot(this.#slots, request.promptTokens)];
    if (slot === undefined) throw new Error("no free slot: more requests than slots were let through");
    slot.busy = true;
    slot.lastUse = ++this.#uses;
    const stream: Stream = {
      request,
      slot,
      tokens: [...request.promptTokens],
      reusedTokens: this.#keepPrefix(slot, request.promptTokens),
      generatedTokens: 0,
      cancelled: false,
      batchRow: null,
      events: [],
      failure: null,
      ended: false,
      wake: () => {},
    };
    this.#streams.add(stream);
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#running = this.#loop();
    }
    return stream;
  }

  /** Forgets what the slot holds beyond the prompt's prefix; returns how many tokens of the prompt stay. */
  #keepPrefix(slot: Slot, prompt: readonly Token[]): number {
    const { context, slidingWindowTokens } = this.#options;
    // The last prompt token is decoded again in any case: its logits choose the first token of the answer.
    const prefix = Math.min(commonPrefixLength(slot.cachedTokens, prompt), prompt.length - 1);
    if (prefix < slot.cachedTokens.length) {
      const removed = prefix > 0 && context.removeTokenCellsFromSequence(slot.sequenceId, prefix, -1);
      // Going back behind what a sliding window has dropped would compute with a hole: start afresh instead.
      const firstPosition = removed ? context.getSequenceKvCacheMinPosition(slot.sequenceId) : -1;
      const needsFrom = slidingWindowTokens === null ? 0 : Math.max(0, prefix - slidingWindowTokens);
      if (!removed || firstPosition < 0 || firstPosition > needsFrom) {
        context.disposeSequence(slot.sequenceId);
        slot.cachedTokens = [];
        return 0;
      }
      slot.cachedTokens.length = prefix;
    }
    return prefix;
  }

  async #loop(): Promise<void> {
    try {
      // Streams that are opened in the same tick start in the same batch.
      await Promise.resolve();
      while (this.#streams.size > 0) {
        let batch: Stream[] = [];
        try {
          await this.#options.turn.take(async () => {
            // Who left while this loop waited for its turn is dropped before anything is decoded for him.
            for (const stream of this.#streams) if (stream.cancelled) this.#close(stream);
            batch = [...this.#streams].sort((left, right) => left.slot.sequenceId - right.slot.sequenceId);
            if (batch.length > 0) await this.#pass(batch);
          });
        } catch (error) {
          // After a failed decode nothing is known of these sequences' cells.
          for (const stream of batch) {
            stream.failure = { error };
            this.#options.context.disposeSequence(stream.slot.sequenceId);
            stream.slot.cachedTokens = [];
            this.#close(stream);
          }
        }
        // Timers, sockets and abort signals get their turn between passes even when every await above was already settled.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    } finally {
      this.#isRunning = false;
    }
  }

  async #pass(streams: readonly Stream[]): Promise<void> {
    const { context, nowMs } = this.#options;
    const chunks = this.#share(streams);
    const total = chunks.reduce((sum, size) => sum + size, 0);
    context.initBatch(total);
    streams.forEach((stream, index) => {
      const size = chunks[index] ?? 0;
      stream.batchRow = null;
      if (size === 0) return;
      const start = stream.slot.cachedTokens.length;
      const reachesEnd = start + size === stream.tokens.length;
      const rows = context.addToBatch(
        stream.slot.sequenceId,
        start,
        Uint32Array.from(stream.tokens.slice(start, start + size)),
        reachesEnd ? Uint32Array.of(size - 1) : new Uint32Array(0),
      );
      stream.batchRow = rows[0] ?? null;
    });
    const startMs = nowMs();
    await context.decodeBatch();
    this.#fitChunk(total, nowMs() - startMs);
    streams.forEach((stream, index) => {
      const size = chunks[index] ?? 0;
      const start = stream.slot.cachedTokens.length;
      for (let offset = 0; offset < size; offset++) stream.slot.cachedTokens.push(stream.tokens[start + offset] ?? 0);
      if (stream.generatedTokens === 0) {
        const readTokens = stream.slot.cachedTokens.length;
        this.#emit(stream, { type: "prefill", readTokens, cachedTokens: stream.reusedTokens });
      }
    });
    await Promise.all(
      streams.map((stream) =>
        // One stream's sampling failure is its own: its neighbours in the batch were decoded and go on.
        this.#sampleNext(stream).catch((error: unknown) => {
          stream.failure = { error };
          this.#close(stream);
        }),
      ),
    );
  }

  /**
   * How many tokens of each stream enter the batch: one of every stream that decodes, so that none stands still while
   * another's prompt is read, and one chunk in all of the prompts, in equal parts.
   */
  #share(streams: readonly Stream[]): number[] {
    const pending = streams.map((stream) => stream.tokens.length - stream.slot.cachedTokens.length);
    let readers = pending.filter((tokens) => tokens > 1).length;
    let room = Math.min(this.#chunkTokens, this.#options.batchTokens - (streams.length - readers));
    return pending.map((tokens) => {
      if (tokens === 1) return 1;
      const size = Math.min(tokens, Math.ceil(room / readers));
      readers -= 1;
      room -= size;
      return size;
    });
  }

  async #sampleNext(stream: Stream): Promise<void> {
    if (stream.batchRow === null || stream.cancelled) return;
    const token = await stream.request.sample(stream.batchRow, stream.tokens);
    // No candidate left is the end of the text, as it is for llama-server.
    if (token < 0 || stream.request.isEndOfGeneration(token)) {
      this.#emit(stream, { type: "end", reason: "stop" });
      this.#close(stream);
      return;
    }
    stream.tokens.push(token);
    stream.generatedTokens += 1;
    this.#emit(stream, { type: "token", token });
    if (stream.generatedTokens >= stream.request.maxTokens || stream.tokens.length >= this.#options.contextTokens) {
      this.#emit(stream, { type: "end", reason: "length" });
      this.#close(stream);
    }
  }

  /**
   * Doubles the chunk when a full one was quick, halves it when one was too slow. Powers of two, so that on a machine that
   * is fast enough for the largest every prompt is cut at the same places.
   */
  #fitChunk(tokens: number, elapsedMs: number): void {
    if (elapsedMs > chunkTargetMs) this.#chunkTokens = Math.max(smallestChunkTokens, this.#chunkTokens / 2);
    else if (tokens >= this.#chunkTokens && elapsedMs * 2 <= chunkTargetMs && tokens * 2 <= this.#options.batchTokens)
      this.#chunkTokens *= 2;
  }

  #emit(stream: Stream, event: StreamEvent): void {
    stream.events.push(event);
    stream.wake();
  }

  #close(stream: Stream): void {
    this.#streams.delete(stream);
    stream.slot.busy = false;
    stream.ended = true;
    stream.wake();
  }
}
