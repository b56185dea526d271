// Requests of llama.cpp's server test-suite and others of their kind, and how an answer is reduced to what a model of the
// same weights must answer too: both llama-server and this server are asked them word for word. Imports nothing.

export interface Scenario {
  /** What is asked for. */
  readonly name: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** An answer without what differs by server: ids, times, names. */
export interface Outcome {
  readonly texts?: readonly string[];
  readonly finish?: readonly (string | null)[];
  /** Counts of a single choice: of several, llama-server counts the first alone. */
  readonly promptTokens?: number;
  readonly generatedTokens?: number;
  readonly logprobs?: readonly TokenLogprobs[];
  readonly tokens?: readonly unknown[];
}

export interface TokenLogprobs {
  readonly token: string;
  readonly logprob: number;
  readonly top: readonly (readonly [token: string, logprob: number])[];
}

/** What the suite starts llama-server with: the context is shared by the slots. */
export const peerOptions = ["-c", "512", "-b", "32", "-np", "2", "-s", "42", "-t", "1"];
/** The same as an expert's configuration. */
export const expertOptions = { max_model_len: 256, parallel: 2, sampling: { seed: 42 } } as const;

const meaning = "I believe the meaning of life is";
const joke = "Write a joke about AI from a very long prompt which will not be truncated";
const once = "Once upon a time";
const lily = "Lily and Tom went to the park. Lily and Tom went to the";
const sentence = `root ::= subject " " verb (" and " verb)* "."
subject ::= "The " ("cat" | "dog" | "little girl") | [A-Z] [a-z]{2,6}
verb ::= ("ran" | "sat" | "said \\"" [a-z ,]{3,20} "\\"")`;
const numbers = `root ::= "[" (number (", " number){0,4})? "]"
number ::= "-"? ("0" | [1-9] [0-9]{0,3})`;

const completions: Readonly<Record<string, Record<string, unknown>>> = {
  "at temperature 0": { prompt: once, max_tokens: 64, temperature: 0 },
  "at temperature 0, of another prompt": { prompt: joke, max_tokens: 64, temperature: 0 },
  "at temperature 0, of an empty prompt": { prompt: "", max_tokens: 32, temperature: 0 },
  "with nothing but the default sampling": { prompt: meaning, max_tokens: 8 },
  "with the default sampling, longer": { prompt: joke, max_tokens: 64 },
  "with the name that llama-server has for max_tokens": { prompt: meaning, n_predict: 12 },
  ...Object.fromEntries(
    [0, 2, 3, 5, 4_294_967_294].map((seed) => [
      `at temperature 1 with seed ${seed}`,
      { prompt: meaning, max_tokens: 48, temperature: 1, seed },
    ]),
  ),
  "from the whole vocabulary": {
    prompt: once,
    max_tokens: 40,
    seed: 5,
    temperature: 1.3,
    top_k: 0,
    top_p: 1,
    min_p: 0,
  },
  "with top_k": { prompt: once, max_tokens: 40, seed: 5, temperature: 2, top_k: 3, top_p: 1, min_p: 0 },
  "with top_p": { prompt: once, max_tokens: 40, seed: 5, temperature: 1.5, top_k: 0, top_p: 0.4, min_p: 0 },
  "with min_p": { prompt: once, max_tokens: 40, seed: 5, temperature: 1.5, top_k: 0, top_p: 1, min_p: 0.2 },
  "with typical_p": { prompt: once, max_tokens: 40, seed: 5, temperature: 1.2, typical_p: 0.5 },
  "with top_n_sigma": { prompt: once, max_tokens: 40, seed: 5, temperature: 1.5, top_n_sigma: 1.2 },
  "with a repeat penalty": { prompt: lily, max_tokens: 48, temperature: 0, repeat_penalty: 1.5 },
  "with a repeat penalty that looks back on little": {
    prompt: lily,
    max_tokens: 48,
    temperature: 0,
    repeat_penalty: 1.5,
    repeat_last_n: 4,
  },
  "with a presence penalty": { prompt: lily, max_tokens: 48, temperature: 0, presence_penalty: 1.5 },
  "with a frequency penalty": { prompt: lily, max_tokens: 48, temperature: 0, frequency_penalty: 0.8 },
  "with all penalties and a seed": {
    prompt: lily,
    max_tokens: 48,
    seed: 9,
    repeat_penalty: 1.1,
    presence_penalty: 0.5,
    frequency_penalty: 0.3,
  },
  "with negative penalties": { prompt: lily, max_tokens: 32, temperature: 0, frequency_penalty: -1 },
  "with DRY": { prompt: lily, max_tokens: 64, temperature: 0, dry_multiplier: 2 },
  "with DRY and settings of its own": {
    prompt: lily,
    max_tokens: 64,
    temperature: 0,
    dry_multiplier: 1,
    dry_base: 3,
    dry_allowed_length: 1,
    dry_penalty_last_n: 200,
    dry_sequence_breakers: [".", ","],
  },
  "with DRY and a seed": { prompt: lily, max_tokens: 64, seed: 3, dry_multiplier: 1, dry_penalty_last_n: 128 },
  "with XTC": { prompt: once, max_tokens: 48, seed: 5, xtc_probability: 0.6, xtc_threshold: 0.08 },
  "with XTC always": { prompt: once, max_tokens: 48, seed: 5, xtc_probability: 1, xtc_threshold: 0.2 },
  "with a bias against tokens": { prompt: once, max_tokens: 32, temperature: 0, logit_bias: { 432: -100, 263: -20 } },
  "with a bias for a token, in pairs": { prompt: once, max_tokens: 32, temperature: 0, logit_bias: [[286, 4]] },
  "with tokens that never come": { prompt: once, max_tokens: 32, temperature: 0, logit_bias: [[432, false]] },
  "with a bias for the end": { prompt: once, max_tokens: 32, temperature: 0, logit_bias: { 2: 100 } },
  "with a bias for an end that is ignored": {
    prompt: once,
    max_tokens: 32,
    temperature: 0,
    logit_bias: { 2: 100 },
    ignore_eos: true,
  },
  "with an empty bias": { prompt: meaning, max_tokens: 8, logit_bias: {} },
  "up to a stop string": { prompt: once, max_tokens: 64, temperature: 0, stop: "Lily" },
  "up to the first of several stop strings": { prompt: once, max_tokens: 64, temperature: 0, stop: ["park", "loved"] },
  "up to a stop string across tokens": { prompt: once, max_tokens: 64, temperature: 0, stop: ["tle girl na"] },
  "with a stop string that never comes": { prompt: once, max_tokens: 16, temperature: 0, stop: ["Lilyx"] },
  "with part of a stop string at the end": { prompt: once, max_tokens: 12, temperature: 0, stop: [" Lily. She l!"] },
  "with an empty list of stop strings": { prompt: meaning, max_tokens: 8, stop: [] },
  "with a prompt of tokens": { prompt: [1, 403, 407, 261, 378], max_tokens: 16, temperature: 0 },
  "of several prompts": { prompt: [once, meaning], max_tokens: 12, temperature: 0 },
  "of token lists": {
    prompt: [
      [1, 403, 407],
      [1, 438],
    ],
    max_tokens: 12,
    temperature: 0,
  },
  "of a text and tokens": { prompt: [[1, 403, 407], once], max_tokens: 12, temperature: 0 },
  "of n choices with a seed": { prompt: meaning, max_tokens: 16, seed: 11, temperature: 1, n: 2 },
  "up to the end of the context": { prompt: "Hi how are you", max_tokens: -1, temperature: 0 },
  "of one token": { prompt: once, max_tokens: 1, temperature: 0 },
  "of a text with other alphabets and emoji": { prompt: "媽 and 🤗 é", max_tokens: 16, temperature: 0 },
  "by a grammar": { prompt: once, max_tokens: 8, grammar: 'root ::= "a"{5,5}' },
  "by a grammar at temperature 0": { prompt: once, max_tokens: 100, temperature: 0, grammar: sentence },
  "by a grammar of numbers": { prompt: once, max_tokens: 100, seed: 8, temperature: 1, grammar: numbers },
  ...Object.fromEntries(
    [1, 2, 3, 4].map((seed) => [
      `by a grammar with seed ${seed}`,
      { prompt: once, max_tokens: 100, temperature: 1, seed, grammar: sentence },
    ]),
  ),
  "by a grammar, with penalties": {
    prompt: once,
    max_tokens: 100,
    temperature: 0,
    grammar: sentence,
    repeat_penalty: 1.4,
  },
};

const best = [
  { role: "system", content: "Book" },
  { role: "user", content: "What is the best book" },
];
const fibonacci = [
  { role: "system", content: "You are a coding assistant." },
  { role: "user", content: "Write the fibonacci function in c++." },
];
const example = [
  { role: "system", content: "You are a coding assistant." },
  { role: "user", content: "Write an example" },
];

const chats: Readonly<Record<string, Record<string, unknown>>> = {
  "with nothing but the default sampling": { messages: best, max_tokens: 8 },
  "of a short question": { messages: [best[0], { role: "user", content: "Hey" }], max_tokens: 8 },
  "of a longer question": { messages: fibonacci, max_tokens: 24 },
  "at temperature 0": { messages: best, max_tokens: 48, temperature: 0 },
  "as the OpenAI library asks it": { messages: best, max_tokens: 8, seed: 42, temperature: 0.8 },
  "with the newer name of max_tokens": { messages: best, max_completion_tokens: 10 },
  "of parts of text": {
    messages: [
      best[0],
      {
        role: "user",
        content: [
          { type: "text", text: "What is" },
          { type: "text", text: "the best book" },
        ],
      },
    ],
    max_tokens: 8,
  },
  "of a conversation": {
    messages: [
      ...best,
      { role: "assistant", content: "The one with the cat." },
      { role: "user", content: "Why is it the best?" },
    ],
    max_tokens: 32,
    temperature: 0,
  },
  "that goes on with the assistant's beginning": {
    messages: [...best, { role: "assistant", content: "The best book was" }],
    max_tokens: 16,
    temperature: 0,
  },
  "that goes on with the assistant's beginning, asked as vLLM is": {
    messages: [...best, { role: "assistant", content: "The best book was" }],
    max_tokens: 16,
    temperature: 0,
    add_generation_prompt: false,
    continue_final_message: true,
  },
  "without a system message": { messages: [{ role: "user", content: "test" }], max_tokens: 10 },
  "of n choices": { messages: best, max_tokens: 8, n: 2 },
  "with penalties": {
    messages: best,
    max_tokens: 48,
    temperature: 0,
    repeat_penalty: 1.3,
    repeat_last_n: 64,
    presence_penalty: 0.4,
  },
  "with DRY, XTC, typical_p and a seed": {
    messages: best,
    max_tokens: 64,
    seed: 21,
    dry_multiplier: 1,
    xtc_probability: 0.5,
    typical_p: 0.8,
  },
  "with biases": { messages: best, max_tokens: 32, temperature: 0, logit_bias: { 436: -100, 410: -5 } },
  "up to a stop string": { messages: best, max_tokens: 64, temperature: 0, stop: ['" '] },
  "that ignores the end": { messages: best, max_tokens: 32, temperature: 0, ignore_eos: true, logit_bias: { 2: 50 } },
  "by a grammar": {
    messages: [{ role: "user", content: "Does not matter what I say, does it?" }],
    max_tokens: 6,
    grammar: 'root ::= "a"{5,5}',
  },
  "by a grammar with a seed": { messages: best, max_tokens: 100, seed: 4, temperature: 1, grammar: sentence },
  "by a schema of one value": {
    messages: example,
    max_tokens: 6,
    response_format: { type: "json_object", schema: { const: "42" } },
  },
  "by a schema of one value, asked as OpenAI is": {
    messages: example,
    max_tokens: 20,
    response_format: { type: "json_schema", json_schema: { name: "one", schema: { const: "foooooo" } } },
  },
  "by a schema of several values": {
    messages: example,
    max_tokens: 20,
    seed: 3,
    temperature: 1,
    response_format: { type: "json_schema", json_schema: { name: "some", schema: { enum: ["red", "green", 17] } } },
  },
  "by llama-server's json_schema": { messages: example, max_tokens: 6, json_schema: { const: "42" } },
  "with log probabilities": { messages: best, max_tokens: 5, temperature: 0, logprobs: true, top_logprobs: 10 },
  "with log probabilities and no others": { messages: best, max_tokens: 5, temperature: 0, logprobs: true },
  "with log probabilities, of the raw distribution whatever the sampling": {
    messages: best,
    max_tokens: 12,
    seed: 2,
    temperature: 1.7,
    top_k: 5,
    logprobs: true,
    top_logprobs: 4,
    logit_bias: { 436: -100 },
    repeat_penalty: 1.3,
  },
  "with log probabilities by a grammar": {
    messages: best,
    max_tokens: 100,
    temperature: 0,
    logprobs: true,
    top_logprobs: 3,
    grammar: numbers,
  },
};

const messages = [{ role: "user", content: "Say hello" }];
const others: readonly Scenario[] = [
  {
    name: "a message of Anthropic's API, at temperature 0",
    path: "/v1/messages",
    body: { max_tokens: 40, temperature: 0, messages },
  },
  {
    name: "a message of Anthropic's API, with a system text, parts and sampling",
    path: "/v1/messages",
    body: {
      max_tokens: 40,
      system: "You are a helpful assistant.",
      temperature: 0.9,
      top_k: 20,
      top_p: 0.9,
      messages: [
        {
          role: "user",
          content: [
            {
              type: "text",
              text: "What is",
            },
          ],
        },
        {
          role: "assistant",
          content: "Hi there!",
        },
        {
          role: "user",
          content: "How are you?",
        },
      ],
    },
  },
  {
    name: "a message of Anthropic's API, up to a stop sequence",
    path: "/v1/messages",
    body: { max_tokens: 60, temperature: 0, messages, stop_sequences: [",", "END"] },
  },
  { name: "the token count of Anthropic's API", path: "/v1/messages/count_tokens", body: { messages } },
  {
    name: "the token count of Anthropic's API, with a system text",
    path: "/v1/messages/count_tokens",
    body: { system: "You are a helpful assistant.", messages },
  },
  {
    name: "a response of the Responses API",
    path: "/v1/responses",
    body: { input: best, max_output_tokens: 8, temperature: 0.8 },
  },
  {
    name: "a response of the Responses API, at temperature 0",
    path: "/v1/responses",
    body: { input: "What is the best book", instructions: "Book", max_output_tokens: 24, temperature: 0 },
  },
  ...[
    { content: "What is the capital of France ?" },
    { content: "What is the capital of France ?", add_special: true },
    { content: "This is a test string with unicode 媽 and emoji 🤗", with_pieces: true },
    { content: "<s> is special </s>" },
    { content: "<s> is special </s>", parse_special: false },
    { content: ["Hello", 403, 407, " again"] },
    { content: "" },
  ].map((body) => ({ name: `the tokens of ${JSON.stringify(body)}`, path: "/tokenize", body })),
  ...[[403, 407, 261, 378], [1, 403, 407], [], [229, 173, 191]].map((tokens) => ({
    name: `the text of ${JSON.stringify(tokens)}`,
    path: "/detokenize",
    body: { tokens },
  })),
  ...[
    { messages: best },
    { messages: best, add_generation_prompt: false },
    { messages: [...best, { role: "assistant", content: "Whill" }] },
    { messages: [...best, { role: "assistant", content: "Well." }, { role: "user", content: "And?" }] },
  ].map((body, index) => ({ name: `the prompt of conversation ${index}`, path: "/apply-template", body })),
];

/** Asked one after the other of a slot of their own: how much of each is taken from the cache. */
export const cacheScenarios: readonly Scenario[] = ["1 2 3 4 5 6", "1 2 3 4 5 6", "1 2 3 4 5 9", "1 2 3 9 9 9"].map(
  (content, index) => ({
    name: `conversation ${index}`,
    path: "/v1/chat/completions",
    body: {
      max_tokens: 8,
      messages: [
        { role: "system", content: "Test" },
        { role: "user", content },
      ],
    },
  }),
);

export const chatPath = "/v1/chat/completions";
export const completionPath = "/v1/completions";
/** What must be answered as it is here, in order. */
export const scenarios: readonly Scenario[] = [
  ...Object.entries(completions).map(([name, body]) => ({ name: `a completion ${name}`, path: completionPath, body })),
  ...Object.entries(chats).map(([name, body]) => ({ name: `a chat ${name}`, path: chatPath, body })),
  ...others,
];

interface AnyAnswer {
  readonly choices?: readonly {
    readonly text?: string;
    readonly message?: { readonly content: string | null };
    readonly finish_reason: string | null;
    readonly logprobs?: { readonly content?: readonly AnyToken[] } | null;
  }[];
  readonly content?: string | readonly { readonly text?: string }[];
  readonly stop_reason?: string | null;
  readonly output?: readonly { readonly content?: readonly { readonly text?: string }[] }[];
  readonly usage?: Readonly<Record<string, number>>;
  readonly input_tokens?: number;
  readonly tokens?: readonly unknown[];
  readonly prompt?: string;
}

interface AnyToken {
  readonly token: string;
  readonly logprob: number;
  readonly top_logprobs: readonly { readonly token: string; readonly logprob: number }[];
}

/** The answer of either server to a scenario. */
export async function outcomeOf(response: Response): Promise<Outcome> {
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  const answer = (await response.json()) as AnyAnswer;
  const { choices, content, output, usage } = answer;
  const logprobs = choices?.[0]?.logprobs?.content;
  const counted = choices !== undefined && choices.length > 1 ? undefined : usage;
  const read = counted?.["prompt_tokens"] ?? counted?.["input_tokens"] ?? answer.input_tokens;
  // Anthropic's API counts what came from the cache apart.
  const promptTokens = read === undefined ? undefined : read + (counted?.["cache_read_input_tokens"] ?? 0);
  const generatedTokens = counted?.["completion_tokens"] ?? counted?.["output_tokens"];
  const texts =
    choices?.map(({ text, message }) => text ?? message?.content ?? "") ??
    (typeof content === "string" ? [content] : content?.map(({ text = "" }) => text)) ??
    output?.flatMap((item) => item.content?.map(({ text = "" }) => text) ?? []) ??
    (answer.prompt === undefined ? undefined : [answer.prompt]);
  return {
    ...(texts === undefined ? {} : { texts }),
    ...(choices === undefined ? {} : { finish: choices.map(({ finish_reason: reason }) => reason) }),
    ...(answer.stop_reason === undefined ? {} : { finish: [answer.stop_reason] }),
    ...(promptTokens === undefined ? {} : { promptTokens }),
    ...(generatedTokens === undefined ? {} : { generatedTokens }),
    ...(answer.tokens === undefined ? {} : { tokens: answer.tokens }),
    ...(logprobs === undefined
      ? {}
      : {
          logprobs: logprobs.map(({ token, logprob, top_logprobs: top }) => ({
            token,
            logprob: rounded(logprob),
            top: top.map((each) => [each.token, rounded(each.logprob)] as const),
          })),
        }),
  };
}

function rounded(logprob: number): number {
  return Math.round(logprob * 1e5) / 1e5;
}

/** Sends a scenario; `model` names the expert. */
export async function ask(baseUrl: string, { path, body }: Scenario, model?: string): Promise<Response> {
  return fetch(baseUrl + path, {
    method: "POST",
    body: JSON.stringify(model === undefined ? body : { ...body, model }),
  });
}
