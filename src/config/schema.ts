// The configuration file as operators write it: every key with its type, bounds, default and meaning. The JSON Schema
// that editors, the messages about a wrong file and config/README.md use is derived from it. May import zod and core/.
import { z } from "zod";
import { parseBytes } from "../core/bytes.ts";

/** The experts that this system's clients know by name. */
export const knownExpertIds = [
  "phi4_fast",
  "mistral_balanced",
  "qwen_coder",
  "gemma3_multimodal",
  "aya_expanse_multilingual",
] as const;

export const builtInDefaultModel = "mistral_balanced";

/** Longest time that Node's timers can wait, in seconds: a longer one would fire at once. */
const longestTimerS = 2_147_483;
const noEffectYet = "has no effect in this version";

const byteAmount = (meaning: string) =>
  z
    .union([z.string(), z.number()])
    .refine((amount) => parseBytes(amount) !== undefined)
    .meta({ title: 'an amount of memory such as "10GiB", "512MiB" or a number of bytes', description: meaning });

const byteAmountOrNone = (meaning: string) =>
  z
    .union([z.string(), z.number()])
    .refine((amount) => amount === 0 || amount === "0" || parseBytes(amount) !== undefined)
    .meta({
      title: 'an amount of memory such as "10GiB", "512MiB" or a number of bytes, or 0',
      description: meaning,
    });

const text = (meaning: string) => z.string().meta({ description: meaning });

export const allowedModelPath = "the path of a GGUF file, or of a folder that holds just one";
const path = (meaning: string) => z.string().min(1).meta({ title: allowedModelPath, description: meaning });

const notYetUsed = (meaning: string) => z.unknown().optional().meta({ description: meaning, "x-notice": noEffectYet });

/** What clients write as `model`, and operators in `fallback` and `default_model`. */
const name = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$/)
  .meta({ title: "a name of letters, digits and . _ : / @ + - that starts with a letter or digit" });

const sampling = z.object({
  temperature: z
    .number()
    .min(0)
    .max(5)
    .optional()
    .meta({ description: "0 always takes the likeliest token. Absent: 0.8." }),
  top_p: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ description: "Keeps the likeliest tokens up to this probability; 1 is off. Absent: 0.95." }),
  top_k: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .meta({ description: "Keeps this many of the likeliest tokens; 0 is off. Absent: 40." }),
  min_p: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ description: "Drops tokens below this share of the likeliest one's probability; 0 is off. Absent: 0.05." }),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .optional()
    .meta({ description: "Absent: drawn at random for each request." }),
  frequency_penalty: z
    .number()
    .min(-2)
    .max(2)
    .optional()
    .meta({ description: "As in OpenAI's API. Absent: 0, which is off." }),
  presence_penalty: z
    .number()
    .min(-2)
    .max(2)
    .optional()
    .meta({ description: "As in OpenAI's API. Absent: 0, which is off." }),
  repeat_penalty: z
    .number()
    .gt(0)
    .max(10)
    .optional()
    .meta({ description: "As in llama.cpp. Absent: 1, which is off." }),
  repeat_last_n: z.int().min(-1).max(1000000).optional().meta({
    description: "Tokens that the three penalties look back on; 0 turns them off, -1 is the whole context. Absent: 64.",
  }),
  typical_p: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ description: "Locally typical sampling; 1 is off. Absent: 1." }),
  top_n_sigma: z.number().min(-1).max(100).optional().meta({
    description: "Keeps tokens within so many standard deviations of the best logit; below 0 is off. Absent: -1.",
  }),
  xtc_probability: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ description: "The chance that XTC removes the likeliest tokens; 0 is off. Absent: 0." }),
  xtc_threshold: z.number().min(0).max(1).optional().meta({ description: "Above 0.5 turns XTC off. Absent: 0.1." }),
  dry_multiplier: z
    .number()
    .min(0)
    .max(100)
    .optional()
    .meta({ description: "The strength of DRY, which holds repetitions back; 0 is off. Absent: 0." }),
  dry_base: z.number().min(1).max(100).optional().meta({ description: "Absent: 1.75." }),
  dry_allowed_length: z
    .int()
    .min(0)
    .max(1000000)
    .optional()
    .meta({ description: "Repetitions up to this many tokens cost nothing. Absent: 2." }),
  dry_penalty_last_n: z
    .int()
    .min(-1)
    .max(1000000)
    .optional()
    .meta({ description: "Tokens that DRY looks back on; 0 turns it off, -1 is the whole context. Absent: 64." }),
});

