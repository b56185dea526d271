// What each model family writes into its files besides weights: tokenizer kind, special tokens, chat template.
// The templates render as the families' own do for text and (Qwen) tools. May import presets.ts.
import type { Architecture } from "./presets.ts";

/** The token types of a GGUF file. */
export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export type TokenType = (typeof tokenTypes)[keyof typeof tokenTypes];

export interface SpecialToken {
  /** Its id in the real vocabulary; where a vocabulary is too small for that, it moves to the end. */
  readonly id: number;
  readonly text: string;
  readonly type: TokenType;
}

export interface Family {
  /** `tokenizer.ggml.model`: byte-level BPE, SentencePiece BPE, or WordPiece. */
  readonly tokenizer: "gpt2" | "llama" | "bert";
  readonly preTokenizer: string;
  /** The special tokens of a vocabulary of `size` tokens. */
  readonly specials: (size: number) => SpecialToken[];
  /** Texts of the tokens with a role: the `tokenizer.ggml.<role>_token_id` fields. */
  readonly roles: Readonly<Record<string, string>>;
  readonly addBos: boolean;
  readonly chatTemplate?: string;
}

const control = (id: number, text: string): SpecialToken => ({ id, text, type: tokenTypes.control });
const userDefined = (id: number, text: string): SpecialToken => ({ id, text, type: tokenTypes.userDefined });
const unknown = (id: number, text: string): SpecialToken => ({ id, text, type: tokenTypes.unknown });
const consecutive = (first: number, texts: readonly string[]): SpecialToken[] =>
  texts.map((text, index) => control(first + index, text));

/** Placeholders for the ids in [first, end) that are not in `named`, as real vocabularies have them. */
function padding(
  first: number,
  end: number,
  named: readonly SpecialToken[],
  text: (id: number) => string,
  type: TokenType,
) {
  const taken = new Set(named.map(({ id }) => id));
  const ids = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
  return [...named, ...ids.filter((id) => !taken.has(id)).map((id): SpecialToken => ({ id, text: text(id), type }))];
}

const qwen: Family = {
  tokenizer: "gpt2",
  preTokenizer: "qwen2",
  specials: (size) =>
    padding(
      151_643,
      size,
      [
        ...consecutive(151_643, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
        ...consecutive(
          151_646,
          ["object_ref_start", "object_ref_end", "box_start", "box_end", "quad_start", "quad_end"]
            .concat(["vision_start", "vision_end", "vision_pad", "image_pad", "video_pad"])
            .map((name) => `<|${name}|>`),
        ),
        userDefined(151_657, "<tool_call>"),
        userDefined(151_658, "</tool_call>"),
        ...consecutive(
          151_659,
          ["fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name", "file_sep"].map((name) => `<|${name}|>`),
        ),
      ],
      (id) => `[PAD${id}]`,
      tokenTypes.unused,
    ),
  roles: { bos: "<|endoftext|>", eos: "<|im_end|>", eot: "<|im_end|>", padding: "<|endoftext|>" },
  addBos: false,
  chatTemplate: [
    "{%- set first = messages[0] %}",
    "{%- set system = first.content if first.role == 'system' else 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' %}",
    "{{- '<|im_start|>system\\n' + system }}",
    "{%- if tools %}",
    "{{- '\\n\\n# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\nYou are provided with function signatures within <tools></tools> XML tags:\\n<tools>' }}",
    "{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}",
    `{{- '\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\\n<tool_call>\\n{"name": <function-name>, "arguments": <args-json-object>}\\n</tool_call>' }}`,
    "{%- endif %}",
    "{{- '<|im_end|>\\n' }}",
    "{%- for message in messages %}",
    "{%- if message.role == 'user' or (message.role == 'system' and not loop.first) or (message.role == 'assistant' and not message.tool_calls) %}",
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}",
    "{%- elif message.role == 'assistant' %}",
    "{{- '<|im_start|>assistant' }}",
    "{%- if message.content %}{{- '\\n' + message.content }}{%- endif %}",
    "{%- for call in message.tool_calls %}",
    "{%- if call.function is defined %}{%- set call = call.function %}{%- endif %}",
    `{{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}{{- call.arguments | tojson }}{{- '}\\n</tool_call>' }}`,
    "{%- endfor %}",
    "{{- '<|im_end|>\\n' }}",
    "{%- elif message.role == 'tool' %}",
    "{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}",
    "{{- '\\n<tool_response>\\n' }}{{- message.content }}{{- '\\n</tool_response>' }}",
    "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}",
    "{%- endif %}",
    "{%- endfor %}",
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}",
  ].join("\n"),
};

