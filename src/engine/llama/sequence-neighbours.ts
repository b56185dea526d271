// Which streams should change places so that those that decode together are neighbours: llama.cpp computes only sequences that
// follow one another without a gap in one go, and reads the weights again for each of such runs. Pure; imports nothing.

/** What is in these two sequences is to change places. */
export interface Exchange {
  /** Decodes; the first or last of the shortest run. */
  readonly from: number;
  /** Is free; just before or after the longest run. */
  readonly to: number;
}

interface Run {
  readonly first: number;
  readonly last: number;
}

/** Of sequence ids in ascending order. */
export function runsOf(sequenceIds: readonly number[]): readonly Run[] {
  const runs: { first: number; last: number }[] = [];
  for (const id of sequenceIds) {
    const run = runs.at(-1);
    if (run?.last === id - 1) run.last = id;
    else runs.push({ first: id, last: id });
  }
  return runs;
}

/** Null where all are neighbours, or no free sequence is next to the longest run. `decoding`: in ascending order. */
export function exchangeFor(decoding: readonly number[], free: ReadonlySet<number>): Exchange | null {
  const runs = runsOf(decoding);
  if (runs.length < 2) return null;
  const byLength = [...runs].sort((left, right) => right.last - right.first - (left.last - left.first));
  const longest = byLength[0];
  const shortest = byLength.at(-1);
  if (longest === undefined || shortest === undefined) return null;
  const to = [longest.last + 1, longest.first - 1].find((id) => free.has(id));
  if (to === undefined) return null;
  // Of a run that is left with a part, the part stays whole.
  return { from: shortest.first > longest.last ? shortest.last : shortest.first, to };
}
