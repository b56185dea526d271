import { describe, expect, it } from "vitest";
import { refuseHopelessPrompt } from "../../src/chat/prompt-limit.ts";

/** A token a word, and a record of how much was tokenized. */
function wordModel(contextTokens: number) {
  const seen: number[] = [];
  return {
    contextTokens,
    seen,
    tokenize: (text: string) => {
      seen.push(text.length);
      return text.split(" ").map((_, index) => index);
    },
  };
}

describe("refuseHopelessPrompt", () => {
  it("does not look at a text that is short enough", () => {
    const model = wordModel(100);
    refuseHopelessPrompt(model, "a ".repeat(600), "messages");
    expect(model.seen).toEqual([]);
  });

  it("refuses ten megabytes after a look at their beginning, with both numbers", () => {
    const model = wordModel(100);
    expect(() => refuseHopelessPrompt(model, "abc ".repeat(2_500_000), "messages")).toThrowError(
      expect.objectContaining({
        status: 400,
        code: "context_length_exceeded",
        param: "messages",
        message: expect.stringMatching(/more than 301 tokens.*holds 100\b/),
      }),
    );
    expect(model.seen).toEqual([1200]);
  });

  it("lets a long text pass whose tokens are long", () => {
    const model = wordModel(100);
    refuseHopelessPrompt(model, `${"x".repeat(200)} `.repeat(20), "prompt");
    expect(model.seen).toEqual([1200, 2400]);
  });
});
