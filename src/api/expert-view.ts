// One expert as the API shows it: what the configuration, the pool and its file say together.
// May import experts/ and the pool's and engine's types.
import type { ModelFileState } from "../engine/model-files.ts";
import type { Expert } from "../experts/expert.ts";
import type { ModelState, ModelStatus } from "../pool/pool.ts";
import type { Services } from "./services.ts";

export const expertStatuses = ["loaded", "loading", "available", "missing", "failed"] as const;
export type ExpertStatus = (typeof expertStatuses)[number];

export interface ExpertView {
  readonly expert: Expert;
  readonly file: ModelFileState;
  /** Undefined before the pool has heard of the expert. */
  readonly model: ModelStatus | undefined;
  readonly status: ExpertStatus;
}

export async function viewExpert(
  services: Pick<Services, "fileState" | "poolStatus">,
  expert: Expert,
): Promise<ExpertView> {
  const file = await services.fileState(expert.id);
  const model = services.poolStatus().models.find(({ modelId }) => modelId === expert.id);
  return { expert, file, model, status: expertStatus(model?.state, file) };
}

export async function viewExperts(
  services: Pick<Services, "experts" | "fileState" | "poolStatus">,
): Promise<readonly ExpertView[]> {
  return Promise.all(services.experts().map((expert) => viewExpert(services, expert)));
}

/**
 * The pool knows what is in memory; what is not is as good as its file. A model in memory counts as loaded although its
 * file went away, and one that the pool last saw without a file is available once the file is there.
 */
export function expertStatus(state: ModelState | undefined, file: ModelFileState): ExpertStatus {
  if (state === "loaded" || state === "loading") return state;
  if (file.state === "missing") return "missing";
  if (file.state === "invalid" || state === "failed") return "failed";
  return "available";
}

/** Whether a request for it can be expected to be answered. */
export function canServe(status: ExpertStatus): boolean {
  return status !== "missing" && status !== "failed";
}

/** Why an expert does not serve, or its last error; null where all is well. */
export function lastErrorOf(view: ExpertView): string | null {
  if (view.file.state !== "present") return view.file.reason;
  return view.model?.lastError ?? null;
}
