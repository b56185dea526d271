// What a new reading of the configuration is said to change.
import { describe, expect, it } from "vitest";
import { compareConfigs, restartNotices, summariseChanges } from "../../src/config/compare.ts";
import type { AppConfig } from "../../src/config/config.ts";
import { configOf } from "../support/config.ts";
import { expertOf } from "../support/experts.ts";

const config: AppConfig = {
  ...configOf([expertOf("a"), expertOf("b")], { port: 8082 }),
  routing: { threshold: 0.35 },
  embedder: { id: "e", modelPath: "/e.gguf", contextTokens: null, cacheSize: 10 },
  reranker: { id: "r", modelPath: "/r.gguf", contextTokens: null },
};
const nothing = { added: [], changed: [], removed: [], settings: [] };
const compare = (after: AppConfig, changedFiles: string[] = []) => compareConfigs(config, after, new Set(changedFiles));

describe("compareConfigs", () => {
  it("sees nothing in the same configuration read again", () => {
    const again = structuredClone({ ...config, warnings: ["x: unknown key, ignored"] });
    expect(compare(again)).toEqual(nothing);
  });

  it("tells added, changed and removed models apart", () => {
    const after = { ...config, experts: [expertOf("c"), expertOf("b", { systemPrompt: "Be brief." })], embedder: null };
    expect(compare(after)).toEqual({ ...nothing, added: ["c"], changed: ["b"], removed: ["a", "e"] });
  });

  it("counts another content of the same file as a change, and not for a model that is new", () => {
    const after = { ...config, experts: [...config.experts, expertOf("c")] };
    expect(compare(after, ["b", "c", "e"])).toEqual({ ...nothing, added: ["c"], changed: ["b", "e"] });
  });

  it.each<[key: string, after: Partial<AppConfig>]>([
    ["default_model", { defaultModel: "b" }],
    ["routing_threshold", { routing: { threshold: 0.5 } }],
    ["lazy_loading.enabled", { memory: { ...config.memory, lazy: false } }],
    ["lazy_loading.warmup_pool_size", { memory: { ...config.memory, warmupPoolSize: 2 } }],
    ["lazy_loading.max_loaded_experts", { memory: { ...config.memory, maxLoadedExperts: 2 } }],
    ["lazy_loading.memory_threshold", { memory: { ...config.memory, memoryThreshold: 0.5 } }],
    ["lazy_loading.ram_budget", { memory: { ...config.memory, ramBudgetBytes: 5 } }],
    ["lazy_loading.auto_unload_after_s", { memory: { ...config.memory, autoUnloadAfterMs: 5 } }],
    ["lazy_loading.load_timeout_s", { scheduling: { ...config.scheduling, loadTimeoutMs: 5 } }],
    ["lazy_loading.max_waiting", { scheduling: { ...config.scheduling, maxWaiting: 5 } }],
    ["lazy_loading.swap_quantum_s", { scheduling: { ...config.scheduling, swapQuantumMs: 5 } }],
    ["prompt_cache.ram", { promptCache: { ...config.promptCache, ramBytes: 5 } }],
    ["prompt_cache.disk", { promptCache: { ...config.promptCache, diskBytes: 5 } }],
    ["prompt_cache.max_age_s", { promptCache: { ...config.promptCache, maxAgeMs: 5 } }],
    ["server_config.log_level", { server: { ...config.server, logLevel: "debug" } }],
    ["server_config.api_keys", { server: { ...config.server, apiKeys: ["k"] } }],
    ["server_config.cors_origins", { server: { ...config.server, corsOrigins: ["*"] } }],
    ["server_config.heartbeat_s", { server: { ...config.server, heartbeatMs: 5 } }],
    ["server_config.drain_timeout_s", { server: { ...config.server, drainTimeoutMs: 5 } }],
    ["server_config.max_body_size", { server: { ...config.server, maxBodyBytes: 5 } }],
  ])("names %s", (key, after) => {
    expect(compare({ ...config, ...after })).toEqual({ ...nothing, settings: [key] });
  });
});

describe("summariseChanges", () => {
  const summary = (after: AppConfig) => summariseChanges(config, after, compare(after));

  it("counts and names", () => {
    expect(summary(config)).toBe("2 experts, as before, none of them changed");
    expect(summary({ ...config, experts: [expertOf("b", { keep: true })], defaultModel: "b" })).toBe(
      "1 expert, was 2: changed b; removed a; settings changed: default_model",
    );
    expect(summary({ ...config, experts: [...config.experts, expertOf("c"), expertOf("d")] })).toBe(
      "4 experts, was 2: added c, d",
    );
  });
});

describe("restartNotices", () => {
  it("names what the server goes on listening on", () => {
    expect(restartNotices(config, { ...config, defaultModel: "b" })).toEqual([]);
    expect(restartNotices(config, { ...config, server: { ...config.server, host: "::", port: 9000 } })).toEqual([
      'server_config.host is "::", but the server goes on listening on "127.0.0.1": this changes with a restart alone',
      "server_config.port is 9000, but the server goes on listening on 8082: this changes with a restart alone",
    ]);
  });

  it("names where conversations stay", () => {
    const moved = { ...config, promptCache: { ...config.promptCache, folder: "/c" } };
    expect(restartNotices(config, moved)).toEqual([
      'prompt_cache.folder is "/c", but conversations stay in the one in the state folder: this changes with a restart alone',
    ]);
    expect(restartNotices(moved, config)).toEqual([
      'prompt_cache.folder is the one in the state folder, but conversations stay in "/c": this changes with a restart alone',
    ]);
  });
});
