// The edit distance, and which known paths a mistyped one brings to mind.
import { assert, property, string } from "fast-check";
import { describe, expect, it } from "vitest";
import { closestPaths, editDistance } from "../../src/http/closest-paths.ts";

describe("editDistance", () => {
  it.each([
    ["", "", 0],
    ["", "abc", 3],
    ["kitten", "sitting", 3],
    ["abc", "abc", 0],
  ])("%j to %j is %i", (from, to, distance) => {
    expect(editDistance(from, to)).toBe(distance);
  });

  it("is the same both ways, and never more than the longer text", () => {
    assert(
      property(string({ maxLength: 12 }), string({ maxLength: 12 }), (from, to) => {
        const distance = editDistance(from, to);
        expect(distance).toBe(editDistance(to, from));
        expect(distance).toBeGreaterThanOrEqual(Math.abs(from.length - to.length));
        expect(distance).toBeLessThanOrEqual(Math.max(from.length, to.length));
      }),
    );
  });
});

describe("closestPaths", () => {
  const known = ["/health", "/health/live", "/stats", "/v1/models", "/v1/models", "/"];

  it("gives the best first, each once, at most three", () => {
    expect(closestPaths("/v1/model", known)).toEqual(["/v1/models"]);
    expect(closestPaths("/health/l", known)).toEqual(["/health", "/health/live"]);
    expect(closestPaths("/a", ["/a1", "/a2", "/a3", "/a4"])).toHaveLength(3);
  });

  it("gives none where nothing comes near", () => {
    expect(closestPaths("/something/else/altogether", known)).toEqual([]);
  });
});
