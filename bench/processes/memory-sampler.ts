// Samples a server's memory at a fixed interval, its children's apart. May import process-memory.ts.
import { descendantsOf, readProcessMemory } from "./process-memory.ts";

export interface MemorySample {
  readonly atMs: number;
  readonly anonymousBytes: number;
  readonly modelPageBytes: number;
  /** Anonymous bytes and model pages of the server's children, together. */
  readonly childBytes: number;
}

const intervalMs = 50;

export class MemorySampler {
  readonly samples: MemorySample[] = [];
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.sample(), intervalMs);
  }

  /** Takes a sample now; null where the server is gone. */
  sample(): MemorySample | null {
    const own = readProcessMemory(this.#pid);
    if (own === null) return null;
    let childBytes = 0;
    for (const child of descendantsOf(this.#pid)) {
      const memory = readProcessMemory(child);
      childBytes += memory === null ? 0 : memory.anonymousBytes + memory.modelPageBytes;
    }
    const sample = { atMs: performance.now(), ...own, childBytes };
    this.samples.push(sample);
    return sample;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** What counts against the budget. */
export function residentBytes({ anonymousBytes, modelPageBytes }: MemorySample): number {
  return anonymousBytes + modelPageBytes;
}
