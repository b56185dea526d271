// What the times of streamed answers say: tokens per second, gaps between tokens, tokens read. Pure. May import
// generation.ts (types).
import type { Generation } from "./generation.ts";

/**
 * Tokens per second of all streams together while all of them generate: from the last one's first text to the first one's
 * last. Several tokens in one piece count by their share of the text. Null where the streams were never together.
 */
export function decodeRate(streams: readonly Generation[]): number | null {
  const firsts = streams.map(({ pieces }) => pieces[0]?.atMs ?? Infinity);
  const lasts = streams.map(({ pieces }) => pieces.at(-1)?.atMs ?? -Infinity);
  const fromMs = Math.max(...firsts);
  const toMs = Math.min(...lasts);
  if (streams.length === 0 || !(toMs > fromMs)) return null;
  const tokens = streams.reduce((sum, stream) => sum + tokensBetween(stream, fromMs, toMs), 0);
  return (tokens * 1000) / (toMs - fromMs);
}

function tokensBetween({ pieces, generatedTokens }: Generation, afterMs: number, toMs: number): number {
  const sum = (some: Generation["pieces"]) => some.reduce((total, { characters }) => total + characters, 0);
  const within = pieces.filter(({ atMs }) => atMs > afterMs && atMs <= toMs);
  return (generatedTokens * sum(within)) / sum(pieces);
}

/** From the first text to the last, in milliseconds. */
export function decodeMs({ pieces }: Pick<Generation, "pieces">): number {
  return (pieces.at(-1)?.atMs ?? 0) - (pieces[0]?.atMs ?? 0);
}

/** Milliseconds between pieces of text, of the gaps that overlap the given time. */
export function gapsBetween({ pieces }: Pick<Generation, "pieces">, fromMs: number, toMs: number): number[] {
  return pieces.flatMap(({ atMs }, index) => {
    const before = pieces[index - 1];
    return before !== undefined && atMs > fromMs && before.atMs < toMs ? [atMs - before.atMs] : [];
  });
}

/** Prompt tokens that were computed, not found in a cache. */
export function readTokens(generations: readonly Generation[]): number {
  return generations.reduce((sum, { promptTokens, cachedTokens }) => sum + promptTokens - cachedTokens, 0);
}
