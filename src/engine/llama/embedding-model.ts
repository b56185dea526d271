// A loaded embedding model: one text in, one unit vector out. May import node-llama-cpp (types), compute-turn.ts, engine.ts.
import type { LlamaEmbeddingContext, LlamaModel, Token as NativeToken } from "node-llama-cpp";
import type { EmbeddingModel, ModelFileInfo, Token } from "../engine.ts";
import type { ComputeTurn } from "./compute-turn.ts";
import { PromptRenderer } from "./prompt-renderer.ts";
import { checkTokens } from "./token-check.ts";

export interface LlamaEmbeddingModelParts {
  readonly model: LlamaModel;
  readonly context: LlamaEmbeddingContext;
  readonly file: ModelFileInfo;
  readonly contextTokens: number;
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
  readonly #parts: LlamaEmbeddingModelParts;
  readonly #renderer: PromptRenderer;

  constructor(parts: LlamaEmbeddingModelParts) {
    this.#parts = parts;
    this.#renderer = new PromptRenderer(parts.model);
    this.file = parts.file;
    this.contextTokens = parts.contextTokens;
    this.dimensions = parts.model.embeddingVectorSize;
    this.residentBytes = parts.residentBytes;
  }

  tokenize(text: string, options: { readonly parseSpecial: boolean; readonly addSpecial: boolean }): Token[] {
    return this.#renderer.tokenize(text, options);
  }

  async embed(tokens: readonly Token[], signal: AbortSignal): Promise<Float32Array> {
    signal.throwIfAborted();
    checkTokens(tokens, this.#parts.vocabularySize, "input");
    const embedding = await this.#parts.turn.take(() => this.#parts.context.getEmbeddingFor(tokens as NativeToken[]));
    const vector = Float32Array.from(embedding.vector);
    const norm = Math.hypot(...vector);
    return norm > 0 ? vector.map((value) => value / norm) : vector;
  }

  async dispose(): Promise<void> {
    await this.#parts.context.dispose();
    await this.#parts.model.dispose();
  }
}
