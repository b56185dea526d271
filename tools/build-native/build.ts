// Builds the native addon for one target with CMake and looks at what came out: which libraries it asks for, and how new
// a C library.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { addonFile, manifestFile, type NativeManifest, sha256Of } from "../../src/engine/llama/native-manifest.ts";
import { headerFolders, llamaCppHeaders, readInputs, repository } from "./inputs.ts";
import { BuildError, ownTarget, type Toolchain } from "./targets.ts";

/**
 * Builds in a temporary folder and puts the addon and its manifest into `out`. What is committed must compile without a
 * warning; somebody's newer compiler may have new ones.
 */
export function buildAddon(toolchain: Toolchain, out: string, warnings: "allowed" | "errors"): NativeManifest {
  const inputs = readInputs();
  const work = mkdtempSync(join(tmpdir(), "gguf-experts-native-"));
  try {
    run("cmake", [
      "-S",
      join(repository, "native"),
      "-B",
      work,
      "-G",
      "Unix Makefiles",
      `-DCMAKE_COMPILE_WARNING_AS_ERROR=${warnings === "errors" ? "ON" : "OFF"}`,
      ...cmakeOptions(toolchain),
    ]);
    run("cmake", ["--build", work, "--parallel", String(availableParallelism())]);
    const built = join(work, addonFile);
    inspectAddon(built, toolchain);
    if (!isDeepStrictEqual(readInputs(), inputs)) {
      throw new BuildError("The sources changed while they were compiled: run it again");
    }
    const bytes = readFileSync(built);
    const manifest: NativeManifest = {
      sha256: sha256Of(bytes),
      size_bytes: bytes.length,
      built_from: inputs,
      built_with: { compiler: toolchain.compilerVersion, linker: toolchain.linkerVersion },
    };
    mkdirSync(out, { recursive: true });
    // Never written over: a server may have it open.
    rmSync(join(out, addonFile), { force: true });
    writeFileSync(join(out, addonFile), bytes);
    writeFileSync(join(out, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
    return manifest;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function cmakeOptions({ target, compiler, processor, engineLibraries }: Toolchain): string[] {
  const options: Record<string, string> = {
    CMAKE_CXX_COMPILER: compiler,
    REPOSITORY: repository,
    LLAMA_CPP_HEADERS: llamaCppHeaders(),
    ENGINE_LIBRARIES: engineLibraries,
    ENGINE_ADDON_HEADERS: headerFolders.engineAddon,
    NODE_ADDON_API: headerFolders.nodeAddonApi,
    NODE_API_HEADERS: headerFolders.nodeApiHeaders,
    ...(target === ownTarget ? {} : { CMAKE_SYSTEM_NAME: "Linux", CMAKE_SYSTEM_PROCESSOR: processor }),
  };
  return Object.entries(options).map(([name, value]) => `-D${name}=${value}`);
}

/** Its output is shown only where it fails. */
function run(command: string, args: readonly string[]): string {
  // Flags from the caller's environment would give other bytes.
  const { CFLAGS: _c, CXXFLAGS: _cxx, CPPFLAGS: _cpp, LDFLAGS: _ld, ...env } = process.env;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    maxBuffer: 64 * 2 ** 20,
    env: { ...env, LC_ALL: "C" },
  });
  if (status === 0) return stdout;
  throw new BuildError(`${command} ${args.join(" ")} failed:\n${error?.message ?? stdout + stderr}`);
}

/** Those of glibc, and the unwinder; node-llama-cpp's libraries need them too. */
const systemLibraries = /^(?:lib(?:c|m|gcc_s)\.so\.\d|ld-linux-.*)$/u;

/** Throws where the addon would not find its libraries in the process, or not run where node-llama-cpp runs. */
function inspectAddon(addon: string, { target, engineLibraries }: Toolchain): void {
  const dynamic = run("readelf", ["--dynamic", addon]);
  if (/R(?:UN)?PATH/u.test(dynamic)) throw new BuildError(`${target}: has an rpath, could load libraries of its own`);
  const engineNames = new Set(readdirSync(engineLibraries));
  const foreign = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/gu)]
    .map((match) => match[1] ?? "")
    .filter((name) => !engineNames.has(name) && !systemLibraries.test(name));
  if (foreign.length > 0)
    throw new BuildError(`${target}: asks for ${foreign.join(", ")}, which may be missing elsewhere`);
  const asked = newestGlibc(addon);
  const allowed = newestGlibc(join(engineLibraries, "llama-addon.node"));
  if (asked > allowed) {
    throw new BuildError(`${target}: asks for glibc 2.${asked}; node-llama-cpp itself only for 2.${allowed}`);
  }
}

/** The minor version of the newest glibc that a file asks for: 34 for 2.34. */
function newestGlibc(file: string): number {
  const versions = run("readelf", ["--version-info", file]).matchAll(/\bGLIBC_2\.(\d+)/gu);
  return Math.max(...[...versions].map((match) => Number(match[1])));
}
