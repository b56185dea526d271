import { isDeepStrictEqual } from "node:util";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { answerFormat } from "../../src/formats/answer-formats.ts";
import { completionOf } from "../../src/grammar/completion.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import { countedIds, partsOf, randomBeginning, randomNumbers } from "./reading.ts";
import { type Recording, recordings, templates, tools } from "./recordings.ts";

const formatOf = (
  { template, generationPrompt }: Pick<Recording, "template" | "generationPrompt">,
  choice = tools.choice,
) => answerFormat({ template, generationPrompt, tools: { ...tools, choice }, output: null }, countedIds);

describe.each(recordings)("$name", (recording) => {
  const { text, parts, wrong } = recording;
  const format = formatOf(recording);
  const grammar = format.grammar as Grammar;

  it("gives its parts however it is cut", () => {
    const characters = Array.from(text);
    expect(partsOf(format, [text])).toEqual(parts);
    expect(partsOf(format, characters)).toEqual(parts);
    const cuts = characters.map((_, cut) => [characters.slice(0, cut).join(""), characters.slice(cut).join("")]);
    expect(cuts.filter((pieces) => !isDeepStrictEqual(partsOf(format, pieces), parts))).toEqual([]);
  });

  it("is a sentence of its grammar, and what is wrong is none", () => {
    expect(completionOf(grammar, text)).toBe("");
    expect(wrong.filter((other) => completionOf(grammar, other) === "")).toEqual([]);
  });
});

describe.each(Object.entries(templates))("sentences of %s", (_name, template) => {
  const schemas = new Map(
    tools.tools.map(({ name, parameters }) => [name, new Ajv({ strict: false }).compile(parameters)]),
  );

  it.each(["auto", "required"] as const)("are read as calls whose arguments are valid (%s)", (choice) => {
    const format = formatOf({ template, generationPrompt: "" }, choice);
    const grammar = format.grammar as Grammar;
    let callCount = 0;
    for (let seed = 1; seed <= 25; seed += 1) {
      const beginning = randomBeginning(grammar, seed * 7, randomNumbers(seed));
      const text = beginning + (completionOf(grammar, beginning) ?? "no sentence");
      expect(completionOf(grammar, text)).toBe("");
      const parts = partsOf(format, Array.from(text));
      expect(partsOf(format, [text])).toEqual(parts);
      const calls = parts.filter((part) => part.type === "tool_call");
      callCount += calls.length;
      expect(choice === "required" && calls.length === 0).toBe(false);
      for (const { index, name } of calls) {
        const written = parts.find((part) => part.type === "tool_arguments" && part.index === index);
        const value: unknown = JSON.parse(written !== undefined && "text" in written ? written.text : "");
        const validate = schemas.get(name);
        expect({ value, isValid: validate?.(value) }).toEqual({ value, isValid: true });
      }
    }
    expect(callCount).toBeGreaterThan(0);
  });

  it("are one call where only one may come, of the tool that is named", () => {
    const format = answerFormat(
      {
        template,
        generationPrompt: "",
        tools: { ...tools, parallel: false, choice: { name: "get_time" } },
        output: null,
      },
      countedIds,
    );
    const grammar = format.grammar as Grammar;
    for (let seed = 1; seed <= 20; seed += 1) {
      const beginning = randomBeginning(grammar, seed * 10, randomNumbers(seed));
      const parts = partsOf(format, [beginning + (completionOf(grammar, beginning) ?? "")]);
      expect(parts.filter((part) => part.type === "tool_call").map(({ name }) => name)).toEqual(["get_time"]);
    }
  });

  it("hostile texts come back", () => {
    const format = formatOf({ template, generationPrompt: "" });
    for (const unit of [
      "<",
      "[",
      "{",
      "<tool_call>",
      '<tool_call>{"name": "',
      "[TOOL_CALLS]",
      "<think>",
      "\n",
      "<|",
      '"',
      "</think>",
    ]) {
      const text = unit.repeat(Math.ceil(5_000 / unit.length));
      const once = partsOf(format, [text]);
      expect(partsOf(format, Array.from(text))).toEqual(once);
      expect(once.some((part) => part.type === "tool_call")).toBe(false);
    }
  });
});
