// Which models ended the process, and which of them are therefore left alone: a state machine. Imports types alone.
import type { Activity } from "./messages.ts";

/** Kills of one model within the window that put it in quarantine. */
export const killsLimit = 2;
/** A model that ended the process once and then behaved for so long starts anew. */
export const killsWindowMs = 24 * 3_600_000;

interface Kill {
  readonly atMs: number;
  /** "SIGSEGV", "an exit with code 7". */
  readonly cause: string;
  readonly phase: "loading" | "generating";
}

export interface Findings {
  /** Loading ones, else the generating ones; empty where the process ended while no model was in use. */
  readonly suspects: readonly string[];
  readonly phase: Kill["phase"] | null;
  /** Those of `suspects` that are quarantined from now on, with the reason. */
  readonly quarantined: readonly (readonly [modelId: string, reason: string])[];
}

export class Suspects {
  readonly #kills = new Map<string, readonly Kill[]>();
  readonly #quarantined = new Map<string, string>();

  /** Model id to reason. */
  get quarantined(): ReadonlyMap<string, string> {
    return this.#quarantined;
  }

  /** The process ended while it did `activity`; `atMs` is on a monotonic clock. */
  died(activity: Activity, cause: string, atMs: number): Findings {
    // A load runs much more of the file's data through code that trusts it, so it is blamed before a generation.
    const phase = activity.loading.length > 0 ? "loading" : "generating";
    const suspects = [...new Set(activity[phase])];
    if (suspects.length === 0) return { suspects, phase: null, quarantined: [] };
    const quarantined = suspects.flatMap((modelId) => {
      const recent = (this.#kills.get(modelId) ?? []).filter((kill) => atMs - kill.atMs < killsWindowMs);
      const kills = [...recent, { atMs, cause, phase } as const];
      this.#kills.set(modelId, kills);
      if (kills.length < killsLimit) return [];
      const reason = reasonOf(kills);
      this.#quarantined.set(modelId, reason);
      return [[modelId, reason] as const];
    });
    return { suspects, phase, quarantined };
  }

  /** An operator trusts the model again: its kills are forgotten too. */
  lift(modelId: string): void {
    this.#kills.delete(modelId);
    this.#quarantined.delete(modelId);
  }
}

function reasonOf(kills: readonly Kill[]): string {
  const [first] = kills;
  const isSame = kills.every(({ cause, phase }) => cause === first?.cause && phase === first.phase);
  if (isSame && first !== undefined) {
    return `the process was ended by ${first.cause} twice while it was ${first.phase}`;
  }
  const each = kills.map(({ cause, phase }) => `by ${cause} while it was ${phase}`);
  return `the process was ended twice: ${each.join(", then ")}`;
}
