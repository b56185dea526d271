// A loaded embedding model: texts in, a unit vector for each out. May import node-llama-cpp (types) and its neighbours.
import type { LlamaContext, LlamaModel } from "node-llama-cpp";
import type { EmbeddingModel, ModelFileInfo, Token } from "../engine.ts";
import type { ComputeTurn } from "./compute-turn.ts";
import { PromptRenderer } from "./prompt-renderer.ts";
import { TextQueue } from "./text-queue.ts";
import type { TextReader } from "./text-reader.ts";
import { checkLength, checkTokens } from "./token-check.ts";

/** What a model that reads whole texts is made of. */
export interface TextReadingParts {
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly reader: TextReader;
  readonly file: ModelFileInfo;
  readonly contextTokens: number;
  readonly batchTokens: number;
  readonly residentBytes: number;
  /** Token ids run from 0 to this, exclusive. */
  readonly vocabularySize: number;
  readonly turn: ComputeTurn;
}

export class LlamaEmbeddingModel implements EmbeddingModel {
  readonly kind = "embedding";
  readonly file: ModelFileInfo;
  readonly contextTokens: number;
  readonly residentBytes: number;
  readonly dimensions: number;
  readonly #parts: TextReadingParts;
  readonly #renderer: PromptRenderer;
  readonly #queue: TextQueue;

  constructor(parts: TextReadingParts) {
    this.#parts = parts;
    this.#renderer = new PromptRenderer(parts.model);
    this.#queue = new TextQueue(parts);
    this.file = parts.file;
    this.contextTokens = parts.contextTokens;
    this.dimensions = parts.reader.width;
    this.residentBytes = parts.residentBytes;
  }

  tokenize(text: string, options: { readonly parseSpecial: boolean; readonly addSpecial: boolean }): Token[] {
    return this.#renderer.tokenize(text, options);
  }

  async embed(inputs: readonly (readonly Token[])[], signal: AbortSignal): Promise<readonly Float32Array[]> {
    for (const [index, tokens] of inputs.entries()) {
      const field = inputs.length === 1 ? "input" : `input[${index}]`;
      checkLength(tokens, this.contextTokens, field);
      checkTokens(tokens, this.#parts.vocabularySize, field);
    }
    return (await this.#queue.compute(inputs, signal)).map(ofLengthOne);
  }

  async dispose(): Promise<void> {
    this.#parts.reader.close();
    await this.#parts.context.dispose();
    await this.#parts.model.dispose();
  }
}

/** A vector of zeros stays one. */
function ofLengthOne(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
  return vector.map((value) => value * scale);
}
