// What the doctor looks at before it judges: plain data, no verdicts, nothing secret (it is printed by --json).
// May import what stands below commands/.
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname } from "node:path";
import type { AppConfig, ConfigSource } from "../../config/config.ts";
import { describeSource, type SourceDescription } from "../../config/describe-source.ts";
import { messageOf } from "../../core/errors.ts";
import type { Engine, EngineDescription, LoadSpec, ModelFileInfo } from "../../engine/engine.ts";
import { ModelFiles } from "../../engine/model-files.ts";
import { stateFolderOf } from "../../engine/state-folder.ts";
import type { Embedder, Reranker } from "../../experts/expert.ts";
import { downloadIdOf, loadManifest } from "../../experts/manifest.ts";
import { readKernelFile } from "../../machine/files.ts";
import {
  type Machine,
  memoryLimitBytes,
  type RamBudget,
  ramBudgetBytes,
  readMachine,
  recommendedThreads,
  type ThreadRecommendation,
} from "../../machine/machine.ts";

export interface DoctorFacts {
  /** Of the running Node, for example `20.19.0`. */
  readonly nodeVersion: string;
  readonly machine: Machine;
  readonly memoryLimitBytes: number;
  readonly threads: ThreadRecommendation;
  readonly engine: EngineFacts;
  readonly stateFolder: StateFolderFacts;
  readonly config: ConfigFacts | { readonly problem: string };
}

/** Where the server keeps what it learns of model files. */
export interface StateFolderFacts {
  /** Null: the environment names none. */
  readonly path: string | null;
  /** Why nothing can be kept; null where it can. */
  readonly problem: string | null;
}

export type EngineFacts =
  | {
      readonly description: EngineDescription;
      /** The picked build of the CPU backend, for example `zen4`; null where the engine's library has no variants. */
      readonly cpuVariant: string | null;
    }
  | { readonly problem: string };

export interface ConfigFacts {
  readonly source: ConfigSource;
  readonly description: SourceDescription;
  readonly warnings: readonly string[];
  readonly defaultModel: string;
  readonly maxLoadedExperts: number | null;
  readonly budget: RamBudget;
  readonly experts: readonly ModelFacts[];
  readonly embedder: ModelFacts | null;
  readonly reranker: ModelFacts | null;
  readonly host: string;
  readonly port: number;
  readonly hasApiKeys: boolean;
  readonly listening: ListeningFacts;
}

/** Whether host and port can be listened on now. `code` is the system's, for example `EADDRINUSE`. */
export type ListeningFacts =
  { readonly free: true } | { readonly free: false; readonly code: string; readonly reason: string };

export interface ModelFacts {
  readonly id: string;
  readonly path: string;
  readonly keep: boolean;
  /** The id that ./download-model.sh takes to bring this very file; null where none does. */
  readonly downloadId: string | null;
  readonly file: FileFacts;
}

export type FileFacts =
  /** `folder`: one that does not hold just one model, so that nobody can say which is meant. */
  | { readonly state: "missing" | "unreadable" | "invalid" | "folder"; readonly reason: string }
  /** There, but without an engine nobody can say more. */
  | { readonly state: "unchecked"; readonly sizeBytes: number }
  | {
      readonly state: "valid";
      readonly info: ModelFileInfo;
      /** RAM that loading it takes; a failed prediction brings its reason. */
      readonly prediction: { readonly bytes: number } | { readonly problem: string };
    };

export interface FactSources {
  loadConfig(): AppConfig | Promise<AppConfig>;
  createEngine(): Promise<Engine>;
  /** Of the manifest; the files that it brings lie beside it. */
  readonly manifestPath: string;
  /** Says where the state folder is. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that holds /proc and /sys. */
  readonly root: string;
}

/** Never rejects: what fails is a fact. The engine is started, asked and disposed; no model is loaded. */
export async function gatherFacts(sources: FactSources): Promise<DoctorFacts> {
  const machine = readMachine(sources.root);
  const started = await sources.createEngine().then(
    (engine) => ({ engine }),
    (error: unknown) => ({ problem: messageOf(error) }),
  );
  const engine = "engine" in started ? started.engine : null;
  try {
    return {
      nodeVersion: process.versions.node,
      machine,
      memoryLimitBytes: memoryLimitBytes(machine),
      threads: recommendedThreads(machine.cpu, machine.cgroup),
      engine:
        "engine" in started
          ? { description: started.engine.description, cpuVariant: mappedCpuVariant(sources.root) }
          : started,
      stateFolder: await gatherStateFolder(sources.env),
      config: await gatherConfig(sources, engine, machine),
    };
  } finally {
    // A failing dispose at the very end tells nobody anything about serving.
    await engine?.dispose().catch(() => {});
  }
}

