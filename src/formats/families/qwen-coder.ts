// Qwen3-Coder, Qwen 3.5, Nemotron Nano 3, StepFun: a tag for the function and one for each argument. Seed-OSS: the same in
// tags of its own.
import type { Family } from "../family.ts";
import { taggedCalls } from "../tagged-calls.ts";

function functionTags(open: string, close: string, padsValues: boolean) {
  return taggedCalls({
    open,
    nameStart: "<function=",
    nameEnd: ">",
    keyStart: "<parameter=",
    keyEnd: ">",
    valueStart: "",
    valueEnd: "</parameter>",
    isOnLines: true,
    padsValues,
    bodyEnd: "</function>",
    close,
    preservedTokens: [open, close],
  });
}

const qwenCalls = functionTags("<tool_call>", "</tool_call>", true);
const seedCalls = functionTags("<seed:tool_call>", "</seed:tool_call>", false);

export const qwenCoder: Family = {
  name: "qwen-coder",
  matches: (source) => source.includes("<function=") && source.includes("<parameter=") && source.includes("tool_call>"),
  calls: (source) => (source.includes("seed:") ? seedCalls : qwenCalls),
};
