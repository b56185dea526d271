// The doctor's judgements over facts written by hand, and how they are printed.
import { describe, expect, it } from "vitest";
import type { ConfigFacts, DoctorFacts } from "../../src/commands/doctor/facts.ts";
import { type Finding, wouldServe } from "../../src/commands/doctor/finding.ts";
import { findingsOf } from "../../src/commands/doctor/findings.ts";
import { renderJson, renderText } from "../../src/commands/doctor/render.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { healthyConfig, healthyFacts, healthyMachine, model, validFile } from "./facts-of.ts";

const gib = 2 ** 30;

const withMachine = (changes: Partial<Machine>): DoctorFacts => ({
  ...healthyFacts,
  machine: { ...healthyMachine, ...changes },
});
const withConfig = (changes: Partial<ConfigFacts>): DoctorFacts => ({
  ...healthyFacts,
  config: { ...healthyConfig, ...changes },
});
/** What is not as it should be, as `severity code`. */
const troubles = (facts: DoctorFacts) =>
  findingsOf(facts)
    .filter(({ severity }) => severity !== "ok")
    .map(({ severity, code }) => `${severity} ${code}`);
function findingOf(facts: DoctorFacts, code: string): Finding {
  const found = findingsOf(facts).find((finding) => finding.code === code);
  if (found === undefined) throw new Error(`no finding ${code}`);
  return found;
}

describe("findingsOf", () => {
  it("finds nothing wrong with a healthy machine", () => {
    expect(troubles(healthyFacts)).toEqual([]);
    expect(wouldServe(findingsOf(healthyFacts))).toBe(true);
  });

  it("gives every finding that is not ok something to do, unless it speaks for itself", () => {
    const facts: DoctorFacts = {
      ...withMachine({ cgroup: { ...healthyMachine.cgroup, cpuQuota: { value: 0.5, file: "/cpu.max" } } }),
      nodeVersion: "18.0.0",
      memoryLimitBytes: gib / 2,
      config: {
        ...healthyConfig,
        host: "0.0.0.0",
        listening: { free: false, code: "EADDRINUSE", reason: "in use" },
        experts: [model("phi4_fast", { state: "missing", reason: "gone" })],
      },
    };
    const silent = findingsOf(facts).filter(({ severity, advice }) => severity !== "ok" && advice === null);
    expect(silent).toEqual([]);
    expect(troubles(facts).length).toBeGreaterThan(5);
  });

  it.each([
    ["18.20.0", true],
    ["20.18.3", true],
    ["20.19.0", false],
    ["22.1.0", false],
  ])("judges Node %s", (nodeVersion, tooOld) => {
    expect(troubles({ ...healthyFacts, nodeVersion })).toEqual(tooOld ? ["fatal node_too_old"] : []);
  });

  it("warns of a CPU quota below 1, not of one above", () => {
    const quota = (value: number) =>
      withMachine({ cgroup: { ...healthyMachine.cgroup, cpuQuota: { value, file: "/sys/fs/cgroup/cpu.max" } } });
    expect(troubles(quota(0.5))).toEqual(["warning cpu_quota_below_one"]);
    expect(troubles(quota(4))).toEqual([]);
  });

  it("warns of a CPU without the features that the fast kernels need", () => {
    const weak = withMachine({ cpu: { ...healthyMachine.cpu, features: ["sse4_2"] } });
    expect(findingOf(weak, "cpu_features_weak").message).toBe("sse4_2; avx2 is missing");
    const pi4 = withMachine({ cpu: { ...healthyMachine.cpu, architecture: "arm64", features: ["asimd"] } });
    expect(findingOf(pi4, "cpu_features_weak").message).toBe("asimd; asimddp is missing");
  });

  it("warns of little memory and of swap in use", () => {
    expect(troubles({ ...healthyFacts, memoryLimitBytes: gib / 2 })).toContain("warning memory_small");
    const swap = (swapUsedBytes: number) =>
      withMachine({ memory: { ...healthyMachine.memory, swapTotalBytes: 4 * gib, swapUsedBytes } });
    expect(troubles(swap(2 * gib))).toEqual(["warning swap_used"]);
    expect(troubles(swap(gib / 2))).toEqual([]);
  });

  it("says that an engine that does not start ends everything, and leaves the files unchecked", () => {
    const facts: DoctorFacts = {
      ...withConfig({
        experts: [model("phi4_fast", { state: "unchecked", sizeBytes: gib })],
        defaultModel: "phi4_fast",
      }),
      engine: { problem: "libggml.so: cannot open shared object file" },
    };
    expect(troubles(facts)).toEqual(["fatal engine_failed", "warning model_unchecked"]);
    expect(wouldServe(findingsOf(facts))).toBe(false);
  });

  it("names the picked CPU backend and what it uses", () => {
    const backend = (cpuVariant: string | null): DoctorFacts => ({
      ...healthyFacts,
      engine: {
        description: { name: "engine", threads: 2, systemInfo: "CPU : NEON = 1 | SVE_CNT = 16 |" },
        cpuVariant,
      },
    });
    expect(findingOf(backend("armv8.6_2"), "cpu_backend").message).toBe("armv8.6_2: NEON SVE_CNT=16");
    expect(findingOf(backend(null), "cpu_backend").message).toBe("single build, no variants: NEON SVE_CNT=16");
  });

  it("says what is wrong with the configuration and judges nothing that hangs on it", () => {
    const facts: DoctorFacts = { ...healthyFacts, config: { problem: "config.json: experts: must be a list" } };
    expect(troubles(facts)).toEqual(["fatal config_invalid"]);
    expect(findingsOf(facts).map(({ section }) => section)).not.toContain("Experts");
  });

  it("repeats what the start says of the file: demonstration models, absent experts, unknown keys", () => {
    const lines = [
      "Configuration: demo.json (built-in default), 5 experts",
      "These are demonstration models.",
      "Get real ones.",
    ];
    expect(findingOf(withConfig({ description: { lines, warning: null } }), "config_demonstration")).toMatchObject({
      severity: "warning",
      message: "demo.json (built-in default), 5 experts",
      advice: "These are demonstration models. Get real ones.",
    });
    const description = { ...healthyConfig.description, warning: "4 experts: qwen_coder is not in this file" };
    expect(troubles(withConfig({ description }))).toEqual(["warning experts_absent"]);
    expect(troubles(withConfig({ warnings: ["experts[0].x is not known"] }))).toEqual(["warning config_warning"]);
    expect(findingOf(healthyFacts, "config").message).toBe(
      "config.json → /srv/config/five.json (working directory), 2 experts",
    );
  });
});

