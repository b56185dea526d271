// How an assistant's answer is opened, for the template families for which that cannot be told from what the template
// renders; llama.cpp, too, writes most of them down (its common/parsers). Pure data.

export interface TemplateFamily {
  /** All of these stand in the template's source. */
  readonly has: readonly string[];
  readonly hasNot?: readonly string[];
  /** What opens the turn when an answer is continued; null: what the template itself writes. */
  readonly turn: string | null;
  /** The turn is opened after this text alone, then even where the template forgot to. */
  readonly turnAfter?: string;
  /**
   * What encloses its reasoning, and what then opens the visible text. `omittedWithoutReasoning`: no reasoning, no start.
   * Null: the family does not reason.
   */
  readonly thinking: {
    readonly start: string;
    readonly end: string;
    readonly answer: string;
    readonly omittedWithoutReasoning?: true;
  } | null;
  /** What else opens the visible text. */
  readonly answer?: string;
  /** How the template wants messages, where that is not llama-server's common form. */
  readonly messages?: "thinking-field" | "thinking-field-alone-with-calls" | "thinking-parts" | "results-in-call-order";
}

const thinkTags = { start: "<think>", end: "</think>", answer: "" };

// In llama.cpp's order: the first that fits.
const families: readonly TemplateFamily[] = [
  // Ministral 3
  {
    has: ["[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[ARGS]"],
    hasNot: ["[CALL_ID]"],
    turn: "",
    thinking: { start: "[THINK]", end: "[/THINK]", answer: "" },
    messages: "thinking-parts",
  },
  // gpt-oss
  {
    has: ["<|channel|>"],
    turn: "<|start|>assistant",
    thinking: {
      start: "<|channel|>analysis<|message|>",
      end: "<|end|>",
      answer: "<|start|>assistant<|channel|>final<|message|>",
    },
    messages: "thinking-field-alone-with-calls",
  },
  // Muse Glimmer
  {
    has: ["<atem:function_calls>", "<|eom|>"],
    turn: "<|start|>assistant",
    thinking: { start: " to=self<|message|>", end: "<|eom|>", answer: "<|start|>assistant to=user<|message|>" },
  },
  // Functionary 3.2
  {
    has: [">>>all", ">>>${recipient}"],
    turn: "<|start_header_id|>assistant<|end_header_id|>\n\n",
    thinking: null,
    answer: ">>>all\n",
  },
  // Kimi K2
  {
    has: ["<|tool_calls_section_begin|>", "<|tool_call_begin|>"],
    turn: "<|im_assistant|>assistant<|im_middle|>",
    thinking: thinkTags,
  },
  // Kimi K3
  {
    has: ["<|open|>", "<|close|>", "<|end_of_msg|>"],
    turn: '<|open|>message role="assistant"<|sep|>',
    thinking: { start: "<|open|>think<|sep|>", end: "<|close|>think<|sep|>", answer: "<|open|>response<|sep|>" },
  },
  // Ling 3
  { has: ["<role>ASSISTANT</role>", "<arg_key>"], turn: "<role>ASSISTANT</role>\n", thinking: thinkTags },
  // Cohere 2 MoE
  {
    has: ["<|START_TEXT|>", "<|START_ACTION|>"],
    turn: "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    thinking: { start: "<|START_THINKING|>", end: "<|END_THINKING|>", answer: "<|START_TEXT|>" },
  },
  // LFM 2 and 2.5
  {
    has: ["<|tool_list_start|>", "<|tool_list_end|>"],
    turn: "<|im_start|>assistant\n",
    thinking: thinkTags,
    messages: "thinking-field",
  },
  {
    has: ["List of tools: ["],
    hasNot: ["<|tool_list_start|>"],
    turn: "<|im_start|>assistant\n",
    thinking: thinkTags,
    messages: "thinking-field",
  },
  // GigaChat 3
  {
    has: ["<|role_sep|>", "<|message_sep|>"],
    hasNot: ["<|function_call|>"],
    turn: "assistant<|role_sep|>\n",
    thinking: null,
  },
  // MiniMax M3
  {
    has: ["]<]minimax[>[", "<tool_call>", "<invoke name="],
    turn: null,
    thinking: { start: "<mm:think>", end: "</mm:think>", answer: "" },
  },
  // DeepSeek 3.2 and 4
  { has: ["dsml_token", "DSML", "function_calls"], turn: "<｜Assistant｜>", thinking: thinkTags },
  {
    has: ["dsml_token", "DSML", "tool_calls"],
    turn: "<｜Assistant｜>",
    thinking: { ...thinkTags, omittedWithoutReasoning: true },
    messages: "results-in-call-order",
  },
  // Gemma 4
  {
    has: ["'<|tool_call>call:'"],
    turn: "<|turn>model\n",
    turnAfter: "<turn|>\n",
    thinking: { start: "<|channel>thought\n", end: "<channel|>", answer: "" },
  },
  // MiniCPM 5
  {
    has: ["Tool usage guidelines:", '<function name="', '<param name="'],
    turn: "<|im_start|>assistant\n",
    thinking: { start: "<think>\n", end: "\n</think>\n\n", answer: "" },
  },
  // Qwen 3.5, Nemotron Nano 3, Step 3.5; and Qwen3-Coder, which does not think
  {
    has: ["<tool_call>", "<function=", "<parameter=", "<think>"],
    hasNot: ["'<tool_call><function=' ~ tool_call.name ~ '>'"],
    turn: "<|im_start|>assistant\n",
    thinking: { start: "<think>\n", end: "\n</think>\n\n", answer: "" },
  },
  {
    has: ["<tool_call>", "<function=", "<parameter="],
    hasNot: ["'<tool_call><function=' ~ tool_call.name ~ '>'"],
    turn: "<|im_start|>assistant\n",
    thinking: null,
  },
  // Nemotron Nano 2
  {
    has: ["<SPECIAL_10>", "<SPECIAL_11>", "<SPECIAL_12>", "<TOOL_RESPONSE>"],
    turn: "<SPECIAL_11>Assistant\n",
    thinking: { start: "<think>\n", end: "</think>", answer: "" },
  },
];

/** Null: not one of the families; what opens an answer follows from what the template renders. */
export function familyOf(source: string): TemplateFamily | null {
  return (
    families.find(
      ({ has, hasNot = [] }) =>
        has.every((part) => source.includes(part)) && !hasNot.some((part) => source.includes(part)),
    ) ?? null
  );
}
