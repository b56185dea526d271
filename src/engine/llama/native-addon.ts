// Finds and opens the native addon, which shares the llama.cpp libraries that node-llama-cpp has loaded; null where there
// is none that fits them, and the engine then does without. May import native-manifest.ts, native-exports.ts and core/.
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { basename, dirname, join } from "node:path";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { NativeExports } from "./native-exports.ts";
import { addonFile, hashSources, nativeFolder, readNativeManifest, sha256Of } from "./native-manifest.ts";

export interface NativeAddonOptions {
  readonly log: Logger;
  /** `GGUF_EXPERTS_NATIVE`: `off` does without the addon. */
  readonly setting?: string | undefined;
  /** Holds build/ and prebuilt/. */
  readonly folder?: string;
  /** What this process has mapped, as /proc/self/maps lists it. */
  readonly mappings?: string;
}

/** Call it when node-llama-cpp's binding is loaded: before that, nothing fits. A reason not to use it is logged once. */
export function loadNativeAddon(options: NativeAddonOptions): NativeExports | null {
  const { log, setting = process.env["GGUF_EXPERTS_NATIVE"] ?? "", folder = nativeFolder } = options;
  if (setting === "off") {
    log.info({}, "the native addon is off: GGUF_EXPERTS_NATIVE");
    return null;
  }
  if (setting !== "") log.warn({}, `GGUF_EXPERTS_NATIVE is ${JSON.stringify(setting)}; only "off" has a meaning`);
  try {
    const engine = loadedEngine(options.mappings ?? readFileSync("/proc/self/maps", "utf8"));
    const path = chooseAddon(folder, engine, log);
    const opened: { exports: unknown } = { exports: {} };
    process.dlopen(opened, path, constants.dlopen.RTLD_NOW);
    log.debug({ path }, "the native addon is loaded");
    return opened.exports as NativeExports;
  } catch (error) {
    log.warn({}, `the native addon is not used, which costs speed: ${messageOf(error)}`);
    return null;
  }
}

/** The package that the llama.cpp libraries in this process came from. */
interface LoadedEngine {
  readonly version: string;
  readonly llamaCppRelease: string;
}

function loadedEngine(mappings: string): LoadedEngine {
  const files = mappings.split("\n").map((line) => line.slice(line.indexOf("/")));
  if (files.some((file) => basename(file).startsWith("ld-musl-"))) {
    throw new Error("it needs glibc, and this Node runs on musl");
  }
  const libraries = new Set(files.filter((file) => /^libllama\.(?:.+\.)?so$/u.test(basename(file))));
  const [library] = libraries;
  if (library === undefined) throw new Error("node-llama-cpp's libllama is not loaded in this process");
  if (libraries.size > 1) throw new Error(`libllama is loaded more than once: ${[...libraries].join(", ")}`);
  try {
    const { buildOptions } = readJson(join(dirname(library), "_nlcBuildMetadata.json")) as {
      buildOptions: { llamaCpp: { release: string } };
    };
    const { version } = readJson(join(dirname(library), "../../package.json")) as { version: string };
    return { version, llamaCppRelease: buildOptions.llamaCpp.release };
  } catch {
    throw new Error(`${library} is not from node-llama-cpp's prebuilt package`);
  }
}

/** The path of the addon to open: this checkout's own build where it fits, else the one that came with the checkout. */
function chooseAddon(folder: string, engine: LoadedEngine, log: Logger): string {
  const target = `${process.platform}-${process.arch}`;
  const own = join(folder, "build", target);
  if (existsSync(own)) {
    try {
      const { sources_sha256: sources } = readNativeManifest(own).built_from;
      if (sources !== hashSources(folder)) throw new Error("it was built from other sources than these");
      return fittingAddon(own, engine);
    } catch (error) {
      log.warn({}, `${own} is not used (run npm run build:native, or remove it): ${messageOf(error)}`);
    }
  }
  const prebuilt = join(folder, "prebuilt", target);
  if (!existsSync(prebuilt)) throw new Error(`there is none for ${target}`);
  return fittingAddon(prebuilt, engine);
}

/** Throws where the addon in `folder` is not the one of its manifest, or was built for another engine. */
function fittingAddon(folder: string, engine: LoadedEngine): string {
  const manifest = readNativeManifest(folder);
  const { node_llama_cpp: version, llama_cpp_release: release } = manifest.built_from;
  if (version !== engine.version || release !== engine.llamaCppRelease) {
    throw new Error(
      `it was built for node-llama-cpp ${version} with llama.cpp ${release}, and ${engine.version} with ` +
        `${engine.llamaCppRelease} is loaded`,
    );
  }
  const path = join(folder, addonFile);
  if (sha256Of(readFileSync(path)) !== manifest.sha256) throw new Error(`${path} is not the file of its manifest`);
  return path;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}
