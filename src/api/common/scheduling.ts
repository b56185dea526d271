// The parameters that say how a request is to be scheduled, and what they become inside. May import zod, core/ and the
// chat contract.
import { z } from "zod";
import type { Scheduling } from "../../chat/contract.ts";
import { parseDurationMs } from "../../core/durations.ts";
import { checked, type Refusal } from "./validation.ts";

const largestPriority = 100;
const priorityAllowed = `an integer from ${-largestPriority} to ${largestPriority}`;
const keepAliveAllowed =
  'a number of seconds or a duration such as "5m", "1h30m" or "300ms"; 0 unloads the expert right after, and a negative ' +
  "one keeps it until its memory is needed";
/** Node's timers wait no longer than this: what is to stay for weeks stays until its memory is needed. */
const longestTimerMs = 2_147_483_647;

export const schedulingParameters = {
  keep_alive: checked(z.union([z.number(), z.string()]), refuseKeepAlive)
    .nullish()
    .describe(
      "How long the expert stays in memory after this request when no other follows, as in Ollama's API: a number of " +
        'seconds, or a duration such as "5m", "1h30m" or "300ms". 0 unloads it right after; a negative one, or one of ' +
        "more than 24 days, keeps it until its memory is needed. Absent: auto_unload_after_s of the configuration.",
    ),
  priority: z
    .int(priorityAllowed)
    .min(-largestPriority, priorityAllowed)
    .max(largestPriority, priorityAllowed)
    .nullish()
    .describe("Higher goes first among those that wait for the same expert; equals go in order of arrival. Absent: 0."),
} as const;

export type SchedulingParameters = z.output<z.ZodObject<typeof schedulingParameters>>;

export function toScheduling({ keep_alive, priority }: SchedulingParameters): Scheduling {
  const keepAliveMs = keep_alive === null || keep_alive === undefined ? null : (parseDurationMs(keep_alive) ?? null);
  const isUnbounded = keepAliveMs !== null && (keepAliveMs < 0 || keepAliveMs > longestTimerMs);
  return { priority: priority ?? 0, keepAliveMs: isUnbounded ? Infinity : keepAliveMs };
}

function refuseKeepAlive(value: unknown): Refusal | null {
  if (typeof value !== "number" && typeof value !== "string") {
    return { path: [], code: "invalid_type", allowed: keepAliveAllowed };
  }
  return parseDurationMs(value) === undefined ? { path: [], code: "invalid_value", allowed: keepAliveAllowed } : null;
}
