// What an event of the pool means, in one English sentence for operators. Pure. May import its neighbours in core/.
import { formatBytes } from "./bytes.ts";
import { formatDuration } from "./durations.ts";
import type { PoolEventBody, UnloadReason } from "./pool-event.ts";
import { plural } from "./words.ts";

type EventOf<Type extends PoolEventBody["type"]> = Extract<PoolEventBody, { readonly type: Type }>;

/** One sentence without a full stop: who, what, why, and who waited. */
export function describePoolEvent(event: PoolEventBody): string {
  switch (event.type) {
    case "load_started":
      return (
        `${event.modelId} is being loaded with a context of ${plural(event.contextTokens, "token")}: ` +
        `${formatBytes(event.reservedBytes)} are reserved, ${requestsWait(event.waiting)} for it`
      );
    case "proof_started":
      return (
        `${event.modelId} was never loaded here: another process tries its file first, ${requestsWait(event.waiting)} ` +
        "for it"
      );
    case "proof_finished":
      return `The file of ${event.modelId} can be loaded: another process did, in ${formatDuration(event.proofMs)}`;
    case "load_progress":
      return `${event.modelId} is being loaded: ${Math.floor(event.share * 100)} %`;
    case "load_finished":
      return (
        `${event.modelId} was loaded in ${formatDuration(event.loadMs)} and takes ${formatBytes(event.measuredBytes)}, ` +
        (formatBytes(event.measuredBytes) === formatBytes(event.predictedBytes)
          ? "as predicted"
          : `${formatBytes(event.predictedBytes)} were predicted`)
      );
    case "load_failed":
      return `${event.modelId} could not be loaded: ${asClause(event.reason)}; ${nextAttempt(event)}`;
    case "load_abandoned":
      return event.forModelId === null
        ? `The load of ${event.modelId} was given up: nobody waits for it any more`
        : `The load of ${event.modelId} was given up, for nobody waits for it, and ${event.forModelId} needs its memory`;
    case "unload_started":
      return `${event.modelId} (${sizeAndIdleTime(event)}) was unloaded ${unloadReasons[event.reason](event)}`;
    case "unload_finished":
      return `${event.modelId} has left memory: ${formatBytes(event.bytes)} came back in ${formatDuration(event.unloadMs)}`;
    case "draining_started":
      return (
        `${event.modelId} serves only those who asked before, and goes then: ` +
        (event.forModelId === null
          ? "the budget became smaller"
          : `its memory is needed for ${forWhom(event.forModelId, event.waiting)}`)
      );
    case "granted":
      return describeGrant(event);
    case "refused":
      return `A request for ${event.modelId} was refused (${event.code}): ${asClause(event.reason)}`;
    case "context_reduced":
      return (
        `${event.modelId} gets a context of ${plural(event.contextTokens, "token")}, not of ${event.wantedTokens}, ` +
        "so that it fits into memory"
      );
    case "quarantined":
      return `${event.modelId} is in quarantine until an operator lifts it: ${asClause(event.reason)}`;
    case "quarantine_lifted":
      return `The quarantine of ${event.modelId} was lifted: the next request loads it`;
    case "memory_short":
      return (
        `The machine is short of memory, it can still give ${formatBytes(event.availableBytes)}: idle models of ` +
        `${formatBytes(event.wantedBytes)} are to be unloaded`
      );
    case "reconfigured":
      return `The configuration was read anew: ${describeChanges(event)}`;
  }
}

const unloadReasons: Readonly<Record<UnloadReason, (event: EventOf<"unload_started">) => string>> = {
  evicted: ({ forModelId, waiting }) =>
    forModelId === null ? "to make room" : `to make room for ${forWhom(forModelId, waiting)}`,
  idle: () => "because nobody used it for its keep-alive time",
  larger_than_predicted: () =>
    "right after its load: it takes more than was predicted, and no room could be made for the rest",
  abandoned: () => "right after its load: everyone who waited for it had left",
  memory_pressure: () => "because the machine is short of memory",
  budget_shrunk: () => "because the budget became smaller",
  reconfigured: () => "because its configuration changed",
  removed: () => "because it left the configuration",
  requested: () => "because an operator asked for it",
  file_changed: () => "because its file changed",
  draining: () => "because the server is shutting down",
};

function sizeAndIdleTime({ bytes, idleMs }: EventOf<"unload_started">): string {
  return `${formatBytes(bytes)}, ${idleMs === null ? "never used" : `idle for ${formatDuration(idleMs)}`}`;
}

function nextAttempt({ failures, retryAfterMs }: EventOf<"load_failed">): string {
  const count = failures === 1 ? "" : `after ${failures} failures in a row `;
  if (!Number.isFinite(retryAfterMs)) return `${count}it is not tried again before its file changes`;
  const next =
    retryAfterMs > 0 ? `is tried again in ${formatDuration(retryAfterMs)} at the earliest` : "may be tried again";
  return `${count}it ${next}`;
}

function describeGrant({ modelId, hit, queueMs, loadMs }: EventOf<"granted">): string {
  const hasQueued = queueMs >= 1;
  if (hit) {
    const wait = hasQueued ? `after ${formatDuration(queueMs)} in the queue` : "at once";
    return `A request got ${modelId} ${wait}: it was in memory`;
  }
  const queue = hasQueued ? `${formatDuration(queueMs)} in the queue and ` : "";
  return `A request got ${modelId} after ${queue}${formatDuration(loadMs)} of its load`;
}

function describeChanges({ added, changed, removed }: EventOf<"reconfigured">): string {
  const changes = Object.entries({ added, changed, removed })
    .filter(([, ids]) => ids.length > 0)
    .map(([what, ids]) => `${what} ${ids.join(", ")}`);
  return changes.length === 0 ? "no model changed" : changes.join("; ");
}

/** "3 requests wait" */
function requestsWait(count: number): string {
  return count === 0 ? "no request waits" : `${plural(count, "request")} ${count === 1 ? "waits" : "wait"}`;
}

/** "qwen_coder, for which 3 requests wait" */
function forWhom(modelId: string, waiting: number): string {
  return waiting === 0 ? modelId : `${modelId}, for which ${requestsWait(waiting)}`;
}

/** Somebody else's sentence inside one of ours. */
function asClause(reason: string): string {
  return reason.replaceAll(/\s+/g, " ").replace(/[.\s]+$/, "");
}
