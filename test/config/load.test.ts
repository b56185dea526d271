// From the command line's and the environment's wishes to the resolved configuration, on real files and links.
import { mkdir, mkdtemp, realpath, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeSource } from "../../src/config/describe-source.ts";
import { builtInConfigPath, ConfigError, loadConfig, reloadConfig } from "../../src/config/load.ts";
import { knownExpertIds } from "../../src/config/schema.ts";

const repository = fileURLToPath(new URL("../../", import.meta.url));
let root: string;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "config-")));
});
afterEach(() => rm(root, { recursive: true }));

async function put(path: string, content: unknown = ""): Promise<string> {
  const absolutePath = join(root, path);
  await mkdir(dirname(absolutePath), { recursive: true });
  await writeFile(absolutePath, typeof content === "string" ? content : JSON.stringify(content));
  return absolutePath;
}

interface Wishes {
  configPath?: string;
  env?: Record<string, string>;
}

const load = ({ configPath, env }: Wishes = {}) =>
  loadConfig({ configPath: configPath ?? null, env: { HOME: root, ...env }, workingDirectory: root });

async function failure(wishes?: Wishes): Promise<ConfigError> {
  const error: unknown = await load(wishes).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return error as ConfigError;
}

const expert = (id: string, fields: Record<string, unknown> = {}) => ({
  expert_id: id,
  model_path: `models/${id}.gguf`,
  ...fields,
});
const experts = (...ids: string[]) => ({ experts: ids.map((id) => expert(id)) });

describe("which file", () => {
  it("--config before $GGUF_EXPERTS_CONFIG before ./config.json before the built-in file", async () => {
    const env = { GGUF_EXPERTS_CONFIG: "env.json" };
    await put("config.json", experts("cwd"));
    await put("env.json", experts("env"));
    await put("option.json", experts("option"));
    const byOption = await load({ configPath: "option.json", env });
    expect(byOption.source).toEqual({
      origin: "option",
      path: "option.json",
      resolvedPath: join(root, "option.json"),
    });
    expect(byOption.defaultModel).toBe("option");
    expect((await load({ env })).source.origin).toBe("environment");
    expect((await load({ env })).defaultModel).toBe("env");
    expect((await load({ env: { GGUF_EXPERTS_CONFIG: "" } })).source.origin).toBe("working-directory");
    await rm(join(root, "config.json"));
    expect((await load()).source).toEqual({
      origin: "built-in",
      path: builtInConfigPath,
      resolvedPath: builtInConfigPath,
    });
  });

  it("reads ~ as the home folder and absolute paths as they are", async () => {
    const path = await put("configs/mine.json", experts("a"));
    expect((await load({ configPath: "~/configs/mine.json" })).source.resolvedPath).toBe(path);
    expect((await load({ configPath: path })).source.resolvedPath).toBe(path);
  });

  it("reads the file anew each time", async () => {
    await put("config.json", experts("a"));
    expect((await load()).defaultModel).toBe("a");
    await put("config.json", experts("b"));
    expect((await load()).defaultModel).toBe("b");
  });
});

describe("a second reading", () => {
  const reload = (source: Parameters<typeof reloadConfig>[0], env: Record<string, string> = {}) =>
    reloadConfig(source, { env: { HOME: root, ...env }, workingDirectory: root });

  it("follows the link to where it leads now", async () => {
    await put("config/one.json", experts("one"));
    await put("config/two.json", experts("two"));
    await symlink("config/one.json", join(root, "config.json"));
    const { source } = await load();
    await rm(join(root, "config.json"));
    await symlink("config/two.json", join(root, "config.json"));
    const again = await reload(source);
    expect(again.defaultModel).toBe("two");
    expect(again.source.resolvedPath).toBe(join(root, "config/two.json"));
  });

  it("takes the file that was named, by option or environment, although there is another by now", async () => {
    await put("mine.json", experts("mine"));
    const byOption = await load({ configPath: "mine.json" });
    const env = { GGUF_EXPERTS_CONFIG: "mine.json" };
    const byEnvironment = await load({ env });
    await put("config.json", experts("other"));
    expect((await reload(byOption.source)).defaultModel).toBe("mine");
    expect((await reload(byEnvironment.source, env)).defaultModel).toBe("mine");
  });

  it("takes a config.json that has come since, but never the built-in file in place of one that is gone", async () => {
    const builtIn = await load();
    const path = await put("config.json", experts("a"));
    const own = await reload(builtIn.source);
    expect(own.defaultModel).toBe("a");
    await rm(path);
    await expect(reload(own.source)).rejects.toThrow(
      "config.json: does not exist any more (named by the working directory)",
    );
    expect((await reload(builtIn.source)).source.origin).toBe("built-in");
  });
});

