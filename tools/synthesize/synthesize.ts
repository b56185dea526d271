// Writes a model file: header first, then tensor after tensor in chunks, into a temporary file that is renamed at the
// end. May import every other file of this folder except main.ts.
import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm, stat, statfs, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { tokenTypes } from "./families.ts";
import { aligned, encodeHeader, tensorBytes } from "./gguf-header.ts";
import { metadataOf } from "./metadata.ts";
import { presets, type ModelShape, type PresetName } from "./presets.ts";
import { RandomStream } from "./random.ts";
import { stableWeights, type StableWeights } from "./stable.ts";
import { encodeRow, fillRandomBlocks, rowBytes } from "./tensor-types.ts";
import { specialTokenScale, tensorsOf, type Quantisation, type Tensor } from "./tensors.ts";
import { buildVocabulary, type Vocabulary } from "./vocabulary.ts";

export interface SynthesisOptions {
  readonly like: PresetName;
  readonly quant: Quantisation;
  /** Path of the file; an existing one is replaced. */
  readonly out: string;
  /** Any whole number: equal seeds give equal bytes. */
  readonly seed: number;
  /** Weights whose best token wins by a wide margin; tiny presets with a head only. */
  readonly stable: boolean;
  readonly onProgress?: (writtenBytes: number, totalBytes: number) => void;
  /** Stops between two chunks; nothing is left behind. */
  readonly signal?: AbortSignal;
}

/** A reason to stop that the user can act on. */
export class SynthesisError extends Error {}

const chunkBytes = 4 * 2 ** 20;

/** Whether `stable` weights exist for a preset. */
export function hasStableWeights(like: PresetName): boolean {
  const shape: ModelShape = presets[like];
  return like.startsWith("tiny-") && shape.pooling === undefined;
}

