// How many threads compute while others want the machine's cores too. ggml's threads wait for one another by spinning, dozens
// of times in a pass: one of them without a core of its own makes all of them many times slower, so one thread fewer is
// faster by far. Pure: time and the machine's idle cores are handed in. Imports nothing.

export interface PassUse {
  readonly threads: number;
  readonly elapsedMs: number;
  /** CPU time of this process meanwhile. */
  readonly cpuMs: number;
}

export interface ThreadGovernorOptions {
  readonly nowMs: () => number;
  /** Of all cores together, since the machine's start. */
  readonly idleCpuMs: () => number;
}

/** Passes are judged together until they took so long: a single short one says nothing. */
const windowMs = 60;
/** Spinning threads use their cores whole. Less of this many cores together is what others took. */
const lostCores = 0.3;
/** Idle cores are looked for so often while there are fewer threads than wanted. */
const lookMs = 250;
/** Of a core, what must have been idle to take it back. */
const idleShare = 0.7;
const longestRetryMs = 8000;
/** All threads for so long without a loss: the neighbour is gone, and the next one is another. */
const calmMs = 5000;

export class ThreadGovernor {
  readonly #options: ThreadGovernorOptions;
  #limit = Number.POSITIVE_INFINITY;
  #window = { threads: 0, elapsedMs: 0, cpuMs: 0 };
  /** When idle cores were last looked at, and what they had been idle by then. */
  #look = { atMs: 0, idleCpuMs: 0 };
  #raisedMs = Number.NEGATIVE_INFINITY;
  /** Not before: a core that was taken back and lost at once was not free. */
  #retryAtMs = 0;
  #retryMs = lookMs;

  constructor(options: ThreadGovernorOptions) {
    this.#options = options;
  }

  /** For the next pass of a model that would best use `wanted` threads. */
  threads(wanted: number): number {
    if (this.#limit < wanted) this.#lookForIdleCores(wanted);
    return Math.min(wanted, this.#limit);
  }

  /** A pass is over. */
  passed({ threads, elapsedMs, cpuMs }: PassUse): void {
    const window = this.#window;
    if (window.threads !== threads) this.#window = { threads, elapsedMs, cpuMs };
    else {
      window.elapsedMs += elapsedMs;
      window.cpuMs += cpuMs;
    }
    if (this.#window.elapsedMs < windowMs) return;
    const lost = threads - this.#window.cpuMs / this.#window.elapsedMs;
    this.#window = { threads, elapsedMs: 0, cpuMs: 0 };
    const nowMs = this.#options.nowMs();
    if (threads === 1) return;
    if (lost < lostCores) {
      if (this.#limit === Number.POSITIVE_INFINITY && nowMs - this.#raisedMs > calmMs) this.#retryMs = lookMs;
      return;
    }
    this.#limit = Math.max(1, threads - Math.ceil(lost - lostCores / 2));
    // Lost again soon after it was taken back: the next try may wait longer.
    if (nowMs - this.#raisedMs < calmMs) this.#retryMs = Math.min(longestRetryMs, this.#retryMs * 2);
    this.#retryAtMs = nowMs + this.#retryMs;
    this.#look = { atMs: nowMs, idleCpuMs: this.#options.idleCpuMs() };
  }

  #lookForIdleCores(wanted: number): void {
    const nowMs = this.#options.nowMs();
    if (nowMs < this.#retryAtMs || nowMs - this.#look.atMs < lookMs) return;
    const idleCpuMs = this.#options.idleCpuMs();
    const idleCores = (idleCpuMs - this.#look.idleCpuMs) / (nowMs - this.#look.atMs);
    this.#look = { atMs: nowMs, idleCpuMs };
    const more = Math.floor(idleCores + 1 - idleShare);
    if (more < 1) return;
    this.#limit = this.#limit + more >= wanted ? Number.POSITIVE_INFINITY : this.#limit + more;
    this.#raisedMs = nowMs;
  }
}
