// Cohere: Command R7B, Command A and North write a list between action tokens and the answer between others; Command R and
// R+ write a fenced list behind the word Action.
import type { Family } from "../family.ts";
import { jsonCalls } from "../json-calls.ts";

const actions = jsonCalls({
  open: "<|START_ACTION|>",
  close: "<|END_ACTION|>",
  isList: true,
  padding: "",
  nameKey: "tool_name",
  argumentsKey: "parameters",
  id: { key: "tool_call_id", place: "first" },
  preservedTokens: ["<|START_ACTION|>", "<|END_ACTION|>"],
});

const fenced = jsonCalls({
  open: "Action:\n```json",
  otherOpen: "Action: ```json",
  close: "```",
  isList: true,
  padding: "\n",
  nameKey: "tool_name",
  argumentsKey: "parameters",
  preservedTokens: [],
});

function withActions(name: string, word: string): Family {
  const content = { start: `<|START_${word}|>`, end: `<|END_${word}|>` };
  return {
    name,
    matches: (source) => source.includes("<|START_ACTION|>") && source.includes(content.start),
    calls: () => actions,
    content,
    preservedTokens: [content.start, content.end],
  };
}

export const commandR7b = withActions("command-r7b", "RESPONSE");
export const north = withActions("north", "TEXT");

export const commandR: Family = {
  name: "command-r",
  matches: (source) => source.includes("<|CHATBOT_TOKEN|>") && source.includes("Action:"),
  calls: () => fenced,
};
