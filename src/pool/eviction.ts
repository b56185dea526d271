// Whom to evict: a pure choice among models that may go. Imports nothing.

export interface EvictionCandidate {
  readonly id: string;
  /** What its going brings back. */
  readonly bytes: number;
  /** Whether its going frees a place of `max_loaded_experts`. */
  readonly counted: boolean;
  /** 0 goes first, whatever the recency: how much it hurts somebody that this model goes. */
  readonly tier: number;
  /** Number of the event that last used it; the smallest goes first within a tier. */
  readonly lastUse: number;
  /** 1 (first) to 5 (last): among equals the less important one goes first. */
  readonly priority: number;
}

export interface EvictionWant {
  readonly bytes: number;
  /** Places among the counted models: 0 or 1 for one newcomer. */
  readonly places: number;
}

/**
 * The models whose going satisfies the want, or null where all together do not. They are taken by tier and least recent
 * use; then whoever turned out not to be needed is spared, the most recently used first: no proper subset is enough.
 */
export function chooseVictims(candidates: readonly EvictionCandidate[], want: EvictionWant): string[] | null {
  const order = candidates.toSorted(
    (a, b) => a.tier - b.tier || a.lastUse - b.lastUse || b.priority - a.priority || (a.id < b.id ? -1 : 1),
  );
  const chosen: EvictionCandidate[] = [];
  for (const candidate of order) {
    if (isEnough(chosen, want)) break;
    chosen.push(candidate);
  }
  if (!isEnough(chosen, want)) return null;
  let victims = chosen;
  for (const candidate of chosen.toReversed()) {
    const without = victims.filter((victim) => victim !== candidate);
    if (isEnough(without, want)) victims = without;
  }
  return victims.map((victim) => victim.id);
}

function isEnough(victims: readonly EvictionCandidate[], want: EvictionWant): boolean {
  let bytes = 0;
  let places = 0;
  for (const victim of victims) {
    bytes += victim.bytes;
    if (victim.counted) places += 1;
  }
  return bytes >= want.bytes && places >= want.places;
}