describe("the experts", () => {
  const invalid = model("phi4_fast", { state: "invalid", reason: "/models/phi4_fast.gguf is not a GGUF file" });

  it("tell how to fetch a missing file, and the rest serves", () => {
    const facts = withConfig({
      experts: [model("phi4_fast", { state: "missing", reason: "gone" }), model("mistral_balanced")],
    });
    expect(findingOf(facts, "model_missing")).toMatchObject({
      subject: "phi4_fast",
      severity: "error",
      advice: "./download-model.sh phi4_fast",
    });
    expect(wouldServe(findingsOf(facts))).toBe(true);
  });

  it("do not name a download that would not bring the file", () => {
    const missing = { ...model("my_own", { state: "missing", reason: "gone" }), downloadId: null };
    const facts = withConfig({ experts: [missing, model("mistral_balanced")] });
    expect(findingOf(facts, "model_missing").advice).toBe("Put the file there, or correct its model_path.");
  });

  it("tell an invalid, an unreadable and an unpredictable file apart", () => {
    expect(troubles(withConfig({ experts: [invalid, model("mistral_balanced")] }))).toEqual(["error model_invalid"]);
    const unreadable = model("phi4_fast", { state: "unreadable", reason: "may not be read" });
    expect(troubles(withConfig({ experts: [unreadable, model("mistral_balanced")] }))).toEqual([
      "error model_unreadable",
    ]);
    const file = { ...validFile(1), prediction: { problem: "unknown architecture" } };
    expect(troubles(withConfig({ experts: [model("phi4_fast", file), model("mistral_balanced")] }))).toEqual([
      "error model_unpredictable",
    ]);
  });

  it("do not fit when one alone is larger than the budget; exactly the budget fits", () => {
    const facts = withConfig({ experts: [model("phi4_fast", validFile(13 * gib)), model("mistral_balanced")] });
    expect(troubles(facts)).toEqual(["error model_over_budget"]);
    expect(troubles(withConfig({ experts: [model("mistral_balanced", validFile(12 * gib))] }))).toEqual([]);
  });

  it("take turns when all together are larger than the budget or than max_loaded_experts", () => {
    const experts = [model("phi4_fast", validFile(8 * gib)), model("mistral_balanced", validFile(8 * gib))];
    expect(findingOf(withConfig({ experts }), "experts_take_turns")).toMatchObject({
      severity: "ok",
      message: "16.0 GiB for 2 experts: they take turns in 12.0 GiB",
    });
    expect(findingOf(withConfig({ maxLoadedExperts: 1 }), "experts_take_turns").message).toMatch(
      /at most 1 at a time$/,
    );
    expect(findingOf(healthyFacts, "experts_fit").message).toBe("4.0 GiB for 2 experts: all fit");
  });

  it("warn where pinned models leave no room for the largest of the others", () => {
    const experts = [model("phi4_fast", validFile(6 * gib), true), model("mistral_balanced", validFile(7 * gib))];
    expect(troubles(withConfig({ experts }))).toEqual(["warning pinned_too_large"]);
  });

  it("warn of an unavailable default model and name one that could take its place", () => {
    const facts = withConfig({ experts: [invalid, model("qwen_coder")], defaultModel: "phi4_fast" });
    expect(findingOf(facts, "default_model_unavailable").advice).toMatch(/DEFAULT_MODEL=qwen_coder\.$/);
    expect(wouldServe(findingsOf(facts))).toBe(true);
  });

  it("would not serve when none of them is left", () => {
    const facts = withConfig({ experts: [invalid, model("mistral_balanced", validFile(13 * gib))] });
    expect(troubles(facts)).toEqual(["error model_invalid", "error model_over_budget", "fatal no_expert"]);
    expect(wouldServe(findingsOf(facts))).toBe(false);
  });

  it("count the embedding model among what is held together", () => {
    const facts = withConfig({ embedder: model("bge", validFile(gib), true) });
    expect(findingOf(facts, "experts_fit").message).toBe("5.0 GiB for 2 experts and the embedding model: all fit");
  });

  it("do not fail over the embedding model", () => {
    const embedder = model("bge", { state: "missing", reason: "gone" });
    const facts = withConfig({ embedder });
    expect(findingOf(facts, "model_missing").subject).toBe("bge (embedding)");
    expect(wouldServe(findingsOf(facts))).toBe(true);
  });
});

