// This project's server, as built, on a free port with a configuration and a state folder of its own. May import
// server-process.ts, model-set.ts (types) and src/core.
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mallocEnvironment } from "../../src/core/malloc.ts";
import type { BenchModel } from "../model-set.ts";
import { ServerProcess } from "./server-process.ts";

const mainFile = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

/** What a server shall hold; the same for this project's and for llama-server. */
export interface ServerScenario {
  readonly models: readonly BenchModel[];
  /** Of each slot. */
  readonly contextTokens: number;
  /** Slots of each model. */
  readonly parallel: number;
  /** Models in memory at a time; absent: as many as fit. */
  readonly maxLoaded?: number;
}

export interface ExpertServerOptions extends ServerScenario {
  /** Absent: the default share of the machine's memory. */
  readonly budgetBytes?: number;
}

/** What `GET /admin/events` tells of loads and unloads, as far as it is used here. */
export interface ServerEvent {
  readonly sequence: number;
  /** ISO 8601, to the millisecond. */
  readonly at: string;
  readonly type: string;
  readonly expert_id?: string;
  /** Of an unload: who gets the memory. */
  readonly for_expert_id?: string | null;
  readonly load_ms?: number;
  readonly predicted_bytes?: number;
  readonly measured_bytes?: number;
}

export class ExpertServer {
  readonly #process: ServerProcess;
  readonly #folder: string;
  #lastSequence = 0;

  private constructor(process: ServerProcess, folder: string) {
    this.#process = process;
    this.#folder = folder;
  }

  /** Rejects with the server's last lines where it does not come up. */
  static async start(options: ExpertServerOptions, signal: AbortSignal): Promise<ExpertServer> {
    await access(mainFile).catch(() => {
      throw new Error("dist/main.js is not there: run npm run build first");
    });
    const folder = await mkdtemp(join(tmpdir(), "gguf-experts-bench-"));
    try {
      const config = join(folder, "config.json");
      await writeFile(config, JSON.stringify(configOf(options)));
      const server = await ServerProcess.start(
        {
          name: "the server",
          command: process.execPath,
          args: [mainFile, "serve", "--config", config, "--host", "127.0.0.1", "--port", "0"],
          cwd: folder,
          env: { ...mallocEnvironment, ...process.env, GGUF_EXPERTS_STATE_DIR: join(folder, "state") },
        },
        signal,
      );
      return new ExpertServer(server, folder);
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

  get hasEnded(): boolean {
    return this.#process.hasEnded;
  }

  /** Events since the last call. */
  async newEvents(): Promise<ServerEvent[]> {
    const events: ServerEvent[] = [];
    for (;;) {
      const response = await fetch(`${this.baseUrl}/admin/events?since=${this.#lastSequence}&limit=1000`);
      if (!response.ok) throw new Error(`GET /admin/events answered ${response.status}`);
      const body = (await response.json()) as { events: ServerEvent[] };
      const last = body.events.at(-1);
      if (last === undefined) return events;
      this.#lastSequence = last.sequence;
      events.push(...body.events);
    }
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function configOf({ models, budgetBytes, contextTokens, parallel, maxLoaded }: ExpertServerOptions): object {
  return {
    experts: models.map(({ expertId, path }) => ({
      expert_id: expertId,
      model_path: path,
      max_model_len: contextTokens,
      // Two servers are compared at the same context; under a budget a shorter one is part of what is measured.
      ...(budgetBytes === undefined ? { min_model_len: contextTokens } : {}),
      parallel,
    })),
    lazy_loading: { ram_budget: budgetBytes, max_loaded_experts: maxLoaded },
  };
}
