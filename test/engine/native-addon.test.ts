// The native addon that comes with the checkout: it is what these sources give, it shares the engine's libraries, and
// whatever doesn't fit is refused with one line instead of being opened.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { getLlama, type Llama } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Logger } from "../../src/core/log.ts";
import { loadNativeAddon, type NativeAddonOptions } from "../../src/engine/llama/native-addon.ts";
import type { NativeExports } from "../../src/engine/llama/native-exports.ts";
import {
  addonFile,
  manifestFile,
  nativeFolder,
  type NativeManifest,
  sha256Of,
} from "../../src/engine/llama/native-manifest.ts";
import { stalePrebuilt } from "../../tools/build-native/check.ts";
import { targets } from "../../tools/build-native/targets.ts";
import { testFolder } from "../support/temporary-folder.ts";

const target = `${process.platform}-${process.arch}`;
let llama: Llama;

beforeAll(async () => {
  llama = await getLlama({ build: "never", gpu: false, skipDownload: true });
});

afterAll(() => llama.dispose());

/** What it returned and what it logged, debug lines apart. */
function load(options: Partial<NativeAddonOptions>): { addon: NativeExports | null; lines: string[] } {
  const lines: string[] = [];
  const record = (level: string) => (_fields: unknown, message: string) => void lines.push(`${level}: ${message}`);
  const log: Logger = { debug: () => {}, info: record("info"), warn: record("warn"), error: record("error") };
  return { addon: loadNativeAddon({ log, setting: "", folder: checkoutWithoutBuild(), ...options }), lines };
}

/** A copy of native/ as a clean checkout has it: without what `npm run build:native` may have left there. */
function checkoutWithoutBuild(): string {
  const folder = testFolder();
  for (const part of ["CMakeLists.txt", "src", "prebuilt"]) {
    cpSync(join(nativeFolder, part), join(folder, part), { recursive: true });
  }
  return folder;
}

function changeManifest(folder: string, change: (manifest: NativeManifest) => void): void {
  const path = join(folder, manifestFile);
  const manifest = JSON.parse(readFileSync(path, "utf8")) as NativeManifest;
  change(manifest);
  writeFileSync(path, JSON.stringify(manifest));
}

function mappedFiles(pattern: RegExp): string[] {
  const files = readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .map((line) => line.slice(line.indexOf("/")));
  return [...new Set(files)].filter((file) => pattern.test(basename(file)));
}

describe("native/prebuilt", () => {
  it.each(targets)("holds what these sources give for %s", (name) => {
    expect(stalePrebuilt(name)).toBeNull();
  });
});

