// llama-server in the scenario that this project's server gets: one model, or router mode where models exclude each other.
// May import locate.ts, processes/ and Node.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerScenario } from "../processes/expert-server.ts";
import { ServerProcess } from "../processes/server-process.ts";
import { type Peer, peerEnvironment } from "./locate.ts";

const healthIntervalMs = 50;

export class LlamaServer {
  readonly #process: ServerProcess;
  readonly #folder: string;

  private constructor(process: ServerProcess, folder: string) {
    this.#process = process;
    this.#folder = folder;
  }

  /** Everything that is not said here is llama-server's default. Rejects with its last lines where it does not come up. */
  static async start(peer: Peer, scenario: ServerScenario, threads: number, signal: AbortSignal): Promise<LlamaServer> {
    const folder = await mkdtemp(join(tmpdir(), "gguf-experts-bench-"));
    try {
      const presets = join(folder, "models.ini");
      await writeFile(presets, presetsOf(scenario));
      const server = await ServerProcess.start(
        {
          name: "llama-server",
          command: join(peer.folder, "llama-server"),
          args: serverArguments(scenario, threads, presets),
          cwd: folder,
          env: { ...peerEnvironment(peer.folder), LLAMA_CACHE: join(folder, "cache") },
        },
        signal,
      );
      const started = new LlamaServer(server, folder);
      await started.#ready(signal);
      return started;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get baseUrl(): string {
    return this.#process.baseUrl;
  }

  get pid(): number {
    return this.#process.pid;
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** It listens before its model is loaded. */
  async #ready(signal: AbortSignal): Promise<void> {
    for (;;) {
      const response = await fetch(`${this.baseUrl}/health`, { signal });
      await response.arrayBuffer();
      if (response.ok) return;
      await new Promise((resolve) => setTimeout(resolve, healthIntervalMs));
    }
  }
}

/** Exported for tests. */
export function serverArguments(
  { models, contextTokens, parallel, maxLoaded }: ServerScenario,
  threads: number,
  presetsFile: string,
): string[] {
  const [first, ...others] = models;
  if (first === undefined) throw new Error("a server without models");
  const isRouter = others.length > 0;
  return [
    isRouter ? ["--models-preset", presetsFile] : ["--model", first.path, "--alias", first.expertId],
    isRouter && maxLoaded !== undefined ? ["--models-max", String(maxLoaded)] : [],
    // llama-server divides its context among the slots.
    ["--ctx-size", String(contextTokens * parallel), "--parallel", String(parallel), "--threads", String(threads)],
    ["--host", "127.0.0.1", "--port", "0", "--no-ui", "--offline"],
  ].flat();
}

function presetsOf({ models }: ServerScenario): string {
  return ["version = 1", ...models.map(({ expertId, path }) => `[${expertId}]\nmodel = ${path}`), ""].join("\n");
}
