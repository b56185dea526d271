// What the processor is: name, features, cores and which of them this process may use. Pure readers over a root folder
// that holds /proc and /sys; imports only files.ts and Node.
import { availableParallelism } from "node:os";
import { parseFields, parseIdList, readKernelFile } from "./files.ts";

export interface Cpu {
  readonly architecture: "x86-64" | "arm64" | "other";
  /** As the kernel names it; on arm64, which has no such name, its core kinds. Null where neither is known. */
  readonly modelName: string | null;
  /** The board, where the kernel names one, for example `Raspberry Pi 5 Model B Rev 1.0`. */
  readonly board: string | null;
  /** arm64: the core designs, for example `neoverse-v2`, and how many logical CPUs are of each. Empty elsewhere. */
  readonly coreKinds: readonly CoreKind[];
  /** As the kernel spells them, for example `avx512_vnni` or `asimddp`. */
  readonly features: readonly string[];
  readonly online: CoreCount;
  /** What the cpuset and the process's affinity leave of them. */
  readonly allowed: CoreCount;
  /**
   * Of the allowed physical cores, those with at least three quarters of the fastest one's capacity. Fewer than
   * `allowed.physical` only on big.LITTLE.
   */
  readonly fastPhysicalCores: number;
}

export interface CoreKind {
  readonly name: string;
  readonly count: number;
}

export interface CoreCount {
  /** Hardware threads. */
  readonly logical: number;
  /** Cores; SMT siblings share one. */
  readonly physical: number;
}

export function readCpu(root = "/"): Cpu {
  const cpuinfo = readKernelFile(root, "proc/cpuinfo") ?? "";
  const blocks = cpuinfo.split(/\n\s*\n/).map((block) => parseFields(block, ":"));
  const processors = blocks.filter((fields) => /^\d+$/.test(fields.get("processor") ?? ""));
  const first = processors[0];
  if (first === undefined) return unknownCpu();

  const logical = processors.map((fields) => readLogicalCpu(root, fields));
  const status = parseFields(readKernelFile(root, "proc/self/status") ?? "", ":");
  // The kernel keeps this list inside the cpuset, so that it is both limits in one.
  const allowedIds = new Set(parseIdList(status.get("Cpus_allowed_list") ?? ""));
  const permitted = logical.filter((cpu) => allowedIds.has(cpu.id));
  const allowed = permitted.length > 0 ? permitted : logical;
  const fastest = Math.max(...allowed.map((cpu) => cpu.capacity));
  const kinds = new Map<string, number>();
  for (const { design } of logical) if (design !== null) kinds.set(design, (kinds.get(design) ?? 0) + 1);
  const coreKinds = [...kinds].map(([name, count]) => ({ name, count }));

  return {
    architecture: first.has("CPU implementer") ? "arm64" : first.has("vendor_id") ? "x86-64" : "other",
    modelName: first.get("model name") ?? (coreKinds.map(({ name }) => name).join(" + ") || null),
    board: blocks.findLast((fields) => fields.has("Model"))?.get("Model") ?? null,
    coreKinds,
    features: (first.get("flags") ?? first.get("Features") ?? "").split(/\s+/).filter((name) => name !== ""),
    online: countCores(logical),
    allowed: countCores(allowed),
    fastPhysicalCores: countCores(allowed.filter((cpu) => cpu.capacity >= 0.75 * fastest)).physical,
  };
}

interface LogicalCpu {
  readonly id: number;
  /** The same for SMT siblings. */
  readonly core: string;
  /** Relative speed as the scheduler knows it, 1024 for the fastest; also 1024 where the kernel does not say. */
  readonly capacity: number;
  readonly design: string | null;
}

function readLogicalCpu(root: string, cpuinfo: ReadonlyMap<string, string>): LogicalCpu {
  const id = Number(cpuinfo.get("processor"));
  const folder = `sys/devices/system/cpu/cpu${id}`;
  // Containers without /sys still show x86's core ids in /proc/cpuinfo.
  const core =
    readKernelFile(root, `${folder}/topology/thread_siblings_list`)?.trim() ??
    (cpuinfo.has("core id") ? `${cpuinfo.get("physical id")}:${cpuinfo.get("core id")}` : `cpu${id}`);
  const capacity = Number(readKernelFile(root, `${folder}/cpu_capacity`) ?? 1024);
  const implementer = cpuinfo.get("CPU implementer");
  const part = cpuinfo.get("CPU part");
  return {
    id,
    core,
    capacity: capacity > 0 ? capacity : 1024,
    design: implementer === undefined || part === undefined ? null : armCoreName(implementer, part),
  };
}

function countCores(cpus: readonly LogicalCpu[]): CoreCount {
  return { logical: cpus.length, physical: new Set(cpus.map((cpu) => cpu.core)).size };
}

/** Where /proc/cpuinfo is hidden: what Node counts, every one taken for a core of its own. */
function unknownCpu(): Cpu {
  const count = { logical: availableParallelism(), physical: availableParallelism() };
  return {
    architecture: process.arch === "x64" ? "x86-64" : process.arch === "arm64" ? "arm64" : "other",
    modelName: null,
    board: null,
    coreKinds: [],
    features: [],
    online: count,
    allowed: count,
    fastPhysicalCores: count.physical,
  };
}

/** Main ID register: implementer, then part number. Names as compilers take them for -mcpu. */
const armCores: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // Arm
  "0x41": {
    "0xd03": "cortex-a53",
    "0xd05": "cortex-a55",
    "0xd07": "cortex-a57",
    "0xd08": "cortex-a72",
    "0xd09": "cortex-a73",
    "0xd0a": "cortex-a75",
    "0xd0b": "cortex-a76",
    "0xd0c": "neoverse-n1",
    "0xd40": "neoverse-v1",
    "0xd41": "cortex-a78",
    "0xd44": "cortex-x1",
    "0xd46": "cortex-a510",
    "0xd47": "cortex-a710",
    "0xd48": "cortex-x2",
    "0xd49": "neoverse-n2",
    "0xd4f": "neoverse-v2",
    "0xd84": "neoverse-v3",
    "0xd8e": "neoverse-n3",
  },
  // Fujitsu
  "0x46": { "0x001": "a64fx" },
  // HiSilicon
  "0x48": { "0xd01": "tsv110" },
  // Qualcomm
  "0x51": { "0x001": "oryon-1" },
  // Microsoft: Cobalt 100 is an Arm design under its own implementer code
  "0x6d": { "0xd49": "neoverse-n2" },
  // Ampere
  "0xc0": { "0xac3": "ampere1", "0xac4": "ampere1a", "0xac5": "ampere1b" },
};

/** The design's name, or the two codes where it is not among the known ones. */
export function armCoreName(implementer: string, part: string): string {
  return armCores[implementer.toLowerCase()]?.[part.toLowerCase()] ?? `implementer ${implementer} part ${part}`;
}
