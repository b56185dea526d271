// What native/ holds for each target: the addon, and a manifest that says what it was built from and with. Written by
// tools/build-native, read by it and by the loader. Imports nothing of the project.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

export const nativeFolder = fileURLToPath(new URL("../../../native", import.meta.url));
export const addonFile = "gguf_experts_native.node";
export const manifestFile = "manifest.json";

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

const manifestSchema = z.strictObject({
  /** Of the addon beside it. */
  sha256: sha256Schema,
  size_bytes: z.int().positive(),
  built_from: z.strictObject({
    /** Of native/CMakeLists.txt and native/src: see `hashSources`. */
    sources_sha256: sha256Schema,
    /** Of the C and C++ headers inside npm packages. llama.cpp's are held by its commit. */
    headers_sha256: sha256Schema,
    node_llama_cpp: z.string().min(1),
    llama_cpp_release: z.string().min(1),
    llama_cpp_commit: z.string().regex(/^[0-9a-f]{40}$/),
  }),
  /** Only the same compiler and linker give the same bytes. */
  built_with: z.strictObject({ compiler: z.string().min(1), linker: z.string().min(1) }),
});

export type NativeManifest = z.infer<typeof manifestSchema>;

/** Throws where it is missing or is no manifest. */
export function readNativeManifest(folder: string): NativeManifest {
  const path = join(folder, manifestFile);
  const text = readFileSync(path, "utf8");
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    throw new Error(`${path} is no manifest of a native addon`);
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** One hash over everything below native/ that the addon is made of. */
export function hashSources(folder = nativeFolder): string {
  const sources = readdirSync(join(folder, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(?:cpp|h|map)$/u.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  return hashFiles(folder, ["CMakeLists.txt", ...sources]);
}

/** One hash over names and contents; the order of `paths` does not matter. */
export function hashFiles(root: string, paths: readonly string[]): string {
  const lines = paths.map((path) => `${sha256Of(readFileSync(join(root, path)))}  ${path}\n`);
  return sha256Of(Buffer.from(lines.sort().join("")));
}
