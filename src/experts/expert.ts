// What an expert is: its identity, file, limits and defaults, as the configuration resolved them. Imports nothing.

export type ExpertDomain = "general" | "technical" | "coding" | "multimodal_expert" | "multilingual_expert";

/** Sampling parameters that an expert's configuration or a request may set; absent ones take the built-in default. */
export interface Sampling {
  /** 0 always takes the likeliest token. Built in: 0.8. */
  readonly temperature?: number;
  /** Built in: 0.95. */
  readonly topP?: number;
  /** 0 considers the whole vocabulary. Built in: 40. */
  readonly topK?: number;
  /** Built in: 0.05. */
  readonly minP?: number;
  /** Unsigned 32-bit; absent: drawn at random for each request. */
  readonly seed?: number;
  /** -2 to 2. Built in: 0. */
  readonly frequencyPenalty?: number;
  /** -2 to 2. Built in: 0. */
  readonly presencePenalty?: number;
  /** 1 is off. Built in: 1. */
  readonly repeatPenalty?: number;
  /** Tokens that the three penalties look back on; 0 turns them off, -1 is the whole context. Built in: 64. */
  readonly repeatLastN?: number;
  /** Locally typical sampling; 1 is off. Built in: 1. */
  readonly typicalP?: number;
  /** Keeps tokens within so many standard deviations of the best logit; below 0 is off. Built in: -1. */
  readonly topNSigma?: number;
  /** The chance that XTC removes the likeliest tokens; 0 is off. Built in: 0. */
  readonly xtcProbability?: number;
  /** Above 0.5 turns XTC off. Built in: 0.1. */
  readonly xtcThreshold?: number;
  /** DRY's strength; 0 is off. Built in: 0. */
  readonly dryMultiplier?: number;
  /** Built in: 1.75. */
  readonly dryBase?: number;
  /** Repetitions up to this length cost nothing. Built in: 2. */
  readonly dryAllowedLength?: number;
  /** Tokens that DRY looks back on; 0 turns it off, -1 is the whole context. Built in: 64. */
  readonly dryPenaltyLastN?: number;
  /** Where a repetition ends. Built in: line break, colon, double quote, asterisk. */
  readonly drySequenceBreakers?: readonly string[];
  /** Added to the logits of tokens, by id; -Infinity bans one. */
  readonly logitBias?: readonly (readonly [token: number, bias: number])[];
  /** The text goes on where the model would end it. */
  readonly ignoreEos?: boolean;
}

/** What neither a request nor the expert's configuration says: llama-server's defaults. */
export const samplingDefaults = {
  temperature: 0.8,
  topP: 0.95,
  topK: 40,
  minP: 0.05,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repeatLastN: 64,
  typicalP: 1,
  topNSigma: -1,
  xtcProbability: 0,
  xtcThreshold: 0.1,
  dryMultiplier: 0,
  dryBase: 1.75,
  dryAllowedLength: 2,
  dryPenaltyLastN: 64,
  drySequenceBreakers: ["\n", ":", '"', "*"],
  logitBias: [],
  ignoreEos: false,
} as const satisfies Omit<Required<Sampling>, "seed">;

export interface Expert {
  /** `expert_id` of the configuration, for example `phi4_fast`. */
  readonly id: string;
  readonly aliases: readonly string[];
  readonly domain: ExpertDomain;
  readonly description: string;
  /** 1 (first) to 5 (last). */
  readonly priority: number;
  readonly useCases: readonly string[];
  readonly quantization: string | null;
  /** Absolute path of the GGUF file; it may be missing. */
  readonly modelPath: string;
  /** Context tokens of each slot (`max_model_len`); null: what the model was trained for, at most 8,192. */
  readonly contextTokens: number | null;
  /** Where memory does not suffice, contexts down to this are tried (`min_model_len`). */
  readonly minContextTokens: number;
  /** Requests that generate at the same time on this expert. */
  readonly parallel: number;
  /** Loaded at the start, never evicted. */
  readonly keep: boolean;
  /** Experts to try when this one cannot answer, in order. */
  readonly fallback: readonly string[];
  /** Put in front of the messages of a request that brings no system message. */
  readonly systemPrompt: string | null;
  readonly sampling: Sampling;
}

/** The embedding model of /v1/embeddings: loaded on first use, pinned, not one of the experts. */
export interface Embedder {
  readonly id: string;
  readonly modelPath: string;
  /** Null: what the model was trained for, at most 8,192. */
  readonly contextTokens: number | null;
  /** Embeddings kept in memory by text. */
  readonly cacheSize: number;
}

/** The model of /v1/rerank: loaded on first use, not one of the experts. */
export interface Reranker {
  readonly id: string;
  readonly modelPath: string;
  /** Null: what the model was trained for, at most 8,192. */
  readonly contextTokens: number | null;
}
