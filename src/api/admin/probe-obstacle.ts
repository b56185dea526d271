// Whether a live probe may touch an expert: it waits for nobody and evicts no busy model. Pure.
// May import the pool's and engine's types.
import type { ModelFileState } from "../../engine/model-files.ts";
import type { ModelStatus, PoolStatus } from "../../pool/pool.ts";

/** Why the expert is to be left alone, in one sentence; null: it may be probed. */
export function probeObstacle(expertId: string, file: ModelFileState, pool: PoolStatus): string | null {
  const model = pool.models.find(({ modelId }) => modelId === expertId);
  if (model !== undefined && isBusy(model)) return "Not probed: it is busy.";
  if (model?.state === "loaded") return null;
  if (file.state !== "present") return `Not probed: ${file.reason}.`;
  const heldBytes = pool.models
    .filter((other) => other.modelId !== expertId && (isBusy(other) || other.pinned))
    .reduce((sum, other) => sum + other.reservedBytes, 0);
  const freeableBytes = pool.budgetBytes - heldBytes;
  // The file's size is the least that a load takes; where it just fits, the probe may still have to wait its turn.
  return file.info.sizeBytes > freeableBytes ? "Not probed: busy experts hold the memory that it needs." : null;
}

function isBusy(model: ModelStatus): boolean {
  return model.leases > 0 || model.waiting > 0 || model.state === "loading" || model.state === "unloading";
}
