// A request without a prompt: it loads a model, or with keep_alive 0 unloads it. May import core/.
import { PublicError } from "../../core/errors.ts";
import { type SchedulingParameters, toScheduling } from "../common/scheduling.ts";
import type { Services } from "../services.ts";

type Needs = Pick<Services, "defaultModel" | "loadExpert" | "unloadExpert">;

export interface LoadingAnswer {
  readonly modelId: string;
  readonly doneReason: "load" | "unload";
}

/** `modelId`: null: the default model. Rejects as `loadExpert` does, and with a PublicError (409) for a busy model. */
export async function loadOrUnload(
  modelId: string | null,
  parameters: SchedulingParameters,
  services: Needs,
  signal: AbortSignal,
): Promise<LoadingAnswer> {
  const id = modelId ?? services.defaultModel();
  const { keepAliveMs } = toScheduling(parameters);
  if (keepAliveMs !== 0) {
    await services.loadExpert(id, signal, keepAliveMs);
    return { modelId: id, doneReason: "load" };
  }
  if (services.unloadExpert(id) === "busy") {
    throw new PublicError(
      `${id} was not unloaded: it is in use, requests wait for it, or the configuration keeps it in memory.`,
      { status: 409, type: "invalid_request_error", code: "expert_busy", shouldRetry: true },
    );
  }
  return { modelId: id, doneReason: "unload" };
}
