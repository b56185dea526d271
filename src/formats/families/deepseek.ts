// DeepSeek R1 and V3 (a fenced JSON object behind the name), V3.1 (a bare one), and Kimi K2 in the same manner.
import type { Family } from "../family.ts";
import { namedCalls } from "../named-calls.ts";

const section = { open: "<｜tool▁calls▁begin｜>", close: "<｜tool▁calls▁end｜>" };
const tokens = [section.open, section.close, "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"];

const fenced = namedCalls({
  section,
  open: "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
  argumentsMark: "\n```json\n",
  close: "\n```<｜tool▁call▁end｜>",
  separator: "\n",
  preservedTokens: tokens,
});

const bare = namedCalls({
  section,
  open: "<｜tool▁call▁begin｜>",
  argumentsMark: "<｜tool▁sep｜>",
  close: "<｜tool▁call▁end｜>",
  separator: "",
  preservedTokens: tokens,
});

export const deepseek: Family = {
  name: "deepseek",
  matches: (source) => source.includes(section.open),
  calls: (source) => (source.includes("```json") ? fenced : bare),
};

const kimiSection = { open: "<|tool_calls_section_begin|>", close: "<|tool_calls_section_end|>" };
const numbered = namedCalls({
  section: kimiSection,
  open: "<|tool_call_begin|>",
  prefix: "functions.",
  isNumbered: true,
  argumentsMark: "<|tool_call_argument_begin|>",
  close: "<|tool_call_end|>",
  separator: "",
  preservedTokens: [
    kimiSection.open,
    kimiSection.close,
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
  ],
});

export const kimi: Family = {
  name: "kimi-k2",
  matches: (source) => source.includes(kimiSection.open),
  calls: () => numbered,
};
