// The templates and vocabularies that node-llama-cpp carries in its llama.cpp git bundle, taken out once into .cache.
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const cacheFolder = fileURLToPath(new URL("../../.cache/", import.meta.url));
const libraryFolder = join(dirname(createRequire(import.meta.url).resolve("node-llama-cpp")), "..");
const { version } = JSON.parse(readFileSync(join(libraryFolder, "package.json"), "utf8")) as { version: string };
const modelsFolder = join(cacheFolder, `llama.cpp-models-${version}`);

/** The path of `ggml-vocab-NAME.gguf`. */
export function vocabularyFile(name: string): string {
  return join(extracted(), `ggml-vocab-${name}.gguf`);
}

/** The names of all templates, without `.jinja`. */
export function templateNames(): string[] {
  return readdirSync(join(extracted(), "templates"))
    .filter((file) => file.endsWith(".jinja"))
    .map((file) => file.slice(0, -".jinja".length))
    .sort();
}

/** The text of a template. A date that it asks of the clock is replaced, so that what it renders stays the same. */
export function templateText(name: string): string {
  return readFileSync(join(extracted(), "templates", `${name}.jinja`), "utf8").replaceAll(
    /strftime_now\((?:"[^"]*"|'[^']*')\)/gu,
    "'2025-07-04'",
  );
}

// Several workers may come here at once: each works in its own folder, the first rename wins.
function extracted(): string {
  if (existsSync(modelsFolder)) return modelsFolder;
  mkdirSync(cacheFolder, { recursive: true });
  const work = mkdtempSync(join(cacheFolder, "bundle-"));
  try {
    const repository = join(work, "repository.git");
    git(["clone", "--quiet", "--bare", join(libraryFolder, "llama", "gitRelease.bundle"), repository]);
    const listed = git(["-C", repository, "ls-tree", "-r", "--name-only", "HEAD", "models"])
      .toString("utf8")
      .split("\n");
    const out = join(work, "models");
    mkdirSync(join(out, "templates"), { recursive: true });
    for (const path of listed.filter((path) =>
      /^models\/(ggml-vocab-[^/]+\.gguf|templates\/[^/]+\.jinja)$/u.test(path),
    )) {
      writeFileSync(join(out, path.slice("models/".length)), git(["-C", repository, "show", `HEAD:${path}`]));
    }
    renameSync(out, modelsFolder);
  } catch (error) {
    if (!existsSync(modelsFolder)) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return modelsFolder;
}

function git(args: string[]): Buffer {
  return execFileSync("git", args, { maxBuffer: 256 * 2 ** 20, stdio: ["ignore", "pipe", "inherit"] });
}
