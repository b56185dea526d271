// How many threads compute while others want the machine's cores too. ggml's threads wait for one another by spinning, dozens
// of times in a pass: where one of them has no core of its own, all of them can become many times slower, and one thread
// fewer is faster by far. Where a neighbour takes just a little, it is not: so fewer are tried, and kept if passes take less
// time. Pure: time and the machine's idle cores are handed in. Imports nothing.

export interface PassUse {
  readonly threads: number;
  /** Tokens in the batch: only passes over as many are compared. */
  readonly rows: number;
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
/** Fewer threads must be so much faster to be kept. */
const leastGain = 1.1;
/** Idle cores are looked for so often while there are fewer threads than wanted. */
const lookMs = 250;
/** Of a core, what must have been idle to take it back. */
const idleShare = 0.7;
const longestRetryMs = 16_000;
/** All threads for so long without a loss: the neighbour is gone, and the next one is another. */
const calmMs = 5000;

interface Window {
  readonly threads: number;
  readonly rows: number;
  passes: number;
  elapsedMs: number;
  cpuMs: number;
}

/** A number of threads that has proved slow, by the passes that showed it. */
interface Crowded {
  readonly threads: number;
  readonly rows: number;
  readonly passMs: number;
}

export class ThreadGovernor {
  readonly #options: ThreadGovernorOptions;
  #limit = Number.POSITIVE_INFINITY;
  #window: Window = { threads: 0, rows: 0, passes: 0, elapsedMs: 0, cpuMs: 0 };
  /** What fewer threads, on trial, must beat. */
  #trial: Crowded | null = null;
  /** When idle cores were last looked at, and what they had been idle by then. */
  #look = { atMs: 0, idleCpuMs: 0 };
  #changedMs = Number.NEGATIVE_INFINITY;
  /** Neither more nor fewer threads before: the last change did not help. */
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #retryMs = lookMs;

  constructor(options: ThreadGovernorOptions) {
    this.#options = options;
  }

  /** For the next pass of a model that would best use `wanted` threads. */
  threads(wanted: number): number {
    if (this.#limit < wanted && this.#trial === null) this.#lookForIdleCores(wanted);
    return Math.min(wanted, this.#limit);
  }

  /** A pass is over. */
  passed({ threads, rows, elapsedMs, cpuMs }: PassUse): void {
    if (this.#window.threads !== threads || this.#window.rows !== rows) {
      this.#window = { threads, rows, passes: 0, elapsedMs: 0, cpuMs: 0 };
    }
    const window = this.#window;
    window.passes += 1;
    window.elapsedMs += elapsedMs;
    window.cpuMs += cpuMs;
    if (window.elapsedMs < windowMs) return;
    this.#window = { threads, rows, passes: 0, elapsedMs: 0, cpuMs: 0 };
    this.#judge(window);
  }

  #judge({ threads, rows, passes, elapsedMs, cpuMs }: Window): void {
    const nowMs = this.#options.nowMs();
    const passMs = elapsedMs / passes;
    if (this.#trial !== null && threads < this.#trial.threads) {
      if (rows !== this.#trial.rows) return;
      const isSlower = passMs * leastGain > this.#trial.passMs;
      this.#trial = null;
      if (!isSlower) return;
      this.#limit = Number.POSITIVE_INFINITY;
      this.#waitLonger(nowMs);
      return;
    }
    const lost = threads - cpuMs / elapsedMs;
    if (threads === 1 || lost < lostCores) {
      const isCalm = this.#limit === Number.POSITIVE_INFINITY && nowMs - this.#changedMs > calmMs;
      if (isCalm && threads > 1) this.#retryMs = lookMs;
      return;
    }
    if (nowMs < this.#retryAtMs) return;
    // Lost again soon after it was taken back: the next try may wait longer.
    if (nowMs - this.#changedMs < calmMs) this.#waitLonger(nowMs);
    this.#trial = { threads, rows, passMs };
    this.#limit = Math.max(1, threads - Math.ceil(lost - lostCores / 2));
    this.#changedMs = nowMs;
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
    this.#changedMs = nowMs;
  }

  #waitLonger(nowMs: number): void {
    this.#retryMs = Math.min(longestRetryMs, this.#retryMs * 2);
    this.#retryAtMs = nowMs + this.#retryMs;
    this.#changedMs = nowMs;
  }
}
