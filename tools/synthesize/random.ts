// Deterministic random numbers for weights and vocabularies. Imports nothing.

/** A stream of 32-bit words (xoshiro128**), the same on every machine for the same key. */
export class RandomStream {
  readonly #state = new Uint32Array(4);

  /** The key is any text, for example a seed and a tensor's name: streams of different keys are unrelated. */
  constructor(key: string) {
    for (let lane = 0; lane < 4; lane += 1) this.#state[lane] = hash32(`${lane}:${key}`) | 1;
    this.fillWords(new Uint32Array(32));
  }

  fillWords(words: Uint32Array): void {
    let [a, b, c, d] = this.#state as unknown as [number, number, number, number];
    for (let index = 0; index < words.length; index += 1) {
      const scrambled = Math.imul(b, 5);
      words[index] = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = (d << 11) | (d >>> 21);
    }
    this.#state.set([a, b, c, d]);
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    const word = new Uint32Array(1);
    this.fillWords(word);
    return Math.floor(((word[0] ?? 0) / 2 ** 32) * limit);
  }

  /** Fills with independent values of mean 0 and standard deviation 1, drawn from `normalTable`. */
  fillNormal(values: Float32Array): void {
    const words = new Uint32Array(values.length);
    this.fillWords(words);
    for (let index = 0; index < values.length; index += 1) {
      values[index] = normalTable[(words[index] ?? 0) >>> (32 - normalTableBits)] ?? 0;
    }
  }
}

export const normalTableBits = 12;

/** The quantiles of the standard normal distribution at the midpoints of 4096 equal shares, scaled to variance 1. */
export const normalTable: Float32Array = (() => {
  const size = 2 ** normalTableBits;
  const table = Float32Array.from({ length: size }, (_, index) => normalQuantile((index + 0.5) / size));
  const deviation = Math.sqrt(table.reduce((sum, value) => sum + value * value, 0) / size);
  return table.map((value) => value / deviation);
})();

/** Inverse of the normal distribution function by bisection on a series; only ever called for the table above. */
function normalQuantile(share: number): number {
  if (share < 0.5) return -normalQuantile(1 - share);
  let low = 0;
  let high = 8;
  for (let step = 0; step < 50; step += 1) {
    const middle = (low + high) / 2;
    if (normalShareBelow(middle) < share) low = middle;
    else high = middle;
  }
  return low;
}

/** The share of a standard normal distribution below `x`, for 0 ≤ x ≤ 8: Marsaglia's series. */
function normalShareBelow(x: number): number {
  let term = x;
  let sum = x;
  for (let divisor = 3; divisor < 300; divisor += 2) {
    term *= (x * x) / divisor;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

/** FNV-1a over UTF-16 units with a final avalanche. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
