// The disk side of an unfinished download: FILE.part holds its first bytes, FILE.part.json says which file they are the
// beginning of, FILE.part.lock keeps a second download off. Imports nothing of the project but errors.
import { createHash, randomUUID, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { open, readFile, rename, rm, stat, unlink, utimes, writeFile, type FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { z } from "zod";

/** What the server said of the file when its first byte came; a later answer that differs means another file. */
const identitySchema = z.object({
  url: z.string(),
  etag: z.string().nullable(),
  size_bytes: z.int().nonnegative().nullable(),
  /** The server's own SHA-256 of the whole file. */
  sha256: z.string().nullable(),
});
export type PartIdentity = z.infer<typeof identitySchema>;

export const ggufMagic = Buffer.from("GGUF");

/**
 * Bytes are appended, hashed as they go, and become the file only by `commit`. The hash always covers exactly the
 * `lengthBytes` bytes that are on disk.
 */
export class PartFile {
  readonly #destination: string;
  readonly #path: string;
  readonly #handle: FileHandle;
  #hash: Hash = createHash("sha256");
  #lengthBytes = 0;
  #identity: PartIdentity | null = null;

  private constructor(destination: string, handle: FileHandle) {
    this.#destination = destination;
    this.#path = partPath(destination);
    this.#handle = handle;
  }

  /** Opens the part of an earlier attempt, if it began the same URL with a GGUF header; else an empty one. */
  static async open(destination: string, url: string, signal?: AbortSignal): Promise<PartFile> {
    const handle = await open(partPath(destination), constants.O_RDWR | constants.O_CREAT);
    const part = new PartFile(destination, handle);
    try {
      const identity = await readIdentity(destination);
      if (identity?.url === url && (await part.#takeOver(signal))) part.#identity = identity;
      else await part.restart();
      return part;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Null while the part is empty. */
  get identity(): PartIdentity | null {
    return this.#identity;
  }

  /** Notes what the bytes that follow belong to. */
  async begin(identity: PartIdentity): Promise<void> {
    await writeFile(identityPath(this.#destination), `${JSON.stringify(identity)}\n`);
    this.#identity = identity;
  }

  async append(chunk: Uint8Array): Promise<void> {
    let written = 0;
    while (written < chunk.byteLength) {
      const { bytesWritten } = await this.#handle.write(chunk, written, null, this.#lengthBytes);
      this.#hash.update(chunk.subarray(written, written + bytesWritten));
      this.#lengthBytes += bytesWritten;
      written += bytesWritten;
    }
  }

  /** Throws the bytes away and begins anew. */
  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    await rm(identityPath(this.#destination), { force: true });
    this.#hash = createHash("sha256");
    this.#lengthBytes = 0;
    this.#identity = null;
  }

  /** SHA-256 of the bytes on disk so far. */
  sha256(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Makes the part the file: on the disk before the name changes, so that a crash leaves the old file or the new. */
  async commit(): Promise<void> {
    await this.#handle.sync();
    await rename(this.#path, this.#destination);
    const folder = await open(dirname(this.#destination), constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    await rm(identityPath(this.#destination), { force: true });
  }

  /** Removes the part from the disk. */
  async discard(): Promise<void> {
    await rm(this.#path, { force: true });
    await rm(identityPath(this.#destination), { force: true });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Hashes what is on disk; false where it does not begin like a GGUF file. */
  async #takeOver(signal: AbortSignal | undefined): Promise<boolean> {
    const buffer = Buffer.allocUnsafe(2 ** 20);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#lengthBytes);
      if (this.#lengthBytes === 0 && !buffer.subarray(0, bytesRead).subarray(0, 4).equals(ggufMagic)) return false;
      if (bytesRead === 0) return true;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#lengthBytes += bytesRead;
    }
  }
}

export function partPath(destination: string): string {
  return `${destination}.part`;
}

function identityPath(destination: string): string {
  return `${destination}.part.json`;
}

function lockPath(destination: string): string {
  return `${destination}.part.lock`;
}

async function readIdentity(destination: string): Promise<PartIdentity | null> {
  try {
    return identitySchema.parse(JSON.parse(await readFile(identityPath(destination), "utf8")));
  } catch {
    return null;
  }
}

const lockSchema = z.object({ pid: z.int(), host: z.string(), token: z.string() });
type LockHolder = z.infer<typeof lockSchema>;

/** A lock that nobody renewed for this long belongs to a process on another host that is gone. */
const lockExpiryMs = 10 * 60_000;
const heldTokens = new Set<string>();

export interface PartLock {
  /** Shows others that the holder still lives. */
  renew(): Promise<void>;
  release(): Promise<void>;
}

/** Takes the lock of a destination, or answers who holds it. The lock of a process that is gone is taken over. */
export async function lockPart(destination: string): Promise<PartLock | { readonly heldBy: string }> {
  const path = lockPath(destination);
  const token = randomUUID();
  const holder: LockHolder = { pid: process.pid, host: hostname(), token };
  for (let attempt = 0; attempt < 5; attempt += 1) {
    try {
      await writeFile(path, JSON.stringify(holder), { flag: "wx" });
      heldTokens.add(token);
      return {
        renew: async () => {
          const now = new Date();
          await utimes(path, now, now).catch(() => undefined);
        },
        release: async () => {
          heldTokens.delete(token);
          if ((await readLock(path))?.holder?.token === token) await rm(path, { force: true });
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const found = await readLock(path);
    if (found === null) continue;
    if (!isStale(found)) return { heldBy: found.holder === null ? "another process" : describeHolder(found.holder) };
    await removeStale(path, found.holder);
  }
  return { heldBy: "another process" };
}

interface FoundLock {
  /** Null where the holder has not written its name yet, or never will. */
  readonly holder: LockHolder | null;
  readonly ageMs: number;
}

async function readLock(path: string): Promise<FoundLock | null> {
  try {
    const [text, file] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    const ageMs = Date.now() - file.mtimeMs;
    try {
      return { holder: lockSchema.parse(JSON.parse(text)), ageMs };
    } catch {
      return { holder: null, ageMs };
    }
  } catch {
    return null;
  }
}

function isStale({ holder, ageMs }: FoundLock): boolean {
  if (ageMs > lockExpiryMs) return true;
  if (holder === null || holder.host !== hostname()) return false;
  // A container's restart gives the same number to another process.
  if (holder.pid === process.pid) return !heldTokens.has(holder.token);
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Removes the lock only if it is still the one that was found stale: another process may have taken it over. */
async function removeStale(path: string, stale: LockHolder | null): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const moved = await readLock(aside);
  if (moved?.holder?.token !== stale?.token) await rename(aside, path);
  else await unlink(aside);
}

function describeHolder(holder: LockHolder): string {
  return holder.host === hostname() ? `process ${holder.pid}` : `process ${holder.pid} on ${holder.host}`;
}