describe("the budget", () => {
  const budget = (bytes: number) => ({ bytes, reason: "lazy_loading.ram_budget" });

  it("warns when it is larger than what the process may hold", () => {
    expect(troubles(withConfig({ budget: budget(17 * gib) }))).toEqual(["warning budget_over_limit"]);
  });

  it("warns when the models would not find that much available now", () => {
    const facts = withMachine({ memory: { ...healthyMachine.memory, availableBytes: 3 * gib } });
    expect(troubles(facts)).toEqual(["warning budget_over_available"]);
  });

  it("warns when it leaves less than a tenth and nothing can be swapped out", () => {
    expect(troubles(withConfig({ budget: budget(15 * gib) }))).toEqual(["warning budget_without_reserve"]);
  });
});

describe("the server's address", () => {
  it("is fatal when the port is in use, forbidden, or not of this machine", () => {
    const listening = (code: string) => withConfig({ listening: { free: false, code, reason: `listen ${code}` } });
    expect(troubles(listening("EADDRINUSE"))).toEqual(["fatal port_in_use"]);
    expect(findingOf(listening("EADDRINUSE"), "port_in_use").message).toBe("127.0.0.1:8082: the port is in use");
    expect(troubles(listening("EACCES"))).toEqual(["fatal port_forbidden"]);
    expect(troubles(listening("EADDRNOTAVAIL"))).toEqual(["fatal cannot_listen"]);
  });

  it("warns when it is open to others without a key", () => {
    expect(troubles(withConfig({ host: "0.0.0.0" }))).toEqual(["warning open_without_key"]);
    expect(troubles(withConfig({ host: "0.0.0.0", hasApiKeys: true }))).toEqual([]);
    expect(troubles(withConfig({ host: "::1" }))).toEqual([]);
  });
});

describe("the output", () => {
  const facts = withConfig({
    experts: [model("phi4_fast", { state: "missing", reason: "no file" }), model("mistral_balanced")],
  });

  it("marks each finding, puts the advice below it, and ends with the verdict", () => {
    const text = renderText(findingsOf(facts));
    expect(text).toMatch(/^Machine\n {2}✓ Node {2,}version 20\.20\.2\n/);
    expect(text).toMatch(/\n {2}✗ phi4_fast {2,}missing: no file\n {2,}→ \.\/download-model\.sh phi4_fast\n/);
    expect(text).toMatch(/\n! The server would serve; 1 point above to look at\.\n$/);
    expect(renderText(findingsOf(healthyFacts))).toMatch(/\n✓ The server would serve\.\n$/);
    expect(renderText(findingsOf({ ...healthyFacts, config: { problem: "a\nb" } }))).toMatch(
      /✗ File {2,}a\n {2,}b\n {2,}→ .*\n\n✗ The server would not serve\.\n$/,
    );
  });

  it("is complete as JSON", () => {
    const findings = findingsOf(facts);
    expect(JSON.parse(renderJson(facts, findings))).toEqual({ serves: true, findings, facts });
  });
});
