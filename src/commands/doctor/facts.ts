// What the doctor looks at before it judges: plain data, no verdicts, nothing secret (it is printed by --json).
// May import what stands below commands/.
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { basename } from "node:path";
import type { AppConfig, ConfigSource } from "../../config/config.ts";
import { describeSource, type SourceDescription } from "../../config/describe-source.ts";
import { messageOf } from "../../core/errors.ts";
import type { Engine, EngineDescription, ModelFileInfo } from "../../engine/engine.ts";
import { ModelFiles } from "../../engine/model-files.ts";
import type { Manifest } from "../../experts/manifest.ts";
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
  readonly config: ConfigFacts | { readonly problem: string };
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
  /** The manifest knows where this very file comes from. */
  readonly fetchable: boolean;
  readonly file: FileFacts;
}

export type FileFacts =
  | { readonly state: "missing" | "unreadable" | "invalid"; readonly reason: string }
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
  loadManifest(): Promise<Manifest>;
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
  const { embedder, server } = config;
  // Without a manifest nothing can be fetched by name: that is all there is to know here.
  const known = await sources.loadManifest().then(
    (manifest) => manifest.experts,
    () => [],
  );
  const fetchable = (id: string, path: string) =>
    known.some(({ expertId, files }) => expertId === id && files.some(({ file }) => file === basename(path)));
  const experts: ModelFacts[] = [];
  // One after the other: the files may be large and the disk slow.
  for (const { id, modelPath: path, keep, contextTokens, parallel: slots } of config.experts) {
    const file = await gatherFile(path, engine, { purpose: "text", contextTokens, slots });
    experts.push({ id, path, keep, fetchable: fetchable(id, path), file });
  }
  return {
    source: config.source,
    description: describeSource(config),
    warnings: config.warnings,
    defaultModel: config.defaultModel,
    maxLoadedExperts: config.memory.maxLoadedExperts,
    budget: ramBudgetBytes(config.memory, machine),
    experts,
    embedder:
      embedder === null
        ? null
        : {
            id: embedder.id,
            path: embedder.modelPath,
            keep: true,
            fetchable: fetchable(embedder.id, embedder.modelPath),
            file: await gatherFile(embedder.modelPath, engine, { purpose: "embedding", contextTokens: null, slots: 1 }),
          },
    host: server.host,
    port: server.port,
    hasApiKeys: server.apiKeys.length > 0,
    listening: await tryListening(server.host, server.port),
  };
}

async function gatherFile(
  path: string,
  engine: Engine | null,
  spec: { readonly purpose: "text" | "embedding"; readonly contextTokens: number | null; readonly slots: number },
): Promise<FileFacts> {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EACCES" || code === "EPERM") return { state: "unreadable", reason: `${path} may not be read` };
  }
  if (engine === null) {
    const file = await stat(path).catch(() => null);
    if (file === null) return { state: "missing", reason: `${path} does not exist` };
    return file.isFile()
      ? { state: "unchecked", sizeBytes: file.size }
      : { state: "invalid", reason: `${path} is not a file` };
  }
  const file = await new ModelFiles(engine).look(path);
  if (file.state !== "present") return file;
  const prediction = await engine.predictBytes({ path, ...spec }).then(
    (bytes) => ({ bytes }),
    (error: unknown) => ({ problem: messageOf(error) }),
  );
  return { state: "valid", info: file.info, prediction };
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
