// What /health says, decided from the experts' states and the pool's progress. Pure. May import the pool's types.
import { canServe, lastErrorOf, type ExpertView } from "../common/expert-view.ts";

export type HealthStatus = "healthy" | "degraded" | "unhealthy";

export interface Health {
  readonly status: HealthStatus;
  readonly loadedCount: number;
  /** Experts that can answer. */
  readonly availableCount: number;
  /** What keeps the status from being healthy. */
  readonly problems: readonly Problem[];
}

export interface Problem {
  /** For anybody: an id and a state. */
  readonly brief: string;
  /** One line with the reason, which may name files and quote them: for operators. */
  readonly full: string;
}

const stuck = "Requests wait, and no model runs, loads or unloads.";

/**
 * Unhealthy: the pool makes no progress although requests wait, or no expert can serve. Degraded: some expert cannot.
 */
export function assessHealth(views: readonly ExpertView[], progressing: boolean): Health {
  const availableCount = views.filter((view) => canServe(view.status)).length;
  const problems = views.filter((view) => !canServe(view.status)).map(problemOf);
  if (!progressing) problems.unshift({ brief: stuck, full: stuck });
  const status = !progressing || availableCount === 0 ? "unhealthy" : problems.length > 0 ? "degraded" : "healthy";
  return { status, loadedCount: views.filter((view) => view.status === "loaded").length, availableCount, problems };
}

function problemOf(view: ExpertView): Problem {
  const { expert, status } = view;
  return {
    brief: `${expert.id}: ${status}`,
    full: `${expert.id} is ${status}: ${lastErrorOf(view) ?? "no reason is known"}`,
  };
}
