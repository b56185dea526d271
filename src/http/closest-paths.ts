// Which routes a mistyped path may have meant. Pure; imports nothing.

/** The `known` paths nearest to `path`, at most three, best first; none where nothing comes near. */
export function closestPaths(path: string, known: readonly string[]): string[] {
  const sent = path.toLowerCase().slice(0, 100);
  return [...new Set(known)]
    .map((candidate) => ({ candidate, distance: distanceTo(sent, candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 2))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** A missing or doubled prefix (`/chat/completions`, `/v1/v1/models`) is one slip, however long it is. */
function distanceTo(sent: string, candidate: string): number {
  const isSuffix = sent.length > 1 && candidate.length > 1 && (candidate.endsWith(sent) || sent.endsWith(candidate));
  return isSuffix ? 1 : editDistance(sent, candidate);
}

/** Levenshtein's: single-character insertions, deletions and replacements. */
export function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