describe("a file that cannot be used gets one line", () => {
  it.each<[name: string, prepare: () => Promise<unknown>, wishes: Wishes, message: () => string]>([
    [
      "missing, by option",
      async () => {},
      { configPath: "none.json" },
      () => "none.json: does not exist (named by --config)",
    ],
    [
      "missing, by environment",
      async () => {},
      { env: { GGUF_EXPERTS_CONFIG: "none.json" } },
      () => "none.json: does not exist (named by $GGUF_EXPERTS_CONFIG)",
    ],
    [
      "a link to nowhere, though the built-in file is there",
      () => symlink("config/gone.json", join(root, "config.json")),
      {},
      () => "config.json: is a link to config/gone.json, which does not exist (named by the working directory)",
    ],
    [
      "links in a circle",
      () => symlink("config.json", join(root, "config.json")),
      {},
      () => "config.json: its links lead in a circle (named by the working directory)",
    ],
    ["a folder", () => mkdir(join(root, "config.json")), {}, () => "config.json: is a folder — allowed: a JSON file"],
    [
      "a device",
      async () => {},
      { configPath: "/dev/zero" },
      () => "/dev/zero: is no regular file — allowed: a JSON file",
    ],
    [
      "a model file",
      async () => truncate(await put("config.json"), 4 * 2 ** 30),
      {},
      () => "config.json: is 4.0 GiB — allowed: a JSON file of at most 16 MiB",
    ],
    [
      "wrong JSON behind a link",
      async () => {
        await put("config/five.json", '{\n  "experts": [}\n');
        await symlink("config/five.json", join(root, "config.json"));
      },
      {},
      () => `config.json → ${root}/config/five.json: line 2, column 15: } stands where a value should`,
    ],
    [
      "remote experts alone",
      () => put("config.json", { experts: [{ expert_id: "a", remote: { base_url: "http://x/v1" } }] }),
      {},
      () =>
        "config.json: experts: none with a model_path — allowed: at least one (remote experts are not served by this version)",
    ],
  ])("%s", async (_, prepare, wishes, message) => {
    await prepare();
    expect((await failure(wishes)).message).toBe(message());
  });

  it("several problems: a line for each, with the file's name", async () => {
    await put("config.json", { experts: [expert("a", { priority: 9 })], routing_threshold: 2 });
    const { message, problems } = await failure();
    expect(problems).toEqual([
      "experts[0].priority: 9 — allowed: an integer from 1 to 5",
      "routing_threshold: 2 — allowed: a number from 0 to 1",
    ]);
    expect(message).toBe(problems.map((problem) => `config.json: ${problem}`).join("\n"));
  });
});

