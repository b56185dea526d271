// What a configuration file may say: every wrong value gets its line, everything else loads.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkConfig } from "../../src/config/check.ts";

const expert = (fields: Record<string, unknown> = {}) => ({ expert_id: "a", model_path: "a.gguf", ...fields });
const withExpert = (fields: Record<string, unknown>) => ({ experts: [expert(fields)] });
const withKey = (fields: Record<string, unknown>) => ({ experts: [expert()], ...fields });

const allowedId = "a name of letters, digits and . _ : @ + - that starts with a letter or digit";
const allowedName = "a name of letters, digits and . _ : / @ + - that starts with a letter or digit";
const allowedPath = "the path of a GGUF file, or of a folder that holds just one";
const allowedBytes = 'an amount of memory such as "10GiB", "512MiB" or a number of bytes';

describe("a wrong value", () => {
  it.each<[name: string, file: unknown, problems: string[]]>([
    ["a list as the file", [], ["the whole file: an empty list — allowed: an object with the key experts"]],
    ["null as the file", null, ["the whole file: null — allowed: an object with the key experts"]],
    ["no experts", {}, ["experts: missing — allowed: a list of at least one expert"]],
    ["zero experts", { experts: [] }, ["experts: an empty list — allowed: a list of at least one expert"]],
    ["experts by name", { experts: { a: {} } }, ["experts: an object — allowed: a list of at least one expert"]],
    ["a text as expert", { experts: ["a", expert()] }, ['experts[0]: "a" — allowed: an object']],
    ["null as expert", { experts: [null] }, ["experts[0]: null — allowed: an object"]],
    [
      "an empty expert",
      { experts: [{}] },
      [
        `experts[0].expert_id: missing — allowed: ${allowedId}`,
        `experts[0].model_path: missing — allowed: ${allowedPath}`,
      ],
    ],
    ["an empty id", withExpert({ expert_id: "" }), [`experts[0].expert_id: "" — allowed: ${allowedId}`]],
    ["a slash in an id", withExpert({ expert_id: "a/b" }), [`experts[0].expert_id: "a/b" — allowed: ${allowedId}`]],
    ["a number as id", withExpert({ expert_id: 7 }), [`experts[0].expert_id: 7 — allowed: ${allowedId}`]],
    [
      "the router's name as id",
      withExpert({ expert_id: "Auto" }),
      ['experts[0].expert_id: "Auto" — allowed: another name ("auto" asks the router)'],
    ],
    ["an empty alias", withExpert({ aliases: [""] }), [`experts[0].aliases[0]: "" — allowed: ${allowedName}`]],
    [
      "the router's name as alias",
      withExpert({ aliases: ["x", "auto"] }),
      ['experts[0].aliases[1]: "auto" — allowed: another name ("auto" asks the router)'],
    ],
    [
      "two experts of one id",
      { experts: [expert(), expert({ expert_id: "b" }), expert({ expert_id: "A" })] },
      ['experts[2].expert_id: "A" — allowed: a name of its own (experts[0].expert_id has this one)'],
    ],
    [
      "an alias that is a later id",
      { experts: [expert({ aliases: ["b"] }), expert({ expert_id: "b" })] },
      ['experts[0].aliases[0]: "b" — allowed: a name of its own (experts[1].expert_id has this one)'],
    ],
    [
      "two aliases of one name",
      { experts: [expert({ aliases: ["x"] }), expert({ expert_id: "b", aliases: ["y", "X"] })] },
      ['experts[1].aliases[1]: "X" — allowed: a name of its own (experts[0].aliases[0] has this one)'],
    ],
    [
      "an unknown fallback",
      { experts: [expert({ fallback: ["b", "c"] }), expert({ expert_id: "b" }), expert({ expert_id: "d" })] },
      ['experts[0].fallback[1]: "c" — allowed: one of b, d'],
    ],
    [
      "an expert as its own fallback",
      { experts: [expert({ aliases: ["x"], fallback: ["x"] }), expert({ expert_id: "b" })] },
      ['experts[0].fallback[0]: "x" — allowed: one of b'],
    ],
    [
      "a fallback where there is one expert",
      withExpert({ fallback: ["b"] }),
      ['experts[0].fallback[0]: "b" — allowed: nothing (there is no other expert)'],
    ],
    ["an empty path", withExpert({ model_path: "" }), [`experts[0].model_path: "" — allowed: ${allowedPath}`]],
    ["a null path", withExpert({ model_path: null }), [`experts[0].model_path: missing — allowed: ${allowedPath}`]],
    [
      "a domain that does not exist",
      withExpert({ domain: "poetry" }),
      [
        'experts[0].domain: "poetry" — allowed: one of general, technical, coding, multimodal_expert, multilingual_expert',
      ],
    ],
    ["a priority of 9", withExpert({ priority: 9 }), ["experts[0].priority: 9 — allowed: an integer from 1 to 5"]],
    ["a priority of 0", withExpert({ priority: 0 }), ["experts[0].priority: 0 — allowed: an integer from 1 to 5"]],
    ["half a priority", withExpert({ priority: 1.5 }), ["experts[0].priority: 1.5 — allowed: an integer from 1 to 5"]],
    [
      "a priority in quotes",
      withExpert({ priority: "1" }),
      ['experts[0].priority: "1" — allowed: an integer from 1 to 5'],
    ],
    [
      "use cases as one text",
      withExpert({ use_cases: "code" }),
      ['experts[0].use_cases: "code" — allowed: a list of texts'],
    ],
    ["a number as use case", withExpert({ use_cases: ["a", 2] }), ["experts[0].use_cases[1]: 2 — allowed: a text"]],
    [
      "a context of 8",
      withExpert({ max_model_len: 8 }),
      ["experts[0].max_model_len: 8 — allowed: an integer from 64 to 16777216"],
    ],
    [
      "a least context above the wanted one",
      withExpert({ min_model_len: 4096, max_model_len: 2048 }),
      ["experts[0].min_model_len: 4096 — allowed: at most its max_model_len, which is 2048"],
    ],
    [
      "loads without any time and a queue of less than nothing",
      withKey({ lazy_loading: { load_timeout_s: 0, max_waiting: -1, swap_quantum_s: "10s" } }),
      [
        "lazy_loading.load_timeout_s: 0 — allowed: a number from 1 to 2147483",
        "lazy_loading.max_waiting: -1 — allowed: an integer from 0 to 100000",
        'lazy_loading.swap_quantum_s: "10s" — allowed: a number from 0 to 3600',
      ],
    ],
    [
      "a prompt cache without measure",
      withKey({ prompt_cache: { ram: -1, disk: "much", max_age_s: 0, folder: "" } }),
      [
        `prompt_cache.ram: -1 — allowed: ${allowedBytes}, or 0`,
        `prompt_cache.disk: "much" — allowed: ${allowedBytes}, or 0`,
        "prompt_cache.max_age_s: 0 — allowed: a number from 1 to 315360000",
        'prompt_cache.folder: "" — allowed: the path of a folder',
      ],
    ],
    ["no slots", withExpert({ parallel: 0 }), ["experts[0].parallel: 0 — allowed: an integer from 1 to 64"]],
    ["yes for true", withExpert({ keep: "yes" }), ['experts[0].keep: "yes" — allowed: true or false']],
    [
      "a negative temperature",
      withExpert({ sampling: { temperature: -1 } }),
      ["experts[0].sampling.temperature: -1 — allowed: a number from 0 to 5"],
    ],
    [
      "a repeat penalty of 0",
      withExpert({ sampling: { repeat_penalty: 0 } }),
      ["experts[0].sampling.repeat_penalty: 0 — allowed: a number above 0 and at most 10"],
    ],
    [
      "a share above 1",
      withKey({ lazy_loading: { memory_threshold: 85 } }),
      ["lazy_loading.memory_threshold: 85 — allowed: a number above 0 and at most 1"],
    ],
    [
      "a budget that is no amount",
      withKey({ lazy_loading: { ram_budget: "10 elephants" } }),
      [`lazy_loading.ram_budget: "10 elephants" — allowed: ${allowedBytes}`],
    ],
    [
      "a budget of 0",
      withKey({ lazy_loading: { ram_budget: 0 } }),
      [`lazy_loading.ram_budget: 0 — allowed: ${allowedBytes}`],
    ],
    [
      "a budget as list",
      withKey({ lazy_loading: { ram_budget: [1, 2] } }),
      [`lazy_loading.ram_budget: a list of 2 — allowed: ${allowedBytes}`],
    ],
    [
      "a time that no timer can wait",
      withKey({ lazy_loading: { auto_unload_after_s: 1e300 } }),
      ["lazy_loading.auto_unload_after_s: 1e+300 — allowed: a number from 0 to 2147483"],
    ],
    ["a list as section", withKey({ lazy_loading: [] }), ["lazy_loading: an empty list — allowed: an object"]],
    ["a threshold of 2", withKey({ routing_threshold: 2 }), ["routing_threshold: 2 — allowed: a number from 0 to 1"]],
    ["a number as default model", withKey({ default_model: 1 }), ["default_model: 1 — allowed: a text"]],
    [
      "an embedding model with an expert's name",
      withKey({ embedding_model: { model_path: "models/A.gguf" } }),
      ['embedding_model.model_name: "A" — allowed: a name of its own (experts[0].expert_id has this one)'],
    ],
    [
      "a reranker with the embedding model's name",
      withKey({ embedding_model: { model_path: "models/x.gguf" }, rerank_model: { model_path: "x.gguf" } }),
      ['rerank_model.model_name: "x" — allowed: a name of its own (embedding_model.model_name has this one)'],
    ],
    [
      "a port above 65535",
      withKey({ server_config: { port: 65_536 } }),
      ["server_config.port: 65536 — allowed: an integer from 0 to 65535"],
    ],
    [
      "an empty host",
      withKey({ server_config: { host: "" } }),
      ['server_config.host: "" — allowed: a text that is not empty'],
    ],
    [
      "a log level that does not exist",
      withKey({ server_config: { log_level: "loud" } }),
      ['server_config.log_level: "loud" — allowed: one of debug, info, warn, warning, error, critical, silent'],
    ],
    [
      "an origin with a path",
      withKey({ server_config: { cors_origins: ["https://example.org/app"] } }),
      [
        'server_config.cors_origins[0]: "https://example.org/app" — allowed: an origin such as "https://example.org:3000", or "*"',
      ],
    ],
    [
      "API keys, without quoting them",
      withKey({ server_config: { api_keys: ["fine", "my secret", ""] } }),
      [
        "server_config.api_keys[1]: a value that is not shown — allowed: a text of visible ASCII characters without spaces",
        "server_config.api_keys[2]: a value that is not shown — allowed: a text of visible ASCII characters without spaces",
      ],
    ],
    [
      "an API key in place of the list, without quoting it",
      withKey({ server_config: { api_keys: "secret" } }),
      ["server_config.api_keys: a value that is not shown — allowed: a list of texts"],
    ],
    [
      "a very long text",
      withKey({ routing_threshold: "x".repeat(5000) }),
      [`routing_threshold: "${"x".repeat(100)}… (5000 characters)" — allowed: a number from 0 to 1`],
    ],
    [
      "everything at once",
      {
        experts: [expert({ priority: 9, fallback: ["nobody"] }), expert({ domain: 3 })],
        routing_threshold: -1,
        server_config: { port: "8082" },
      },
      [
        "experts[0].priority: 9 — allowed: an integer from 1 to 5",
        "experts[1].domain: 3 — allowed: one of general, technical, coding, multimodal_expert, multilingual_expert",
        "routing_threshold: -1 — allowed: a number from 0 to 1",
        'server_config.port: "8082" — allowed: an integer from 0 to 65535',
        'experts[1].expert_id: "a" — allowed: a name of its own (experts[0].expert_id has this one)',
        'experts[0].fallback[0]: "nobody" — allowed: one of a',
      ],
    ],
  ])("%s", (_, file, problems) => {
    const checked = checkConfig(file);
    expect(checked.problems).toEqual(problems);
    expect(checked.file).toBeNull();
  });
});

