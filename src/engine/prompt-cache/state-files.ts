// The folder of KV states: one file a state, each under a name of its own, so that processes that share the folder never
// write the same file. What is not named like a state is never touched. May import state-file.ts.
import { randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { readDescription, readState, type StateDescription, writeStateFile } from "./state-file.ts";

export interface StoredFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Since the Unix epoch. */
  readonly usedMs: number;
}

/** `<random>.state`; while it is written `<random>.<process id>.part`. */
const stateName = /^[0-9a-f]{32}\.state$/;
const partName = /^[0-9a-f]{32}\.(\d{1,10})\.part$/;
/** A file that was not written to for so long is nobody's work any more. */
const longestWritePauseMs = 10 * 60_000;

export class StateFiles {
  readonly folder: string;
  readonly #background = new Set<Promise<void>>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the folder if need be. Rejects with one line where states cannot be kept there. */
  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.#checkOwner();
  }

  /**
   * The states that are there, the one used longest ago first; empty where there is no folder. Removes what a process that
   * ended left half-written. Rejects with one line where others may write into the folder.
   */
  async list(nowMs: number): Promise<StoredFile[]> {
    let names: string[];
    try {
      names = await readdir(this.folder);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
    await this.#checkOwner();
    const found: StoredFile[] = [];
    for (const name of names) {
      const part = partName.exec(name);
      if (part === null && !stateName.test(name)) continue;
      const file = await lstat(path.join(this.folder, name)).catch(() => null);
      if (file === null) continue;
      // A clock that was wrong must not make a file the newest for ever.
      const usedMs = Math.min(file.mtimeMs, nowMs);
      if (part === null) found.push({ name, sizeBytes: file.size, usedMs });
      else if (!isRunning(Number(part[1])) || nowMs - usedMs > longestWritePauseMs) this.remove(name);
    }
    return found.sort((one, other) => one.usedMs - other.usedMs);
  }

  /** As `readDescription` of state-file.ts. */
  async describe(name: string, mostTokenBytes: number): Promise<StateDescription> {
    return readDescription(path.join(this.folder, name), mostTokenBytes);
  }

  /** As `readState` of state-file.ts. */
  async read(name: string, expected: StateDescription, into: Uint8Array): Promise<void> {
    await readState(path.join(this.folder, name), expected, into);
  }

  /**
   * Writes a state, which others see only when it is whole, and returns its file's name; null where `copy` gave up (see
   * `writeStateFile`). Begins when what was removed before is gone. Rejects with the file system's error.
   */
  async write(
    state: StateDescription,
    usedMs: number,
    copy: (into: Uint8Array, offset: number) => boolean,
  ): Promise<string | null> {
    await this.settled();
    const id = randomUUID().replaceAll("-", "");
    const part = `${id}.${process.pid}.part`;
    const name = `${id}.state`;
    try {
      if (!(await writeStateFile(path.join(this.folder, part), state, copy))) {
        this.remove(part);
        return null;
      }
      await utimes(path.join(this.folder, part), usedMs / 1000, usedMs / 1000);
      await rename(path.join(this.folder, part), path.join(this.folder, name));
      return name;
    } catch (error) {
      this.remove(part);
      throw error;
    }
  }

  /** In the background; a file that cannot be removed stays for the next start. */
  remove(name: string): void {
    this.#inBackground(rm(path.join(this.folder, name), { force: true }));
  }

  /** In the background: when the state was last used, for the order after the next start. */
  touch(name: string, usedMs: number): void {
    this.#inBackground(utimes(path.join(this.folder, name), usedMs / 1000, usedMs / 1000));
  }

  /** Resolves when everything that was removed or touched so far is so on disk. */
  async settled(): Promise<void> {
    await Promise.all(this.#background);
  }

  #inBackground(work: Promise<void>): void {
    const ended = work.catch(() => {});
    this.#background.add(ended);
    void ended.then(() => this.#background.delete(ended));
  }

  /** Whoever can write there could hand bytes to the engine that it does not survive. */
  async #checkOwner(): Promise<void> {
    const { uid, mode } = await stat(this.folder);
    if (uid !== process.getuid?.()) throw new Error("the folder belongs to another user");
    if ((mode & 0o022) !== 0) throw new Error("other users may write into the folder; allowed: mode 700 or 755");
  }
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/** In another container a process has other numbers; whoever is taken for ended there loses one state, no more. */
function isRunning(processId: number): boolean {
  if (processId === process.pid) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