const alternating = (start: string): string =>
  `{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{- raise_exception('${start}onversation roles must alternate user/assistant/user/assistant/...') }}{%- endif %}`;

const mistral: Family = {
  tokenizer: "llama",
  preTokenizer: "default",
  specials: (size) =>
    padding(
      3,
      size < 32_768 ? 0 : 771,
      [
        unknown(0, "<unk>"),
        ...consecutive(1, ["<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"]),
        ...consecutive(6, ["[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"]),
      ],
      (id) => `[control_${id - 2}]`,
      tokenTypes.control,
    ),
  roles: { bos: "<s>", eos: "</s>", unknown: "<unk>" },
  addBos: true,
  chatTemplate: [
    "{%- if messages[0].role == 'system' %}{%- set system = messages[0].content %}{%- set turns = messages[1:] %}{%- else %}{%- set turns = messages %}{%- endif %}",
    "{{- bos_token }}",
    "{%- for message in turns %}",
    alternating("After the optional system message, c"),
    "{%- if message.role == 'user' %}",
    "{%- if loop.last and system is defined %}{{- '[INST] ' + system + '\\n\\n' + message.content + '[/INST]' }}",
    "{%- else %}{{- '[INST] ' + message.content + '[/INST]' }}{%- endif %}",
    "{%- else %}{{- ' ' + message.content | trim + eos_token }}{%- endif %}",
    "{%- endfor %}",
  ].join("\n"),
};

const gemma: Family = {
  tokenizer: "llama",
  preTokenizer: "default",
  specials: (size) =>
    padding(
      5,
      size < 262_144 ? 0 : 105,
      [
        control(0, "<pad>"),
        control(1, "<eos>"),
        control(2, "<bos>"),
        unknown(3, "<unk>"),
        control(4, "<mask>"),
        control(105, "<start_of_turn>"),
        control(106, "<end_of_turn>"),
        control(255_999, "<start_of_image>"),
        control(256_000, "<end_of_image>"),
      ],
      (id) => `<unused${id - 6}>`,
      tokenTypes.unused,
    ),
  roles: { bos: "<bos>", eos: "<eos>", eot: "<end_of_turn>", unknown: "<unk>", padding: "<pad>" },
  addBos: true,
  chatTemplate: [
    "{{- bos_token }}",
    "{%- set prefix = '' %}{%- set turns = messages %}",
    "{%- if messages[0].role == 'system' %}",
    "{%- set prefix = (messages[0].content if messages[0].content is string else messages[0].content[0].text) + '\\n\\n' %}",
    "{%- set turns = messages[1:] %}",
    "{%- endif %}",
    "{%- for message in turns %}",
    alternating("C"),
    "{{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' + (prefix if loop.first else '') }}",
    "{%- if message.content is string %}{{- message.content | trim }}",
    "{%- else %}{%- for item in message.content %}{{- '<start_of_image>' if item.type == 'image' else item.text | trim }}{%- endfor %}{%- endif %}",
    "{{- '<end_of_turn>\\n' }}",
    "{%- endfor %}",
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}",
  ].join("\n"),
};

