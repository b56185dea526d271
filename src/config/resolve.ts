// A checked configuration file as the resolved configuration: defaults across keys, one unit each, names made ids. Pure.
// May import the rest of this folder (its pure parts), experts/ and core/.
import { parseBytes } from "../core/bytes.ts";
import { ExpertCatalogue } from "../experts/catalogue.ts";
import type { Embedder, Expert, Reranker, Sampling } from "../experts/expert.ts";
import { readingModelId } from "./check.ts";
import type {
  AppConfig,
  ConfigSource,
  MemoryConfig,
  PromptCacheConfig,
  SchedulingConfig,
  ServerConfig,
} from "./config.ts";
import { builtInDefaultModel, type ConfigFile } from "./schema.ts";

export interface ResolveInput {
  readonly file: ConfigFile;
  readonly source: ConfigSource;
  /** The absolute path for what a key such as `experts[0].model_path` says. */
  readonly modelPathOf: (key: string) => string;
  /** The absolute path for any other one that the file names. */
  readonly absolutePathOf: (path: string) => string;
  /** $DEFAULT_MODEL; undefined or empty: not set. */
  readonly defaultModel: string | undefined;
  /** Those found so far; the result's come behind them. */
  readonly warnings: readonly string[];
}

/** A context that still holds a question with some history and its answer. */
const defaultMinContextTokens = 2048;

type ExpertFields = ConfigFile["experts"][number];

/** Null where no expert of the file can be served by this version. */
export function resolveConfig({
  file,
  source,
  modelPathOf,
  absolutePathOf,
  defaultModel,
  warnings,
}: ResolveInput): AppConfig | null {
  const added: string[] = [];
  const local = [...file.experts.entries()].filter(([index, { expert_id, model_path }]) => {
    if (model_path === undefined) added.push(`experts[${index}].model_path: missing, so ${expert_id} is left out`);
    return model_path !== undefined;
  });
  const named = new ExpertCatalogue(
    local.map(([index, fields]) => resolveExpert(fields, modelPathOf(`experts[${index}].model_path`))),
  );
  const first = named.experts[0];
  if (first === undefined) return null;
  const experts = named.experts.map((expert) => ({ ...expert, fallback: fallbackIds(expert, named) }));
  const fallbackModel = (named.find(builtInDefaultModel) ?? first).id;
  const chosen = chooseDefaultModel(named, [
    { key: "DEFAULT_MODEL", name: defaultModel },
    { key: "default_model", name: file.default_model },
  ]);
  for (const { key, name } of chosen.unknown) {
    added.push(
      `${key}: ${JSON.stringify(name)} is not one of ${named.ids.join(", ")}; the default model is ${chosen.id ?? fallbackModel}`,
    );
  }
  return {
    source,
    experts,
    defaultModel: chosen.id ?? fallbackModel,
    memory: resolveMemory(file.lazy_loading),
    scheduling: resolveScheduling(file.lazy_loading),
    promptCache: resolvePromptCache(file.prompt_cache, absolutePathOf),
    embedder: resolveEmbedder(file.embedding_model, modelPathOf, added),
    reranker: resolveReranker(file.rerank_model, modelPathOf, added),
    routing: { threshold: file.routing_threshold },
    dropsParameters: file.drop_params,
    server: resolveServer(file.server_config),
    warnings: [...warnings, ...added],
  };
}

function resolveExpert(fields: ExpertFields, modelPath: string): Expert {
  return {
    id: fields.expert_id,
    aliases: fields.aliases,
    domain: fields.domain,
    description: fields.description,
    priority: fields.priority,
    useCases: fields.use_cases,
    quantization: fields.quantization ?? null,
    modelPath,
    contextTokens: fields.max_model_len ?? null,
    minContextTokens: fields.min_model_len ?? Math.min(fields.max_model_len ?? Infinity, defaultMinContextTokens),
    parallel: fields.parallel,
    keep: fields.keep,
    fallback: fields.fallback,
    systemPrompt: fields.system_prompt ?? null,
    sampling: resolveSampling(fields.sampling),
  };
}

function resolveSampling(fields: ExpertFields["sampling"]): Sampling {
  const sampling: { [Name in keyof Sampling]: Sampling[Name] | undefined } = {
    temperature: fields.temperature,
    topP: fields.top_p,
    topK: fields.top_k,
    minP: fields.min_p,
    seed: fields.seed,
    frequencyPenalty: fields.frequency_penalty,
    presencePenalty: fields.presence_penalty,
    repeatPenalty: fields.repeat_penalty,
    repeatLastN: fields.repeat_last_n,
    typicalP: fields.typical_p,
    topNSigma: fields.top_n_sigma,
    xtcProbability: fields.xtc_probability,
    xtcThreshold: fields.xtc_threshold,
    dryMultiplier: fields.dry_multiplier,
    dryBase: fields.dry_base,
    dryAllowedLength: fields.dry_allowed_length,
    dryPenaltyLastN: fields.dry_penalty_last_n,
  };
  return Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== undefined));
}

