// A GGUF file taken apart and put together again byte for byte, so that tests can change one thing in it and have the rest
// fit. Trusts its input: it is for files of our own. May import src/core.
import { ggufScalarBytes } from "../../src/core/gguf-walk.ts";

export const valueTypes = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
} as const;

export interface GgufEntry {
  key: Buffer;
  type: number;
  /** As in the file, behind the type. */
  value: Buffer;
}

export interface GgufTensorEntry {
  name: Buffer;
  dimensions: bigint[];
  type: number;
  offset: bigint;
}

export interface GgufParts {
  magic: Buffer;
  version: number;
  /** Null: as many as there are. */
  tensorCount: bigint | null;
  keyCount: bigint | null;
  entries: GgufEntry[];
  tensors: GgufTensorEntry[];
  /** What the tensors' data begin at a multiple of. */
  alignment: number;
  data: Buffer;
}

export function takeApart(file: Buffer): GgufParts {
  let position = 24;
  const take = (bytes: number) => file.subarray(position, (position += bytes));
  const takeText = () => take(Number(take(8).readBigUInt64LE()));
  const skipValue = (type: number): void => {
    if (type === valueTypes.string) takeText();
    else if (type === valueTypes.array) {
      const elementType = take(4).readUInt32LE();
      const length = Number(take(8).readBigUInt64LE());
      for (let index = 0; index < length; index++) skipValue(elementType);
    } else take(ggufScalarBytes[type] ?? Number.NaN);
  };
  const entries = Array.from({ length: Number(file.readBigUInt64LE(16)) }, (): GgufEntry => {
    const key = Buffer.from(takeText());
    const type = take(4).readUInt32LE();
    const start = position;
    skipValue(type);
    return { key, type, value: Buffer.from(file.subarray(start, position)) };
  });
  const tensors = Array.from({ length: Number(file.readBigUInt64LE(8)) }, (): GgufTensorEntry => {
    const name = Buffer.from(takeText());
    const rank = take(4).readUInt32LE();
    const dimensions = Array.from({ length: rank }, () => take(8).readBigUInt64LE());
    return { name, dimensions, type: take(4).readUInt32LE(), offset: take(8).readBigUInt64LE() };
  });
  const dataOffset = Math.ceil(position / 32) * 32;
  return {
    magic: Buffer.from("GGUF"),
    version: 3,
    tensorCount: null,
    keyCount: null,
    entries,
    tensors,
    alignment: 32,
    data: Buffer.from(file.subarray(dataOffset)),
  };
}

/** The bytes before the tensors' data, padded. */
export function headerOf(parts: GgufParts): Buffer {
  const header = Buffer.concat([
    parts.magic,
    uint32(parts.version),
    uint64(parts.tensorCount ?? BigInt(parts.tensors.length)),
    uint64(parts.keyCount ?? BigInt(parts.entries.length)),
    ...parts.entries.flatMap(({ key, type, value }) => [uint64(BigInt(key.length)), key, uint32(type), value]),
    ...parts.tensors.flatMap(({ name, dimensions, type, offset }) => [
      uint64(BigInt(name.length)),
      name,
      uint32(dimensions.length),
      ...dimensions.map(uint64),
      uint32(type),
      uint64(offset),
    ]),
  ]);
  const padding = (parts.alignment - (header.length % parts.alignment)) % parts.alignment;
  return Buffer.concat([header, Buffer.alloc(padding)]);
}

export function putTogether(parts: GgufParts): Buffer {
  return Buffer.concat([headerOf(parts), parts.data]);
}

export function entryOf(parts: GgufParts, key: string): GgufEntry {
  const entry = parts.entries.find((other) => other.key.toString() === key);
  if (entry === undefined) throw new Error(`no key ${key}`);
  return entry;
}

/** Replaces the value of a key, or adds it. */
export function setEntry(parts: GgufParts, key: string, type: number, value: Buffer): void {
  const entry = parts.entries.find((other) => other.key.toString() === key);
  if (entry === undefined) parts.entries.push({ key: Buffer.from(key), type, value });
  else Object.assign(entry, { type, value });
}

export function tensorOf(parts: GgufParts, name: string): GgufTensorEntry {
  const tensor = parts.tensors.find((other) => other.name.toString() === name);
  if (tensor === undefined) throw new Error(`no tensor ${name}`);
  return tensor;
}

/** Its bytes, to be changed in place: up to where the next tensor begins. */
export function tensorData(parts: GgufParts, name: string): Buffer {
  const { offset } = tensorOf(parts, name);
  const next = parts.tensors.map((other) => other.offset).filter((other) => other > offset);
  const end =
    next.length === 0 ? parts.data.length : Number(next.reduce((least, other) => (other < least ? other : least)));
  return parts.data.subarray(Number(offset), end);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

export function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

export function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([uint64(BigInt(bytes.length)), bytes]);
}

export function arrayOf(elementType: number, elements: readonly Buffer[], length = elements.length): Buffer {
  return Buffer.concat([uint32(elementType), uint64(BigInt(length)), ...elements]);
}
