// Decoding with 1, 4 and 8 streams at depth 256: tokens per second while all of them generate, against llama-server and
// against llama.cpp's own benchmarks; for one stream also against what memory can deliver. May import what workload.ts may.
import type { Comparison } from "../comparison.ts";
import { engineThreads } from "../engine-threads.ts";
import { generateWhole } from "../load/generation.ts";
import { decodeRate } from "../load/rates.ts";
import { benchmarkDecode } from "../peer/benchmarks.ts";
import { takeTurns } from "../protocol.ts";
import { measureReadBandwidth } from "../roofline/memory-bandwidth.ts";
import { weightBytesOf } from "../roofline/weight-bytes.ts";
import { type BenchContext, peerName, sides, type Side, withWarmServer, type Workload } from "./workload.ts";

const depth = 256;
const tokens = 128;
const quickTokens = 64;
const samples = 2;

export function decodeWorkload(streams: 1 | 4 | 8, target: number): Workload {
  const what = streams === 1 ? "decode, 1 stream" : `decode, ${streams} streams together`;
  return {
    name: `decode-${streams}`,
    title: `${what}: ${tokens} new tokens at depth ${depth}`,
    async run(context) {
      const modelPath = context.model.path;
      const threads = await engineThreads(modelPath, context.threads);
      const shape = { modelPath, threads, depth, tokens: tokensOf(context), streams };
      const measured = await takeTurns(context.rounds, {
        ...sides((side, round) => decode(context, side, round, streams)),
        engine: async () => {
          context.onStep("llama.cpp's own benchmark");
          return [await benchmarkDecode(await context.peer(), shape, context.signal)];
        },
      });
      const common = { unit: "tokens/s", better: "higher", ours: measured.ours } as const;
      const engine = streams === 1 ? "llama-bench" : "llama-batched-bench";
      return [
        { ...common, title: what, against: peerName, other: measured.peer, target },
        { ...common, title: what, against: engine, other: measured.engine, target: 0.96 },
        ...(streams === 1 ? [await roofline(context, threads, measured.ours)] : []),
      ];
    },
  };
}

function tokensOf({ isQuick }: BenchContext): number {
  return isQuick ? quickTokens : tokens;
}

function decode(context: BenchContext, side: Side, round: number, streams: number): Promise<number[]> {
  const { model, isQuick } = context;
  // Room for a prompt that turns out a little longer.
  const options = { contextTokens: 2 * depth + tokens, parallel: streams };
  return withWarmServer(context, side, options, async ({ baseUrl }, prompts) => {
    const rates: number[] = [];
    const wanted = isQuick ? 1 : samples;
    for (let sample = 0; sample < wanted; sample++) {
      const askAll = (maxTokens: number) =>
        Promise.all(
          Array.from({ length: streams }, (_, stream) => {
            const prompt = prompts.ofTokens(depth, 1 + stream + streams * (sample + wanted * round));
            return generateWhole(baseUrl, { expertId: model.expertId, prompt, maxTokens });
          }),
        );
      // Reading prompts is measured elsewhere: with these read, all streams generate from the start.
      await askAll(1);
      const answers = await askAll(tokensOf(context));
      const rate = decodeRate(answers);
      if (rate !== null) rates.push(rate);
    }
    return rates;
  });
}

/** One token reads every weight once. */
async function roofline(
  context: BenchContext,
  threads: number,
  ratesByRound: readonly (readonly number[])[],
): Promise<Comparison> {
  context.onStep("a plain read of memory");
  const bytes = await weightBytesOf(context.model.path);
  const bandwidth = await measureReadBandwidth(threads);
  return {
    title: "decode, 1 stream: bytes of weights read",
    unit: "bytes/s",
    better: "higher",
    ours: ratesByRound.map((rates) => rates.map((rate) => rate * bytes)),
    against: "plain read of memory",
    other: ratesByRound.map(() => bandwidth),
    target: null,
  };
}
