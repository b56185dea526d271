// Which slot a prompt gets: the longest common prefix, never a busy one.
import { describe, expect, it } from "vitest";
import { commonPrefixLength } from "../../src/engine/common-prefix.ts";
import { chooseSlot } from "../../src/engine/llama/slot-choice.ts";

const slot = (cachedTokens: number[], lastUse: number, busy = false) => ({ cachedTokens, lastUse, busy });

describe("chooseSlot", () => {
  it("takes the slot that holds most of the prompt", () => {
    expect(chooseSlot([slot([1, 2], 9), slot([1, 2, 3, 4], 1), slot([], 0)], [1, 2, 3, 5])).toBe(1);
  });

  it("never takes a busy slot, however much it holds", () => {
    expect(chooseSlot([slot([1, 2, 3], 1, true), slot([], 5)], [1, 2, 3])).toBe(1);
    expect(chooseSlot([slot([1], 1, true)], [1])).toBe(-1);
  });

  it("spares a cached conversation that shares next to nothing, and overwrites the oldest slot instead", () => {
    const prompt = Array.from({ length: 100 }, (_, index) => index);
    expect(chooseSlot([slot([0, 1, 2, 900], 8), slot([700, 701], 3)], prompt)).toBe(1);
  });

  it("takes the least recently used slot where none shares anything", () => {
    expect(chooseSlot([slot([5], 7), slot([6], 2), slot([7], 4)], [1, 2])).toBe(1);
  });
});

describe("commonPrefixLength", () => {
  it.each([
    [[], [], 0],
    [[1], [], 0],
    [[1, 2, 3], [1, 2, 4], 2],
    [[1, 2], [1, 2, 3], 2],
  ])("of %j and %j is %i", (left, right, length) => {
    expect(commonPrefixLength(left, right)).toBe(length);
  });
});