async function gatherConfig(
  sources: FactSources,
  engine: Engine | null,
  machine: Machine,
): Promise<DoctorFacts["config"]> {
  let config: AppConfig;
  try {
    config = await sources.loadConfig();
  } catch (error) {
    return { problem: messageOf(error) };
  }
  const { embedder, reranker, server } = config;
  // Without a manifest nothing can be fetched by name: that is all there is to know here.
  const manifest = await loadManifest(sources.manifestPath).catch(() => null);
  const downloadId = downloadIdOf(manifest, dirname(sources.manifestPath));
  const experts: ModelFacts[] = [];
  // One after the other: the files may be large and the disk slow.
  for (const { id, modelPath: path, keep, contextTokens, parallel: slots } of config.experts) {
    const file = await gatherFile(path, engine, { purpose: "text", contextTokens, slots });
    experts.push({ id, path, keep, downloadId: downloadId(path), file });
  }
  const readingModel = async (
    { id, modelPath: path, contextTokens }: Embedder | Reranker,
    purpose: "embedding" | "ranking",
  ): Promise<ModelFacts> => {
    const file = await gatherFile(path, engine, { purpose, contextTokens, slots: 1 });
    return { id, path, keep: purpose === "embedding", downloadId: downloadId(path), file };
  };
  return {
    source: config.source,
    description: describeSource(config),
    warnings: config.warnings,
    defaultModel: config.defaultModel,
    maxLoadedExperts: config.memory.maxLoadedExperts,
    budget: ramBudgetBytes(config.memory, machine),
    experts,
    embedder: embedder === null ? null : await readingModel(embedder, "embedding"),
    reranker: reranker === null ? null : await readingModel(reranker, "ranking"),
    host: server.host,
    port: server.port,
    hasApiKeys: server.apiKeys.length > 0,
    listening: await tryListening(server.host, server.port),
  };
}

async function gatherFile(path: string, engine: Engine | null, spec: Omit<LoadSpec, "path">): Promise<FileFacts> {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EACCES" || code === "EPERM") return { state: "unreadable", reason: `${path} may not be read` };
  }
  const entry = await stat(path).catch(() => null);
  if (engine === null) {
    if (entry === null) return { state: "missing", reason: `${path} does not exist` };
    if (entry.isDirectory()) return { state: "folder", reason: `${path} is a folder` };
    return entry.isFile()
      ? { state: "unchecked", sizeBytes: entry.size }
      : { state: "invalid", reason: `${path} is not a file` };
  }
  const file = await new ModelFiles(engine).look(path, spec.purpose);
  if (file.state !== "present") return entry?.isDirectory() === true ? { state: "folder", reason: file.reason } : file;
  const prediction = await engine.predictBytes({ path, ...spec }).then(
    (bytes) => ({ bytes }),
    (error: unknown) => ({ problem: messageOf(error) }),
  );
  return { state: "valid", info: file.info, prediction };
}

/** Nothing is made: a folder that is not there yet is judged by the nearest one above it that is. */
async function gatherStateFolder(env: FactSources["env"]): Promise<StateFolderFacts> {
  const path = stateFolderOf(env);
  if (path === null) return { path, problem: "the environment names none" };
  for (let folder = path; ; folder = dirname(folder)) {
    const entry = await stat(folder).catch(() => null);
    if (entry === null && folder !== dirname(folder)) continue;
    if (entry?.isDirectory() !== true) return { path, problem: `${folder} is no folder` };
    const problem = await access(folder, constants.W_OK | constants.X_OK).then(
      () => null,
      () => `this user may not write ${folder}`,
    );
    return { path, problem };
  }
}

/** The `zen4` of a mapped `libggml-cpu-zen4.so`: the engine's library loads one of several at its start. */
function mappedCpuVariant(root: string): string | null {
  const maps = readKernelFile(root, "proc/self/maps") ?? "";
  return /\/libggml-cpu-([^/\s]+?)\.so/.exec(maps)?.[1] ?? null;
}

/** Listens for a moment on the address that the server would take. */
export function tryListening(host: string, port: number): Promise<ListeningFacts> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      resolve({ free: false, code: error.code ?? "unknown", reason: error.message });
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => resolve({ free: true }));
    });
  });
}
