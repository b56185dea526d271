// The CPU and memory limits of the process's control groups, version 1 and 2 and both at once. Pure readers over a root
// folder; imports only files.ts and Node.
import { join } from "node:path";
import { parseFields, readKernelFile } from "./files.ts";

export interface Cgroup {
  /** CPUs' worth of time, for example 1.5: the tightest quota from the process's group up to the root. Null: none. */
  readonly cpuQuota: Limit | null;
  /** Bytes: the tightest limit from the process's group up to the root. Null: none. */
  readonly memoryLimit: Limit | null;
  /** Bytes that the process's group holds now, page cache included; null where not known. */
  readonly memoryCurrentBytes: number | null;
}

export interface Limit {
  readonly value: number;
  /** The file that sets it. */
  readonly file: string;
}

export function readCgroup(root = "/"): Cgroup {
  const memory = locate(root, "memory");
  const cpu = locate(root, "cpu");
  return {
    cpuQuota: cpu === null ? null : cpuQuota(root, cpu),
    memoryLimit: memory === null ? null : memoryLimit(root, memory),
    memoryCurrentBytes: memory === null ? null : memoryUse(root, memory.version, memory.folders[0] ?? ""),
  };
}

/** A limit that holds for this process, and how much of it is taken: by all the groups below it together. */
export interface MemoryLevel {
  readonly limit: Limit;
  /** Page cache included. */
  readonly usedBytes: number;
  /** Page cache of files, on the kernel's active and inactive lists. */
  readonly fileCacheBytes: number;
  /** The part of it that some process has mapped. */
  readonly mappedBytes: number;
}

/** Every memory limit from the process's group up to the root whose use is known; the nearest first. */
export function readMemoryLevels(root = "/"): MemoryLevel[] {
  const location = locate(root, "memory");
  if (location === null) return [];
  const { version, folders } = location;
  return folders.flatMap((folder, index): MemoryLevel[] => {
    const limits = folderLimits(root, version, folder);
    const statistics = limits.length > 0 || index === 0 ? memoryStatistics(root, folder) : null;
    if (version === 1 && index === 0) {
      const hidden = hierarchicalLimit(statistics, folder);
      if (hidden !== null) limits.push(hidden);
    }
    const limit = tightest(limits);
    if (limit === null || statistics === null) return [];
    const usedBytes = memoryUse(root, version, folder);
    if (usedBytes === null) return [];
    // Version 1 gives a group's own numbers first, and those with its subgroups under "total_".
    const amount = (name: string) => Number(statistics.get(version === 1 ? `total_${name}` : name) ?? 0);
    return [
      {
        limit,
        usedBytes,
        fileCacheBytes: amount("active_file") + amount("inactive_file"),
        mappedBytes: amount(version === 1 ? "mapped_file" : "file_mapped"),
      },
    ];
  });
}

/** `memory.pressure` of the process's version 2 group, which exists beside version 1's controllers too; null: none. */
export function readGroupPressure(root = "/"): string | null {
  const [own] = locateVersion(root, 2, "memory")?.folders ?? [];
  return own === undefined ? null : readKernelFile(root, `${own}/memory.pressure`);
}

/** Where one controller's files for this process are. */
interface Location {
  readonly version: 1 | 2;
  /** The process's own group first, then its ancestors as far as they are mounted here. */
  readonly folders: readonly string[];
}

/** A controller is in its own version 1 hierarchy, or else in the unified one of version 2. */
function locate(root: string, controller: string): Location | null {
  return locateVersion(root, 1, controller) ?? locateVersion(root, 2, controller);
}

function locateVersion(root: string, version: 1 | 2, controller: string): Location | null {
  const mounts = readMounts(root);
  const groups = (readKernelFile(root, "proc/self/cgroup") ?? "").split("\n").map((line) => {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return { controllers: controllers.split(","), path };
  });
  const mount = mounts.find((one) => one.version === version && (version === 2 || one.options.includes(controller)));
  const group = groups.find(({ controllers, path }) =>
    version === 1 ? controllers.includes(controller) : controllers[0] === "" && path !== "",
  );
  return mount === undefined ? null : { version, folders: ancestors(mount, group?.path ?? "/") };
}

