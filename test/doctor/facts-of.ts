// Facts of a healthy machine, for tests that change one thing at a time.
import type { ConfigFacts, DoctorFacts, FileFacts, ModelFacts } from "../../src/commands/doctor/facts.ts";
import type { Machine } from "../../src/machine/machine.ts";

const gib = 2 ** 30;

export const healthyMachine: Machine = {
  cpu: {
    architecture: "x86-64",
    modelName: "AMD EPYC",
    board: null,
    coreKinds: [],
    features: ["sse4_2", "f16c", "avx", "fma", "avx2"],
    online: { logical: 4, physical: 4 },
    allowed: { logical: 4, physical: 4 },
    fastPhysicalCores: 4,
  },
  cgroup: { cpuQuota: null, memoryLimit: null, memoryCurrentBytes: null },
  memory: { totalBytes: 16 * gib, availableBytes: 15 * gib, swapTotalBytes: 0, swapUsedBytes: 0 },
};

export function validFile(bytes: number): FileFacts {
  return {
    state: "valid",
    info: {
      path: "/models/one.gguf",
      sizeBytes: gib,
      architecture: "llama",
      name: null,
      trainContextTokens: 4096,
      parameterCount: 1e9,
      quantization: "Q4_0",
      hasChatTemplate: true,
    },
    prediction: { bytes },
  };
}

export function model(id: string, file: FileFacts = validFile(2 * gib), keep = false): ModelFacts {
  return { id, path: `/models/${id}.gguf`, keep, downloadId: id, file };
}

export const healthyConfig: ConfigFacts = {
  source: { origin: "working-directory", path: "config.json", resolvedPath: "/srv/config/five.json" },
  description: {
    lines: ["Configuration: config.json → /srv/config/five.json (working directory), 2 experts"],
    warning: null,
  },
  warnings: [],
  defaultModel: "mistral_balanced",
  maxLoadedExperts: null,
  budget: { bytes: 12 * gib, reason: "lazy_loading.memory_threshold 0.75 of 16.0 GiB, RAM" },
  experts: [model("phi4_fast"), model("mistral_balanced")],
  embedder: null,
  reranker: null,
  host: "127.0.0.1",
  port: 8082,
  hasApiKeys: false,
  listening: { free: true },
};

export const healthyFacts: DoctorFacts = {
  nodeVersion: "20.20.2",
  machine: healthyMachine,
  memoryLimitBytes: 16 * gib,
  threads: { threads: 4, reason: "4 cores" },
  engine: { description: { name: "engine 1.0", threads: 4, systemInfo: "AVX2 = 1" }, cpuVariant: "haswell" },
  stateFolder: { path: "/home/me/.local/state/gguf-experts", problem: null },
  config: healthyConfig,
};
