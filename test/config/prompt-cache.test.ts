// What the prompt cache may take, and where its files are.
import { describe, expect, it } from "vitest";
import { checkConfig } from "../../src/config/check.ts";
import type { PromptCacheConfig } from "../../src/config/config.ts";
import { promptCacheSettings } from "../../src/config/prompt-cache.ts";
import { resolveConfig } from "../../src/config/resolve.ts";

const gib = 2 ** 30;

/** The section as it stands in the file, to what the configuration says of it. */
function resolved(section: unknown): PromptCacheConfig | undefined {
  const { file, problems } = checkConfig({
    experts: [{ expert_id: "a", model_path: "a.gguf" }],
    prompt_cache: section,
  });
  expect(problems).toEqual([]);
  return file === null
    ? undefined
    : resolveConfig({
        file,
        source: { origin: "option", path: "c.json", resolvedPath: "/c.json" },
        modelPathOf: (key) => key,
        absolutePathOf: (path) => `/etc/${path}`,
        defaultModel: undefined,
        warnings: [],
      })?.promptCache;
}

describe("the section prompt_cache", () => {
  it.each<[section: unknown, config: Partial<PromptCacheConfig>]>([
    [undefined, { ramBytes: null, diskBytes: 2 * gib, maxAgeMs: 7 * 24 * 3_600_000, folder: null }],
    [
      { ram: 0, disk: "0" },
      { ramBytes: 0, diskBytes: 0 },
    ],
    [
      { ram: "0", disk: 0 },
      { ramBytes: 0, diskBytes: 0 },
    ],
    [
      { ram: "1.5GiB", disk: 1000 },
      { ramBytes: 1.5 * gib, diskBytes: 1000 },
    ],
    [
      { max_age_s: 1.5, folder: "kv" },
      { maxAgeMs: 1500, folder: "/etc/kv" },
    ],
  ])("%j", (section, config) => {
    expect(resolved(section)).toMatchObject(config);
  });
});

describe("promptCacheSettings", () => {
  const config: PromptCacheConfig = { ramBytes: null, diskBytes: 5, maxAgeMs: 7, folder: null };

  it.each<[name: string, ramBytes: number | null, budgetBytes: number, used: number]>([
    ["a twentieth of the budget", null, 10 * gib, gib / 2],
    ["1 GiB of a large budget", null, 100 * gib, gib],
    ["whole bytes", null, 1019, 50],
    ["what is asked for, above the default", 4 * gib, 10 * gib, 4 * gib],
    ["half of the budget", 5 * gib, 10 * gib, 5 * gib],
    ["none", 0, 10 * gib, 0],
  ])("takes %s", (_, ramBytes, budgetBytes, used) => {
    const settings = promptCacheSettings({ ...config, ramBytes }, budgetBytes, null);
    expect(settings).toEqual({ ramBytes: used, diskBytes: 5, maxAgeMs: 7, folder: null, warning: null });
  });

  it("takes no more than half of the budget, and says so", () => {
    expect(promptCacheSettings({ ...config, ramBytes: 8 * gib }, 10 * gib, null)).toMatchObject({
      ramBytes: 5 * gib,
      warning: "prompt_cache.ram: 8.0 GiB is more than half of the RAM budget of 10.0 GiB, so 5.0 GiB are used",
    });
  });

  it("keeps its files in the state folder, or where it is told", () => {
    expect(promptCacheSettings(config, gib, "/var/lib/x").folder).toBe("/var/lib/x/prompt-cache");
    expect(promptCacheSettings({ ...config, folder: "/kv" }, gib, "/var/lib/x").folder).toBe("/kv");
  });
});
