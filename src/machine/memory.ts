// The machine's RAM and swap, from /proc/meminfo below a root folder. Imports only files.ts and Node.
import { totalmem } from "node:os";
import { parseFields, readKernelFile } from "./files.ts";

export interface Memory {
  readonly totalBytes: number;
  /** What could be taken without swapping, by the kernel's estimate; null where not known. */
  readonly availableBytes: number | null;
  readonly swapTotalBytes: number;
  readonly swapUsedBytes: number;
}

export function readMemory(root = "/"): Memory {
  const fields = parseFields(readKernelFile(root, "proc/meminfo") ?? "", ":");
  const bytes = (name: string): number | null => {
    const match = /^(\d+) kB$/.exec(fields.get(name) ?? "");
    return match === null ? null : Number(match[1]) * 1024;
  };
  const swapTotalBytes = bytes("SwapTotal") ?? 0;
  return {
    totalBytes: bytes("MemTotal") ?? totalmem(),
    availableBytes: bytes("MemAvailable"),
    swapTotalBytes,
    swapUsedBytes: swapTotalBytes - (bytes("SwapFree") ?? swapTotalBytes),
  };
}