const expert = z
  .object({
    expert_id: name.regex(/^[^/]+$/).meta({
      title: "a name of letters, digits and . _ : @ + - that starts with a letter or digit",
      description: "The name that clients write as `model`; upper and lower case count as the same.",
    }),
    model_path: path(
      "The GGUF file, or a folder that holds just one. A relative path starts at the folder of this file (of the file that a link points to); `~/` is the home folder. The file may be missing: the expert then shows as missing and the others serve.",
    ).optional(),
    domain: z
      .enum(["general", "technical", "coding", "multimodal_expert", "multilingual_expert"])
      .default("general")
      .meta({ description: "What the router sends to it." }),
    description: text("One sentence for people; shown by GET /experts.").default(""),
    priority: z
      .int()
      .min(1)
      .max(5)
      .default(3)
      .meta({ description: "1 is first: the order of warm-up, and the tie-break when memory must be freed." }),
    use_cases: z
      .array(z.string())
      .default([])
      .meta({ title: "a list of texts", description: "What it is good at; shown by GET /experts." }),
    quantization: text("For people; the file itself decides.").optional(),
    max_model_len: z.int().min(64).max(16_777_216).optional().meta({
      description:
        "Context of each slot in tokens, prompt and answer together. Absent: what the model was trained for, at most 8192.",
    }),
    min_model_len: z.int().min(64).max(16_777_216).optional().meta({
      description:
        "Where memory does not suffice for `max_model_len`, a shorter context is tried, down to this, before the expert is refused. The same as `max_model_len`: no shorter one. Absent: 2048, or `max_model_len` where that is less.",
    }),
    max_num_seqs: z.unknown().optional().meta({
      description: "Accepted for older files; use `parallel`.",
      "x-notice": "is ignored: the number of requests that an expert answers at the same time is `parallel`",
    }),
    aliases: z
      .array(name)
      .default([])
      .meta({ title: "a list of names", description: "Other names that clients may write as `model`." }),
    parallel: z.int().min(1).max(64).default(1).meta({
      description: "Requests that it answers at the same time; each takes memory for a context of its own.",
    }),
    keep: z.boolean().default(false).meta({
      description: "Loaded at the start and never evicted.",
    }),
    fallback: z
      .array(name)
      .default([])
      .meta({ title: "a list of names", description: "Experts that are tried, in this order, when it cannot answer." }),
    system_prompt: text("Put in front of the messages of a request that brings no system message.").optional(),
    sampling: sampling.prefault({}).meta({
      description: "Defaults for what a request leaves open.",
    }),
    mmproj_path: notYetUsed("The file that reads images for this model."),
    remote: notYetUsed("An OpenAI-compatible server in place of `model_path`."),
    examples: notYetUsed("Example prompts that teach the router what this expert is for."),
  })
  .meta({ anyOf: [{ required: ["model_path"] }, { required: ["remote"] }] });

