// When a dead worker is followed by another, how soon, and when that ends: a state machine without timers. Imports nothing.

/** Deaths in a row before the worker was ready, and deaths within the window: as many end the supervisor. */
export const unreadyDeathsLimit = 3;
export const deathsLimit = 10;
export const deathsWindowMs = 5 * 60_000;

const firstDelayMs = 250;

export interface Death {
  /** Whether this worker had come so far that it served. */
  readonly wasReady: boolean;
  /** Milliseconds on a monotonic clock. */
  readonly atMs: number;
}

export type CrashDecision =
  | { readonly type: "restart"; readonly afterMs: number }
  /** One line for the operator. */
  | { readonly type: "give-up"; readonly reason: string };

export class CrashPolicy {
  #unready = 0;
  #deathsAtMs: number[] = [];

  died({ wasReady, atMs }: Death): CrashDecision {
    this.#unready = wasReady ? 0 : this.#unready + 1;
    this.#deathsAtMs = [...this.#deathsAtMs.filter((earlier) => atMs - earlier < deathsWindowMs), atMs];
    if (this.#unready >= unreadyDeathsLimit) {
      return { type: "give-up", reason: `it ended ${unreadyDeathsLimit} times in a row before it could serve` };
    }
    if (this.#deathsAtMs.length >= deathsLimit) {
      return { type: "give-up", reason: `it ended ${deathsLimit} times within ${deathsWindowMs / 60_000} minutes` };
    }
    // At once for the first two, then 250 ms, doubled each time.
    const repeated = this.#deathsAtMs.length - 3;
    return { type: "restart", afterMs: repeated < 0 ? 0 : firstDelayMs * 2 ** repeated };
  }
}
