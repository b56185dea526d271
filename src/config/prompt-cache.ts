// What the cache of conversations may take on this machine. Pure. May import config.ts and core/.
import path from "node:path";
import { formatBytes } from "../core/bytes.ts";
import type { PromptCacheConfig } from "./config.ts";

export interface PromptCacheSettings {
  /** Of the RAM budget: what is left is the models'. 0: no cache. */
  readonly ramBytes: number;
  /** 0: no files. */
  readonly diskBytes: number;
  readonly maxAgeMs: number;
  /** Null: nowhere, so no files. */
  readonly folder: string | null;
  /** One line where it is less than what the configuration asks for. */
  readonly warning: string | null;
}

const defaultShare = 1 / 20;
const mostByDefaultBytes = 2 ** 30;
/** Models that find no memory are worse than prompts that are read again. */
const largestShare = 1 / 2;

/** `budgetBytes`: the whole RAM budget. `stateFolder`: null where there is none. */
export function promptCacheSettings(
  { ramBytes, diskBytes, maxAgeMs, folder }: PromptCacheConfig,
  budgetBytes: number,
  stateFolder: string | null,
): PromptCacheSettings {
  const wantedBytes = ramBytes ?? Math.min(budgetBytes * defaultShare, mostByDefaultBytes);
  const usedBytes = Math.floor(Math.min(wantedBytes, budgetBytes * largestShare));
  return {
    ramBytes: usedBytes,
    diskBytes,
    maxAgeMs,
    folder: folder ?? (stateFolder === null ? null : path.join(stateFolder, "prompt-cache")),
    warning:
      usedBytes >= Math.floor(wantedBytes)
        ? null
        : `prompt_cache.ram: ${formatBytes(wantedBytes)} is more than half of the RAM budget of ` +
          `${formatBytes(budgetBytes)}, so ${formatBytes(usedBytes)} are used`,
  };
}
