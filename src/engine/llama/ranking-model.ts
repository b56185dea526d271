// A loaded reranker: pairs of query and document in, a score for each out. May import node-llama-cpp (types) and its
// neighbours.
import type { ModelFileInfo, RankingModel, Token } from "../engine.ts";
import type { TextReadingParts } from "./embedding-model.ts";
import { PromptRenderer } from "./prompt-renderer.ts";
import { type PairWriter, pairWriter } from "./ranking-pair.ts";
import { TextQueue } from "./text-queue.ts";
import { checkLength, checkTokens } from "./token-check.ts";

export class LlamaRankingModel implements RankingModel {
  readonly kind = "ranking";
  readonly file: ModelFileInfo;
  readonly contextTokens: number;
  readonly residentBytes: number;
  readonly #parts: TextReadingParts;
  readonly #renderer: PromptRenderer;
  readonly #writePair: PairWriter;
  readonly #queue: TextQueue;

  /** Throws where the file does not say how a pair is written. */
  constructor(parts: TextReadingParts & { readonly template: string | null }) {
    this.#parts = parts;
    this.#renderer = new PromptRenderer(parts.model);
    this.#writePair = pairWriter(parts.model, parts.template, this.#renderer);
    this.#queue = new TextQueue(parts);
    this.file = parts.file;
    this.contextTokens = parts.contextTokens;
    this.residentBytes = parts.residentBytes;
  }

  tokenize(text: string, options: { readonly parseSpecial: boolean; readonly addSpecial: boolean }): Token[] {
    return this.#renderer.tokenize(text, options);
  }

  pairTokens(query: string, document: string): Token[] {
    return this.#writePair(query, document);
  }

  async score(pairs: readonly (readonly Token[])[], signal: AbortSignal): Promise<readonly number[]> {
    for (const [index, tokens] of pairs.entries()) {
      const field = `documents[${index}]`;
      checkLength(tokens, this.contextTokens, field);
      checkTokens(tokens, this.#parts.vocabularySize, field);
    }
    // The first value is the score; a head of two classes (yes and no) gives the probability of the first.
    return (await this.#queue.compute(pairs, signal)).map((vector) => vector[0] ?? Number.NaN);
  }

  async dispose(): Promise<void> {
    this.#parts.reader.close();
    await this.#parts.context.dispose();
    await this.#parts.model.dispose();
  }
}
