// What a process holds in memory, from the kernel's files: anonymous bytes, and resident pages of model files. The reading
// is here too, as thin as can be. Imports only Node.
import { readFileSync } from "node:fs";

export interface ProcessMemory {
  readonly anonymousBytes: number;
  /** Resident pages of mapped GGUF files. */
  readonly modelPageBytes: number;
}

/** Of /proc/PID/status; null where the process is gone. */
export function anonymousBytesOf(status: string): number | null {
  const match = /^RssAnon:\s+(\d+) kB$/m.exec(status);
  return match === null ? null : Number(match[1]) * 1024;
}

/** Whether /proc/PID/maps names a model file: reading smaps walks every page, and is spared where it can tell nothing. */
export function mapsModels(maps: string): boolean {
  return /\.gguf( \(deleted\))?$/im.test(maps);
}

/** Of /proc/PID/smaps: the file pages of mappings that belong to model files. */
export function modelPageBytesOf(smaps: string): number {
  let bytes = 0;
  let inModel = false;
  let anonymous = 0;
  let resident = 0;
  const close = () => {
    if (inModel) bytes += Math.max(0, resident - anonymous);
    resident = 0;
    anonymous = 0;
  };
  for (const line of smaps.split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) {
      close();
      inModel = mapsModels(line);
      continue;
    }
    const field = /^(Rss|Anonymous):\s+(\d+) kB$/.exec(line);
    if (field?.[1] === "Rss") resident = Number(field[2]) * 1024;
    else if (field?.[1] === "Anonymous") anonymous = Number(field[2]) * 1024;
  }
  close();
  return bytes;
}

/** Null where the process is gone. */
export function readProcessMemory(pid: number): ProcessMemory | null {
  try {
    const anonymousBytes = anonymousBytesOf(readFileSync(`/proc/${pid}/status`, "utf8"));
    if (anonymousBytes === null) return null;
    const isMapping = mapsModels(readFileSync(`/proc/${pid}/maps`, "utf8"));
    const modelPageBytes = isMapping ? modelPageBytesOf(readFileSync(`/proc/${pid}/smaps`, "utf8")) : 0;
    return { anonymousBytes, modelPageBytes };
  } catch {
    return null;
  }
}

export interface ResidentMemory {
  /** All resident pages, shared ones whole. */
  readonly rssBytes: number;
  /** The same, with each shared page divided by the number of processes that share it. */
  readonly pssBytes: number;
}

/** Of /proc/PID/smaps_rollup; null where a line is missing. */
export function residentMemoryOf(rollup: string): ResidentMemory | null {
  const bytesOf = (name: string) => {
    const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(rollup)?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  };
  const [rssBytes, pssBytes] = [bytesOf("Rss"), bytesOf("Pss")];
  return rssBytes === null || pssBytes === null ? null : { rssBytes, pssBytes };
}

/** Of a process without its children; throws where it is gone. */
export function readResidentMemory(pid: number): ResidentMemory {
  const memory = residentMemoryOf(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  if (memory === null) throw new Error(`/proc/${pid}/smaps_rollup says nothing of Rss and Pss`);
  return memory;
}

/** A process's children and theirs. */
export function descendantsOf(pid: number): number[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    return [];
  }
  const children = text.trim().split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}
