// The experts by every name that callers may use. May import expert.ts only.
import type { Expert } from "./expert.ts";

/**
 * Finds experts by id or alias, without regard to upper and lower case: clients spell model names both ways, and the
 * configuration refuses two names that differ by case alone. "auto" and "" are nobody's name: they ask the router.
 */
export class ExpertCatalogue {
  /** In the order of the configuration. */
  readonly experts: readonly Expert[];
  readonly #byName: ReadonlyMap<string, Expert>;

  constructor(experts: readonly Expert[]) {
    this.experts = experts;
    const byName = new Map<string, Expert>();
    for (const expert of experts) for (const name of [expert.id, ...expert.aliases]) byName.set(nameKey(name), expert);
    this.#byName = byName;
  }

  find(nameOrAlias: string): Expert | undefined {
    return this.#byName.get(nameKey(nameOrAlias));
  }

  get ids(): readonly string[] {
    return this.experts.map(({ id }) => id);
  }

  /** Every id with its aliases behind it: what an error about an unknown model lists. */
  get knownNames(): readonly string[] {
    return this.experts.flatMap(({ id, aliases }) => [id, ...aliases]);
  }
}

/** Two names with the same key name the same expert. */
export function nameKey(name: string): string {
  return name.toLowerCase();
}
