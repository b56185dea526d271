// How sides are compared: taken by turns, round after round, so that a change of the machine's mood meets all of them.
// Imports nothing.

/** A B A B …: `rounds` results of each side, in order. */
export async function takeTurns<Side extends string, Result>(
  rounds: number,
  sides: Readonly<Record<Side, (round: number) => Promise<Result>>>,
): Promise<Record<Side, Result[]>> {
  const names = Object.keys(sides) as Side[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Side, Result[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name].push(await sides[name](round));
  }
  return results;
}