interface CgroupMount {
  readonly version: 1 | 2;
  /** The group that the mount point shows; a container without its own namespace sees its group's full path here. */
  readonly group: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
}

function readMounts(root: string): CgroupMount[] {
  return (readKernelFile(root, "proc/self/mountinfo") ?? "").split("\n").flatMap((line) => {
    const [mount = "", filesystem = ""] = line.split(" - ");
    const [, , , group, mountPoint] = mount.split(" ");
    const [type, , options = ""] = filesystem.split(" ");
    if (group === undefined || mountPoint === undefined || (type !== "cgroup" && type !== "cgroup2")) return [];
    return [{ version: type === "cgroup" ? 1 : 2, group, mountPoint, options: options.split(",") }];
  });
}

function ancestors(mount: CgroupMount, processGroup: string): string[] {
  const base = mount.group === "/" ? "" : mount.group;
  const inside = processGroup === base || processGroup.startsWith(`${base}/`);
  const below = inside && !processGroup.includes("/..") ? processGroup.slice(base.length) : "";
  const names = below.split("/").filter((name) => name !== "");
  return names
    .map((_, index) => join(mount.mountPoint, ...names.slice(0, names.length - index)))
    .concat(mount.mountPoint);
}

function cpuQuota(root: string, { version, folders }: Location): Limit | null {
  const limits = folders.map((folder): Limit | null => {
    const file = version === 2 ? `${folder}/cpu.max` : `${folder}/cpu.cfs_quota_us`;
    const [quota, period] =
      version === 2
        ? (readKernelFile(root, file) ?? "").trim().split(" ")
        : [readKernelFile(root, file)?.trim(), readKernelFile(root, `${folder}/cpu.cfs_period_us`)?.trim()];
    const value = Number(quota) / Number(period);
    return Number.isFinite(value) && value > 0 ? { value, file } : null;
  });
  return tightest(limits);
}

function memoryLimit(root: string, { version, folders }: Location): Limit | null {
  const limits = folders.flatMap((folder) => folderLimits(root, version, folder));
  const own = folders[0];
  if (version === 1 && own !== undefined) {
    const hidden = hierarchicalLimit(memoryStatistics(root, own), own);
    if (hidden !== null) limits.push(hidden);
  }
  return tightest(limits);
}

function folderLimits(root: string, version: 1 | 2, folder: string): Limit[] {
  // Above memory.high the kernel slows a process down until it hardly runs: for a budget that is a limit as well.
  const names = version === 2 ? ["memory.max", "memory.high"] : ["memory.limit_in_bytes"];
  return names.flatMap((name) => {
    const file = `${folder}/${name}`;
    const value = memoryAmount(readKernelFile(root, file));
    return value === null ? [] : [{ value, file }];
  });
}

/** Version 1's limit that also counts those ancestors that a container cannot see. */
function hierarchicalLimit(statistics: ReadonlyMap<string, string> | null, folder: string): Limit | null {
  const value = memoryAmount(statistics?.get("hierarchical_memory_limit") ?? null);
  return value === null ? null : { value, file: `${folder}/memory.stat` };
}

function memoryStatistics(root: string, folder: string): ReadonlyMap<string, string> | null {
  const text = readKernelFile(root, `${folder}/memory.stat`);
  return text === null ? null : parseFields(text, " ");
}

function memoryUse(root: string, version: 1 | 2, folder: string): number | null {
  return memoryAmount(readKernelFile(root, `${folder}/${version === 2 ? "memory.current" : "memory.usage_in_bytes"}`));
}

function memoryAmount(text: string | null): number | null {
  const value = Number(text?.trim() ?? NaN);
  // "max" is not a number; version 1 writes "no limit" as the largest page-aligned 64-bit number.
  return Number.isSafeInteger(value) && value > 0 ? value : null;
}

/** The smallest; of equal ones the nearest to the process. */
function tightest(limits: readonly (Limit | null)[]): Limit | null {
  return limits.reduce(
    (best, limit) => (best === null || (limit !== null && limit.value < best.value) ? limit : best),
    null,
  );
}
