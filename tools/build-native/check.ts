// Whether native/prebuilt is what this checkout's sources give: by its hashes, and, with the compiler that built it, by
// building it again.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { addonFile, nativeFolder, readNativeManifest, sha256Of } from "../../src/engine/llama/native-manifest.ts";
import { buildAddon } from "./build.ts";
import { readInputs } from "./inputs.ts";
import { BuildError, findToolchain, type Target, type Toolchain } from "./targets.ts";

export function prebuiltFolder(target: Target): string {
  return join(nativeFolder, "prebuilt", target);
}

/** What is wrong with the prebuilt addon as it lies there, or null. Takes milliseconds and needs no compiler. */
export function stalePrebuilt(target: Target): string | null {
  const folder = prebuiltFolder(target);
  const manifest = readNativeManifest(folder);
  if (sha256Of(readFileSync(join(folder, addonFile))) !== manifest.sha256) {
    return `native/prebuilt/${target}/${addonFile} is not the file of its manifest`;
  }
  return isDeepStrictEqual(manifest.built_from, readInputs())
    ? null
    : `native/prebuilt/${target} was built from other sources or headers: run npm run build:native -- --prebuilt`;
}

/** One line on how far it was checked. Throws a BuildError where the prebuilt addon is not what the sources give. */
export function checkPrebuilt(target: Target): string {
  const stale = stalePrebuilt(target);
  if (stale !== null) throw new BuildError(stale);
  const { sha256, built_with: builtWith } = readNativeManifest(prebuiltFolder(target));
  const sameSources = `${target}: built from these sources, by its hashes; not built again, because`;
  let toolchain: Toolchain;
  try {
    toolchain = findToolchain(target);
  } catch (error) {
    if (error instanceof BuildError) return `${sameSources} ${error.message}`;
    throw error;
  }
  const here = { compiler: toolchain.compilerVersion, linker: toolchain.linkerVersion };
  if (!isDeepStrictEqual(here, builtWith)) {
    return `${sameSources} it came from ${Object.values(builtWith).join(", ")} and here is ${Object.values(here).join(", ")}`;
  }
  const again = mkdtempSync(join(tmpdir(), "gguf-experts-check-"));
  try {
    if (buildAddon(toolchain, again, "errors").sha256 !== sha256) {
      throw new BuildError(`native/prebuilt/${target} is not what these sources give with the compiler it names`);
    }
  } finally {
    rmSync(again, { recursive: true, force: true });
  }
  return `${target}: built again, the same bytes`;
}
