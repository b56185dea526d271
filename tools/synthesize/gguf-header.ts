// The header of a GGUF file (version 3, little-endian): metadata and the table of tensors. May import
// tensor-types.ts and tensors.ts.
import { rowBytes, tensorFormats } from "./tensor-types.ts";
import type { Tensor } from "./tensors.ts";

/** A metadata value with its GGUF type. */
export type MetadataValue =
  | { readonly type: "uint32" | "float32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "int32s" | "float32s"; readonly value: readonly number[] };

const valueTypes = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

/** Tensors and the data section start at multiples of this many bytes. */
export const alignment = 32;

export function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Bytes of a tensor's data without padding. */
export function tensorBytes(tensor: Tensor): number {
  return rowBytes(tensor.type, tensor.columns) * tensor.rows;
}

/** The header, padded to where the data section starts. */
export function encodeHeader(
  metadata: readonly (readonly [key: string, value: MetadataValue])[],
  tensors: readonly Tensor[],
): Buffer {
  const parts: Buffer[] = [];
  const uint32 = (value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    parts.push(bytes);
  };
  const uint64 = (value: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    parts.push(bytes);
  };
  const string = (text: string): void => {
    const bytes = Buffer.from(text, "utf8");
    uint64(bytes.length);
    parts.push(bytes);
  };
  const array = (elementType: number, length: number): void => {
    uint32(valueTypes.array);
    uint32(elementType);
    uint64(length);
  };

  parts.push(Buffer.from("GGUF"));
  uint32(3);
  uint64(tensors.length);
  uint64(metadata.length);
  for (const [key, entry] of metadata) {
    string(key);
    switch (entry.type) {
      case "uint32":
        uint32(valueTypes.uint32);
        uint32(entry.value);
        break;
      case "float32":
        uint32(valueTypes.float32);
        parts.push(Buffer.from(Float32Array.of(entry.value).buffer));
        break;
      case "bool":
        uint32(valueTypes.bool);
        parts.push(Buffer.from([entry.value ? 1 : 0]));
        break;
      case "string":
        uint32(valueTypes.string);
        string(entry.value);
        break;
      case "strings":
        array(valueTypes.string, entry.value.length);
        for (const text of entry.value) string(text);
        break;
      case "int32s":
        array(valueTypes.int32, entry.value.length);
        parts.push(Buffer.from(Int32Array.from(entry.value).buffer));
        break;
      case "float32s":
        array(valueTypes.float32, entry.value.length);
        parts.push(Buffer.from(Float32Array.from(entry.value).buffer));
        break;
    }
  }
  let offset = 0;
  for (const tensor of tensors) {
    string(tensor.name);
    const dimensions = tensor.isVector ? [tensor.columns] : [tensor.columns, tensor.rows];
    uint32(dimensions.length);
    for (const dimension of dimensions) uint64(dimension);
    uint32(tensorFormats[tensor.type].id);
    uint64(offset);
    offset += aligned(tensorBytes(tensor));
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(Buffer.alloc(aligned(length) - length));
  return Buffer.concat(parts);
}
