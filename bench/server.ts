// The built server as a child process under a budget: started on a free port with a configuration of its own, asked over
// HTTP, stopped. May import model-set.ts (types).
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { mallocEnvironment } from "../src/core/malloc.ts";
import type { BenchModel } from "./model-set.ts";

const mainFile = fileURLToPath(new URL("../dist/main.js", import.meta.url));

export interface BenchServerOptions {
  readonly models: readonly BenchModel[];
  readonly budgetBytes: number;
  readonly contextTokens: number;
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

export class BenchServer {
  readonly baseUrl: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #folder: string;
  #lastSequence = 0;

  private constructor(child: ChildProcess, pid: number, baseUrl: string, folder: string) {
    this.#child = child;
    this.pid = pid;
    this.baseUrl = baseUrl;
    this.#folder = folder;
  }

  /** Rejects with the server's last lines where it does not come up. */
  static async start(options: BenchServerOptions): Promise<BenchServer> {
    await access(mainFile).catch(() => {
      throw new Error("dist/main.js is not there: run npm run build first");
    });
    const folder = await mkdtemp(join(tmpdir(), "gguf-experts-bench-"));
    const config = join(folder, "config.json");
    await writeFile(config, JSON.stringify(configOf(options)));
    const child = spawn(
      process.execPath,
      [mainFile, "serve", "--config", config, "--host", "127.0.0.1", "--port", "0"],
      {
        cwd: folder,
        env: { ...mallocEnvironment, ...process.env, GGUF_EXPERTS_STATE_DIR: join(folder, "state") },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const lastLines: string[] = [];
    const url = new Promise<string>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          if (lastLines.push(line) > 20) lastLines.shift();
          const match = /listening on (http:\/\/[^\s"]+)/.exec(line);
          if (match?.[1] !== undefined) resolve(match[1]);
        });
      }
      child.once("close", (code) => reject(new Error(`the server ended with code ${code}:\n${lastLines.join("\n")}`)));
    });
    const baseUrl = await url;
    if (child.pid === undefined) throw new Error("the server has no process id");
    return new BenchServer(child, child.pid, baseUrl, folder);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
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

  /** At once, whatever it is doing; `stop` clears up. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async stop(): Promise<void> {
    if (!this.hasEnded) {
      const closed = once(this.#child, "close");
      this.#child.kill("SIGTERM");
      await closed;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function configOf({ models, budgetBytes, contextTokens }: BenchServerOptions): object {
  return {
    experts: models.map(({ expertId, path }) => ({
      expert_id: expertId,
      model_path: path,
      max_model_len: contextTokens,
    })),
    lazy_loading: { ram_budget: budgetBytes },
  };
}
