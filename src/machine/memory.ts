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

/** What this process holds beside the files that it has mapped: its heaps and stacks. 0 where the machine does not tell. */
export function ownAnonymousBytes(root = "/"): number {
  return fieldBytes(parseFields(readKernelFile(root, "proc/self/status") ?? "", ":"), "RssAnon") ?? 0;
}