describe("loadNativeAddon", () => {
  it("opens the prebuilt addon and brings no second copy of the engine's libraries", () => {
    const before = mappedFiles(/^lib(?:llama|ggml)/u);
    const folder = checkoutWithoutBuild();
    const { addon, lines } = load({ folder });
    expect(lines).toEqual([]);
    const exported: Record<keyof NativeExports, unknown> = {
      Session: expect.any(Function),
      Sampler: expect.any(Function),
      Grammar: expect.any(Function),
      Embedder: expect.any(Function),
      prepareEmbedding: expect.any(Function),
      stop: expect.any(Function),
      allocateState: expect.any(Function),
      freeState: expect.any(Function),
    };
    expect({ ...addon }).toEqual(exported);
    expect(mappedFiles(/^gguf_experts_native/u)).toEqual([join(folder, "prebuilt", target, addonFile)]);
    expect(mappedFiles(/^lib(?:llama|ggml)/u)).toEqual(before);
    expect(mappedFiles(/^libllama\.v/u)).toHaveLength(1);
  });

  it("prefers a build of the same sources, and leaves one of others", () => {
    const folder = checkoutWithoutBuild();
    const own = join(folder, "build", target);
    cpSync(join(folder, "prebuilt", target), own, { recursive: true });
    expect(load({ folder }).lines).toEqual([]);
    expect(mappedFiles(/^gguf_experts_native/u)).toContain(join(own, addonFile));

    writeFileSync(join(folder, "src/new.cpp"), "");
    const { addon, lines } = load({ folder });
    expect(addon).not.toBeNull();
    expect(lines).toEqual([
      `warn: ${own} is not used (run npm run build:native, or remove it): it was built from other sources than these`,
    ]);
  });

  it("is off where the environment says so", () => {
    expect(load({ setting: "off" })).toEqual({
      addon: null,
      lines: ["info: the native addon is off: GGUF_EXPERTS_NATIVE"],
    });
    const { addon, lines } = load({ setting: "0" });
    expect(addon).not.toBeNull();
    expect(lines).toEqual(['warn: GGUF_EXPERTS_NATIVE is "0"; only "off" has a meaning']);
  });

  const unused = "warn: the native addon is not used, which costs speed:";

  it("refuses an addon for another node-llama-cpp or llama.cpp", () => {
    const older = checkoutWithoutBuild();
    changeManifest(join(older, "prebuilt", target), ({ built_from: builtFrom }) => {
      builtFrom.node_llama_cpp = "3.0.0";
    });
    expect(load({ folder: older })).toEqual({
      addon: null,
      lines: [expect.stringMatching(`${unused} it was built for node-llama-cpp 3.0.0 with llama.cpp v`)],
    });
    const otherRelease = checkoutWithoutBuild();
    changeManifest(join(otherRelease, "prebuilt", target), ({ built_from: builtFrom }) => {
      builtFrom.llama_cpp_release = "v0.0.1";
    });
    expect(load({ folder: otherRelease })).toEqual({
      addon: null,
      lines: [expect.stringMatching(/with llama\.cpp v0\.0\.1, and \S+ with \S+ is loaded$/u)],
    });
  });

  it("refuses a file that is cut, missing or not of its manifest", () => {
    const folder = checkoutWithoutBuild();
    const path = join(folder, "prebuilt", target, addonFile);
    writeFileSync(path, readFileSync(path).subarray(0, 4096));
    expect(load({ folder })).toEqual({ addon: null, lines: [`${unused} ${path} is not the file of its manifest`] });

    const empty = testFolder();
    expect(load({ folder: empty })).toEqual({ addon: null, lines: [`${unused} there is none for ${target}`] });
    mkdirSync(join(empty, "prebuilt", target), { recursive: true });
    expect(load({ folder: empty })).toEqual({ addon: null, lines: [expect.stringMatching(/ENOENT.*manifest\.json/u)] });
    writeFileSync(join(empty, "prebuilt", target, manifestFile), "{}");
    expect(load({ folder: empty })).toEqual({
      addon: null,
      lines: [expect.stringMatching(/manifest\.json is no manifest of a native addon$/u)],
    });
  });

  it("refuses an addon that the dynamic linker refuses", () => {
    const folder = checkoutWithoutBuild();
    const path = join(folder, "prebuilt", target, addonFile);
    const text = Buffer.from("not a shared object");
    writeFileSync(path, text);

    changeManifest(join(folder, "prebuilt", target), (manifest) => {
      manifest.sha256 = sha256Of(text);
    });
    const { addon, lines } = load({ folder });
    expect(addon).toBeNull();
    expect(lines).toEqual([expect.stringContaining(`${unused} ${path}`)]);
  });

  it.each([
    ["without the engine", "7f00-7f01 r-xp 00000000 00:00 1  /usr/lib/libc.so.6", "libllama is not loaded"],
    ["on musl", "7f00-7f01 r-xp 00000000 00:00 1  /lib/ld-musl-x86_64.so.1", "this Node runs on musl"],
    ["beside a build of its own", "7f00-7f01 r-xp 00000000 00:00 1  /opt/llama/libllama.so", "prebuilt package"],
    [
      "where there are two",
      "7f00-7f01 r-xp 00000000 00:00 1  /a b/libllama.v1.so\n7f02-7f03 r-xp 00000000 00:00 1  /c/libllama.v1.so",
      "loaded more than once: /a b/libllama.v1.so, /c/libllama.v1.so",
    ],
  ])("opens nothing %s", (_where, mappings, reason) => {
    const { addon, lines } = load({ mappings });
    expect(addon).toBeNull();
    expect(lines).toEqual([expect.stringContaining(reason)]);
  });
});
