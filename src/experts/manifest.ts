// models/manifest.json: which GGUF files each expert needs, where they come from, under which licence, and which
// quantisation suits which CPU. Reads one file, decides purely; imports nothing of the project but errors.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { messageOf } from "../core/errors.ts";

const cpuRuleSchema = z.strictObject({
  /** arm64 or x86-64. */
  architecture: z.enum(["arm64", "x86-64"]),
  /** Feature flags as /proc/cpuinfo names them; one of them is enough. Absent: every CPU of that architecture. */
  any_feature: z.array(z.string().min(1)).min(1).optional(),
});

const variantSchema = z
  .strictObject({
    quantization: z.string().regex(/^[A-Z0-9_]+$/, "write it as Q4_K_M"),
    url: z.url({ protocol: /^https?$/ }),
    size_bytes: z.int().positive().nullable(),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "64 lower-case hexadecimal digits, or null where it is not known")
      .nullable(),
    cpu: z.union([z.literal("default"), z.array(cpuRuleSchema)], { error: '"default" or a list of CPU rules' }),
  })
  .transform((variant) => ({
    quantization: variant.quantization,
    url: variant.url,
    sizeBytes: variant.size_bytes,
    sha256: variant.sha256,
    cpu: variant.cpu,
  }));

const fileSchema = z.strictObject({
  /** `mmproj` is the vision projector that belongs to a multimodal model. */
  role: z.enum(["model", "mmproj"]),
  /** Name on disk, whatever the quantisation, so that a configuration can name one path. */
  file: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*\.gguf$/, "a plain file name that ends in .gguf"),
  variants: z
    .array(variantSchema)
    .min(1)
    .refine((variants) => variants.filter((variant) => variant.cpu === "default").length === 1, {
      error: 'exactly one variant must have "cpu": "default"',
    })
    .refine((variants) => new Set(variants.map((variant) => variant.quantization)).size === variants.length, {
      error: "each quantisation may stand once",
    }),
});

const expertSchema = z
  .strictObject({
    expert_id: z.string().regex(/^[A-Za-z0-9_.-]+$/, "letters, digits, _ . -"),
    model: z.string().min(1),
    default: z.boolean(),
    license: z.strictObject({ name: z.string().min(1), url: z.url(), notice: z.string().nullable() }),
    login_required: z.boolean(),
    files: z.array(fileSchema).refine((files) => files.filter((file) => file.role === "model").length === 1, {
      error: 'exactly one file must have "role": "model"',
    }),
  })
  .transform((expert) => ({
    expertId: expert.expert_id,
    model: expert.model,
    /** Fetched when no expert is named. */
    isDefault: expert.default,
    license: expert.license,
    /** The source asks for an account that has accepted the licence: HF_TOKEN is needed. */
    loginRequired: expert.login_required,
    files: expert.files,
  }));

const manifestSchema = z
  .strictObject({ version: z.literal(1), experts: z.array(expertSchema).min(1) })
  .superRefine((manifest, context) => {
    const experts = new Set<string>();
    const files = new Set<string>();
    for (const [index, expert] of manifest.experts.entries()) {
      const refuse = (what: string) =>
        context.addIssue({ code: "custom", path: ["experts", index], message: `${what} is there twice` });
      if (experts.has(expert.expertId)) refuse(`expert_id ${expert.expertId}`);
      experts.add(expert.expertId);
      for (const { file } of expert.files) {
        if (files.has(file)) refuse(`file ${file}`);
        files.add(file);
      }
    }
  });

export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestExpert = Manifest["experts"][number];
export type ManifestFile = ManifestExpert["files"][number];
export type ManifestVariant = ManifestFile["variants"][number];

/** What of a CPU decides which quantisation is fast on it. */
export interface CpuTraits {
  /** arm64, x86-64 or other. */
  readonly architecture: string;
  /** Flags as /proc/cpuinfo names them; empty where they are not known. */
  readonly features: readonly string[];
}

export class ManifestError extends Error {}

/** Reads and checks a manifest. Throws ManifestError with one line for each problem, by path. */
export async function loadManifest(path: string): Promise<Manifest> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new ManifestError(`The manifest ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ManifestError(`The manifest ${path} is not JSON: ${messageOf(error)}`, { cause: error });
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${path}: ${z.core.toDotPath(issue.path)}: ${issue.message}`);
  throw new ManifestError(problems.join("\n"));
}

/** The manifest that comes with the package; found from src/experts and from dist/experts alike. */
export const packageManifestPath = fileURLToPath(new URL("../../models/manifest.json", import.meta.url));

/** The id that ./download-model.sh takes to bring this very file; null where none does. */
export function downloadIdOf(manifest: Manifest | null, modelsFolder: string): (path: string) => string | null {
  const idByPath = new Map(
    (manifest?.experts ?? []).flatMap(({ expertId, files }) =>
      // Naming an expert brings its model alone.
      files.flatMap(({ role, file }) => (role === "model" ? [[join(modelsFolder, file), expertId] as const] : [])),
    ),
  );
  return (path) => idByPath.get(path) ?? null;
}

/** What to do about a missing model file: the command that brings this very file, where one does. */
export function missingFileAdvice(manifest: Manifest | null, modelsFolder: string): (path: string) => string {
  const idOf = downloadIdOf(manifest, modelsFolder);
  return (path) => {
    const id = idOf(path);
    return id === null ? "Put it there, or correct its model_path" : `Fetch it with ./download-model.sh ${id}`;
  };
}

/**
 * The variant of a file for a CPU: the first one whose rule fits, else the default one. A rule that asks for features
 * never fits a CPU whose features are unknown.
 */
export function chooseFile(file: ManifestFile, cpu: CpuTraits): ManifestVariant {
  const fits = (variant: ManifestVariant) =>
    variant.cpu !== "default" &&
    variant.cpu.some(
      (rule) =>
        rule.architecture === cpu.architecture &&
        (rule.any_feature === undefined || rule.any_feature.some((feature) => cpu.features.includes(feature))),
    );
  const chosen = file.variants.find(fits) ?? file.variants.find((variant) => variant.cpu === "default");
  if (chosen === undefined) throw new Error(`${file.file} has no default variant; the schema forbids that`);
  return chosen;
}
