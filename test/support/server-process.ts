// Starts the built server as users do, in its own process, and talks to it over its real socket.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const repositoryRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const mainFile = path.join(repositoryRoot, "dist/main.js");

export interface RunningServer {
  readonly baseUrl: string;
  readonly process: ChildProcess;
  /** Everything printed so far, standard output and standard error. */
  output(): string;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface ServerOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Serves on a free port; rejects with the output when the process ends instead. */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const child = spawn(process.execPath, [mainFile, "serve", "--port", "0", ...(options.args ?? [])], {
    cwd: options.cwd ?? repositoryRoot,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  let listening!: (url: string) => void;
  const url = new Promise<string>((resolve) => (listening = resolve));
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      const match = /listening on (http:\/\/[^\s"]+)/.exec(line);
      if (match?.[1] !== undefined) listening(match[1]);
    });
  }
  const exited = once(child, "close").then(() => {
    throw new Error(`the server ended with code ${child.exitCode}:\n${lines.join("\n")}`);
  });
  exited.catch(() => {});
  const baseUrl = await Promise.race([url, exited]);
  return {
    baseUrl,
    process: child,
    output: () => lines.join("\n"),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const closed = once(child, "close");
        child.kill("SIGTERM");
        await closed;
      }
      return child.exitCode;
    },
  };
}

/** Runs a command of the built program to its end. */
export async function runCommand(
  args: readonly string[],
  options: ServerOptions & { readonly input?: string } = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [mainFile, ...args], {
    cwd: options.cwd ?? repositoryRoot,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.end(options.input ?? "");
  await once(child, "close");
  return { code: child.exitCode, stdout, stderr };
}
