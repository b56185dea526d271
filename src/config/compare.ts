// What a new reading of the configuration changes, in the operators' words, and what it cannot change while the server runs.
// Pure. May import config.ts, experts/ (types) and core/.
import { isDeepStrictEqual } from "node:util";
import { plural } from "../core/words.ts";
import type { AppConfig } from "./config.ts";

export interface ConfigChanges {
  /** Ids of experts, of the embedder and of the reranker, in the order of the configuration. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Keys outside the experts whose value is another one, for example `server_config.api_keys`. */
  readonly settings: readonly string[];
}

/** Settings that a reload applies, by key. */
const settings: Readonly<Record<string, (config: AppConfig) => unknown>> = {
  default_model: ({ defaultModel }) => defaultModel,
  routing_threshold: ({ routing }) => routing,
  "lazy_loading.enabled": ({ memory }) => memory.lazy,
  "lazy_loading.warmup_pool_size": ({ memory }) => memory.warmupPoolSize,
  "lazy_loading.max_loaded_experts": ({ memory }) => memory.maxLoadedExperts,
  "lazy_loading.memory_threshold": ({ memory }) => memory.memoryThreshold,
  "lazy_loading.ram_budget": ({ memory }) => memory.ramBudgetBytes,
  "lazy_loading.auto_unload_after_s": ({ memory }) => memory.autoUnloadAfterMs,
  "lazy_loading.load_timeout_s": ({ scheduling }) => scheduling.loadTimeoutMs,
  "lazy_loading.max_waiting": ({ scheduling }) => scheduling.maxWaiting,
  "lazy_loading.swap_quantum_s": ({ scheduling }) => scheduling.swapQuantumMs,
  "prompt_cache.ram": ({ promptCache }) => promptCache.ramBytes,
  "prompt_cache.disk": ({ promptCache }) => promptCache.diskBytes,
  "prompt_cache.max_age_s": ({ promptCache }) => promptCache.maxAgeMs,
  drop_params: ({ dropsParameters }) => dropsParameters,
  "server_config.log_level": ({ server }) => server.logLevel,
  "server_config.api_keys": ({ server }) => server.apiKeys,
  "server_config.cors_origins": ({ server }) => server.corsOrigins,
  "server_config.heartbeat_s": ({ server }) => server.heartbeatMs,
  "server_config.drain_timeout_s": ({ server }) => server.drainTimeoutMs,
  "server_config.max_body_size": ({ server }) => server.maxBodyBytes,
};

/** `changedFiles`: ids of models whose file has other content at the same path. */
export function compareConfigs(before: AppConfig, after: AppConfig, changedFiles: ReadonlySet<string>): ConfigChanges {
  const [old, now] = [modelsOf(before), modelsOf(after)];
  return {
    added: [...now.keys()].filter((id) => !old.has(id)),
    changed: [...now].flatMap(([id, model]) =>
      old.has(id) && (changedFiles.has(id) || !isDeepStrictEqual(old.get(id), model)) ? [id] : [],
    ),
    removed: [...old.keys()].filter((id) => !now.has(id)),
    settings: Object.entries(settings).flatMap(([key, read]) =>
      isDeepStrictEqual(read(before), read(after)) ? [] : [key],
    ),
  };
}

function modelsOf({ experts, embedder, reranker }: AppConfig): ReadonlyMap<string, unknown> {
  return new Map([...experts, embedder, reranker].flatMap((model) => (model === null ? [] : [[model.id, model]])));
}

/** "5 experts, was 4: added x, changed y; settings changed: default_model". */
export function summariseChanges(before: AppConfig, after: AppConfig, changes: ConfigChanges): string {
  const [was, now] = [before.experts.length, after.experts.length];
  const { added, changed, removed } = changes;
  const models = Object.entries({ added, changed, removed })
    .filter(([, ids]) => ids.length > 0)
    .map(([what, ids]) => `${what} ${ids.join(", ")}`);
  const count = `${plural(now, "expert")}, ${was === now ? "as before" : `was ${was}`}`;
  return [
    models.length === 0 ? `${count}, none of them changed` : `${count}: ${models.join("; ")}`,
    ...(changes.settings.length === 0 ? [] : [`settings changed: ${changes.settings.join(", ")}`]),
  ].join("; ");
}

/** One line for each setting that takes effect at the next start alone. `started`: the configuration of the start. */
export function restartNotices(started: AppConfig, now: AppConfig): string[] {
  const address = (["host", "port"] as const).flatMap((key) =>
    started.server[key] === now.server[key]
      ? []
      : [
          `server_config.${key} is ${JSON.stringify(now.server[key])}, but the server goes on listening on ` +
            `${JSON.stringify(started.server[key])}: this changes with a restart alone`,
        ],
  );
  if (started.promptCache.folder === now.promptCache.folder) return address;
  const [wanted, used] = [now, started].map(({ promptCache: { folder } }) =>
    folder === null ? "the one in the state folder" : JSON.stringify(folder),
  );
  return [
    ...address,
    `prompt_cache.folder is ${wanted}, but conversations stay in ${used}: this changes with a restart alone`,
  ];
}
