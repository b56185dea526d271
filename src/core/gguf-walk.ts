// Walks a GGUF header without keeping what it passes: every count and length is held against the bytes that are left, so
// that a damaged or hostile file is refused in a sentence instead of filling the memory. In core/ because the downloader
// and the engine both look before they trust a file. May import words.ts.
import { type FileHandle, open } from "node:fs/promises";
import { asOneLine } from "./words.ts";

export type GgufScalar = number | bigint | string | boolean;

export interface GgufHeader {
  readonly sizeBytes: number;
  /** Arrays as their length alone. */
  readonly metadata: ReadonlyMap<string, GgufScalar | { readonly length: number }>;
  readonly tensors: readonly GgufTensor[];
  /** Where the tensors' bytes begin. */
  readonly dataOffset: number;
}

export interface GgufTensor {
  readonly name: string;
  /** Innermost first. */
  readonly dimensions: readonly number[];
  /** ggml's number for the type. */
  readonly type: number;
  /** From `dataOffset`. */
  readonly offset: number;
}

/** Bytes of a metadata value, by GGUF's number for its type; absent for strings and arrays. */
export const ggufScalarBytes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const stringType = 8;
const arrayType = 9;
const longestKeptBytes = 8 * 2 ** 20;
const longestNameBytes = 2 ** 16;
const largestDimensions = 4;
/** Each is looked at one by one; the largest vocabularies have some 300,000 pieces and twice as many merges. */
const mostKeys = 2 ** 16;
const mostTensors = 2 ** 17;
const mostTexts = 2 ** 21;

/** Throws an Error of one line that names the file and what is wrong with it. */
export async function walkGguf(path: string): Promise<GgufHeader> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw new Error(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  });
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new Error(`${path} is not a file`);
    return await new Walker(path, file, status.size).walk();
  } finally {
    await file.close();
  }
}

class Walker {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #sizeBytes: number;
  #window = Buffer.alloc(0);
  #windowStart = 0;
  #position = 0;

  constructor(path: string, file: FileHandle, sizeBytes: number) {
    this.#path = path;
    this.#file = file;
    this.#sizeBytes = sizeBytes;
  }

