// What reads whole texts and gives a vector for each: over the native addon many in one batch, over node-llama-cpp one at a
// time. May import, of its neighbours, types.
import type { Token } from "../engine.ts";
import type { NativeContext } from "./bindings.ts";
import type { NativeEmbedder, NativeExports } from "./native-exports.ts";

/** A text, or a part of one whose beginning the batch before held. */
export interface TextPart {
  /** In the text; above 0 only where the part is alone in its batch. */
  readonly firstPosition: number;
  readonly tokens: readonly Token[];
}

export interface TextReader {
  /** Values of a vector. */
  readonly width: number;
  /** Texts that a batch can hold. */
  readonly texts: number;
  /**
   * The vectors, one after the other; of a part whose text goes on it means nothing. Rejects where llama.cpp refuses the
   * batch, and after `abort`.
   */
  compute(parts: readonly TextPart[]): Promise<Float32Array>;
  /** Breaks the batch under way off, where that can be done. */
  abort(): void;
  /** Nothing may be under way. */
  close(): void;
}

/** Texts in one batch. Each is a sequence, and 256 is the most that llama.cpp takes. */
export const textsInBatch = 64;

export interface TextReaderOptions {
  readonly context: NativeContext;
  readonly batchTokens: number;
  readonly threads: number;
}

export class NativeTextReader implements TextReader {
  readonly width: number;
  readonly texts: number;
  readonly #embedder: NativeEmbedder;

  /** The context was prepared by `prepareForTexts`. Throws where it is not as the addon was built for. */
  constructor(addon: NativeExports, { context, batchTokens, threads }: TextReaderOptions) {
    this.texts = textsAtOnce(batchTokens);
    this.#embedder = new addon.Embedder(context, { batchTokens, sequences: this.texts, threads });
    this.width = this.#embedder.width();
  }

  compute(parts: readonly TextPart[]): Promise<Float32Array> {
    const plan = new Int32Array(parts.reduce((sum, { tokens }) => sum + 2 + tokens.length, 0));
    let at = 0;
    for (const { firstPosition, tokens } of parts) {
      plan[at++] = firstPosition;
      plan[at++] = tokens.length;
      plan.set(tokens, at);
      at += tokens.length;
    }
    return this.#embedder.compute(plan);
  }

  abort(): void {
    this.#embedder.abort();
  }

  close(): void {
    this.#embedder.close();
  }
}

/** Lets all texts of a batch share the context's cells. Call it before the context is opened. */
export function prepareForTexts(addon: NativeExports, context: NativeContext, batchTokens: number): void {
  addon.prepareEmbedding(context, { batchTokens, sequences: textsAtOnce(batchTokens) });
}

function textsAtOnce(batchTokens: number): number {
  return Math.min(textsInBatch, batchTokens);
}

export class PlainTextReader implements TextReader {
  readonly width: number;
  readonly texts = 1;
  readonly #context: NativeContext;

  constructor({ context, width }: { readonly context: NativeContext; readonly width: number }) {
    this.#context = context;
    this.width = width;
  }

  async compute([part]: readonly TextPart[]): Promise<Float32Array> {
    if (part === undefined) throw new Error("the batch is empty");
    const { firstPosition, tokens } = part;
    if (firstPosition === 0) this.#context.disposeSequence(0);
    this.#context.initBatch(tokens.length);
    this.#context.addToBatch(0, firstPosition, Uint32Array.from(tokens), Uint32Array.from(tokens.keys()));
    await this.#context.decodeBatch();
    return Float32Array.from(this.#context.getEmbedding(tokens.length));
  }

  abort(): void {}

  close(): void {}
}
