// The machine as a whole, and the decisions that follow from it: how many threads, how much memory, each with its reason.
// The decisions are pure. May import config/ (types) and core/.
import type { MemoryConfig } from "../config/config.ts";
import { formatBytes } from "../core/bytes.ts";
import { plural } from "../core/words.ts";
import { type Cgroup, readCgroup } from "./cgroup.ts";
import { type Cpu, readCpu } from "./cpu.ts";
import { type Memory, readMemory } from "./memory.ts";

export interface Machine {
  readonly cpu: Cpu;
  readonly cgroup: Cgroup;
  readonly memory: Memory;
}

/** Reads /proc and /sys below `root`. Never throws: what a machine does not tell is null or Node's own estimate. */
export function readMachine(root = "/"): Machine {
  return { cpu: readCpu(root), cgroup: readCgroup(root), memory: readMemory(root) };
}

export interface ThreadRecommendation {
  readonly threads: number;
  /** Why, as part of a sentence: "4 cores, 8 hardware threads". */
  readonly reason: string;
}

/**
 * Threads for the engine: one for each physical core (of the fast kind on big.LITTLE), and never more than the cgroup's
 * quota pays for. ggml's workers wait for one another by spinning: a thread too many makes all of them wait.
 */
export function recommendedThreads(cpu: Cpu, cgroup: Cgroup): ThreadRecommendation {
  const cores = cpu.fastPhysicalCores;
  const quota = cgroup.cpuQuota?.value ?? Infinity;
  const threads = Math.max(1, Math.min(cores, Math.floor(quota)));
  if (threads < cores)
    return { threads, reason: `the cgroup's quota of ${formatCpus(quota)}, ${plural(cores, "core")}` };
  const { allowed, online } = cpu;
  const notes = [
    ...(cores < allowed.physical ? [`the fast ones of ${allowed.physical}`] : []),
    ...(allowed.logical > allowed.physical ? [`${allowed.logical} hardware threads`] : []),
    ...(allowed.logical < online.logical ? [`${allowed.logical} of ${online.logical} CPUs allowed`] : []),
  ];
  return { threads, reason: [plural(cores, "core"), ...notes].join(", ") };
}

/** What decides how many threads are best: machines with the same answer may share what was measured. */
export function coresDescription({ cpu, cgroup }: Pick<Machine, "cpu" | "cgroup">): string {
  return [
    cpu.modelName ?? cpu.architecture,
    `${plural(cpu.fastPhysicalCores, "core")} of ${cpu.allowed.physical}`,
    plural(cpu.allowed.logical, "hardware thread"),
    cgroup.cpuQuota === null ? "no quota" : `a quota of ${formatCpus(cgroup.cpuQuota.value)}`,
  ].join(", ");
}

/** The smaller of the machine's RAM and the cgroup's memory limit, in bytes. */
export function memoryLimitBytes(machine: Pick<Machine, "cgroup" | "memory">): number {
  return Math.min(machine.memory.totalBytes, machine.cgroup.memoryLimit?.value ?? Infinity);
}

export interface RamBudget {
  readonly bytes: number;
  /** Where the number comes from: "0.80 of 8.0 GiB RAM". */
  readonly reason: string;
}

/**
 * The bytes that loaded models may take together: `ram_budget` as it stands, else the configured share of the memory
 * limit. A `ram_budget` above the limit is the operator's word and is not cut; `doctor` warns of it.
 */
export function ramBudgetBytes(config: MemoryConfig, machine: Pick<Machine, "cgroup" | "memory">): RamBudget {
  if (config.ramBudgetBytes !== null) return { bytes: config.ramBudgetBytes, reason: "lazy_loading.ram_budget" };
  const limit = memoryLimitBytes(machine);
  const source = limit < machine.memory.totalBytes ? "the cgroup's memory limit" : "RAM";
  return {
    bytes: Math.floor(limit * config.memoryThreshold),
    reason: `lazy_loading.memory_threshold ${config.memoryThreshold} of ${formatBytes(limit)}, ${source}`,
  };
}

/**
 * What the process itself is counted with in the budget, given what it holds before any model is loaded. 0 in a budget so
 * small that whoever set it can only have meant the models.
 */
export function processShareBytes(budgetBytes: number, ownBytes: number): number {
  return budgetBytes >= 8 * ownBytes ? ownBytes : 0;
}

/** "1.5 CPUs", "1 CPU". */
export function formatCpus(cpus: number): string {
  return plural(Number(cpus.toFixed(2)), "CPU");
}