describe("model paths", () => {
  const pathOf = async (modelPath: string) => {
    await put("config/five.json", { experts: [expert("a", { model_path: modelPath })] });
    const config = await load({ configPath: "config/five.json" });
    return { path: config.experts[0]?.modelPath, warnings: config.warnings };
  };

  it("start at the folder of the file that the link points to", async () => {
    await put("models/a.gguf");
    await put("config/five.json", {
      experts: [expert("a", { model_path: "../models/a.gguf" })],
      embedding_model: { model_path: "./embedder.gguf" },
    });
    await mkdir(join(root, "elsewhere"));
    await symlink(join(root, "config/five.json"), join(root, "elsewhere/active.json"));
    await symlink("elsewhere/active.json", join(root, "config.json"));
    const config = await load();
    expect(config.source).toEqual({
      origin: "working-directory",
      path: "config.json",
      resolvedPath: join(root, "config/five.json"),
    });
    expect(config.experts[0]?.modelPath).toBe(join(root, "models/a.gguf"));
    expect(config.embedder?.modelPath).toBe(join(root, "config/embedder.gguf"));
    expect(config.warnings).toEqual([]);
  });

  it("may be missing, absolute, or in the home folder", async () => {
    expect(await pathOf("gone.gguf")).toEqual({ path: join(root, "config/gone.gguf"), warnings: [] });
    expect(await pathOf("/gone/x.gguf")).toEqual({ path: "/gone/x.gguf", warnings: [] });
    expect(await pathOf("~/models/x.gguf")).toEqual({ path: join(root, "models/x.gguf"), warnings: [] });
  });

  it("found only where the contract does not look, bring a hint and stay strict", async () => {
    const found = await put("models/x.gguf");
    expect(await pathOf("./models/x.gguf")).toEqual({
      path: join(root, "config/models/x.gguf"),
      warnings: [
        `experts[0].model_path: "./models/x.gguf" is not in ${root}/config, where relative paths start; ${found} exists: write "../models/x.gguf"`,
      ],
    });
  });

  it("may name a folder that holds one model: projectors and later shards do not count", async () => {
    await put("config/one/readme.md");
    await put("config/one/x.GGUF");
    await put("config/one/mmproj-x.gguf");
    await put("config/one/x.mmproj.gguf");
    expect(await pathOf("one")).toEqual({ path: join(root, "config/one/x.GGUF"), warnings: [] });
    for (const shard of ["00002", "00001", "00003"]) await put(`config/split/x-${shard}-of-00003.gguf`);
    expect(await pathOf("split/")).toEqual({
      path: join(root, "config/split/x-00001-of-00003.gguf"),
      warnings: [],
    });
    await put("config/none/model.safetensors");
    expect(await pathOf("none")).toEqual({
      path: join(root, "config/none"),
      warnings: ['experts[0].model_path: the folder "none" holds no GGUF model'],
    });
    await put("config/many/b.gguf");
    await put("config/many/a.gguf");
    expect(await pathOf("many")).toEqual({
      path: join(root, "config/many"),
      warnings: ['experts[0].model_path: "many" — allowed: one file of that folder: a.gguf, b.gguf'],
    });
  });
});

describe("the default model", () => {
  const defaultOf = async (file: unknown, environment?: string) => {
    await put("config.json", file);
    const { defaultModel, warnings } = await load(
      environment === undefined ? {} : { env: { DEFAULT_MODEL: environment } },
    );
    return { defaultModel, warnings };
  };
  const named = (name: string) => ({
    experts: [expert("a", { aliases: ["alpha"] }), expert("b"), expert("mistral_balanced")],
    default_model: name,
  });

  it("is the environment's, then the file's, by id or alias", async () => {
    expect(await defaultOf(named("b"), "Alpha")).toEqual({ defaultModel: "a", warnings: [] });
    expect(await defaultOf(named("b"), "")).toEqual({ defaultModel: "b", warnings: [] });
    expect(await defaultOf(named("ALPHA"))).toEqual({ defaultModel: "a", warnings: [] });
  });

  it("is mistral_balanced, or else the first expert, where nothing is named", async () => {
    expect(await defaultOf(experts("a", "mistral_balanced"))).toEqual({
      defaultModel: "mistral_balanced",
      warnings: [],
    });
    expect(await defaultOf(experts("b", "a"))).toEqual({ defaultModel: "b", warnings: [] });
  });

  it("is passed over with a warning where it is unknown", async () => {
    const known = "is not one of a, b, mistral_balanced; the default model is";
    expect(await defaultOf(named("b"), "nobody")).toEqual({
      defaultModel: "b",
      warnings: [`DEFAULT_MODEL: "nobody" ${known} b`],
    });
    expect(await defaultOf(named("auto"), "nobody")).toEqual({
      defaultModel: "mistral_balanced",
      warnings: [
        `DEFAULT_MODEL: "nobody" ${known} mistral_balanced`,
        `default_model: "auto" ${known} mistral_balanced`,
      ],
    });
  });
});