const lazyLoading = z.object({
  enabled: z.boolean().default(true).meta({
    description:
      "False loads every expert at the start, by priority, as far as the budget and `max_loaded_experts` reach, and unloads none for being idle. Those that did not fit are loaded when they are asked for, in place of others: only `keep` forbids that.",
  }),
  warmup_pool_size: z
    .int()
    .min(0)
    .max(1000)
    .default(0)
    .meta({ description: "Experts to load at the start, by priority, those with `keep` among them." }),
  max_loaded_experts: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .meta({ description: "Most experts in memory at a time. Absent: as many as the budget holds." }),
  memory_threshold: z
    .number()
    .gt(0)
    .max(1)
    .default(0.8)
    .meta({ description: "The budget as a share of the RAM, or of the container's limit where that is smaller." }),
  ram_budget: byteAmount("The budget as an amount; overrides `memory_threshold`.").optional(),
  auto_unload_after_s: z.number().min(0).max(longestTimerS).default(0).meta({
    description:
      "Seconds after its last use when an expert is unloaded; 0 is never. Experts with `keep` stay; a request's `keep_alive` wins.",
  }),
  load_timeout_s: z.number().min(1).max(longestTimerS).default(600).meta({
    description: "A load that takes longer has failed: those who wait for it get an error.",
  }),
  max_waiting: z.int().min(0).max(100_000).default(64).meta({
    description: "Requests that may wait for one expert beside those that it answers; more get 429.",
  }),
  swap_quantum_s: z.number().min(0).max(3600).default(10).meta({
    description:
      "While requests for an expert that is not in memory wait for one that is, the latter goes on with the requests that came before them for this long at most.",
  }),
});

const promptCache = z.object({
  ram: byteAmountOrNone(
    "Memory for conversations that are in no slot; taken from the RAM budget, of which it is half at most. 0 keeps none, on disk neither. Absent: a twentieth of the RAM budget, at most 1 GiB.",
  ).optional(),
  disk: byteAmountOrNone("Disk space for those that memory has no place for, and for restarts; 0 is none.").default(
    "2GiB",
  ),
  max_age_s: z.number().min(1).max(315_360_000).default(604_800).meta({
    description: "Seconds after its last use when a conversation is dropped from the cache.",
  }),
  folder: z.string().min(1).optional().meta({
    title: "the path of a folder",
    description:
      "Where its files are; nobody else may write there. A relative path starts at the folder of this file; `~/` is the home folder. Absent: `prompt-cache` in the state folder.",
  }),
});

const embeddingModel = z.object({
  model_path: path("The GGUF file of the embedding model; paths are read as those of experts.").optional(),
  model_name: z.string().min(1).max(200).optional().meta({
    description: "Its name in /v1/embeddings. Absent: the file's name. A name alone fetches nothing.",
  }),
  max_model_len: z
    .int()
    .min(64)
    .max(16_777_216)
    .optional()
    .meta({ description: "Context in tokens. Absent: what the model was trained for, at most 8192." }),
  cache_size: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(1000)
    .meta({ description: "Embeddings to remember; 0 remembers none." }),
});

const rerankModel = z.object({
  model_path: path("The GGUF file of a reranker; paths are read as those of experts.").optional(),
  model_name: z.string().min(1).max(200).optional().meta({
    description: "Its name in /v1/rerank. Absent: the file's name. A name alone fetches nothing.",
  }),
  max_model_len: z.int().min(64).max(16_777_216).optional().meta({
    description: "Tokens of a query and a document together. Absent: what the model was trained for, at most 8192.",
  }),
});

const serverConfig = z.object({
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .meta({ description: "Address to listen on. Set `api_keys` before you open it to a network." }),
  port: z.int().min(0).max(65_535).default(8082).meta({ description: "0 takes any free port." }),
  log_level: z
    .enum(["debug", "info", "warn", "warning", "error", "critical", "silent"])
    .default("info")
    .meta({ description: "`warning` is `warn`, `critical` is `error`." }),
  api_keys: z
    .array(
      z
        .string()
        .regex(/^[\x21-\x7e]+$/)
        .meta({ title: "a text of visible ASCII characters without spaces", writeOnly: true }),
    )
    .default([])
    .meta({
      title: "a list of texts",
      description: "Keys of which a request must bring one; empty asks for none.",
      writeOnly: true,
    }),
  cors_origins: z
    .array(
      z
        .string()
        .regex(/^(\*|null|[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/\s]+\/?)$/)
        .meta({ title: 'an origin such as "https://example.org:3000", or "*"' }),
    )
    .default([])
    .meta({
      title: "a list of origins",
      description: 'Web pages of these origins may call the server from a browser; "*" is all.',
    }),
  heartbeat_s: z.number().min(0).max(3600).default(10).meta({
    description: "Seconds between comment lines on an event stream that is silent; 0 sends none.",
  }),
  drain_timeout_s: z
    .number()
    .min(0)
    .max(3600)
    .default(30)
    .meta({ description: "Seconds that running answers get to finish after SIGTERM." }),
  stall_timeout_s: z.number().min(1).max(3600).default(30).meta({
    description:
      "Seconds that a client may take nothing of an answer that is ready for it; then its connection is cut.",
  }),
  max_body_size: byteAmount("Larger request bodies get 413.").default("16MiB"),
});

