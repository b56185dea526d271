// What the machine and its control groups can still give, freshly read, and how much of it must stay free. Readers over a
// root folder and one pure rule each. May import core/.
import { formatBytes } from "../core/bytes.ts";
import { readGroupPressure, readMemoryLevels } from "./cgroup.ts";
import { fieldBytes, parseFields, readKernelFile } from "./files.ts";

export interface AvailableMemory {
  /**
   * Bytes that can be taken before the kernel swaps, kills, or takes away pages of model files that this process has
   * mapped. Null: the machine does not tell.
   */
  readonly availableBytes: number | null;
  /** The kernel's file whose limit comes first, for example `/sys/fs/cgroup/memory.max`. */
  readonly limitedBy: string;
  /** Tasks stand still for want of memory, and little is left: idle models should go now. */
  readonly pressured: boolean;
  /** For the log: how much is left of what, and how long tasks stood still. */
  readonly reason: string;
}

/**
 * Share of the last ten seconds, in per cent, in which some task waited for memory. "some" and not "full": one of
 * ggml's workers that waits for a page holds up the others, but those spin, so that the kernel counts them as running.
 */
const stallPercent = 10;
/** Stalls count where less than this many reserves are left: memory is what is short, and unloading ends the alarm. */
const stallReserves = 4;

/**
 * Reads afresh; takes a fraction of a millisecond, never throws.
 *
 * A limit's page cache counts as available, active pages too: at a limit the kernel reclaims from both lists, and
 * MemAvailable counts both. Pages that this process has mapped do not: they are model weights, which every token reads.
 */
export function availableMemory(root = "/"): AvailableMemory {
  const machine = parseFields(readKernelFile(root, "proc/meminfo") ?? "", ":");
  const own = parseFields(readKernelFile(root, "proc/self/status") ?? "", ":");
  const ownMappedBytes = fieldBytes(own, "RssFile") ?? 0;
  const levels: Level[] = readMemoryLevels(root).map(({ limit, usedBytes, fileCacheBytes, mappedBytes }) => ({
    file: limit.file,
    totalBytes: limit.value,
    // This process's pages may be charged to another group: to whoever read the file first.
    availableBytes: limit.value - usedBytes + fileCacheBytes - Math.min(ownMappedBytes, mappedBytes, fileCacheBytes),
  }));
  const machineAvailableBytes = fieldBytes(machine, "MemAvailable");
  if (machineAvailableBytes !== null) {
    levels.push({
      file: "/proc/meminfo",
      totalBytes: fieldBytes(machine, "MemTotal") ?? machineAvailableBytes,
      // A page that the process has mapped twice counts twice in it, once in the machine.
      availableBytes: machineAvailableBytes - Math.min(ownMappedBytes, fieldBytes(machine, "Mapped") ?? Infinity),
    });
  }
  const [first, ...others] = levels;
  if (first === undefined) {
    const reason = "neither a control group nor /proc/meminfo tells";
    return { availableBytes: null, limitedBy: "/proc/meminfo", pressured: false, reason };
  }
  const level = others.reduce((best, one) => (one.availableBytes < best.availableBytes ? one : best), first);
  const availableBytes = Math.max(0, level.availableBytes);
  const pressures = [readGroupPressure(root), readKernelFile(root, "proc/pressure/memory")];
  const stalled = Math.max(...pressures.map(stalledPercent));
  const left = `${formatBytes(availableBytes)} of ${formatBytes(level.totalBytes)} available (${level.file})`;
  return {
    availableBytes,
    limitedBy: level.file,
    pressured: stalled >= stallPercent && availableBytes < stallReserves * memoryReserveBytes(level.totalBytes),
    reason: stalled > 0 ? `${left}, tasks waited for memory ${stalled} % of the last 10 s` : left,
  };
}

interface Level {
  readonly file: string;
  readonly totalBytes: number;
  readonly availableBytes: number;
}

/**
 * Bytes of a memory limit that must stay available; below, idle models go. 64 MiB is what a second's requests may take
 * before the next look: a few bodies of the largest size and what V8 grows by. On larger machines 2 %, as page tables,
 * sockets and the neighbours grow with them; on the smallest an eighth, so that Node itself does not use it up.
 */
export function memoryReserveBytes(limitBytes: number): number {
  return Math.floor(Math.min(limitBytes / 8, Math.max(64 * 2 ** 20, limitBytes / 50)));
}

/** 0 where the kernel has no pressure information, or has it switched off. */
function stalledPercent(pressure: string | null): number {
  const match = /^some avg10=(\d+(?:\.\d+)?) /m.exec(pressure ?? "");
  return match === null ? 0 : Number(match[1]);
}
