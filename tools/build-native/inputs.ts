// What the native addon is made from beside the compiler: our sources, the headers inside npm packages, and llama.cpp's
// headers, which are taken out of node-llama-cpp's git bundle into .cache.
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashFiles, hashSources, type NativeManifest } from "../../src/engine/llama/native-manifest.ts";

export const repository = fileURLToPath(new URL("../../", import.meta.url)).slice(0, -1);
const packages = join(repository, "node_modules");
const bundle = join(packages, "node-llama-cpp/llama/gitRelease.bundle");

export const headerFolders = {
  nodeAddonApi: join(packages, "node-addon-api"),
  nodeApiHeaders: join(packages, "node-api-headers/include"),
  engineAddon: join(packages, "node-llama-cpp/llama/addon"),
};

export type NativeInputs = NativeManifest["built_from"];

/** What a build of this checkout, as it is now, is made from. Needs no compiler and unpacks nothing. */
export function readInputs(): NativeInputs {
  const library = readJson(join(packages, "node-llama-cpp/package.json")) as { version: string };
  const release = readJson(join(packages, "node-llama-cpp/llama/binariesGithubRelease.json")) as { release: string };
  return {
    sources_sha256: hashSources(),
    headers_sha256: hashFiles(packages, Object.values(headerFolders).flatMap(headersIn)),
    node_llama_cpp: library.version,
    llama_cpp_release: release.release,
    llama_cpp_commit: bundledCommit(),
  };
}

/** Paths of headers relative to node_modules. */
function headersIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".h"))
    .map((path) => join(folder, path).slice(packages.length + 1));
}

/** A bundle begins with its format, then one line for each head. */
function bundledCommit(): string {
  const start = Buffer.alloc(1024);
  const file = openSync(bundle, "r");
  try {
    readSync(file, start);
  } finally {
    closeSync(file);
  }
  const commit = /^([0-9a-f]{40}) HEAD$/mu.exec(start.toString("latin1"))?.[1];
  if (commit === undefined) throw new Error(`${bundle} names no HEAD`);
  return commit;
}

/** The folder with llama.cpp's include/ and ggml/include/, of exactly the commit that node-llama-cpp was built from. */
export function llamaCppHeaders(): string {
  const cache = join(repository, ".cache");
  const folder = join(cache, `llama.cpp-headers-${bundledCommit()}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "headers-"));
  try {
    const clone = join(work, "repository.git");
    const headers = join(work, "headers");
    mkdirSync(headers);
    git(["clone", "--quiet", "--bare", bundle, clone]);
    git(["--git-dir", clone, "--work-tree", headers, "checkout", "--quiet", "HEAD", "--", "include", "ggml/include"]);
    renameSync(headers, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

function git(args: readonly string[]): void {
  execFileSync("git", args, { stdio: ["ignore", "ignore", "inherit"] });
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}
