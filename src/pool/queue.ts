// Turns on one model: at most `slots` at a time, the others wait by priority, then in order of arrival, up to a limit.
// The only importer of p-queue. May import core/.
//
// p-queue frees a running task's place as soon as its signal fires, although the task still runs. Therefore the signal
// reaches p-queue only while a request waits; a turn that has begun ends when its holder says so, and not before.
import PQueue from "p-queue";
import type { Clock } from "../core/clock.ts";
import { deferred } from "../core/deferred.ts";
import { PublicError } from "../core/errors.ts";

/** One of a model's slots, held until `end`. */
export interface Turn {
  /** The turn's length is counted from here: what it waited for before, such as a load, the next one need not. */
  restartClock(): void;
  /** Call when the engine has really stopped; further calls do nothing. */
  end(): void;
}

export interface TurnQueueOptions {
  readonly modelId: string;
  /** Turns held at the same time; at least 1. */
  readonly slots: number;
  /** Requests that may wait beside those that hold a turn. */
  readonly maxWaiting: number;
  readonly clock: Clock;
}

/** Seconds a turn is taken to last before one has been measured. */
const assumedTurnS = 5;
/** Weight of the newest turn in the mean: the last ten or so count. */
const newestWeight = 0.2;
const maxRetryAfterS = 60;

export class TurnQueue {
  #options: TurnQueueOptions;
  readonly #queue: PQueue;
  #meanTurnS: number | null = null;

  constructor(options: TurnQueueOptions) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.slots });
  }

  /** Requests that wait for a turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Throws a PublicError (429, `queue_full`) when too many wait already. */
  checkRoom(): void {
    const { maxWaiting, modelId } = this.#options;
    if (this.#hasRoom || this.#queue.size < maxWaiting) return;
    throw new PublicError(`${modelId} is busy: ${this.#queue.size} requests wait already, at most ${maxWaiting} may.`, {
      status: 429,
      type: "rate_limit_error",
      code: "queue_full",
      retryAfterS: this.#retryAfterS(),
    });
  }

  /**
   * Waits for a turn; higher priorities go first. Rejects with the signal's reason when it fires before the turn begins;
   * afterwards it has no effect.
   */
  async enter(signal: AbortSignal, priority: number): Promise<Turn> {
    signal.throwIfAborted();
    // Where there is room the turn begins before `add` returns: no signal can end a wait.
    if (this.#hasRoom) return new Promise((resolve) => void this.#queue.add(() => this.#hold(resolve)));
    // p-queue frees the place of a running task when its signal fires: it must not see the caller's signal by then.
    const whileWaiting = new AbortController();
    const onAbort = () => whileWaiting.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    return new Promise((resolve, reject) => {
      const task = () => {
        signal.removeEventListener("abort", onAbort);
        return this.#hold(resolve);
      };
      this.#queue.add(task, { signal: whileWaiting.signal, priority }).catch((error: unknown) => {
        signal.removeEventListener("abort", onAbort);
        reject(error);
      });
    });
  }

  get #hasRoom(): boolean {
    return this.#queue.pending < this.#options.slots;
  }

  /** From now on; turns that are held stay. */
  configure({ slots, maxWaiting }: Pick<TurnQueueOptions, "slots" | "maxWaiting">): void {
    this.#options = { ...this.#options, slots, maxWaiting };
    this.#queue.concurrency = slots;
  }

  async #hold(begin: (turn: Turn) => void): Promise<void> {
    const { clock } = this.#options;
    const ended = deferred<void>();
    let beganMs = clock.nowMs();
    const restartClock = () => {
      beganMs = clock.nowMs();
    };
    begin({ restartClock, end: () => ended.resolve() });
    await ended.promise;
    const turnS = (clock.nowMs() - beganMs) / 1000;
    this.#meanTurnS = this.#meanTurnS === null ? turnS : this.#meanTurnS + newestWeight * (turnS - this.#meanTurnS);
  }

  /** When the next place in the queue should be free: one turn of those that run side by side has ended by then. */
  #retryAfterS(): number {
    const seconds = (this.#meanTurnS ?? assumedTurnS) / this.#options.slots;
    return Math.min(maxRetryAfterS, Math.max(1, Math.ceil(seconds)));
  }
}
