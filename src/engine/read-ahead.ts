// Brings a model's file into the page cache before and while it is loaded: the disk works while the model still waits for
// memory, and while the load computes. May import file-parts.ts and Node.
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { partPaths } from "./file-parts.ts";

export interface ReadAheadRoom {
  /** What the machine can still give, freshly read; null: unknown, and nothing is read. */
  readonly availableBytes: () => number | null;
  /** Of it, what must stay: the page cache of the file may take the rest. */
  readonly reserveBytes: number;
}

/** Small enough that a signal is heard, and a thread of libuv's pool given back, within some hundredths of a second. */
const chunkBytes = 4 * 2 ** 20;
/** A look at the machine's memory takes the event loop about a millisecond. */
const bytesBetweenLooks = 16 * chunkBytes;
/** Pages that are cached already are only copied: without a pause that would keep a core busy which decodes. */
const pauseMs = 2;

/**
 * Reads from the beginning, one chunk at a time, until the end, the signal, or what the machine can spare for it. Never
 * rejects: what cannot be read is for the load to say. Returns the bytes read.
 */
export async function readAhead(path: string, room: ReadAheadRoom, signal: AbortSignal): Promise<number> {
  let readBytes = 0;
  const chunk = Buffer.allocUnsafeSlow(chunkBytes);
  let lookAtBytes = 0;
  // Cached pages count as available: what was read stays within what there is, not beside it.
  const mayGoOn = () => {
    if (signal.aborted) return false;
    if (readBytes < lookAtBytes) return true;
    lookAtBytes = readBytes + bytesBetweenLooks;
    const isRoom = lookAtBytes <= (room.availableBytes() ?? 0) - room.reserveBytes;
    return isRoom && !signal.aborted;
  };
  for (const part of partPaths(path)) {
    if (!mayGoOn()) break;
    let file: FileHandle | null = null;
    try {
      file = await open(part);
      for (let position = 0; mayGoOn();) {
        const { bytesRead } = await file.read(chunk, 0, chunkBytes, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        readBytes += bytesRead;
        await setTimeout(pauseMs, undefined, { ref: false });
      }
    } catch {
      break;
    } finally {
      await file?.close().catch(() => {});
    }
  }
  return readBytes;
}
