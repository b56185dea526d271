// Why a request for a model is refused, as the scheduler says it and as the caller reads it. May import core/ and this folder's types.
import { formatBytes } from "../core/bytes.ts";
import { PublicError } from "../core/errors.ts";
import type { ContextOption } from "./context-option.ts";

/** What is wrong with a model itself, remembered until its file changes or a load succeeds. */
export type ModelFailure =
  | { readonly kind: "missing"; readonly reason: string }
  | { readonly kind: "invalid"; readonly reason: string }
  /** `permanent`: another attempt with the same file cannot succeed. */
  | { readonly kind: "load_failed"; readonly reason: string; readonly permanent: boolean }
  | {
      readonly kind: "larger_than_predicted";
      readonly measuredBytes: number;
      readonly predictedBytes: number;
      readonly budgetBytes: number;
    };

export type Refusal =
  | ModelFailure
  /** Its load failed not long ago and is not tried again yet. */
  | { readonly kind: "backing_off"; readonly failure: ModelFailure }
  /** It ended the process more than once. */
  | { readonly kind: "quarantined"; readonly reason: string }
  | {
      readonly kind: "larger_than_budget";
      readonly needBytes: number;
      readonly budgetBytes: number;
      /** Of the budget, for the process itself and the conversations that it keeps. */
      readonly processBytes: number;
      /** Held by models with `keep`, which are never evicted. */
      readonly pinnedBytes: number;
      /** What it would take with the smallest context that the configuration allows. */
      readonly smallest: ContextOption;
      /** The file alone is meant; what it needs beside that is not known yet. */
      readonly isLeast: boolean;
    }
  /** A load or unload that has not ended in time holds what it needs. */
  | { readonly kind: "stuck"; readonly modelIds: readonly string[]; readonly heldBytes: number }
  /** The budget would allow it, but the machine or its control group has not that much. */
  | {
      readonly kind: "machine_short";
      readonly needBytes: number;
      /** Free, or held by models that could go. */
      readonly machineBytes: number;
      readonly budgetBytes: number;
    }
  /** Models with `keep` hold every place of `max_loaded_experts`. */
  | { readonly kind: "no_place"; readonly maxLoaded: number }
  /** Only for a load that must not evict. */
  | { readonly kind: "no_room"; readonly needBytes: number; readonly freeBytes: number }
  | { readonly kind: "draining" };

/** The error a caller gets. `retryAfterS`: where the pool knows when another attempt makes sense. */
export function refusalError(modelId: string, refusal: Refusal, retryAfterS = 5): PublicError {
  const message = refusalMessage(modelId, refusal);
  switch (refusal.kind) {
    case "missing":
      return new PublicError(message, {
        status: 404,
        type: "not_found_error",
        code: "model_file_missing",
        param: "model",
        shouldRetry: false,
      });
    case "invalid":
      return new PublicError(message, unavailable("model_invalid", null));
    case "load_failed":
      return new PublicError(message, unavailable("model_load_failed", refusal.permanent ? null : retryAfterS));
    case "backing_off": {
      const { status, type, code, param, shouldRetry } = refusalError(modelId, refusal.failure);
      const retry = shouldRetry ? { retryAfterS } : {};
      return new PublicError(message, {
        status,
        type,
        code,
        shouldRetry,
        ...(param === null ? {} : { param }),
        ...retry,
      });
    }
    case "stuck":
      return new PublicError(message, unavailable("model_stuck", retryAfterS));
    case "quarantined":
      return new PublicError(message, unavailable("model_quarantined", null));
    case "larger_than_predicted":
      return new PublicError(message, unavailable("model_load_failed", retryAfterS));
    case "machine_short":
      return new PublicError(message, unavailable("machine_memory_short", retryAfterS));
    case "draining":
      return new PublicError(message, unavailable("draining", retryAfterS));
    case "larger_than_budget":
    case "no_place":
    case "no_room":
      return new PublicError(message, {
        status: 507,
        type: "insufficient_memory_error",
        code: "insufficient_memory",
        param: "model",
        shouldRetry: false,
      });
  }
}

/** One line that says what is wrong and what would help. */
export function refusalMessage(modelId: string, refusal: Refusal): string {
  switch (refusal.kind) {
    case "missing":
      return `The model file of ${modelId} is missing: ${refusal.reason}`;
    case "invalid":
      return `The model file of ${modelId} is invalid: ${refusal.reason}`;
    case "load_failed":
      return `${modelId} could not be loaded: ${refusal.reason}`;
    case "backing_off":
      return `${refusalMessage(modelId, refusal.failure)}. It is not tried again yet`;
    case "quarantined":
      return `${modelId} is quarantined: ${refusal.reason}. POST /admin/experts/${modelId}/lift ends that`;
    case "larger_than_predicted":
      return (
        `${modelId} was unloaded again: it takes ${formatBytes(refusal.measuredBytes)}, not the predicted ` +
        `${formatBytes(refusal.predictedBytes)}, and no idle model could make room: the RAM ` +
        `budget is ${formatBytes(refusal.budgetBytes)}`
      );
    case "larger_than_budget":
      return larger(modelId, refusal);
    case "stuck":
      return (
        `${modelId} cannot be loaded: a load or unload of ${refusal.modelIds.join(", ")} has not ended in time and ` +
        `holds ${formatBytes(refusal.heldBytes)}`
      );
    case "machine_short":
      return (
        `${modelId} needs ${formatBytes(refusal.needBytes)}, and the RAM budget of ${formatBytes(refusal.budgetBytes)} ` +
        `allows it, but the machine or its control group has only ${formatBytes(refusal.machineBytes)} to give: other ` +
        "programs use the rest"
      );
    case "no_place":
      return (
        `${modelId} cannot be loaded: max_loaded_experts is ${refusal.maxLoaded}, and models with keep hold every place. ` +
        `Raise it or pin fewer models`
      );
    case "no_room":
      return `${modelId} needs ${formatBytes(refusal.needBytes)}, and only ${formatBytes(refusal.freeBytes)} are free`;
    case "draining":
      return "The server is shutting down and takes no new requests";
  }
}

function larger(modelId: string, refusal: Refusal & { readonly kind: "larger_than_budget" }): string {
  const { needBytes, budgetBytes, processBytes, pinnedBytes, smallest, isLeast } = refusal;
  const isReduced = smallest.needBytes < needBytes;
  const least = isReduced
    ? ` (${formatBytes(smallest.needBytes)} with the smallest context allowed, ${smallest.contextTokens} tokens)`
    : "";
  const own =
    processBytes > 0 ? ` (the server itself and its prompt cache take ${formatBytes(processBytes)} of it)` : "";
  const enough = formatBytes(smallest.needBytes + pinnedBytes + processBytes);
  return (
    `${modelId} needs ${isLeast ? "more than " : ""}${formatBytes(needBytes)}${least}, the RAM budget is ${formatBytes(budgetBytes)}${own}, and pinned ` +
    `models hold ${formatBytes(pinnedBytes)} of it. A ram_budget of ${isLeast ? "more than" : "at least"} ${enough}, a ` +
    `smaller ${isReduced ? "min_model_len" : "max_model_len"} or fewer models with keep would make it fit`
  );
}

/** `retryAfterS` null: the same request can never succeed. */
function unavailable(code: string, retryAfterS: number | null) {
  return {
    status: 503,
    type: "unavailable_error",
    code,
    shouldRetry: retryAfterS !== null,
    ...(retryAfterS === null ? {} : { retryAfterS }),
  } as const;
}
