// Texts of several requests, read together: packed into batches, each request getting its share of every batch. May import
// compute-turn.ts, text-reader.ts (types), engine.ts (types) and core/.
import { type Deferred, deferred } from "../../core/deferred.ts";
import { AbandonedError } from "../../core/errors.ts";
import type { Token } from "../engine.ts";
import type { ComputeTurn } from "./compute-turn.ts";
import type { TextPart, TextReader } from "./text-reader.ts";

/**
 * Tokens of a batch of several texts. More make the matrices no faster, but every token is held against every other of
 * the batch, and other models wait for the end of it.
 */
const packedTokens = 256;

export interface TextQueueOptions {
  readonly reader: TextReader;
  readonly turn: ComputeTurn;
  /** Tokens that a batch can hold; a longer text is read in parts. */
  readonly batchTokens: number;
}

interface Request {
  readonly texts: readonly (readonly Token[])[];
  readonly vectors: Float32Array[];
  readonly answered: Deferred<readonly Float32Array[]>;
  /** The first text that is in no batch yet. */
  next: number;
  /** Texts that have their vector. */
  done: number;
  isAbandoned: boolean;
}

/** A text's place in a batch. */
interface Place extends TextPart {
  readonly request: Request;
  readonly index: number;
}

export class TextQueue {
  readonly #reader: TextReader;
  readonly #turn: ComputeTurn;
  readonly #batchTokens: number;
  /** In the order of their turns; those with texts that are in no batch yet. */
  readonly #waiting: Request[] = [];
  #batch: readonly Place[] = [];
  /** Of a text that is longer than a batch: the part that comes next. */
  #rest: Place | null = null;
  #isRunning = false;

  constructor({ reader, turn, batchTokens }: TextQueueOptions) {
    this.#reader = reader;
    this.#turn = turn;
    this.#batchTokens = batchTokens;
  }

  /** The vector of each text. Rejects with AbandonedError once nothing of it is being computed after the signal fired. */
  async compute(texts: readonly (readonly Token[])[], signal: AbortSignal): Promise<readonly Float32Array[]> {
    if (signal.aborted) throw new AbandonedError();
    if (texts.length === 0) return [];
    const request: Request = { texts, vectors: [], answered: deferred(), next: 0, done: 0, isAbandoned: false };
    const abandon = () => this.#abandon(request);
    signal.addEventListener("abort", abandon, { once: true });
    this.#waiting.push(request);
    if (!this.#isRunning) void this.#run();
    try {
      return await request.answered.promise;
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  #abandon(request: Request): void {
    request.isAbandoned = true;
    this.#leave(request);
    if (this.#rest?.request === request) this.#rest = null;
    if (this.#batch.some((place) => place.request === request)) {
      if (this.#batch.every((place) => place.request.isAbandoned)) this.#reader.abort();
    } else {
      request.answered.reject(new AbandonedError());
    }
  }

  #leave(request: Request): void {
    const at = this.#waiting.indexOf(request);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#rest !== null || this.#waiting.length > 0) await this.#turn.take(() => this.#computeBatch());
    this.#isRunning = false;
  }

  /** Chosen only now, when it is this model's turn: who came meanwhile is in it. */
  async #computeBatch(): Promise<void> {
    const batch = this.#takeBatch();
    if (batch.length === 0) return;
    this.#batch = batch;
    try {
      const vectors = await this.#reader.compute(batch);
      for (const [place, part] of batch.entries()) this.#read(part, place, vectors);
    } catch (error) {
      for (const { request } of batch) {
        this.#leave(request);
        request.answered.reject(request.isAbandoned ? new AbandonedError() : error);
      }
    } finally {
      this.#batch = [];
    }
  }

  #read(part: Place, place: number, vectors: Float32Array): void {
    const { request, index, firstPosition, tokens } = part;
    if (request.isAbandoned) {
      request.answered.reject(new AbandonedError());
      return;
    }
    const nextPosition = firstPosition + tokens.length;
    const text = request.texts[index] ?? [];
    if (nextPosition < text.length) {
      this.#rest = this.#partOf(request, index, nextPosition);
      return;
    }
    const { width } = this.#reader;
    request.vectors[index] = vectors.slice(place * width, (place + 1) * width);
    request.done += 1;
    if (request.done === request.texts.length) request.answered.resolve(request.vectors);
  }

  #takeBatch(): Place[] {
    if (this.#rest !== null) {
      const rest = this.#rest;
      this.#rest = null;
      return [rest];
    }
    const batch: Place[] = [];
    let room = Math.min(packedTokens, this.#batchTokens);
    let isFull = false;
    while (!isFull) {
      isFull = true;
      for (const request of this.#waiting) {
        const tokens = request.texts[request.next]?.length ?? 0;
        if (batch.length === this.#reader.texts || (batch.length > 0 && tokens > room)) continue;
        batch.push(this.#partOf(request, request.next, 0));
        room -= tokens;
        request.next += 1;
        if (request.next === request.texts.length) this.#leave(request);
        isFull = false;
      }
    }
    // Each is first in its turn: a text that fits beside no other gets its batch too.
    const first = this.#waiting.shift();
    if (first !== undefined) this.#waiting.push(first);
    return batch;
  }

  #partOf(request: Request, index: number, firstPosition: number): Place {
    const tokens = (request.texts[index] ?? []).slice(firstPosition, firstPosition + this.#batchTokens);
    return { request, index, firstPosition, tokens };
  }
}