  async walk(): Promise<GgufHeader> {
    if (this.#sizeBytes < 24) this.#refuse(`is not a GGUF file: it holds only ${this.#sizeBytes} bytes`);
    const start = (await this.#take(12, "the beginning")).toString("latin1");
    if (!start.startsWith("GGUF")) this.#refuse(`is not a GGUF file: it starts with ${JSON.stringify(start)}`);
    this.#position = 4;
    const version = await this.#uint32("the version");
    if (version < 2 || version > 3) this.#refuse(`has GGUF version ${version}; 2 and 3 can be read`);
    const tensorCount = await this.#count("tensors", 24, mostTensors);
    const keyCount = await this.#count("keys", 13, mostKeys);
    const metadata = new Map<string, GgufScalar | { readonly length: number }>();
    for (let index = 0; index < keyCount; index++) {
      const key = await this.#text("the name of a key", longestNameBytes);
      metadata.set(key, await this.#value(await this.#uint32(key), key, 0));
    }
    const tensors: GgufTensor[] = [];
    for (let index = 0; index < tensorCount; index++) tensors.push(await this.#tensor());
    const alignment = Number(metadata.get("general.alignment") ?? 32);
    if (!(alignment >= 1 && alignment <= 2 ** 20)) this.#refuse(`gives ${alignment} for general.alignment`);
    return {
      sizeBytes: this.#sizeBytes,
      metadata,
      tensors,
      dataOffset: Math.ceil(this.#position / alignment) * alignment,
    };
  }

  async #tensor(): Promise<GgufTensor> {
    const name = await this.#text("the name of a tensor", longestNameBytes);
    const rank = await this.#uint32(name);
    if (rank < 1 || rank > largestDimensions) this.#refuse(`gives tensor ${name} ${rank} dimensions`);
    const dimensions: number[] = [];
    for (let index = 0; index < rank; index++) dimensions.push(Number(await this.#uint64(name)));
    const type = await this.#uint32(name);
    return { name, dimensions, type, offset: Number(await this.#uint64(name)) };
  }

  async #value(type: number, key: string, depth: number): Promise<GgufScalar | { readonly length: number }> {
    if (type === stringType) return this.#text(key);
    if (type === arrayType) {
      if (depth > 4) this.#refuse(`nests the arrays of ${key} too deeply`);
      const elementType = await this.#uint32(key);
      const elementBytes = ggufScalarBytes[elementType] ?? 8;
      const most = ggufScalarBytes[elementType] === undefined ? mostTexts : Number.POSITIVE_INFINITY;
      const length = await this.#count(`elements in ${key}`, elementBytes, most);
      if (ggufScalarBytes[elementType] !== undefined) this.#skip(length * elementBytes, key);
      else if (elementType === stringType) for (let index = 0; index < length; index++) await this.#skipText(key);
      else for (let index = 0; index < length; index++) await this.#value(elementType, key, depth + 1);
      return { length };
    }
    const bytes = ggufScalarBytes[type];
    if (bytes === undefined) return this.#refuse(`gives ${key} the unknown type ${type}`);
    return readScalar(await this.#take(bytes, key), type);
  }

  /** A number of things that take at least `leastBytes` each; refused where the file cannot hold them, or beyond `most`. */
  async #count(what: string, leastBytes: number, most = Number.POSITIVE_INFINITY): Promise<number> {
    const count = await this.#uint64(what);
    if (count > BigInt(Math.floor((this.#sizeBytes - this.#position) / leastBytes))) {
      this.#refuse(`announces ${count} ${what}, more than its ${this.#sizeBytes} bytes can hold`);
    }
    if (Number(count) > most) this.#refuse(`announces ${count} ${what}; allowed: ${most}`);
    return Number(count);
  }

  async #text(what: string, mostBytes = longestKeptBytes): Promise<string> {
    const length = await this.#count(`bytes in ${what}`, 1, mostBytes);
    return (await this.#take(length, what)).toString("utf8");
  }

  async #skipText(what: string): Promise<void> {
    this.#skip(await this.#count(`bytes in ${what}`, 1), what);
  }

  async #uint32(what: string): Promise<number> {
    return (await this.#take(4, what)).readUInt32LE();
  }

  async #uint64(what: string): Promise<bigint> {
    return (await this.#take(8, what)).readBigUInt64LE();
  }

  #skip(bytes: number, what: string): void {
    if (this.#position + bytes > this.#sizeBytes) this.#refuse(`is cut short in ${what}`);
    this.#position += bytes;
  }

  async #take(bytes: number, what: string): Promise<Buffer> {
    const start = this.#position;
    this.#skip(bytes, what);
    const inWindow = start - this.#windowStart;
    if (inWindow < 0 || inWindow + bytes > this.#window.length) {
      const window = Buffer.alloc(Math.max(bytes, Math.min(2 ** 18, this.#sizeBytes - start)));
      const { bytesRead } = await this.#file.read(window, 0, window.length, start);
      if (bytesRead < bytes) this.#refuse(`is cut short in ${what}`);
      this.#window = window.subarray(0, bytesRead);
      this.#windowStart = start;
      return this.#window.subarray(0, bytes);
    }
    return this.#window.subarray(inWindow, inWindow + bytes);
  }

  #refuse(reason: string): never {
    throw new Error(`${this.#path} ${asOneLine(reason)}`);
  }
}

function readScalar(bytes: Buffer, type: number): GgufScalar {
  switch (type) {
    case 0:
      return bytes.readUInt8();
    case 1:
      return bytes.readInt8();
    case 2:
      return bytes.readUInt16LE();
    case 3:
      return bytes.readInt16LE();
    case 4:
      return bytes.readUInt32LE();
    case 5:
      return bytes.readInt32LE();
    case 6:
      return bytes.readFloatLE();
    case 7:
      return bytes.readUInt8() !== 0;
    case 10:
      return bytes.readBigUInt64LE();
    case 11:
      return bytes.readBigInt64LE();
    default:
      return bytes.readDoubleLE();
  }
}