/** Returns the size of the file in bytes. Throws SynthesisError for what the user can mend. */
export async function synthesize(options: SynthesisOptions): Promise<number> {
  const { like, quant, out, seed, stable } = options;
  if (stable && !hasStableWeights(like)) {
    throw new SynthesisError(`stable weights exist for the tiny text presets only, not for ${like}`);
  }
  const shape: ModelShape = presets[like];
  const vocabulary = await buildVocabulary(shape);
  const tensors = tensorsOf(shape, quant);
  const header = encodeHeader(metadataOf(shape, vocabulary, quant, seed, stable), tensors);
  const totalBytes = tensors.reduce((sum, tensor) => sum + aligned(tensorBytes(tensor)), header.length);

  const temporary = join(dirname(out), `.${basename(out)}.${randomUUID()}.part`);
  await prepare(out, totalBytes);
  const file = await explain(out, () => open(temporary, "wx"));
  try {
    try {
      let writtenBytes = await write(file, header);
      const weights = stable ? stableWeights(shape, vocabulary, seed) : undefined;
      for (const tensor of tensors) {
        for (const chunk of tensorData(tensor, seed, vocabulary, weights)) {
          options.signal?.throwIfAborted();
          writtenBytes += await explain(out, () => write(file, chunk));
          options.onProgress?.(writtenBytes, totalBytes);
        }
      }
    } finally {
      await file.close();
    }
    await explain(out, () => rename(temporary, out));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return totalBytes;
}

/** Checks that `out` can be a file of that size, before anything is written. */
async function prepare(out: string, totalBytes: number): Promise<void> {
  const folder = dirname(out);
  const existing = await stat(out).catch(() => undefined);
  if (existing?.isDirectory() === true) throw new SynthesisError(`${out} is a folder; give the path of a file`);
  await explain(out, () => mkdir(folder, { recursive: true }));
  const { bavail, bsize } = await explain(out, () => statfs(folder));
  if (bavail * bsize < totalBytes) {
    throw new SynthesisError(`${out} needs ${totalBytes} bytes; only ${bavail * bsize} are free in ${folder}`);
  }
}

/** Runs a file operation; its failure becomes one line that names the file asked for. */
async function explain<T>(out: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw new SynthesisError(`cannot write ${out}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** FileHandle.write may write less than it was given. */
async function write(file: FileHandle, bytes: Uint8Array): Promise<number> {
  let at = 0;
  while (at < bytes.byteLength) at += (await file.write(bytes, at)).bytesWritten;
  return at;
}

/** A tensor's data in chunks of whole rows, the last one padded. A chunk is valid until the next one is asked for. */
function* tensorData(
  tensor: Tensor,
  seed: number,
  vocabulary: Vocabulary,
  stable: StableWeights | undefined,
): Generator<Uint8Array> {
  const random = new RandomStream(`${seed}:${tensor.name}`);
  const bytesPerRow = rowBytes(tensor.type, tensor.columns);
  const rowsPerChunk = Math.max(1, Math.floor(chunkBytes / bytesPerRow));
  const buffer = new Uint8Array(aligned(Math.min(rowsPerChunk, tensor.rows) * bytesPerRow));
  for (let firstRow = 0; firstRow < tensor.rows; firstRow += rowsPerChunk) {
    const rows = Math.min(rowsPerChunk, tensor.rows - firstRow);
    const data = buffer.subarray(0, rows * bytesPerRow);
    if (stable === undefined && tensor.fill.kind === "random") {
      fillRandomBlocks(tensor.type, data, tensor.fill.sigma, random);
      if (tensor.rowsAreTokens) dampSpecialTokens(tensor, data, firstRow, rows, vocabulary, random);
    } else {
      const values = new Float32Array(tensor.columns);
      for (let row = 0; row < rows; row += 1) {
        fillRow(tensor, firstRow + row, values, random, stable);
        encodeRow(tensor.type, values, data, row * bytesPerRow);
      }
    }
    const isLast = firstRow + rows === tensor.rows;
    const length = isLast ? aligned(data.length + firstRow * bytesPerRow) - firstRow * bytesPerRow : data.length;
    buffer.fill(0, data.length, length);
    yield buffer.subarray(0, length);
  }
}

function fillRow(
  tensor: Tensor,
  row: number,
  values: Float32Array,
  random: RandomStream,
  stable: StableWeights | undefined,
): void {
  const { name, fill } = tensor;
  switch (fill.kind) {
    case "constant":
      values.fill(stable?.constantOf(name) ?? fill.value);
      break;
    case "listed":
      values.set(fill.values);
      break;
    case "random": {
      const sigma = stable?.noiseSigma(name, fill.sigma) ?? fill.sigma;
      random.fillNormal(values);
      for (let index = 0; index < values.length; index += 1) values[index] = (values[index] ?? 0) * sigma;
      stable?.editRow(name, row, values);
      break;
    }
  }
}

/** Rewrites the rows of special tokens with smaller values: they never have the greatest logit. */
function dampSpecialTokens(
  tensor: Tensor,
  data: Uint8Array,
  firstRow: number,
  rows: number,
  vocabulary: Vocabulary,
  random: RandomStream,
): void {
  if (tensor.fill.kind !== "random") return;
  const bytesPerRow = rowBytes(tensor.type, tensor.columns);
  const scratch = new Uint8Array(bytesPerRow);
  for (let row = 0; row < rows; row += 1) {
    if (vocabulary.types[firstRow + row] === tokenTypes.normal) continue;
    fillRandomBlocks(tensor.type, scratch, tensor.fill.sigma * specialTokenScale, random);
    data.set(scratch, row * bytesPerRow);
  }
}

/** The number of values in all tensors. */
export function countParameters(shape: ModelShape): number {
  return tensorsOf(shape, "f16").reduce((sum, { columns, rows }) => sum + columns * rows, 0);
}

/** Bytes of the weights of a preset in a quantisation; the vocabulary adds up to 12 MB. */
export function weightBytes(shape: ModelShape, quant: Quantisation): number {
  return tensorsOf(shape, quant).reduce((sum, tensor) => sum + aligned(tensorBytes(tensor)), 0);
}
