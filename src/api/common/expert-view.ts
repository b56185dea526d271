// One expert as the API shows it: what the configuration, the pool and its file say together.
// May import zod, experts/, engine/ and the pool's types.
import { z } from "zod";
import { wantedContextTokens } from "../../engine/context-size.ts";
import type { ModelFileState } from "../../engine/model-files.ts";
import type { Expert } from "../../experts/expert.ts";
import type { ModelStatus } from "../../pool/pool.ts";
import type { Services } from "../services.ts";

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
  return { expert, file, model, status: expertStatus(model, file) };
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
export function expertStatus(
  model: Pick<ModelStatus, "state" | "quarantined"> | undefined,
  file: ModelFileState,
): ExpertStatus {
  const state = model?.state;
  if (model?.quarantined === true) return "failed";
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
  if (view.model?.quarantined === true) return view.model.lastError;
  if (view.file.state !== "present") return view.file.reason;
  return view.model?.lastError ?? null;
}

/** What every body that shows an expert says of its place in memory. */
export const placement = {
  context_length: z
    .int()
    .nullable()
    .describe("Tokens of each slot, as loaded or as it would be; null where neither file nor configuration say."),
  reduced_from: z
    .int()
    .nullable()
    .describe("The context_length that was asked for, where memory made it less; else null."),
  reserved_bytes: z.int().describe("Of the RAM budget: predicted while it loads, measured after; 0 out of memory."),
  load_progress: z.number().nullable().describe("0 to 1 while it loads; else null."),
  retry_at: z.string().nullable().describe("Until then no request loads it, after loads that failed; null: at once."),
  quarantined: z.boolean().describe("It ended the process twice; POST /admin/experts/{id}/lift tries it again."),
};

export function placementBody({ expert, file, model }: ExpertView): z.output<z.ZodObject<typeof placement>> {
  const expectedTokens =
    file.state === "present"
      ? wantedContextTokens(expert.contextTokens, file.info.trainContextTokens)
      : expert.contextTokens;
  const retryAtMs = model?.retryAtMs ?? null;
  return {
    context_length: model?.contextTokens ?? expectedTokens,
    reduced_from: model?.reducedFromTokens ?? null,
    reserved_bytes: model?.reservedBytes ?? 0,
    load_progress: model?.loadProgress ?? null,
    retry_at: retryAtMs === null ? null : new Date(retryAtMs).toISOString(),
    quarantined: model?.quarantined ?? false,
  };
}
