// How an assistant's answer opens when its visible text continues, for the template families for which that cannot be
// told from what the template renders; llama.cpp, too, writes most of them down (its common/parsers). Pure data.

interface TemplateFamily {
  /** All of these stand in the template's source. */
  readonly has: readonly string[];
  readonly hasNot?: readonly string[];
  readonly opening: string;
}

// In llama.cpp's order: the first that fits.
const families: readonly TemplateFamily[] = [
  { has: ["[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[ARGS]"], hasNot: ["[CALL_ID]"], opening: "[THINK][/THINK]" },
  {
    has: ["<|channel|>"],
    opening: "<|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>",
  },
  {
    has: ["<atem:function_calls>", "<|eom|>"],
    opening: "<|start|>assistant to=self<|message|><|eom|><|start|>assistant to=user<|message|>",
  },
  {
    has: [">>>all", ">>>${recipient}"],
    opening: "<|start_header_id|>assistant<|end_header_id|>\n\n>>>all\n",
  },
  {
    has: ["<|tool_calls_section_begin|>", "<|tool_call_begin|>"],
    opening: "<|im_assistant|>assistant<|im_middle|><think></think>",
  },
  {
    has: ["<|open|>", "<|close|>", "<|end_of_msg|>"],
    opening: '<|open|>message role="assistant"<|sep|><|open|>think<|sep|><|close|>think<|sep|><|open|>response<|sep|>',
  },
  {
    has: ["<|START_TEXT|>", "<|START_ACTION|>"],
    opening: "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_THINKING|><|END_THINKING|><|START_TEXT|>",
  },
  {
    // It opens the assistant's turn without a generation prompt too.
    has: ["<|START_RESPONSE|>", "<|START_ACTION|>"],
    opening: "<|START_THINKING|><|END_THINKING|>",
  },
  { has: ["<|tool_list_start|>", "<|tool_list_end|>"], opening: "<|im_start|>assistant\n<think></think>" },
  { has: ["List of tools: ["], hasNot: ["<|tool_list_start|>"], opening: "<|im_start|>assistant\n<think></think>" },
  { has: ["dsml_token", "DSML", "function_calls"], opening: "<｜Assistant｜><think></think>" },
  { has: ["dsml_token", "DSML", "tool_calls"], opening: "<｜Assistant｜></think>" },
  { has: ["'<|tool_call>call:'"], opening: "<|turn>model\n<|channel>thought\n<channel|>" },
  {
    has: ["<tool_call>", "<function=", "<parameter=", "<think>"],
    hasNot: ["'<tool_call><function=' ~ tool_call.name ~ '>'"],
    opening: "<|im_start|>assistant\n<think>\n\n</think>\n\n",
  },
];

/** Null: not one of the families; the opening follows from what the template renders. */
export function familyOpening(source: string): string | null {
  const family = families.find(
    ({ has, hasNot = [] }) =>
      has.every((part) => source.includes(part)) && !hasNot.some((part) => source.includes(part)),
  );
  return family?.opening ?? null;
}
