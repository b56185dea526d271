// A server as a child process: started, waited for until it listens, stopped or killed. Imports only Node.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export interface ServerCommand {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

const keptLines = 20;
const stopTimeoutMs = 20_000;

export class ServerProcess {
  readonly baseUrl: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #forget: () => void;

  private constructor(child: ChildProcess, pid: number, baseUrl: string, forget: () => void) {
    this.#child = child;
    this.pid = pid;
    this.baseUrl = baseUrl;
    this.#forget = forget;
  }

  /**
   * Resolves when the server has written `listening on http://…`; rejects with its last lines where it ends before. An
   * abort kills it, now or later.
   */
  static async start({ name, command, args, cwd, env }: ServerCommand, signal: AbortSignal): Promise<ServerProcess> {
    signal.throwIfAborted();
    const child = spawn(command, [...args], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const kill = () => child.kill("SIGKILL");
    signal.addEventListener("abort", kill, { once: true });
    const forget = () => signal.removeEventListener("abort", kill);
    const lastLines: string[] = [];
    const url = new Promise<string>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          if (lastLines.push(line) > keptLines) lastLines.shift();
          const match = /listening on (http:\/\/[^\s"]+)/.exec(line);
          if (match?.[1] !== undefined) resolve(match[1]);
        });
      }
      child.once("error", (error) => reject(new Error(`${name} did not start: ${error.message}`)));
      child.once("close", (code, by) =>
        reject(new Error(`${name} ended with ${by ?? `code ${code}`}:\n${lastLines.join("\n")}`)),
      );
    });
    try {
      const baseUrl = await url;
      if (child.pid === undefined) throw new Error(`${name} has no process id`);
      return new ServerProcess(child, child.pid, baseUrl, forget);
    } catch (error) {
      forget();
      throw error;
    }
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** SIGTERM, and SIGKILL where that does not help. */
  async stop(): Promise<void> {
    this.#forget();
    if (this.hasEnded) return;
    const closed = once(this.#child, "close");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopTimeoutMs);
    await closed;
    clearTimeout(timer);
  }
}
