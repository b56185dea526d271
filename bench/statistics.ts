// Order statistics and seeded orders for benchmarks. Pure. Imports nothing.

/** The value that `share` (0 to 1) of the values do not exceed, by the nearest rank; null without values. */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}

export function median(values: readonly number[]): number | null {
  return percentile(values, 0.5);
}

export const orders = ["round-robin", "random", "alternating"] as const;
export type Order = (typeof orders)[number];

/**
 * Which of `choices` each of `count` requests goes to. "alternating" goes to and fro between the last two; "random" is
 * the same for the same seed, and never the same twice running where there is a choice.
 */
export function sequenceOf<T>(choices: readonly T[], order: Order, count: number, seed: number): T[] {
  const random = randomNumbers(seed);
  const picked: T[] = [];
  let last = -1;
  for (let index = 0; index < count; index++) {
    last = nextIndex(order, index, last, choices.length, random);
    const choice = choices[last];
    if (choice !== undefined) picked.push(choice);
  }
  return picked;
}

function nextIndex(order: Order, index: number, last: number, size: number, random: () => number): number {
  switch (order) {
    case "round-robin":
      return index % size;
    case "alternating":
      return size - 1 - (index % Math.min(2, size));
    case "random": {
      if (size < 2 || last < 0) return Math.floor(random() * size);
      const step = 1 + Math.floor(random() * (size - 1));
      return (last + step) % size;
    }
  }
}

/** Numbers from 0 to 1, by the mulberry32 generator. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
