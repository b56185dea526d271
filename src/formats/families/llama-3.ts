// Llama 3.1 to 3.3: the whole answer is one JSON object, sometimes behind `<|python_tag|>`. Functionary 3.1: function tags.
import type { Family } from "../family.ts";
import { jsonCalls } from "../json-calls.ts";
import { namedCalls } from "../named-calls.ts";

const bare = jsonCalls({
  open: null,
  otherOpen: "<|python_tag|>",
  close: "",
  isList: false,
  padding: "",
  nameKey: "name",
  argumentsKey: "parameters",
  allowsSeveral: false,
  preservedTokens: ["<|python_tag|>"],
});

const functionTags = namedCalls({
  open: "<function=",
  argumentsMark: ">",
  close: "</function>",
  separator: "",
  preservedTokens: [],
});

export const functionary: Family = {
  name: "functionary",
  matches: (source) => source.includes("<|start_header_id|>") && source.includes("</function>"),
  calls: () => functionTags,
};

export const llama3: Family = {
  name: "llama-3",
  matches: (source) => source.includes("<|start_header_id|>") && /"parameters\\?": /u.test(source),
  calls: () => bare,
};