const phi: Family = {
  tokenizer: "gpt2",
  preTokenizer: "gpt-4o",
  specials: (size) =>
    padding(
      199_998,
      size,
      [
        control(199_999, "<|endoftext|>"),
        control(200_018, "<|endofprompt|>"),
        ...consecutive(200_019, ["<|assistant|>", "<|end|>", "<|user|>", "<|system|>"]),
        ...consecutive(
          200_023,
          ["tool", "/tool", "tool_call", "/tool_call", "tool_response", "tag"].map((name) => `<|${name}|>`),
        ),
      ],
      (id) => `<|dummy_${id - 199_998}|>`,
      tokenTypes.control,
    ),
  roles: {
    bos: "<|endoftext|>",
    eos: "<|endoftext|>",
    eot: "<|end|>",
    unknown: "<|endoftext|>",
    padding: "<|endoftext|>",
  },
  addBos: false,
  chatTemplate: [
    "{%- for message in messages %}",
    "{{- '<|' + message.role + '|>' + message.content }}",
    "{%- if message.role == 'system' and message.tools %}{{- '<|tool|>' + message.tools + '<|/tool|>' }}{%- endif %}",
    "{{- '<|end|>' }}",
    "{%- endfor %}",
    "{{- '<|assistant|>' if add_generation_prompt else eos_token }}",
  ].join("\n"),
};

const cohere: Family = {
  tokenizer: "gpt2",
  preTokenizer: "command-r",
  specials: () => [
    ...consecutive(0, [
      "<PAD>",
      "<UNK>",
      "<CLS>",
      "<SEP>",
      "<MASK_TOKEN>",
      "<BOS_TOKEN>",
      "<EOS_TOKEN>",
      "<EOP_TOKEN>",
    ]),
    ...consecutive(
      255_000,
      ["START_OF_TURN", "END_OF_TURN", "YES", "NO", "GOOD", "BAD", "USER", "CHATBOT", "SYSTEM"].map(
        (name) => `<|${name}_TOKEN|>`,
      ),
    ),
  ],
  roles: {
    bos: "<BOS_TOKEN>",
    eos: "<|END_OF_TURN_TOKEN|>",
    eot: "<|END_OF_TURN_TOKEN|>",
    unknown: "<UNK>",
    padding: "<PAD>",
  },
  addBos: true,
  chatTemplate: [
    "{{- bos_token }}",
    "{%- set turns = messages %}",
    "{%- if messages[0].role == 'system' %}",
    "{{- '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + messages[0].content + '<|END_OF_TURN_TOKEN|>' }}",
    "{%- set turns = messages[1:] %}",
    "{%- endif %}",
    "{%- for message in turns %}",
    alternating("C"),
    "{{- '<|START_OF_TURN_TOKEN|>' + ('<|USER_TOKEN|>' if message.role == 'user' else '<|CHATBOT_TOKEN|>') + message.content | trim + '<|END_OF_TURN_TOKEN|>' }}",
    "{%- endfor %}",
    "{%- if add_generation_prompt %}{{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{%- endif %}",
  ].join("\n"),
};

const bge: Family = {
  tokenizer: "bert",
  preTokenizer: "bert-bge",
  specials: () => [
    control(0, "[PAD]"),
    unknown(100, "[UNK]"),
    control(101, "[CLS]"),
    control(102, "[SEP]"),
    control(103, "[MASK]"),
  ],
  // The field of the separator is misspelt in the format itself.
  roles: {
    bos: "[CLS]",
    eos: "[SEP]",
    unknown: "[UNK]",
    seperator: "[SEP]",
    padding: "[PAD]",
    cls: "[CLS]",
    mask: "[MASK]",
  },
  addBos: true,
};

export const families: Readonly<Record<Architecture, Family>> = {
  qwen2: qwen,
  qwen3: qwen,
  llama: mistral,
  gemma3: gemma,
  phi3: phi,
  "command-r": cohere,
  bert: bge,
};