export const configFileSchema = z
  .object({
    $schema: text("For editors: ./config.schema.json").optional(),
    experts: z
      .array(expert)
      .min(1)
      .meta({ title: "a list of at least one expert", description: "The models that answer." }),
    default_model: z
      .string()
      .optional()
      .meta({
        description: `Answers what the router leaves open: an expert's name. The environment variable DEFAULT_MODEL wins. Absent: ${builtInDefaultModel}, or the first expert where there is none of that name.`,
      }),
    routing_threshold: z
      .number()
      .min(0)
      .max(1)
      .default(0.35)
      .meta({ description: "Where the router is less sure than this, the default model answers." }),
    lazy_loading: lazyLoading.prefault({}).meta({ description: "What is in memory, and when." }),
    prompt_cache: promptCache.prefault({}).meta({
      description:
        "What experts have read already, kept when they are evicted and for conversations beyond their slots, so that it need not be read again. The files hold the conversations in a form that can be read back.",
    }),
    embedding_model: embeddingModel.optional().meta({ description: "The model of /v1/embeddings." }),
    rerank_model: rerankModel.optional().meta({
      description: "The model of /v1/rerank. It is loaded when it is asked for, and makes room as an expert does.",
    }),
    server_config: serverConfig.prefault({}).meta({ description: "The HTTP server." }),
    use_fast_classifier: notYetUsed("Another way to route."),
    rag: notYetUsed("Retrieval for programming questions."),
    gateway: notYetUsed("The services machine's gateway."),
    agronomy: notYetUsed("The agronomy service's settings."),
    drop_params: z.boolean().default(false).meta({
      description:
        "True passes over request parameters that cannot be honoured, where a request would otherwise be refused because it would get another answer than it asks for. The header `x-ignored-parameters` of the answer names them.",
    }),
  })
  .meta({
    title: "an object with the key experts",
    description:
      "Configuration of gguf-experts. Comments and trailing commas are allowed; null counts as absent; unknown keys are reported and ignored.",
  });

export type ConfigFile = z.output<typeof configFileSchema>;

/** The part of JSON Schema that the schema above produces. */
export interface JsonSchemaNode {
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchemaNode;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  /** A secret: never quoted in a message. */
  readonly writeOnly?: boolean;
  /** Why a key that is accepted does nothing; follows the key's path in a notice. */
  readonly "x-notice"?: string;
}

export const configJsonSchema = z.toJSONSchema(configFileSchema, { io: "input" }) as JsonSchemaNode;

/** What a value may be, in words: "an integer from 1 to 5". */
export function describeAllowed(node: JsonSchemaNode): string {
  if (node.title !== undefined) return node.title;
  if (node.enum !== undefined) return `one of ${node.enum.join(", ")}`;
  if (node.type === "integer") return `an integer${describeBounds(node)}`;
  if (node.type === "number") return `a number${describeBounds(node)}`;
  if (node.type === "boolean") return "true or false";
  if (node.type === "object") return "an object";
  if (node.type === "string") return (node.minLength ?? 0) > 0 ? "a text that is not empty" : "a text";
  return "anything";
}

function describeBounds({ minimum, exclusiveMinimum, maximum }: JsonSchemaNode): string {
  const from = exclusiveMinimum === undefined ? `from ${minimum}` : `above ${exclusiveMinimum}`;
  return exclusiveMinimum === undefined ? ` ${from} to ${maximum}` : ` ${from} and at most ${maximum}`;
}
