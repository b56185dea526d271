// Starts the built server as users do, in its own process, and talks to it over its real socket.
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const repositoryRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
/** What is learnt of model files stays in the checkout, not in the developer's home. */
const ownState = { GGUF_EXPERTS_STATE_DIR: path.join(repositoryRoot, ".cache/test-state") };
const mainFile = path.join(repositoryRoot, "dist/main.js");

export interface RunningServer {
  readonly baseUrl: string;
  readonly process: ChildProcess;
  /** Everything printed so far, standard output and standard error. */
  output(): string;
  /** The nth line that matches, as soon as it is printed; rejects when the server ends without it. */
  line(pattern: RegExp, nth?: number): Promise<string>;
  /** Resolves with the exit code when the server and all that share its output have ended. */
  readonly ended: Promise<number | null>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface ServerOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A command that starts the server's command line, which it is given as further arguments. Default: none. */
  readonly launcher?: readonly string[];
}

/** Serves on a free port; rejects with the output when the process ends instead. */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const serving = [process.execPath, mainFile, "serve", "--port", "0", ...(options.args ?? [])];
  const [program = "", ...args] = [...(options.launcher ?? []), ...serving];
  const child = spawn(program, args, {
    cwd: options.cwd ?? repositoryRoot,
    env: { ...process.env, ...ownState, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const server = watch(child);
  const [, baseUrl = ""] = /listening on (http:\/\/[^\s"]+)/.exec(await server.line(/listening on http/)) ?? [];
  return { ...server, baseUrl };
}

/** What a started program prints, and its end. */
export function watch(child: ChildProcess): Omit<RunningServer, "baseUrl"> {
  const lines: string[] = [];
  const printed = new EventEmitter().setMaxListeners(0);
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      printed.emit("line");
    });
  }
  const ended = once(child, "close").then(() => child.exitCode);
  return {
    process: child,
    output: () => lines.join("\n"),
    line: async (pattern, nth = 1) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.filter((line) => pattern.test(line))[nth - 1];
          if (found === undefined) return;
          printed.off("line", look);
          resolve(found);
        };
        printed.on("line", look);
        void ended.then((code) =>
          reject(new Error(`the server ended with code ${code}, and no ${pattern}:\n${lines.join("\n")}`)),
        );
        look();
      }),
    ended,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      return ended;
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
    env: { ...process.env, ...ownState, ...options.env },
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
