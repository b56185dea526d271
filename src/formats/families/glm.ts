// GLM 4.5 to 4.7 and others: the name behind `<tool_call>`, then pairs of tags for each argument's name and value.
import type { Family } from "../family.ts";
import { taggedCalls } from "../tagged-calls.ts";

function argumentTags(isOnLines: boolean) {
  return taggedCalls({
    open: "<tool_call>",
    nameStart: "",
    nameEnd: "",
    keyStart: "<arg_key>",
    keyEnd: "</arg_key>",
    valueStart: "<arg_value>",
    valueEnd: "</arg_value>",
    isOnLines,
    padsValues: false,
    bodyEnd: "",
    close: "</tool_call>",
    preservedTokens: ["<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
  });
}

const onLines = argumentTags(true);
const onOneLine = argumentTags(false);

export const glm: Family = {
  name: "glm",
  matches: (source) => source.includes("<arg_key>") && source.includes("<arg_value>") && source.includes("<tool_call>"),
  calls: (source) => (/<\/arg_key>\s*\n\s*<arg_value>/u.test(source) ? onLines : onOneLine),
};
