// Hermes, Qwen 2.5 and 3, QwQ, Granite 4 and others: each call a JSON object in `<tool_call>` tags. Also what models are asked
// for whose templates know no tools.
import type { Family } from "../family.ts";
import { jsonCalls } from "../json-calls.ts";

export const taggedJsonCalls = jsonCalls({
  open: "<tool_call>",
  close: "</tool_call>",
  isList: false,
  padding: "\n",
  nameKey: "name",
  argumentsKey: "arguments",
  preservedTokens: ["<tool_call>", "</tool_call>"],
});

export const hermes: Family = {
  name: "hermes",
  matches: (source) => /<tool_call>.{0,40}\\?"name\\?"/su.test(source),
  calls: () => taggedJsonCalls,
};
