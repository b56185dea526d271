// Reads a GGUF file's header and checks that the file is whole, before anything maps or loads it: a damaged file must be a
// sentence for the operator, never an assertion in native code. May import node-llama-cpp, engine.ts and core/.
import { open } from "node:fs/promises";
import { GgmlType, type GgufFileInfo, type Llama, readGgufFileInfo } from "node-llama-cpp";
import { messageOf } from "../../core/errors.ts";
import type { ModelFileInfo } from "../engine.ts";

export interface GgufFile {
  readonly summary: ModelFileInfo;
  readonly header: GgufFileInfo;
}

/** Throws an Error with a one-line reason that names the file. */
export async function readGgufFile(path: string, llama: Llama): Promise<GgufFile> {
  const sizeBytes = await checkMagic(path);
  let header: GgufFileInfo;
  try {
    header = await readGgufFileInfo(path, { sourceType: "filesystem", logWarnings: false });
  } catch (error) {
    throw new Error(`${path} is not a readable GGUF file: ${oneLine(messageOf(error))}`, { cause: error });
  }
  const architecture = header.metadata.general?.architecture;
  if (typeof architecture !== "string") throw new Error(`${path} names no model architecture`);
  const tensorBytes = checkTensors(path, sizeBytes, header, llama);
  const [dominantType] = [...tensorBytes].sort((left, right) => right[1] - left[1])[0] ?? [0];
  const trainContextTokens = Number(header.architectureMetadata.context_length ?? 0);
  if (!(trainContextTokens > 0)) throw new Error(`${path} gives no context length for architecture ${architecture}`);
  return {
    header,
    summary: {
      path,
      sizeBytes,
      architecture,
      name: header.metadata.general.name ?? null,
      trainContextTokens,
      parameterCount: (header.fullTensorInfo ?? []).reduce((sum, tensor) => sum + elementsOf(tensor.dimensions), 0),
      quantization: GgmlType[dominantType] ?? `type ${dominantType}`,
      hasChatTemplate: typeof header.metadata.tokenizer?.chat_template === "string",
    },
  };
}

async function checkMagic(path: string): Promise<number> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw new Error(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  try {
    const head = Buffer.alloc(24);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    if (bytesRead < head.length) throw new Error(`${path} is not a GGUF file: it holds only ${bytesRead} bytes`);
    if (head.toString("latin1", 0, 4) !== "GGUF") {
      throw new Error(`${path} is not a GGUF file: it starts with ${JSON.stringify(head.toString("latin1", 0, 12))}`);
    }
    const version = head.readUInt32LE(4);
    if (version < 2 || version > 3) throw new Error(`${path} has GGUF version ${version}; 2 and 3 can be read`);
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/** Bytes by tensor type; throws when a tensor reaches beyond the end of the file. */
function checkTensors(path: string, sizeBytes: number, header: GgufFileInfo, llama: Llama): Map<number, number> {
  const bytesByType = new Map<number, number>();
  const bindings = (
    llama as unknown as {
      _bindings: { getBlockSizeForGgmlType(type: number): number; getTypeSizeForGgmlType(type: number): number };
    }
  )._bindings;
  if ((header.fullTensorInfo ?? []).length === 0) throw new Error(`${path} holds no tensors`);
  for (const tensor of header.fullTensorInfo ?? []) {
    const blockElements = bindings.getBlockSizeForGgmlType(tensor.ggmlType);
    const blockBytes = bindings.getTypeSizeForGgmlType(tensor.ggmlType);
    if (!blockElements || !blockBytes) {
      throw new Error(`${path}: tensor ${tensor.name} has the unknown type ${tensor.ggmlType}`);
    }
    const bytes = (elementsOf(tensor.dimensions) / blockElements) * blockBytes;
    bytesByType.set(tensor.ggmlType, (bytesByType.get(tensor.ggmlType) ?? 0) + bytes);
    const end = Number(tensor.fileOffset) + bytes;
    if (header.splicedParts === 1 && !(end <= sizeBytes)) {
      throw new Error(
        `${path} is truncated: tensor ${tensor.name} ends at byte ${end}, but the file holds ${sizeBytes} bytes`,
      );
    }
  }
  return bytesByType;
}

function elementsOf(dimensions: readonly (number | bigint)[]): number {
  return dimensions.reduce<number>((product, dimension) => product * Number(dimension), 1);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
