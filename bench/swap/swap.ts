// `swap`: experts that do not fit together, asked in turn, while the server's memory is held against its budget.
// May import what stands beside this folder, except main.ts and command-line.ts.
import { formatBytes } from "../../src/core/bytes.ts";
import { type Generation, generate } from "../load/generation.ts";
import type { BenchModel } from "../model-set.ts";
import { ExpertServer, type ServerEvent } from "../processes/expert-server.ts";
import { type MemorySample, MemorySampler, residentBytes } from "../processes/memory-sampler.ts";
import { Progress, type ProgressOutput } from "../progress.ts";
import { type Order, sequenceOf } from "../statistics.ts";

export interface SwapOptions {
  readonly models: readonly BenchModel[];
  readonly budgetBytes: number;
  readonly contextTokens: number;
  readonly order: Order;
  readonly seed: number;
  readonly requests: number;
  readonly concurrency: number;
  readonly promptWords: number;
  readonly maxTokens: number;
}

export interface SwapResult {
  readonly options: SwapOptions;
  /** Of the server before its first load. */
  readonly idleBytes: number;
  readonly seconds: number;
  readonly samples: readonly MemorySample[];
  readonly answers: readonly Generation[];
  readonly events: readonly ServerEvent[];
  readonly serverEnded: boolean;
}

const eventIntervalMs = 500;

export async function runSwap(options: SwapOptions, output: ProgressOutput, signal: AbortSignal): Promise<SwapResult> {
  const server = await ExpertServer.start({ ...options, parallel: 1 }, signal);
  const sampler = new MemorySampler(server.pid);
  const events: ServerEvent[] = [];
  const collect = async () => {
    events.push(...(await server.newEvents().catch(() => [])));
  };
  const timer = setInterval(() => void collect(), eventIntervalMs);
  try {
    const idleBytes = residentBytes(sampler.sample() ?? noSample);
    const startMs = performance.now();
    const answers = await askAll(server, sampler, options, new Progress(output, "swap"), signal);
    const seconds = (performance.now() - startMs) / 1000;
    clearInterval(timer);
    await collect();
    return { options, idleBytes, seconds, samples: sampler.samples, answers, events, serverEnded: server.hasEnded };
  } finally {
    clearInterval(timer);
    sampler.stop();
    await server.stop();
  }
}

const noSample = { atMs: 0, anonymousBytes: 0, modelPageBytes: 0, childBytes: 0 };

async function askAll(
  server: ExpertServer,
  sampler: MemorySampler,
  options: SwapOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Generation[]> {
  const ids = options.models.map(({ expertId }) => expertId);
  const waiting = sequenceOf(ids, options.order, options.requests, options.seed);
  const answers: Generation[] = [];
  const client = async () => {
    for (;;) {
      const expertId = waiting.shift();
      if (expertId === undefined || signal.aborted || server.hasEnded) return;
      const prompt = promptOf(options.promptWords, options.requests - waiting.length);
      const messages = [{ role: "user", content: prompt }] as const;
      answers.push(await generate(server.baseUrl, { expertId, prompt: messages, maxTokens: options.maxTokens }));
      const last = sampler.samples.at(-1) ?? noSample;
      const held = `${formatBytes(residentBytes(last))} of ${formatBytes(options.budgetBytes)}`;
      progress.update(answers.length / options.requests, `${answers.length} of ${options.requests} answers, ${held}`);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, client));
  progress.end();
  return answers;
}

/** Differs from request to request, so that no prompt cache answers it. */
export function promptOf(words: number, index: number): string {
  return Array.from({ length: words }, (_, position) => `word${(index * 31 + position * 7) % 1000}`).join(" ");
}
