// What is refused before it is tokenized whole, and how much of it is looked at.
import { describe, expect, it } from "vitest";
import { refuseHopelessConversation, refuseHopelessPrompt } from "../../src/chat/prompt-limit.ts";

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
  it("does not look at a text that can be tokenized whole", () => {
    const model = wordModel(100);
    refuseHopelessPrompt(model, "a ".repeat(100_000), "messages");
    expect(model.seen).toEqual([]);
  });

  it("refuses ten megabytes after a look at their beginning, with both numbers", () => {
    const model = wordModel(100);
    expect(() => refuseHopelessPrompt(model, "abc ".repeat(2_500_000), "prompt[1]")).toThrowError(
      expect.objectContaining({
        status: 400,
        code: "context_length_exceeded",
        param: "prompt[1]",
        message: expect.stringMatching(/more than 50001 tokens.*holds 100\b/),
      }),
    );
    expect(model.seen).toEqual([200_000]);
  });

  it("lets a long text pass whose tokens are few", () => {
    const model = wordModel(100);
    refuseHopelessPrompt(model, `${"x".repeat(20_000)} `.repeat(30), "prompt");
    expect(model.seen).toEqual([200_000, 400_000]);
  });
});

describe("refuseHopelessConversation", () => {
  const long = "abc ".repeat(100_000);

  it("counts what the assistant said less: a template may drop it", () => {
    const reasoning = [{ role: "assistant" as const, content: long }];
    expect(() => refuseHopelessConversation(wordModel(20_000), reasoning, [])).not.toThrow();
    expect(() => refuseHopelessConversation(wordModel(10_000), reasoning, [])).toThrow(/more than 50001 tokens/);
  });

  it("counts all others in full", () => {
    const asked = [{ role: "user" as const, content: long }];
    expect(() => refuseHopelessConversation(wordModel(20_000), asked, [])).toThrow(/more than 50001 tokens/);
  });

  it.each(["id", "name", "arguments"])("counts what was called: its %s", (part) => {
    const call = { id: "1", name: "write", arguments: "{}", [part]: long };
    const called = [{ role: "assistant" as const, content: "", toolCalls: [call] }];
    expect(() => refuseHopelessConversation(wordModel(10_000), called, [])).toThrow(/more than \d+ tokens/);
  });

  it.each(["name", "toolCallId"])("counts the %s of an answer", (part) => {
    const answers = [{ role: "tool" as const, content: "", [part]: long }];
    expect(() => refuseHopelessConversation(wordModel(20_000), answers, [])).toThrow(/more than 50001 tokens/);
  });

  it("refuses more messages than the context has tokens, of whatever length, without a look at them", () => {
    const model = wordModel(10);
    const messages = Array.from({ length: 11 }, () => ({ role: "user" as const, content: "" }));
    expect(() => refuseHopelessConversation(model, messages, [])).toThrow(/11 messages.*holds 10 tokens/);
    expect(() => refuseHopelessConversation(model, messages.slice(1), [])).not.toThrow();
    expect(model.seen).toEqual([]);
  });

  it("counts the tools that are offered", () => {
    const tool = { name: "write", description: long, parameters: { type: "object" } };
    expect(() => refuseHopelessConversation(wordModel(20_000), [], [tool])).toThrow(
      expect.objectContaining({ param: "tools" }),
    );
  });
});
