// Turns a vocabulary-only GGUF file into one that llama-server loads: the same vocabulary on a llama of one tiny layer.
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { ggufScalarBytes } from "../../src/core/gguf-walk.ts";

const width = 32;
const types = { uint32: 4, float32: 6, string: 8, array: 9 } as const;
export function writeTinyModel(vocabularyFile: string, out: string): void {
  const { entries, tokenCount } = readVocabulary(vocabularyFile);
  const integers = {
    context_length: 4096,
    embedding_length: width,
    block_count: 1,
    feed_forward_length: width,
    "attention.head_count": 1,
    "rope.dimension_count": width,
  };
  entries.push(
    Buffer.concat([string("general.architecture"), uint32(types.string), string("llama")]),
    ...Object.entries(integers).map(([key, value]) =>
      Buffer.concat([string(`llama.${key}`), uint32(types.uint32), uint32(value)]),
    ),
    Buffer.concat([string("llama.attention.layer_norm_rms_epsilon"), uint32(types.float32), float32(1e-5)]),
  );
  const tensors: [string, number[]][] = [
    ["token_embd.weight", [width, tokenCount]],
    ["output_norm.weight", [width]],
    ...["attn_norm", "ffn_norm"].map((name): [string, number[]] => [`blk.0.${name}.weight`, [width]]),
    ...["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map(
      (name): [string, number[]] => [`blk.0.${name}.weight`, [width, width]],
    ),
  ];
  let dataBytes = 0;
  const infos = tensors.map(([name, shape]) => {
    const info = Buffer.concat([
      string(name),
      uint32(shape.length),
      ...shape.map((size) => uint64(size)),
      uint32(0),
      uint64(dataBytes),
    ]);
    dataBytes += shape.reduce((product, size) => product * size, 4);
    return info;
  });
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    uint32(3),
    uint64(tensors.length),
    uint64(entries.length),
    ...entries,
    ...infos,
  ]);
  const file = openSync(out, "w");
  writeSync(file, header);
  // All weights are zero: nothing is generated, only templates and tokens are asked for.
  ftruncateSync(file, Math.ceil(header.length / 32) * 32 + dataBytes);
  closeSync(file);
}

// The key-value pairs as they stand, without the architecture's own.
function readVocabulary(path: string): { entries: Buffer[]; tokenCount: number } {
  const file = readFileSync(path);
  const pairs = Number(file.readBigUInt64LE(16));
  const entries: Buffer[] = [];
  let tokenCount = 0;
  let position = 24;
  const skipString = () => {
    const bytes = Number(file.readBigUInt64LE(position));
    position += 8 + bytes;
    return file.toString("utf8", position - bytes, position);
  };
  const skipValue = (type: number): number => {
    if (type === types.string) skipString();
    else if (type === types.array) {
      const itemType = file.readUInt32LE(position);
      const length = Number(file.readBigUInt64LE(position + 4));
      position += 12;
      for (let index = 0; index < length; index += 1) skipValue(itemType);
      return length;
    } else position += ggufScalarBytes[type] ?? Number.NaN;
    return 1;
  };
  for (let pair = 0; pair < pairs; pair += 1) {
    const start = position;
    const key = skipString();
    const type = file.readUInt32LE(position);
    position += 4;
    const length = skipValue(type);
    if (key === "tokenizer.ggml.tokens") tokenCount = length;
    if (key.startsWith("tokenizer.") || key === "general.name") entries.push(file.subarray(start, position));
  }
  return { entries, tokenCount };
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function uint64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

function float32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return buffer;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint64(bytes.length), bytes]);
}
