// Which free slot a prompt should take: the one whose KV cache already holds most of it. Pure; imports common-prefix.ts and types.
import { commonPrefixLength } from "../common-prefix.ts";
import type { Token } from "../engine.ts";

export interface SlotView {
  readonly busy: boolean;
  /** The tokens in the slot's KV cache, in order. */
  readonly cachedTokens: readonly Token[];
  /** Grows with each use; the smallest was left alone longest. */
  readonly lastUse: number;
}

/**
 * The index of the free slot to use, or -1 where all are busy. A slot that shares less than a tenth of the prompt is not
 * worth its cached conversation: then the least recently used free slot is overwritten.
 */
export function chooseSlot(slots: readonly SlotView[], prompt: readonly Token[]): number {
  let longest = -1;
  let longestPrefix = 0;
  let oldest = -1;
  slots.forEach((slot, index) => {
    if (slot.busy) return;
    const prefix = commonPrefixLength(slot.cachedTokens, prompt);
    if (prefix > longestPrefix) {
      longest = index;
      longestPrefix = prefix;
    }
    if (oldest === -1 || slot.lastUse < (slots[oldest]?.lastUse ?? 0)) oldest = index;
  });
  return longest !== -1 && longestPrefix * 10 >= prompt.length ? longest : oldest;
}
