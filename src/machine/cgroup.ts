// The CPU and memory limits of the process's control groups, version 1 and 2 and both at once. Pure readers over a root
// folder; imports only files.ts and Node.
import { join } from "node:path";
import { readKernelFile } from "./files.ts";

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
    memoryCurrentBytes: memory === null ? null : memoryCurrent(root, memory),
  };
}

/** Where one controller's files for this process are. */
interface Location {
  readonly version: 1 | 2;
  /** The process's own group first, then its ancestors as far as they are mounted here. */
  readonly folders: readonly string[];
}

/** A controller is in its own version 1 hierarchy, or else in the unified one of version 2. */
function locate(root: string, controller: string): Location | null {
  const mounts = readMounts(root);
  const groups = (readKernelFile(root, "proc/self/cgroup") ?? "").split("\n").map((line) => {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return { controllers: controllers.split(","), path };
  });
  for (const version of [1, 2] as const) {
    const mount = mounts.find((one) => one.version === version && (version === 2 || one.options.includes(controller)));
    const group = groups.find(({ controllers, path }) =>
      version === 1 ? controllers.includes(controller) : controllers[0] === "" && path !== "",
    );
    if (mount !== undefined) return { version, folders: ancestors(mount, group?.path ?? "/") };
  }
  return null;
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
  // Above memory.high the kernel slows a process down until it hardly runs: for a budget that is a limit as well.
  const names = version === 2 ? ["memory.max", "memory.high"] : ["memory.limit_in_bytes"];
  const limits = folders.flatMap((folder) =>
    names.map((name) => memoryAmount(readKernelFile(root, `${folder}/${name}`), `${folder}/${name}`)),
  );
  if (version === 1) {
    // Also counts those ancestors that a container cannot see.
    const file = `${folders[0]}/memory.stat`;
    const match = /^hierarchical_memory_limit (\d+)$/m.exec(readKernelFile(root, file) ?? "");
    limits.push(memoryAmount(match?.[1] ?? null, file));
  }
  return tightest(limits);
}

function memoryAmount(text: string | null, file: string): Limit | null {
  const value = Number(text?.trim() ?? NaN);
  // "max" is not a number; version 1 writes "no limit" as the largest page-aligned 64-bit number.
  return Number.isSafeInteger(value) && value > 0 ? { value, file } : null;
}

function memoryCurrent(root: string, { version, folders }: Location): number | null {
  const name = version === 2 ? "memory.current" : "memory.usage_in_bytes";
  return memoryAmount(readKernelFile(root, `${folders[0]}/${name}`), name)?.value ?? null;
}

/** The smallest; of equal ones the nearest to the process. */
function tightest(limits: readonly (Limit | null)[]): Limit | null {
  return limits.reduce(
    (best, limit) => (best === null || (limit !== null && limit.value < best.value) ? limit : best),
    null,
  );
}