describe("keys without effect", () => {
  it.each<[name: string, file: unknown, warnings: string[]]>([
    ["a plain file", withKey({ $schema: "./config.schema.json" }), []],
    [
      "unknown keys, each by its path",
      {
        experts: [expert({ tensor_parallel_size: 1 }), expert({ expert_id: "b", tensor_parallel_size: 1 })],
        "odd key": 1,
        lazy_loading: { gpu: { memory: 1 } },
      },
      [
        "experts[0].tensor_parallel_size: unknown key, ignored",
        "experts[1].tensor_parallel_size: unknown key, ignored",
        '["odd key"]: unknown key, ignored',
        "lazy_loading.gpu: unknown key, ignored",
      ],
    ],
    [
      "slips of the pen",
      { experts: [expert({ priorty: 1, Aliases: [] })], server_config: { api_key: ["s"] } },
      [
        "experts[0].priorty: unknown key, ignored; did you mean priority?",
        "experts[0].Aliases: unknown key, ignored; did you mean aliases?",
        "server_config.api_key: unknown key, ignored; did you mean api_keys?",
      ],
    ],
    [
      "keys of other versions",
      {
        experts: [expert({ max_num_seqs: 32, mmproj_path: "m.gguf" })],
        rag: { enabled: true },
        use_fast_classifier: true,
        gateway: null,
      },
      [
        "experts[0].max_num_seqs: is ignored: the number of requests that an expert answers at the same time is `parallel`",
        "experts[0].mmproj_path: has no effect in this version",
        "rag: has no effect in this version",
        "use_fast_classifier: has no effect in this version",
      ],
    ],
    [
      "a share next to an amount",
      withKey({ lazy_loading: { memory_threshold: 0.8, ram_budget: "10GiB" } }),
      ["lazy_loading.memory_threshold: has no effect, because lazy_loading.ram_budget is given too"],
    ],
    [
      "what only lazy loading does, without it",
      withKey({ lazy_loading: { enabled: false, warmup_pool_size: 2, auto_unload_after_s: 300 } }),
      [
        "lazy_loading.warmup_pool_size: has no effect, because lazy_loading.enabled is false",
        "lazy_loading.auto_unload_after_s: has no effect, because lazy_loading.enabled is false",
      ],
    ],
    [
      "the same keys where they ask for nothing",
      withKey({ lazy_loading: { enabled: false, warmup_pool_size: 0, auto_unload_after_s: 0 } }),
      [],
    ],
  ])("%s", (_, file, warnings) => {
    const checked = checkConfig(file);
    expect(checked.problems).toEqual([]);
    expect(checked.warnings).toEqual(warnings);
  });
});

it("takes null for absent and words in any case", () => {
  const { problems, file } = checkConfig({
    experts: [expert({ domain: "CODING", quantization: null, sampling: null, aliases: null })],
    lazy_loading: null,
    server_config: { log_level: "INFO", port: null },
  });
  expect(problems).toEqual([]);
  expect(file?.experts[0]?.domain).toBe("coding");
  expect(file?.server_config).toMatchObject({ log_level: "info", port: 8082 });
  expect(file?.lazy_loading.enabled).toBe(true);
});

it("answers any JSON value with whole lines, and never throws", () => {
  const keys = [
    "experts",
    "expert_id",
    "model_path",
    "aliases",
    "fallback",
    "sampling",
    "lazy_loading",
    "server_config",
    "api_keys",
    "rag",
    "__proto__",
    "constructor",
    "toString",
  ];
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.jsonValue({ maxDepth: 1 }),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys), tie("value"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(value, (file) => {
      const { problems, warnings } = checkConfig(file);
      for (const line of [...problems, ...warnings]) expect(line).toMatch(/^[^\n\r]+: [^\n\r]+$/);
      for (const line of problems) expect(line).toMatch(/ — allowed: /);
    }),
    { numRuns: 500 },
  );
});
