// A manifest of small files on a test's own server.
import { writeFile } from "node:fs/promises";
import { sha256 } from "./file-server.ts";

export async function writeManifest(
  path: string,
  origin: string,
  files: Readonly<Record<string, Buffer>>,
): Promise<void> {
  const variant = (quantization: string, name: string, cpu: unknown) => ({
    quantization,
    url: `${origin}${name}`,
    size_bytes: name.includes("mmproj") ? null : (files[name]?.length ?? 1),
    sha256: files[name] === undefined ? null : sha256(files[name]),
    cpu,
  });
  const expert = (expert_id: string, model: string, isDefault: boolean, modelFiles: unknown) => ({
    expert_id,
    model,
    default: isDefault,
    license: {
      name: expert_id === "beta" ? "NC" : "MIT",
      url: "https://example.org/licence",
      notice: expert_id === "beta" ? "Non-commercial use only." : null,
    },
    login_required: expert_id === "missing_at_source",
    files: modelFiles,
  });
  const experts = [
    expert("alpha", "Alpha 1B", true, [
      {
        role: "model",
        file: "alpha.gguf",
        variants: [
          variant("Q4_0", "/org/alpha-q4_0.gguf", [{ architecture: "arm64", any_feature: ["asimddp", "i8mm"] }]),
          variant("Q4_K_M", "/org/alpha-q4_k_m.gguf", "default"),
        ],
      },
    ]),
    expert("beta", "Beta", true, [
      { role: "model", file: "beta.gguf", variants: [variant("Q4_K_M", "/org/beta.gguf", "default")] },
      { role: "mmproj", file: "beta.mmproj.gguf", variants: [variant("F16", "/org/beta-mmproj.gguf", "default")] },
    ]),
    expert("extra", "Extra", false, [
      { role: "model", file: "extra.gguf", variants: [variant("Q4_K_M", "/org/extra.gguf", "default")] },
    ]),
    expert("missing_at_source", "Gone", false, [
      { role: "model", file: "gone.gguf", variants: [variant("Q4_K_M", "/org/nowhere.gguf", "default")] },
    ]),
  ];
  await writeFile(path, JSON.stringify({ version: 1, experts }));
}
