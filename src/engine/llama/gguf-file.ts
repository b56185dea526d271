// Reads a GGUF file's header and checks that the file is whole, before anything maps or loads it: a damaged file must be a
// sentence for the operator, never an assertion in native code. May import node-llama-cpp, engine.ts and core/.
import { GgmlType, type GgufFileInfo, type Llama, readGgufFileInfo } from "node-llama-cpp";
import { messageOf } from "../../core/errors.ts";
import { walkGguf } from "../../core/gguf-walk.ts";
import type { ModelFileInfo } from "../engine.ts";
import { blockLayout } from "./bindings.ts";
import { headerProblem } from "./gguf-sanity.ts";
import type { WeightTensor } from "./repacked-bytes.ts";

export interface GgufFile {
  readonly summary: ModelFileInfo;
  readonly header: GgufFileInfo;
  readonly tensors: readonly WeightTensor[];
}

/** Throws an Error with a one-line reason that names the file. */
export async function readGgufFile(path: string, llama: Llama): Promise<GgufFile> {
  const walked = await walkGguf(path);
  const problem = headerProblem(walked.metadata);
  if (problem !== null) throw new Error(`${path} ${problem}`);
  const { sizeBytes } = walked;
  let header: GgufFileInfo;
  try {
    header = await readGgufFileInfo(path, { sourceType: "filesystem", logWarnings: false });
  } catch (error) {
    throw new Error(`${path} is not a readable GGUF file: ${oneLine(messageOf(error))}`, { cause: error });
  }
  const architecture = header.metadata.general?.architecture;
  if (typeof architecture !== "string")
    throw new Error(`${path} names no model architecture: the file is cut short or no language model`);
  const tensors = checkTensors(path, sizeBytes, header, llama);
  const trainContextTokens = header.architectureMetadata.context_length ?? 0;
  if (!(trainContextTokens > 0)) throw new Error(`${path} gives no context length for architecture ${architecture}`);
  return {
    header,
    tensors,
    summary: {
      path,
      sizeBytes,
      architecture,
      name: header.metadata.general.name ?? null,
      trainContextTokens,
      parameterCount: tensors.reduce((sum, { dimensions }) => sum + elementsOf(dimensions), 0),
      quantization: GgmlType[dominantType(tensors)] ?? "unknown",
      hasChatTemplate: typeof header.metadata.tokenizer?.chat_template === "string",
    },
  };
}

/** Throws when a tensor reaches beyond the end of the file. */
function checkTensors(path: string, sizeBytes: number, header: GgufFileInfo, llama: Llama): WeightTensor[] {
  const tensors = header.fullTensorInfo ?? [];
  if (tensors.length === 0) throw new Error(`${path} holds no tensors`);
  return tensors.map(({ name, dimensions: sizes, ggmlType: type, fileOffset }) => {
    const dimensions = sizes.map(Number);
    const block = blockLayout(llama, type);
    if (block === null) throw new Error(`${path}: tensor ${name} has the unknown type ${type}`);
    const bytes = (elementsOf(dimensions) / block.elements) * block.bytes;
    const end = Number(fileOffset) + bytes;
    if (header.splicedParts === 1 && !(end <= sizeBytes)) {
      throw new Error(
        `${path} is truncated: tensor ${name} ends at byte ${end}, but the file holds ${sizeBytes} bytes`,
      );
    }
    return { name, dimensions, type, bytes };
  });
}

function dominantType(tensors: readonly WeightTensor[]): GgmlType {
  const bytesByType = new Map<GgmlType, number>();
  for (const { type, bytes } of tensors) bytesByType.set(type, (bytesByType.get(type) ?? 0) + bytes);
  return [...bytesByType].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0];
}

function elementsOf(dimensions: readonly number[]): number {
  return dimensions.reduce((product, dimension) => product * dimension, 1);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
