// How long passes take with a given number of threads: the work of a calibration, without prompts, streams and slots.
// May import decoder.ts (types), sampling.ts and engine.ts (types).
import type { MeasuredTime, MeasuredWork, Token } from "../engine.ts";
import type { Decoder } from "./decoder.ts";
import { samplerSettings } from "./sampling.ts";

export interface MeasuredPasses extends MeasuredWork {
  /** Empty. */
  readonly sequenceId: number;
  /** What is decoded. */
  readonly token: Token;
}

/** A prompt is read in chunks of so many tokens. */
const chunkTokens = 128;

export async function measurePasses(
  decoder: Decoder,
  { kind, threads, tokens, sequenceId, token }: MeasuredPasses,
): Promise<MeasuredTime> {
  // Without one the output layer would not be computed: of a small model that is a quarter of the work.
  const settings = samplerSettings({ temperature: 0 }, () => 0);
  const sampler = decoder.createSampler({
    settings,
    prompt: [],
    grammar: null,
    preservedTokens: [],
    topLogprobs: null,
  });
  const largest = kind === "decode" ? 1 : chunkTokens;
  try {
    const startMs = performance.now();
    const startCpu = process.cpuUsage();
    for (let position = 0; position < tokens; position += largest) {
      const chunk = Array<Token>(Math.min(largest, tokens - position)).fill(token);
      await decoder.decode([{ sequenceId, firstPosition: position, tokens: chunk, drafts: 0, sampler }], {
        threads,
        passes: 1,
      });
    }
    const { user, system } = process.cpuUsage(startCpu);
    return { elapsedMs: performance.now() - startMs, cpuMs: (user + system) / 1000 };
  } finally {
    sampler.dispose();
  }
}
