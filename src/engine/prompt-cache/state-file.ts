// One conversation's KV state as a file: header, tokens, the engine's own bytes. Nothing that a file says is believed
// before it was checked, since the engine does not survive state that is not its own. Imports only Node.
import { constants, type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";

export interface StateDescription {
  readonly modelKey: string;
  /** What the state holds, in order. */
  readonly tokens: Int32Array;
  /** The state is of use only to prompts that share at least this many of its tokens. */
  readonly minPrefixTokens: number;
  /** Of the state alone. */
  readonly sizeBytes: number;
}

/** The file is not a whole state of this format. The message is one line without the file's name. */
export class DamagedStateError extends Error {}

/** What is copied, checked and handed to the file system in one go: a millisecond or two in which nothing else runs. */
export const chunkBytes = 2 ** 20;

const magic = Buffer.from("GGUFEXKV", "latin1");
const formatVersion = 1;
/**
 * Little-endian: magic, then as uint32 the version, the model key's bytes, the number of tokens, minPrefixTokens; the
 * state's bytes as uint64; CRC-32 of the tokens, of the state, and of all that stands before together with the model key.
 */
const headerBytes = 44;
const headerCheckAt = 40;
const longestModelKeyBytes = 2 ** 16;

/** What the state takes on disk. */
export function stateFileBytes({ modelKey, tokens, sizeBytes }: StateDescription): number {
  return headerBytes + Buffer.byteLength(modelKey) + tokens.byteLength + sizeBytes;
}

/**
 * Writes a file that must not exist yet. `copy` fills its first argument with the state's bytes from the offset on, or
 * returns false to give up; then false is returned. Rejects with the file system's error; what was written stays.
 */
export async function writeStateFile(
  path: string,
  state: StateDescription,
  copy: (into: Uint8Array, offset: number) => boolean,
): Promise<boolean> {
  const key = Buffer.from(state.modelKey);
  if (key.length > longestModelKeyBytes) throw new RangeError(`a model key of ${key.length} bytes`);
  const tokens = bytesOf(state.tokens);
  const file = await open(path, "wx", 0o600);
  try {
    const stateAt = headerBytes + key.length + tokens.length;
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, state.sizeBytes));
    let stateCheck = 0;
    for (let offset = 0; offset < state.sizeBytes; offset += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, state.sizeBytes - offset));
      if (!copy(part, offset)) return false;
      stateCheck = crc32(part, stateCheck);
      await writeFully(file, part, stateAt + offset);
    }
    const header = Buffer.alloc(headerBytes);
    magic.copy(header);
    for (const [index, value] of [formatVersion, key.length, state.tokens.length, state.minPrefixTokens].entries()) {
      header.writeUInt32LE(value, 8 + 4 * index);
    }
    header.writeBigUInt64LE(BigInt(state.sizeBytes), 24);
    header.writeUInt32LE(crc32(tokens), 32);
    header.writeUInt32LE(stateCheck, 36);
    header.writeUInt32LE(headerCheck(header, key), headerCheckAt);
    // Last, so that a file without its end has no beginning either.
    await writeFully(file, Buffer.concat([header, key, tokens]), 0);
    return true;
  } finally {
    await file.close();
  }
}

/**
 * What the file holds, without its state's bytes. Rejects with a DamagedStateError, also where the tokens take more than
 * `mostTokenBytes`, or with the file system's error.
 */
export async function readDescription(path: string, mostTokenBytes: number): Promise<StateDescription> {
  return withFile(path, async (file) => {
    const { description } = await readHead(file, mostTokenBytes);
    return description;
  });
}

/**
 * Fills `into`, which has the state's size, with the state. Rejects as `readDescription`, also where the file holds
 * another state than the expected one; then `into` holds anything.
 */
export async function readState(path: string, expected: StateDescription, into: Uint8Array): Promise<void> {
  await withFile(path, async (file) => {
    const { description, stateAt, stateCheck } = await readHead(file, expected.tokens.byteLength);
    if (!isSame(description, expected)) throw new DamagedStateError("it holds another state than at the start");
    let check = 0;
    for (let offset = 0; offset < into.length; offset += chunkBytes) {
      const part = into.subarray(offset, offset + chunkBytes);
      await readFully(file, part, stateAt + offset);
      check = crc32(part, check);
    }
    if (check !== stateCheck) throw new DamagedStateError("its checksum is wrong");
  });
}

interface Head {
  readonly description: StateDescription;
  readonly stateAt: number;
  readonly stateCheck: number;
}

async function readHead(file: FileHandle, mostTokenBytes: number): Promise<Head> {
  const status = await file.stat();
  if (!status.isFile()) throw new DamagedStateError("it is not a regular file");
  const header = Buffer.alloc(headerBytes);
  await readFully(file, header, 0);
  if (!header.subarray(0, magic.length).equals(magic)) throw new DamagedStateError("it does not begin like a state");
  const version = header.readUInt32LE(8);
  if (version !== formatVersion) throw new DamagedStateError(`it has format ${version}; allowed: ${formatVersion}`);
  const keyBytes = header.readUInt32LE(12);
  const tokenCount = header.readUInt32LE(16);
  const minPrefixTokens = header.readUInt32LE(20);
  const sizeBytes = Number(header.readBigUInt64LE(24));
  const stateAt = headerBytes + keyBytes + 4 * tokenCount;
  // Nothing is allocated by a number that the file's own size does not bear out.
  if (stateAt + sizeBytes !== status.size) throw new DamagedStateError("its size is not what its header says");
  if (keyBytes > longestModelKeyBytes || 4 * tokenCount > mostTokenBytes) {
    throw new DamagedStateError(`a model key of ${keyBytes} bytes and ${tokenCount} tokens are more than allowed`);
  }
  const key = Buffer.alloc(keyBytes);
  await readFully(file, key, headerBytes);
  if (header.readUInt32LE(headerCheckAt) !== headerCheck(header, key)) {
    throw new DamagedStateError("its header's checksum is wrong");
  }
  const tokens = new Int32Array(tokenCount);
  await readFully(file, bytesOf(tokens), headerBytes + keyBytes);
  if (header.readUInt32LE(32) !== crc32(bytesOf(tokens))) throw new DamagedStateError("its tokens' checksum is wrong");
  if (sizeBytes === 0 || minPrefixTokens === 0 || minPrefixTokens > tokenCount) {
    throw new DamagedStateError("its header's numbers contradict each other");
  }
  return {
    description: { modelKey: key.toString(), tokens, minPrefixTokens, sizeBytes },
    stateAt,
    stateCheck: header.readUInt32LE(36),
  };
}

function headerCheck(header: Buffer, key: Buffer): number {
  return crc32(key, crc32(header.subarray(0, headerCheckAt)));
}

function isSame(one: StateDescription, other: StateDescription): boolean {
  return (
    one.modelKey === other.modelKey &&
    one.minPrefixTokens === other.minPrefixTokens &&
    one.sizeBytes === other.sizeBytes &&
    bytesOf(one.tokens).equals(bytesOf(other.tokens))
  );
}

function bytesOf(tokens: Int32Array): Buffer {
  return Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  // A link may lead anywhere, and a pipe would wait for its other end.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function readFully(file: FileHandle, into: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, at + done);
    if (bytesRead === 0) throw new DamagedStateError("it ends too early");
    done += bytesRead;
  }
}

async function writeFully(file: FileHandle, from: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < from.length;) {
    const { bytesWritten } = await file.write(from, done, from.length - done, at + done);
    done += bytesWritten;
  }
}
