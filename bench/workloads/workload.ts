// What a workload is, what it gets, and the two sides as fresh processes. May import what stands beside this folder,
// except main.ts, command-line.ts and suite.ts.
import type { Comparison } from "../comparison.ts";
import { engineThreads } from "../engine-threads.ts";
import { Prompts } from "../load/words.ts";
import type { BenchModel } from "../model-set.ts";
import { LlamaServer } from "../peer/llama-server.ts";
import type { Peer } from "../peer/locate.ts";
import { ExpertServer, type ServerScenario } from "../processes/expert-server.ts";
import type { ProgressOutput } from "../progress.ts";

export interface BenchContext {
  /** Pairs of measurements. */
  readonly rounds: number;
  /** Fewer samples in a round. */
  readonly isQuick: boolean;
  /** The file that is measured. */
  readonly model: BenchModel;
  /** The file that takes its place in between; written when it is asked for. */
  readonly otherModel: () => Promise<BenchModel>;
  /** The five experts in their real shapes; written when they are asked for. */
  readonly expertModels: () => Promise<readonly BenchModel[]>;
  readonly peer: () => Promise<Peer>;
  /** Of the engine on both sides, for a file that is not tiny. */
  readonly threads: number;
  readonly onStep: (what: string) => void;
  readonly output: ProgressOutput;
  readonly signal: AbortSignal;
}

export interface Workload {
  readonly name: string;
  /** One line for the help. */
  readonly title: string;
  run(context: BenchContext): Promise<readonly Comparison[]>;
}

export type Side = "ours" | "peer";

export const peerName = "llama-server";

export interface RunningServer {
  readonly baseUrl: string;
  readonly pid: number;
}

/** A fresh process for `use`, ended whatever happens. */
export async function withServer<Result>(
  context: BenchContext,
  side: Side,
  options: ServerScenario,
  use: (server: RunningServer) => Promise<Result>,
): Promise<Result> {
  context.onStep(side === "ours" ? "this project's server" : peerName);
  const server =
    side === "ours" ? await ExpertServer.start(options, context.signal) : await startPeer(context, options);
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

async function startPeer(context: BenchContext, options: ServerScenario): Promise<LlamaServer> {
  const [first] = options.models;
  const threads = first === undefined ? context.threads : await engineThreads(first.path, context.threads);
  return LlamaServer.start(await context.peer(), options, threads, context.signal);
}

/** The same with one model, warmed up. */
export function withWarmServer<Result>(
  context: BenchContext,
  side: Side,
  options: Omit<ServerScenario, "models">,
  use: (server: RunningServer, prompts: Prompts) => Promise<Result>,
): Promise<Result> {
  const { model } = context;
  return withServer(context, side, { ...options, models: [model] }, async (server) =>
    use(server, await Prompts.calibrate(server.baseUrl, model.expertId)),
  );
}

/** Both sides by turns, each time in a fresh process. */
export function sides<Result>(take: (side: Side, round: number) => Promise<Result>) {
  return {
    ours: (round: number) => take("ours", round),
    peer: (round: number) => take("peer", round),
  };
}
