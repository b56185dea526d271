// The machine's RAM and swap, from /proc/meminfo below a root folder. Imports only files.ts and Node.
import { totalmem } from "node:os";
import { fieldBytes, parseFields, readKernelFile } from "./files.ts";

export interface Memory {
  readonly totalBytes: number;
  /** What could be taken without swapping, by the kernel's estimate; null where not known. */
  readonly availableBytes: number | null;
  readonly swapTotalBytes: number;
  readonly swapUsedBytes: number;
}

export function readMemory(root = "/"): Memory {
  const fields = parseFields(readKernelFile(root, "proc/meminfo") ?? "", ":");
  const swapTotalBytes = fieldBytes(fields, "SwapTotal") ?? 0;
  return {
    totalBytes: fieldBytes(fields, "MemTotal") ?? totalmem(),
    availableBytes: fieldBytes(fields, "MemAvailable"),
    swapTotalBytes,
    swapUsedBytes: swapTotalBytes - (fieldBytes(fields, "SwapFree") ?? swapTotalBytes),
  };
}
