// Which models are to be in memory before anybody asks for them. Pure. May import config.ts.
import type { AppConfig } from "./config.ts";

/** Pinned experts first, then as many as `warmup_pool_size` wants by priority; all of them where loading is not lazy. */
export function warmUpIds({ experts, memory }: Pick<AppConfig, "experts" | "memory">): string[] {
  const byPriority = experts.toSorted((left, right) => left.priority - right.priority);
  const pinned = byPriority.filter(({ keep }) => keep);
  const others = byPriority.filter(({ keep }) => !keep);
  const wanted = memory.lazy ? Math.max(0, memory.warmupPoolSize - pinned.length) : others.length;
  return [...pinned, ...others.slice(0, wanted)].map(({ id }) => id);
}
