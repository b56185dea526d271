// Percentiles, and a memory of recent values that never grows. Pure. May import core/ (types).
import type { Percentiles, Spread } from "../core/stats-snapshot.ts";

/** The nearest-rank percentiles; null for no values. */
export function percentiles(values: readonly number[]): Percentiles | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return { p50: rank(0.5), p95: rank(0.95) };
}

export class RecentValues {
  readonly #ring: Float64Array;
  #count = 0;
  #max = 0;

  /** `window`: how many of the latest values the percentiles look at. */
  constructor(window: number) {
    this.#ring = new Float64Array(window);
  }

  add(value: number): void {
    this.#ring[this.#count % this.#ring.length] = value;
    this.#count += 1;
    this.#max = Math.max(this.#max, value);
  }

  /** Null before the first value. */
  spread(): Spread | null {
    const recent = percentiles([...this.#ring.subarray(0, this.#count)]);
    return recent === null ? null : { ...recent, max: this.#max };
  }
}
