// llama.cpp's own benchmarks, which know no HTTP and no sampling: the limit of what an engine can reach. May import
// locate.ts and Node.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Peer, peerEnvironment } from "./locate.ts";

export interface DecodeShape {
  readonly modelPath: string;
  readonly threads: number;
  /** Tokens in the cache when decoding begins. */
  readonly depth: number;
  readonly tokens: number;
  readonly streams: number;
}

/** llama-batched-bench writes from another thread, and now and then ends before that has written anything. */
const mostAttempts = 5;

/** Tokens per second of all streams together: by llama-bench for one, by llama-batched-bench for several. */
export async function benchmarkDecode(peer: Peer, shape: DecodeShape, signal: AbortSignal): Promise<number> {
  const { modelPath, threads, depth, tokens, streams } = shape;
  const common = ["-m", modelPath, "-t", String(threads)];
  if (streams === 1) {
    const args = [...common, "-p", "0", "-n", String(tokens), "-d", String(depth), "-r", "1", "-o", "json"];
    return llamaBenchRate(await run(peer, "llama-bench", args, signal));
  }
  const args = [
    common,
    ["-c", String((depth + tokens) * streams), "-npp", String(depth), "-ntg", String(tokens)],
    ["-npl", String(streams), "--output-format", "jsonl"],
  ].flat();
  for (let attempt = 1; ; attempt++) {
    const output = await run(peer, "llama-batched-bench", args, signal);
    if (output.trim() !== "" || attempt === mostAttempts) return batchedBenchRate(output);
  }
}

/** From the output of `llama-bench -o json`. */
export function llamaBenchRate(output: string): number {
  const [test] = JSON.parse(output) as { avg_ts?: number }[];
  if (test?.avg_ts === undefined) throw new Error("llama-bench printed no avg_ts");
  return test.avg_ts;
}

/** From the output of `llama-batched-bench --output-format jsonl`. */
export function batchedBenchRate(output: string): number {
  const line = output.split("\n").find((line) => line.startsWith("{") && line.includes('"speed_tg"'));
  if (line === undefined) throw new Error("llama-batched-bench printed no speed_tg");
  return (JSON.parse(line) as { speed_tg: number }).speed_tg;
}

async function run(peer: Peer, program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const options = { env: peerEnvironment(peer.folder), signal, maxBuffer: 16 * 2 ** 20 };
  const { stdout } = await promisify(execFile)(join(peer.folder, program), [...args], options);
  return stdout;
}
