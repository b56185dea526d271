// Finds, reads and resolves the configuration file: the part that touches the file system. May import the rest of this
// folder and core/.
import { lstat, readdir, readFile, readlink, realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { formatBytes } from "../core/bytes.ts";
import { messageOf } from "../core/errors.ts";
import { isModelFileName } from "../core/gguf-names.ts";
import { checkConfig, problemLine } from "./check.ts";
import type { AppConfig, ConfigSource } from "./config.ts";
import { parseJsonText } from "./json-text.ts";
import { resolveConfig } from "./resolve.ts";

/** The configuration cannot be used. The message is one line for each problem, each beginning with the file's name. */
export class ConfigError extends Error {
  /** The file as it was named, and where its link leads. */
  readonly file: string;
  /** One line each. */
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super(problems.map((problem) => `${file}: ${problem}`).join("\n"));
    this.name = "ConfigError";
    this.file = file;
    this.problems = problems;
  }
}

export interface LoadConfigOptions {
  /** `--config`; null: not given. */
  readonly configPath: string | null;
  /** GGUF_EXPERTS_CONFIG, DEFAULT_MODEL and HOME are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
}

/** The demonstration experts that come with the package; found from src/config and from dist/config alike. */
export const builtInConfigPath = fileURLToPath(new URL("../../config/config.demo.json", import.meta.url));

/** Who named the file, for people. */
export const originWords = {
  option: "--config",
  environment: "$GGUF_EXPERTS_CONFIG",
  "working-directory": "the working directory",
  "built-in": "the built-in default",
} as const satisfies Record<ConfigSource["origin"], string>;

const maxFileBytes = 16 * 2 ** 20;

/** Reads the configuration anew on each call. Throws a ConfigError with every problem of the file. */
export async function loadConfig(options: LoadConfigOptions): Promise<AppConfig> {
  const home = options.env["HOME"] || homedir();
  const named = await chooseFile(options);
  const absolutePath = resolve(options.workingDirectory, expandHome(named.path, home));
  const resolvedPath = await followLinks(named, absolutePath);
  const label = resolvedPath === absolutePath ? named.path : `${named.path} → ${resolvedPath}`;
  const parsed = parseJsonText(await readConfigFile(label, resolvedPath));
  if ("problem" in parsed) throw new ConfigError(label, [parsed.problem]);

  const { file, problems, warnings, modelPaths } = checkConfig(parsed.value);
  const folders = { own: dirname(resolvedPath), others: [dirname(absolutePath), options.workingDirectory] };
  const found = new Map<string, FoundModel>();
  for (const { key, path } of modelPaths) found.set(key, await findModel(key, path, expandHome(path, home), folders));
  if (file === null) throw new ConfigError(label, problems);

  const config = resolveConfig({
    file,
    source: { ...named, resolvedPath },
    modelPathOf: (key) => found.get(key)?.path ?? "",
    absolutePathOf: (path) => resolve(folders.own, expandHome(path, home)),
    defaultModel: options.env["DEFAULT_MODEL"],
    warnings: [...warnings, ...[...found.values()].flatMap(({ warning }) => warning ?? [])],
  });
  if (config === null) {
    throw new ConfigError(label, [
      "experts: none with a model_path — allowed: at least one (remote experts are not served by this version)",
    ]);
  }
  return config;
}

/**
 * Reads again what `source` was read from, its links followed anew. A file that is gone from the working directory is an
 * error: the built-in default would serve other models than those that clients know.
 */
export async function reloadConfig(
  source: ConfigSource,
  options: Omit<LoadConfigOptions, "configPath">,
): Promise<AppConfig> {
  const configPath = source.origin === "option" ? source.path : null;
  const config = await loadConfig({ ...options, configPath });
  if (config.source.origin === "built-in" && source.origin !== "built-in") {
    throw new ConfigError(source.path, [`does not exist any more (named by ${originWords[source.origin]})`]);
  }
  return config;
}

async function chooseFile(options: LoadConfigOptions): Promise<Omit<ConfigSource, "resolvedPath">> {
  if (options.configPath !== null) return { origin: "option", path: options.configPath };
  const fromEnvironment = options.env["GGUF_EXPERTS_CONFIG"];
  if (fromEnvironment !== undefined && fromEnvironment !== "") return { origin: "environment", path: fromEnvironment };
  // A link that leads nowhere is there: to fall back silently would serve other models than the operator asked for.
  const isThere = await lstat(resolve(options.workingDirectory, "config.json")).then(
    () => true,
    (error: unknown) => codeOf(error) !== "ENOENT",
  );
  return isThere
    ? { origin: "working-directory", path: "config.json" }
    : { origin: "built-in", path: builtInConfigPath };
}

async function followLinks(
  { path, origin }: Omit<ConfigSource, "resolvedPath">,
  absolutePath: string,
): Promise<string> {
  try {
    return await realpath(absolutePath);
  } catch (error) {
    const target = await readlink(absolutePath).catch(() => null);
    const missing = target === null ? "does not exist" : `is a link to ${target}, which does not exist`;
    throw new ConfigError(path, [`${readProblem(error, missing)} (named by ${originWords[origin]})`]);
  }
}

async function readConfigFile(label: string, path: string): Promise<Uint8Array> {
  try {
    const status = await stat(path);
    if (!status.isFile()) {
      throw new ConfigError(label, [
        `is ${status.isDirectory() ? "a folder" : "no regular file"} — allowed: a JSON file`,
      ]);
    }
    if (status.size > maxFileBytes) {
      throw new ConfigError(label, [`is ${formatBytes(status.size)} — allowed: a JSON file of at most 16 MiB`]);
    }
    return await readFile(path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(label, [readProblem(error, "does not exist")]);
  }
}

function readProblem(error: unknown, missing: string): string {
  const code = codeOf(error) ?? "";
  if (code === "ENOENT" || code === "ENOTDIR") return missing;
  if (code === "EACCES" || code === "EPERM") return "may not be read by this user";
  if (code === "ELOOP") return "its links lead in a circle";
  return `cannot be read: ${messageOf(error)}`;
}

interface FoundModel {
  readonly path: string;
  readonly warning?: string;
}

interface Folders {
  /** Where relative paths start. */
  readonly own: string;
  /** Where operators often expect them to start. */
  readonly others: readonly string[];
}

/** A file that is not there is no problem: its expert shows as missing. */
async function findModel(key: string, given: string, expanded: string, folders: Folders): Promise<FoundModel> {
  const path = resolve(folders.own, expanded);
  const status = await stat(path).catch(() => null);
  if (status === null) {
    const hint = expanded.startsWith("/") ? undefined : await hintElsewhere(key, given, folders);
    return hint === undefined ? { path } : { path, warning: hint };
  }
  if (!status.isDirectory()) return { path };
  const names = await readdir(path).catch((): string[] => []);
  const models = names.filter(isModelFileName).sort();
  const [only] = models;
  if (only === undefined) return { path, warning: `${key}: the folder ${JSON.stringify(given)} holds no GGUF model` };
  if (models.length === 1) return { path: join(path, only) };
  // Its expert cannot be served; the others can.
  return { path, warning: problemLine(key, given, `one file of that folder: ${models.join(", ")}`) };
}

async function hintElsewhere(key: string, given: string, folders: Folders): Promise<string | undefined> {
  for (const folder of [...folders.others, dirname(folders.own)]) {
    const candidate = resolve(folder, given);
    if ((await stat(candidate).catch(() => null)) === null) continue;
    const instead = JSON.stringify(relative(folders.own, candidate));
    return `${key}: ${JSON.stringify(given)} is not in ${folders.own}, where relative paths start; ${candidate} exists: write ${instead}`;
  }
  return undefined;
}

function expandHome(path: string, home: string): string {
  return path === "~" || path.startsWith("~/") ? join(home, path.slice(1)) : path;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