it("turns every setting into its unit", async () => {
  await put("config.json", {
    experts: [
      expert("a", {
        domain: "coding",
        description: "d",
        priority: 2,
        use_cases: ["u"],
        quantization: "Q4_0",
        max_model_len: 4096,
        min_model_len: 1024,
        aliases: ["x"],
        parallel: 3,
        keep: true,
        fallback: ["Y", "b"],
        system_prompt: "s",
        sampling: {
          temperature: 0,
          top_p: 0.9,
          top_k: 5,
          min_p: 0,
          seed: 7,
          repeat_penalty: 1.1,
          repeat_last_n: -1,
          dry_multiplier: 0.8,
          xtc_probability: 0.5,
          frequency_penalty: -1,
        },
      }),
      expert("b", { aliases: ["y"] }),
    ],
    routing_threshold: 0.25,
    lazy_loading: {
      warmup_pool_size: 2,
      max_loaded_experts: 3,
      ram_budget: "10GiB",
      auto_unload_after_s: 1.5,
      load_timeout_s: 30,
      max_waiting: 0,
      swap_quantum_s: 2.5,
    },
    prompt_cache: { ram: "512MiB", disk: 0, max_age_s: 50, folder: "cache" },
    embedding_model: { model_name: "bge", model_path: "e.gguf", cache_size: 5 },
    rerank_model: { model_path: "r.gguf", max_model_len: 512 },
    server_config: {
      host: "0.0.0.0",
      port: 0,
      log_level: "Warning",
      api_keys: ["k"],
      cors_origins: ["http://localhost:3000/", "*"],
      heartbeat_s: 0,
      stall_timeout_s: 20,
      drain_timeout_s: 0.5,
      max_body_size: "1MiB",
    },
  });
  const config = await load();
  expect(config).toEqual({
    source: { origin: "working-directory", path: "config.json", resolvedPath: join(root, "config.json") },
    experts: [
      {
        id: "a",
        aliases: ["x"],
        domain: "coding",
        description: "d",
        priority: 2,
        useCases: ["u"],
        quantization: "Q4_0",
        modelPath: join(root, "models/a.gguf"),
        contextTokens: 4096,
        minContextTokens: 1024,
        parallel: 3,
        keep: true,
        fallback: ["b"],
        systemPrompt: "s",
        sampling: {
          temperature: 0,
          topP: 0.9,
          topK: 5,
          minP: 0,
          seed: 7,
          repeatPenalty: 1.1,
          repeatLastN: -1,
          dryMultiplier: 0.8,
          xtcProbability: 0.5,
          frequencyPenalty: -1,
        },
      },
      {
        id: "b",
        aliases: ["y"],
        domain: "general",
        description: "",
        priority: 3,
        useCases: [],
        quantization: null,
        modelPath: join(root, "models/b.gguf"),
        contextTokens: null,
        minContextTokens: 2048,
        parallel: 1,
        keep: false,
        fallback: [],
        systemPrompt: null,
        sampling: {},
      },
    ],
    defaultModel: "a",
    memory: {
      ramBudgetBytes: 10 * 2 ** 30,
      memoryThreshold: 0.8,
      lazy: true,
      maxLoadedExperts: 3,
      warmupPoolSize: 2,
      autoUnloadAfterMs: 1500,
    },
    scheduling: { loadTimeoutMs: 30_000, maxWaiting: 0, swapQuantumMs: 2500 },
    promptCache: { ramBytes: 2 ** 29, diskBytes: 0, maxAgeMs: 50_000, folder: join(root, "cache") },
    embedder: { id: "bge", modelPath: join(root, "e.gguf"), contextTokens: null, cacheSize: 5 },
    reranker: { id: "r", modelPath: join(root, "r.gguf"), contextTokens: 512 },
    dropsParameters: false,
    routing: { threshold: 0.25 },
    server: {
      host: "0.0.0.0",
      port: 0,
      logLevel: "warn",
      apiKeys: ["k"],
      corsOrigins: ["http://localhost:3000", "*"],
      heartbeatMs: 0,
      stallTimeoutMs: 20_000,
      drainTimeoutMs: 500,
      maxBodyBytes: 2 ** 20,
    },
    warnings: [],
  });
  expect(Object.keys(config.experts[0]?.sampling ?? {})).not.toContain("presencePenalty");
});

