// `swap`: experts that do not fit together, asked in turn, while the server's memory is held against its budget.
// May import its neighbours except main.ts, command-line.ts and the reports.
import { formatBytes } from "../src/core/bytes.ts";
import { type Answer, ask } from "./client.ts";
import { type MemorySample, MemorySampler, residentBytes } from "./memory-sampler.ts";
import type { BenchModel } from "./model-set.ts";
import { Progress, type ProgressOutput } from "./progress.ts";
import { BenchServer, type ServerEvent } from "./server.ts";
import { type Order, sequenceOf } from "./statistics.ts";

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
  readonly answers: readonly Answer[];
  readonly events: readonly ServerEvent[];
  readonly serverEnded: boolean;
}

const eventIntervalMs = 500;

export async function runSwap(options: SwapOptions, output: ProgressOutput, signal: AbortSignal): Promise<SwapResult> {
  const server = await BenchServer.start(options);
  const sampler = new MemorySampler(server.pid);
  const stop = () => server.kill();
  signal.addEventListener("abort", stop, { once: true });
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
    signal.removeEventListener("abort", stop);
    await server.stop();
  }
}

const noSample = { atMs: 0, anonymousBytes: 0, modelPageBytes: 0, childBytes: 0 };

async function askAll(
  server: BenchServer,
  sampler: MemorySampler,
  options: SwapOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Answer[]> {
  const ids = options.models.map(({ expertId }) => expertId);
  const waiting = sequenceOf(ids, options.order, options.requests, options.seed);
  const answers: Answer[] = [];
  const client = async () => {
    for (;;) {
      const expertId = waiting.shift();
      if (expertId === undefined || signal.aborted || server.hasEnded) return;
      const prompt = promptOf(options.promptWords, options.requests - waiting.length);
      answers.push(await ask(server.baseUrl, { expertId, prompt, maxTokens: options.maxTokens }));
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
