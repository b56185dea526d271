// What a model will hold in memory, told before it is loaded: llama.cpp lays a model and its context out without taking
// memory and counts them; what it does not count, or counts and never touches, is estimated here.
// May import node-llama-cpp (types), bindings.ts, gguf-file.ts (types) and repacked-bytes.ts.
import type { Llama } from "node-llama-cpp";
import { type ContextOptions, simulateModel, type SimulatedModel } from "./bindings.ts";
import type { GgufFile } from "./gguf-file.ts";
import { mostDrafts } from "./pass-plan.ts";
import { repackedTensors, type WeightTensor } from "./repacked-bytes.ts";

/** Above this share of its weights rewritten, a model is read into memory instead of mapped. */
const largestMappedRepackedShare = 1 / 20;

export interface WeightPlan {
  /** Map the file and share the page cache's pages; else read it. */
  readonly mapped: boolean;
  /** Of the weights that are rewritten for this CPU's instructions. */
  readonly repackedBytes: number;
  readonly largestRepackedBytes: number;
}

/**
 * A rewritten copy stands in anonymous memory. With a mapped file the originals stay resident beside it; a file that is
 * read leaves the copy alone. Where next to nothing is rewritten, mapping loads at once, and under pressure the kernel can
 * take clean pages back.
 */
export function planWeights(tensors: readonly WeightTensor[], systemInfo: string): WeightPlan {
  const sizes = repackedTensors(tensors, systemInfo).map(({ bytes }) => bytes);
  const rewrittenBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
  const totalBytes = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    mapped: rewrittenBytes <= totalBytes * largestMappedRepackedShare,
    repackedBytes: rewrittenBytes,
    largestRepackedBytes: Math.max(0, ...sizes),
  };
}

/** Measured on vocabularies of 32,000 to 262,000 pieces, rounded up: pieces with their hash table, merges with theirs. */
const bytesPerToken = 200;
const bytesPerMerge = 150;
/** Graphs, scheduler and thread stacks of a context. */
const contextOverheadBytes = 16 * 2 ** 20;

/** What llama.cpp's own count leaves out. */
export function uncountedBytes({ vocabulary }: GgufFile): number {
  return contextOverheadBytes + vocabulary.tokens * bytesPerToken + vocabulary.merges * bytesPerMerge;
}

/**
 * Bytes of the compute buffer that no decode touches. llama.cpp lays it out for logits of every token of a batch; here a
 * batch asks for one row of each slot and of each drafted token. Those of drafts count twice: the rows are copied to a
 * buffer that llama.cpp makes only as large as the largest batch so far.
 */
export function untouchedBytes({ tensors, vocabulary }: GgufFile, context: ContextOptions): number {
  // A row of the mixture's experts is not the width of its matrices; embeddings have no logits.
  if (context.embeddings || tensors.some(({ dimensions }) => dimensions.length > 2)) return 0;
  const inLayers = tensors.filter(({ name }) => name.startsWith("blk."));
  const widest = inLayers.reduce((most, { dimensions }) => Math.max(most, ...dimensions), 0);
  const activationBytes = context.batchTokens * 4 * widest * 4;
  const touchedRows = context.slots + 2 * mostDrafts;
  return Math.max(0, (context.batchTokens - touchedRows) * vocabulary.tokens * 4 - activationBytes);
}

const keepSimulationMs = 5000;

/** Answers for one file. Several contexts in a row are counted with one simulated model, which is then let go. */
export class MemoryPrediction {
  readonly #llama: Llama;
  readonly #file: GgufFile;
  readonly #plan: WeightPlan;
  readonly #answers = new Map<string, Promise<number>>();
  #simulation: Promise<SimulatedModel | null> | null = null;
  #users = 0;
  #letGo: NodeJS.Timeout | undefined;

  constructor(llama: Llama, file: GgufFile, plan: WeightPlan) {
    this.#llama = llama;
    this.#file = file;
    this.#plan = plan;
  }

  /** Rejects with an Error of one line where llama.cpp refuses the file. */
  predict(context: ContextOptions): Promise<number> {
    const key = `${context.contextTokens}:${context.slots}:${context.batchTokens}:${context.embeddings}:${context.ranking}`;
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      answer = this.#simulate(context);
      answer.catch(() => this.#answers.delete(key));
      this.#answers.set(key, answer);
    }
    return answer;
  }

  async #simulate(context: ContextOptions): Promise<number> {
    clearTimeout(this.#letGo);
    this.#users += 1;
    try {
      const { mapped } = this.#plan;
      const { insights, summary } = this.#file;
      this.#simulation ??= simulateModel(this.#llama, { path: summary.path, insights, mapped });
      const model = await this.#simulation;
      if (model === null) throw new Error(`${summary.path} cannot be loaded: llama.cpp refuses it`);
      return this.#weightBytes(model) + (await this.#contextBytes(model, context)) + uncountedBytes(this.#file);
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#letGo = setTimeout(() => void this.dispose(), keepSimulationMs).unref();
    }
  }

  #weightBytes(model: SimulatedModel): number {
    return model.weightBytes() + (this.#plan.mapped ? this.#plan.repackedBytes : 0);
  }

  async #contextBytes(model: SimulatedModel, context: ContextOptions): Promise<number> {
    const contextBytes = (await model.contextBytes(context)) - untouchedBytes(this.#file, context);
    // While a tensor is read to be rewritten it stands beside its copy; the context is not there yet.
    return this.#plan.mapped ? contextBytes : Math.max(contextBytes, this.#plan.largestRepackedBytes);
  }

  /** Frees the simulated model; a later prediction makes another. */
  async dispose(): Promise<void> {
    clearTimeout(this.#letGo);
    const simulation = this.#simulation;
    this.#simulation = null;
    await (await simulation?.catch(() => null))?.dispose();
  }
}