/** Aliases become ids; an expert that this version leaves out is passed over. */
function fallbackIds(expert: Expert, catalogue: ExpertCatalogue): readonly string[] {
  return [...new Set(expert.fallback.flatMap((name) => catalogue.find(name)?.id ?? []))];
}

interface NamedModel {
  readonly key: string;
  readonly name: string | undefined;
}

/** The first of `wishes` that names an expert, and those before it that do not. */
function chooseDefaultModel(catalogue: ExpertCatalogue, wishes: readonly NamedModel[]) {
  const unknown: NamedModel[] = [];
  for (const wish of wishes) {
    if (wish.name === undefined || wish.name === "") continue;
    const expert = catalogue.find(wish.name);
    if (expert !== undefined) return { id: expert.id, unknown };
    unknown.push(wish);
  }
  return { id: null, unknown };
}

function resolveMemory(fields: ConfigFile["lazy_loading"]): MemoryConfig {
  return {
    ramBudgetBytes: fields.ram_budget === undefined ? null : (parseBytes(fields.ram_budget) ?? null),
    memoryThreshold: fields.memory_threshold,
    lazy: fields.enabled,
    maxLoadedExperts: fields.max_loaded_experts ?? null,
    warmupPoolSize: fields.warmup_pool_size,
    autoUnloadAfterMs: !fields.enabled || fields.auto_unload_after_s === 0 ? null : fields.auto_unload_after_s * 1000,
  };
}

function resolveScheduling(fields: ConfigFile["lazy_loading"]): SchedulingConfig {
  return {
    loadTimeoutMs: Math.round(fields.load_timeout_s * 1000),
    maxWaiting: fields.max_waiting,
    swapQuantumMs: Math.round(fields.swap_quantum_s * 1000),
  };
}

function resolvePromptCache(
  fields: ConfigFile["prompt_cache"],
  absolutePathOf: ResolveInput["absolutePathOf"],
): PromptCacheConfig {
  return {
    ramBytes: fields.ram === undefined ? null : (parseBytes(fields.ram) ?? 0),
    diskBytes: parseBytes(fields.disk) ?? 0,
    maxAgeMs: Math.round(fields.max_age_s * 1000),
    folder: fields.folder === undefined ? null : absolutePathOf(fields.folder),
  };
}

function resolveEmbedder(
  fields: ConfigFile["embedding_model"],
  modelPathOf: ResolveInput["modelPathOf"],
  warnings: string[],
): Embedder | null {
  if (fields === undefined) return null;
  if (fields.model_path === undefined) {
    warnings.push("embedding_model.model_path: missing, so /v1/embeddings has no model");
    return null;
  }
  return {
    id: readingModelId(fields.model_name, fields.model_path),
    modelPath: modelPathOf("embedding_model.model_path"),
    contextTokens: fields.max_model_len ?? null,
    cacheSize: fields.cache_size,
  };
}

function resolveReranker(
  fields: ConfigFile["rerank_model"],
  modelPathOf: ResolveInput["modelPathOf"],
  warnings: string[],
): Reranker | null {
  if (fields === undefined) return null;
  if (fields.model_path === undefined) {
    warnings.push("rerank_model.model_path: missing, so /v1/rerank has no model");
    return null;
  }
  return {
    id: readingModelId(fields.model_name, fields.model_path),
    modelPath: modelPathOf("rerank_model.model_path"),
    contextTokens: fields.max_model_len ?? null,
  };
}

function resolveServer(fields: ConfigFile["server_config"]): ServerConfig {
  return {
    host: fields.host,
    port: fields.port,
    logLevel: logLevels[fields.log_level],
    apiKeys: fields.api_keys,
    // Browsers send an origin without a slash at its end.
    corsOrigins: fields.cors_origins.map((origin) => origin.replace(/\/$/, "")),
    heartbeatMs: Math.round(fields.heartbeat_s * 1000),
    stallTimeoutMs: Math.round(fields.stall_timeout_s * 1000),
    drainTimeoutMs: Math.round(fields.drain_timeout_s * 1000),
    maxBodyBytes: parseBytes(fields.max_body_size) ?? 0,
  };
}

const logLevels = {
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  critical: "error",
  silent: "silent",
} as const satisfies Record<ConfigFile["server_config"]["log_level"], ServerConfig["logLevel"]>;
