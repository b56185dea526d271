// Why a request for a model is refused, as the scheduler says it and as the caller reads it. May import core/.
import { formatBytes } from "../core/bytes.ts";
import { PublicError } from "../core/errors.ts";

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
  | {
      readonly kind: "larger_than_budget";
      readonly needBytes: number;
      readonly budgetBytes: number;
      /** Held by models with `keep`, which are never evicted. */
      readonly pinnedBytes: number;
    }
  /** Models with `keep` hold every place of `max_loaded_experts`. */
  | { readonly kind: "no_place"; readonly maxLoaded: number }
  /** Only for a load that must not evict. */
  | { readonly kind: "no_room"; readonly needBytes: number; readonly freeBytes: number }
  | { readonly kind: "draining" };

/** The error a caller gets. */
export function refusalError(modelId: string, refusal: Refusal): PublicError {
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
      return new PublicError(message, unavailable("model_invalid", false));
    case "load_failed":
      return new PublicError(message, unavailable("model_load_failed", !refusal.permanent));
    case "larger_than_predicted":
      return new PublicError(message, unavailable("model_load_failed", true));
    case "draining":
      return new PublicError(message, unavailable("draining", true));
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
    case "larger_than_predicted":
      return (
        `${modelId} was unloaded again: it takes ${formatBytes(refusal.measuredBytes)}, not the predicted ` +
        `${formatBytes(refusal.predictedBytes)}, and no idle model could make room: the RAM ` +
        `budget is ${formatBytes(refusal.budgetBytes)}`
      );
    case "larger_than_budget":
      return (
        `${modelId} needs ${formatBytes(refusal.needBytes)}, the RAM budget is ${formatBytes(refusal.budgetBytes)}, and ` +
        `pinned models hold ${formatBytes(refusal.pinnedBytes)} of it. A ram_budget of at least ` +
        `${formatBytes(refusal.needBytes + refusal.pinnedBytes)}, a smaller max_model_len or fewer models with keep ` +
        `would make it fit`
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

function unavailable(code: string, shouldRetry: boolean) {
  return {
    status: 503,
    type: "unavailable_error",
    code,
    shouldRetry,
    ...(shouldRetry ? { retryAfterS: 5 } : {}),
  } as const;
}
