// The shipped manifest, its agreement with the configuration, the choice by CPU, and what a wrong manifest is told.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  chooseFile,
  loadManifest,
  type Manifest,
  type ManifestFile,
  missingFileAdvice,
  packageManifestPath,
} from "../../src/experts/manifest.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const manifestPath = join(root, "models/manifest.json");

let manifest: Manifest;
let folder: string;

beforeAll(async () => {
  manifest = await loadManifest(manifestPath);
  folder = await mkdtemp(join(tmpdir(), "manifest-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function modelFile(expertId: string): ManifestFile {
  const file = manifest.experts
    .find((expert) => expert.expertId === expertId)
    ?.files.find(({ role }) => role === "model");
  if (file === undefined) throw new Error(`no ${expertId}`);
  return file;
}

describe("models/manifest.json", () => {
  it("holds the five experts, the small coder and the single-model default", () => {
    const ids = (isDefault: boolean) =>
      manifest.experts.filter((expert) => expert.isDefault === isDefault).map(({ expertId }) => expertId);
    expect(ids(true)).toEqual([
      "phi4_fast",
      "mistral_balanced",
      "qwen_coder",
      "gemma3_multimodal",
      "aya_expanse_multilingual",
    ]);
    expect(ids(false)).toEqual(["qwen_coder_small", "single_model"]);
  });

  it("fetches each expert to the path that the five-expert configuration names", async () => {
    const config = JSON.parse(await readFile(join(root, "config/config.five_models_with_aya.json"), "utf8")) as {
      experts: { expert_id: string; model_path: string }[];
    };
    expect(config.experts.map((expert) => [expert.expert_id, basename(expert.model_path)])).toEqual(
      manifest.experts.filter(({ isDefault }) => isDefault).map(({ expertId }) => [expertId, modelFile(expertId).file]),
    );
    for (const { model_path } of config.experts) expect(model_path).toMatch(/^\.\.\/models\/[^/]+$/);
  });

  it("names each file by https, and no hash twice", () => {
    const variants = manifest.experts.flatMap(({ files }) => files.flatMap((file) => file.variants));
    for (const { url } of variants) expect(url).toMatch(/^https:\/\/huggingface\.co\/.+\/resolve\/main\/.+\.gguf$/);
    const hashes = variants.flatMap((variant) => variant.sha256 ?? []);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it("warns of the licences that restrict use", () => {
    const restricted = manifest.experts.filter(({ license }) => license.notice !== null);
    expect(restricted.map(({ license }) => license.name)).toEqual(["Gemma Terms of Use", "CC-BY-NC-4.0"]);
  });
});

describe("chooseFile", () => {
  it.each([
    ["an ARM core with dotprod", "arm64", ["asimd", "asimddp"], "Q4_0"],
    ["an ARM core with i8mm", "arm64", ["i8mm"], "Q4_0"],
    ["an ARM core with neither", "arm64", ["fp", "asimd"], "Q4_K_M"],
    ["an ARM core that tells nothing", "arm64", [], "Q4_K_M"],
    ["x86-64, whatever its flags", "x86-64", ["avx2", "i8mm"], "Q4_K_M"],
    ["another architecture", "other", ["asimddp"], "Q4_K_M"],
  ])("%s", (_name, architecture, features, quantization) => {
    const chosen = manifest.experts
      .filter(({ isDefault }) => isDefault)
      .map(({ expertId }) => chooseFile(modelFile(expertId), { architecture, features }).quantization);
    expect(chosen).toEqual(Array.from({ length: 5 }, () => quantization));
  });

  it("keeps the single-model default at Q4_K_M on every CPU", () => {
    const chosen = chooseFile(modelFile("single_model"), { architecture: "arm64", features: ["asimddp", "i8mm"] });
    expect(chosen.quantization).toBe("Q4_K_M");
  });

  it("takes the first rule that fits, and a rule without features for the whole architecture", () => {
    const variant = (quantization: string, cpu: ManifestFile["variants"][number]["cpu"]) => ({
      quantization,
      url: "https://example.org/x.gguf",
      sizeBytes: null,
      sha256: null,
      cpu,
    });
    const file: ManifestFile = {
      role: "model",
      file: "x.gguf",
      variants: [
        variant("DEFAULT", "default"),
        variant("FIRST", [{ architecture: "arm64", any_feature: ["sve2"] }]),
        variant("SECOND", [{ architecture: "arm64" }]),
      ],
    };
    expect(chooseFile(file, { architecture: "arm64", features: ["sve2"] }).quantization).toBe("FIRST");
    expect(chooseFile(file, { architecture: "arm64", features: [] }).quantization).toBe("SECOND");
    expect(chooseFile(file, { architecture: "x86-64", features: ["sve2"] }).quantization).toBe("DEFAULT");
  });
});

describe("a wrong manifest", () => {
  async function problemsOf(change: (json: ManifestJson) => void): Promise<string> {
    const json = JSON.parse(await readFile(manifestPath, "utf8")) as ManifestJson;
    change(json);
    const path = join(folder, "wrong.json");
    await writeFile(path, JSON.stringify(json));
    const error = await loadManifest(path).catch((reason: unknown) => reason);
    return (error as Error).message.replaceAll(path, "F");
  }
  interface ManifestJson {
    experts: { expert_id: string; files: { file: string; role: string; variants: Record<string, unknown>[] }[] }[];
  }
  const firstFile = (json: ManifestJson) => json.experts[0]!.files[0]!;

  it("is told each problem by path", async () => {
    const problems = await problemsOf((json) => {
      firstFile(json).variants[0]!["sha256"] = "ABC";
      firstFile(json).variants[0]!["url"] = "ftp://example.org/x";
      firstFile(json).file = "../x.gguf";
    });
    expect(problems.split("\n")).toHaveLength(3);
    expect(problems).toContain("F: experts[0].files[0].variants[0].sha256: 64 lower-case hexadecimal digits");
    expect(problems).toContain("F: experts[0].files[0].file: a plain file name that ends in .gguf");
    expect(problems).toContain("F: experts[0].files[0].variants[0].url: ");
  });

  it("may have one default variant for each file, each quantisation, entry and file once", async () => {
    expect(await problemsOf((json) => (firstFile(json).variants[0]!["cpu"] = "default"))).toContain(
      'F: experts[0].files[0].variants: exactly one variant must have "cpu": "default"',
    );
    expect(await problemsOf((json) => (firstFile(json).variants[0]!["quantization"] = "Q4_K_M"))).toContain(
      "F: experts[0].files[0].variants: each quantisation may stand once",
    );
    expect(await problemsOf((json) => (json.experts[1]!.expert_id = "phi4_fast"))).toBe(
      "F: experts[1]: expert_id phi4_fast is there twice",
    );
    expect(await problemsOf((json) => (json.experts[1]!.files[0]!.file = "phi-4-mini-instruct.gguf"))).toBe(
      "F: experts[1]: file phi-4-mini-instruct.gguf is there twice",
    );
    expect(await problemsOf((json) => (firstFile(json).role = "mmproj"))).toBe(
      'F: experts[0].files: exactly one file must have "role": "model"',
    );
  });

  it("that is missing or no JSON is one line", async () => {
    await expect(loadManifest(join(folder, "none.json"))).rejects.toThrow(/^The manifest .* cannot be read: ENOENT/);
    await writeFile(join(folder, "text.json"), "hello");
    await expect(loadManifest(join(folder, "text.json"))).rejects.toThrow(/^The manifest .* is not JSON: /);
  });
});

describe("missingFileAdvice", () => {
  it("names the command that brings this very file, and no command for another", async () => {
    const advice = missingFileAdvice(await loadManifest(packageManifestPath), "/models");
    expect(advice("/models/phi-4-mini-instruct.gguf")).toBe("Fetch it with ./download-model.sh phi4_fast");
    expect(advice("/models/gemma-3-4b-it.mmproj.gguf")).toBe("Put it there, or correct its model_path");
    expect(advice("/elsewhere/phi-4-mini-instruct.gguf")).toBe("Put it there, or correct its model_path");
    expect(missingFileAdvice(null, "/models")("/models/phi-4-mini-instruct.gguf")).toMatch(/^Put it there/);
  });
});