it("loads an operator's file of the earlier system as it is, through its link, and says what it ignores", async () => {
  const earlier = (id: string, domain: string) => ({
    expert_id: id,
    model_path: `/srv/models/${id}`,
    domain,
    description: id,
    priority: 1,
    use_cases: ["x"],
    quantization: null,
    gpu_memory_utilization: 0.9,
    max_model_len: 8192,
    max_num_seqs: 64,
  });
  await put("config/config.five_models_with_aya.json", {
    experts: [
      earlier("phi4_fast", "general"),
      earlier("mistral_balanced", "technical"),
      earlier("qwen_coder", "coding"),
      earlier("gemma3_multimodal", "multimodal_expert"),
      { expert_id: "far_away", remote: { base_url: "http://host:8000/v1", model: "m" } },
    ],
    lazy_loading: {
      enabled: true,
      warmup_pool_size: 2,
      max_loaded_experts: 5,
      memory_threshold: 0.85,
      auto_unload_after_s: 300,
    },
    embedding_model: { model_name: "some/embedder", cache_size: 1000 },
    routing_threshold: 0.7,
    use_fast_classifier: true,
    default_model: "mistral_balanced",
    rag: { enabled: true, backend: "other" },
    server_config: { host: "0.0.0.0", port: 8082, log_level: "INFO", workers: 1 },
  });
  await symlink("config/config.five_models_with_aya.json", join(root, "config.json"));
  const config = await load();
  expect(config.experts.map(({ id }) => id)).toEqual(knownExpertIds.slice(0, 4));
  expect(config.embedder).toBeNull();
  const perExpert = [0, 1, 2, 3].flatMap((index) => [
    `experts[${index}].gpu_memory_utilization: unknown key, ignored`,
    `experts[${index}].max_num_seqs: is ignored: the number of requests that an expert answers at the same time is \`parallel\``,
  ]);
  expect(config.warnings).toEqual([
    ...perExpert,
    "experts[4].remote: has no effect in this version",
    "use_fast_classifier: has no effect in this version",
    "rag: has no effect in this version",
    "server_config.workers: unknown key, ignored",
    "experts[4].model_path: missing, so far_away is left out",
    "embedding_model.model_path: missing, so /v1/embeddings has no model",
  ]);
  expect(describeSource(config)).toEqual({
    lines: [
      `Configuration: config.json → ${root}/config/config.five_models_with_aya.json (from the working directory), 4 experts`,
    ],
    warning: "4 experts: aya_expanse_multilingual is not in this file",
  });
});

it("lets a context shrink to 2048 tokens, or not at all where it is shorter anyway", async () => {
  await put("config.json", {
    experts: [
      expert("short", { max_model_len: 1000 }),
      expert("long", { max_model_len: 32_768 }),
      expert("open"),
      expert("firm", { max_model_len: 4096, min_model_len: 4096 }),
      expert("tight", { min_model_len: 512 }),
    ],
  });
  const { experts: loaded } = await load();
  expect(loaded.map(({ minContextTokens }) => minContextTokens)).toEqual([1000, 2048, 2048, 4096, 512]);
});

it("unloads nothing for being idle where loading is not lazy", async () => {
  await put("config.json", { ...experts("a"), lazy_loading: { enabled: false, auto_unload_after_s: 300 } });
  const { memory, warnings } = await load();
  expect(memory).toMatchObject({ lazy: false, autoUnloadAfterMs: null });
  expect(warnings).toEqual(["lazy_loading.auto_unload_after_s: has no effect, because lazy_loading.enabled is false"]);
});

describe("the files that come with the package", () => {
  it("the built-in one serves five demonstration models, and says so", async () => {
    const config = await load();
    expect(config.experts.map(({ id }) => id)).toEqual(knownExpertIds);
    expect(config.experts.map(({ modelPath }) => modelPath)).toEqual(
      knownExpertIds.map((id) => join(repository, `models/demo/demo-${id}.gguf`)),
    );
    for (const { sampling, contextTokens } of config.experts) {
      expect({ sampling, contextTokens }).toEqual({ sampling: { temperature: 0 }, contextTokens: 2048 });
    }
    expect(config.embedder).toMatchObject({ contextTokens: 256 });
    expect(config.warnings).toEqual([]);
    const { lines, warning } = describeSource(config);
    expect(lines[0]).toBe(`Configuration: ${builtInConfigPath} (from the built-in default), 5 experts`);
    expect(lines.slice(1).join(" ")).toMatch(/demonstration models.*download-model\.sh/);
    expect(warning).toBeNull();
  });

  it("the five real ones load through the customary link", async () => {
    await symlink(join(repository, "config/config.five_models_with_aya.json"), join(root, "config.json"));
    const config = await load();
    expect(config.experts.map(({ id }) => id)).toEqual(knownExpertIds);
    for (const { modelPath } of config.experts) expect(dirname(modelPath)).toBe(join(repository, "models"));
    expect(config.warnings).toEqual([]);
    expect(describeSource(config).lines).toHaveLength(1);
  });
});

it("names the absent ones of the five", async () => {
  await put("config.json", experts("qwen_coder"));
  expect(describeSource(await load()).warning).toBe(
    "1 expert: phi4_fast, mistral_balanced, gemma3_multimodal and aya_expanse_multilingual are not in this file",
  );
});
