// Mistral: `[TOOL_CALLS]` and a list of JSON objects (7B v0.3, Nemo), or with each call its name and `[ARGS]` (Devstral,
// Ministral 3), between which an id may stand (Small 3.2).
import type { Family } from "../family.ts";
import { jsonCalls } from "../json-calls.ts";
import { namedCalls } from "../named-calls.ts";

const list = jsonCalls({
  open: "[TOOL_CALLS]",
  close: "",
  isList: true,
  padding: "",
  nameKey: "name",
  argumentsKey: "arguments",
  id: { key: "id", place: "last" },
  preservedTokens: ["[TOOL_CALLS]"],
});

function named(idMark: string | undefined) {
  return namedCalls({
    open: "[TOOL_CALLS]",
    ...(idMark === undefined ? {} : { idMark }),
    argumentsMark: "[ARGS]",
    close: "",
    separator: "",
    preservedTokens: ["[TOOL_CALLS]", "[ARGS]", ...(idMark === undefined ? [] : [idMark])],
  });
}

const plain = named(undefined);
const withIds = named("[CALL_ID]");

export const mistral: Family = {
  name: "mistral",
  matches: (source) => source.includes("[TOOL_CALLS]"),
  calls: (source) => (!source.includes("[ARGS]") ? list : source.includes("[CALL_ID]") ? withIds : plain),
};
