// Families whose calls are one list of JSON objects between markers: Phi-4-mini, Granite 3, Nemotron Nano 2, Apriel and
// Firefunction differ in the markers alone.
import type { Family } from "../family.ts";
import { jsonCalls } from "../json-calls.ts";

function list(
  name: string,
  matches: (source: string) => boolean,
  open: string,
  close: string,
  tokens: readonly string[],
): Family {
  const calls = jsonCalls({
    open,
    close,
    isList: true,
    padding: "",
    nameKey: "name",
    argumentsKey: "arguments",
    preservedTokens: tokens,
  });
  return { name, matches, calls: () => calls };
}

export const phi4Mini = list(
  "phi-4-mini",
  (source) => source.includes("<|tool|>") && source.includes("<|/tool|>"),
  "<|tool_call|>",
  "<|/tool_call|>",
  ["<|tool_call|>", "<|/tool_call|>"],
);
export const granite3 = list(
  "granite-3",
  (source) => source.includes("<|start_of_role|>") && source.includes("<|tool_call|>"),
  "<|tool_call|>",
  "",
  ["<|tool_call|>"],
);
export const nemotronNano2 = list(
  "nemotron-nano-2",
  (source) => source.includes("<TOOLCALL>"),
  "<TOOLCALL>",
  "</TOOLCALL>",
  ["<TOOLCALL>", "</TOOLCALL>"],
);
export const apriel = list("apriel", (source) => source.includes("<tool_calls>[{"), "<tool_calls>", "</tool_calls>", [
  "<tool_calls>",
  "</tool_calls>",
]);
export const firefunction = list("firefunction", (source) => source.includes("functools["), "functools", "", []);
