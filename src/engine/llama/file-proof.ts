// Proves model files in a forked process: what ends, stops or bloats that process is told in a sentence, and the server
// goes on. May import its neighbours' types, file-prover.ts and core/.
import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import type { Socket } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { formatBytes } from "../../core/bytes.ts";
import { AbandonedError, clip } from "../../core/errors.ts";
import type { LoadSpec } from "../engine.ts";
import type { FileProver, FileVerdict } from "../file-prover.ts";
import type { ProofMessage, ProofStage, ProofTask } from "./file-proof-messages.ts";

/** Raise it when the proof learns to see what it did not see before: earlier verdicts then hold no longer. */
const proofVersion = 1;

export interface FileProverOptions {
  /** `description.name` of the engine that is to load the files. */
  readonly engineName: string;
  /** How long the file's own chat template may run. */
  readonly promptLimitMs?: number;
}

const defaultPromptLimitMs = 15_000;
/** For a file of any size, and for each MiB of it: slow disks are waited for, processes that hang are not. */
const limitMs = 60_000;
const limitMsPerMib = 50;
/** Beyond its file twice over, mapped and rewritten: what a process takes by itself, with much to spare. */
const spareBytes = 2 ** 30;
const memoryLookMs = 100;
/** A process that proved a small file is kept for the next one. */
const keptMs = 1000;
const keptUpToBytes = 64 * 2 ** 20;

export function createFileProver(options: FileProverOptions): FileProver {
  return new ForkedFileProver(options);
}

class ForkedFileProver implements FileProver {
  readonly name: string;
  readonly #promptLimitMs: number;
  readonly #processes = new Set<ProvingProcess>();
  #kept: { readonly process: ProvingProcess; readonly timer: NodeJS.Timeout } | null = null;

  constructor({ engineName, promptLimitMs = defaultPromptLimitMs }: FileProverOptions) {
    this.name = `proof ${proofVersion} by ${engineName}`;
    this.#promptLimitMs = promptLimitMs;
  }

  async prove(file: string, purpose: LoadSpec["purpose"], signal: AbortSignal): Promise<FileVerdict> {
    const { size } = await stat(file);
    const task: ProofTask = { path: path.resolve(file), purpose };
    const limits: Limits = {
      totalMs: limitMs + (size / 2 ** 20) * limitMsPerMib,
      promptMs: this.#promptLimitMs,
      bytes: 2 * size + spareBytes,
    };
    const kept = this.#takeKept();
    if (kept !== null) {
      const ending = await this.#run(kept, task, limits, signal);
      // A sudden end may be what an earlier file left behind in that process.
      if (ending.type === "verdict") return verdictOf(ending, task, limits);
    }
    const fresh = new ProvingProcess();
    this.#processes.add(fresh);
    void fresh.ended.then(() => this.#processes.delete(fresh));
    return verdictOf(await this.#run(fresh, task, limits, signal), task, limits);
  }

  async dispose(): Promise<void> {
    this.#takeKept();
    await Promise.all([...this.#processes].map((process) => process.end()));
  }

  async #run(process: ProvingProcess, task: ProofTask, limits: Limits, signal: AbortSignal): Promise<Ending> {
    const ending = await process.run(task, limits, signal);
    if (ending.type === "verdict" && limits.bytes <= 2 * keptUpToBytes + spareBytes && this.#kept === null) {
      const timer = setTimeout(() => void this.#takeKept()?.end(), keptMs);
      timer.unref();
      this.#kept = { process, timer };
    } else {
      await process.end();
    }
    return ending;
  }

  #takeKept(): ProvingProcess | null {
    const kept = this.#kept;
    if (kept === null) return null;
    this.#kept = null;
    clearTimeout(kept.timer);
    return kept.process;
  }
}

interface Limits {
  readonly totalMs: number;
  readonly promptMs: number;
  /** Resident. */
  readonly bytes: number;
}

type Ending =
  | { readonly type: "verdict"; readonly problem: string | null }
  /** By itself, or by somebody else. `stage` is null where it had not got as far as the file. */
  | {
      readonly type: "ended";
      readonly how: string;
      readonly signal: NodeJS.Signals | null;
      readonly stage: ProofStage | null;
      /** What it printed last, as far as it tells why. */
      readonly lastWords: string;
    }
  | { readonly type: "abandoned" }
  /** `computed`: it used the processor for a good part of that time. */
  | { readonly type: "late"; readonly stage: ProofStage | null; readonly computed: boolean }
  | { readonly type: "bloated" };

const ourFile = fileURLToPath(import.meta.url);
const fromSource = ourFile.endsWith(".ts");
const childFile = path.join(path.dirname(ourFile), `file-proof-child.${fromSource ? "ts" : "js"}`);

class ProvingProcess {
  readonly #child: ChildProcess;
  readonly ended: Promise<void>;
  #stage: ProofStage | null = null;
  #isReady = false;
  #printed = "";
  #settle: ((ending: Ending) => void) | null = null;
  #onStage: (stage: ProofStage) => void = () => {};

  constructor() {
    this.#child = fork(childFile, [], {
      // Where the loader of TypeScript is found; the models' paths are absolute.
      cwd: path.dirname(childFile),
      execArgv: fromSource ? ["--import", "tsx"] : [],
      env: { ...process.env, GGML_NO_BACKTRACE: "1" },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#printed = (this.#printed + text).slice(-longestPrinted);
    });
    this.#child.on("message", (message: ProofMessage) => this.#hear(message));
    this.ended = new Promise((resolve) => {
      const end = (how: string, signal: NodeJS.Signals | null) => {
        resolve();
        const stage = this.#isReady ? this.#stage : null;
        this.#settle?.({ type: "ended", how, signal, stage, lastWords: lastWordsIn(this.#printed) });
      };
      // `close` comes when all it printed has been read.
      this.#child.on("close", (code, signal) => end(signal ?? `code ${code}`, signal));
      this.#child.on("error", (error) => {
        if (this.#child.pid === undefined) end(error.message, null);
      });
    });
  }

  /** One task at a time. An ending other than a verdict leaves no process. */
  async run(task: ProofTask, limits: Limits, signal: AbortSignal): Promise<Ending> {
    if (signal.aborted) return { type: "abandoned" };
    this.#ref();
    this.#stage = null;
    let promptTimer: NodeJS.Timeout | undefined;
    const ending = new Promise<Ending>((resolve) => (this.#settle = resolve));
    const stop = (why: Ending) => {
      this.#settle?.(why);
      this.#settle = null;
    };
    const computedAtStart = this.#computedMs();
    const late = (limit: number, since: number) => () =>
      stop({ type: "late", stage: this.#stage, computed: this.#computedMs() - since >= limit / 2 });
    const totalTimer = setTimeout(late(limits.totalMs, computedAtStart), limits.totalMs);
    this.#onStage = (stage) => {
      clearTimeout(promptTimer);
      if (stage === "prompt") promptTimer = setTimeout(late(limits.promptMs, this.#computedMs()), limits.promptMs);
    };
    const memoryLook = setInterval(() => {
      if (this.#residentBytes() > limits.bytes) stop({ type: "bloated" });
    }, memoryLookMs);
    const abandon = () => stop({ type: "abandoned" });
    signal.addEventListener("abort", abandon, { once: true });
    if (this.#child.connected) this.#child.send(task);
    try {
      const how = await ending;
      if (how.type !== "verdict") await this.end();
      return how;
    } finally {
      clearTimeout(totalTimer);
      clearTimeout(promptTimer);
      clearInterval(memoryLook);
      signal.removeEventListener("abort", abandon);
      this.#settle = null;
      this.#unref();
    }
  }

  /** Resolves when it is gone, with all its memory. */
  async end(): Promise<void> {
    this.#ref();
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  #hear(message: ProofMessage): void {
    switch (message.type) {
      case "ready":
        this.#isReady = true;
        break;
      case "stage":
        this.#stage = message.stage;
        this.#onStage(message.stage);
        break;
      case "verdict":
        this.#settle?.(message);
        break;
    }
  }

  /** A process that is only kept must not hold up the end of the server. */
  #unref(): void {
    this.#child.unref();
    this.#child.channel?.unref();
    (this.#child.stderr as Socket | null)?.unref();
  }

  #ref(): void {
    this.#child.ref();
    this.#child.channel?.ref();
    (this.#child.stderr as Socket | null)?.ref();
  }

  #residentBytes(): number {
    return Number(/VmRSS:\s*(\d+) kB/.exec(this.#processFile("status"))?.[1] ?? 0) * 1024;
  }

  /** Time on a processor, of all threads, since the process began. */
  #computedMs(): number {
    // Behind the command's name, which may hold spaces: user and system time are the 12th and 13th, in hundredths.
    const fields = this.#processFile("stat").split(") ").at(-1)?.split(" ") ?? [];
    return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
  }

  #processFile(name: string): string {
    try {
      return readFileSync(`/proc/${this.#child.pid}/${name}`, "latin1");
    } catch {
      return "";
    }
  }
}

const longestPrinted = 4000;

/** Why a process says that it ends: an assertion of the engine, an exception that nobody caught. */
function lastWordsIn(printed: string): string {
  const found = /GGML_ASSERT\(.*\) failed|what\(\):.*|FATAL ERROR:.*|\w*Error:.*/.exec(printed)?.[0] ?? "";
  return clip(found.replace(/^what\(\):\s*/, "").trim(), 300);
}

/** These a process brings upon itself by what it computes; the others come from outside, or from the disk. */
const crashSignals: readonly string[] = ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGTRAP"];
const lackOfResources = /bad_alloc|resource temporarily unavailable|cannot allocate/i;

const doings: Readonly<Record<ProofStage, string>> = {
  read: "read",
  load: "load",
  prompt: "render a prompt with",
  compute: "compute with",
};

/** Throws where it is no verdict on the file. */
function verdictOf(ending: Ending, { path: file }: ProofTask, limits: Limits): FileVerdict {
  switch (ending.type) {
    case "verdict":
      return ending.problem === null ? { ok: true } : { ok: false, reason: ending.problem };
    case "abandoned":
      throw new AbandonedError();
    case "bloated":
      return {
        ok: false,
        reason: `a process that tried to load ${file} took more than ${formatBytes(limits.bytes)} of memory`,
      };
    case "late": {
      if (ending.stage === "prompt" && ending.computed) {
        return {
          ok: false,
          reason: `a process that tried to render a prompt with ${file} came to no end within ${limits.promptMs / 1000} s: its chat template or its vocabulary is at fault`,
        };
      }
      throw new Error(
        `a process that tried to ${doings[ending.stage ?? "load"]} ${file} came to no end in time; the disk or the machine may be too slow at the moment`,
      );
    }
    case "ended": {
      const { how, signal, stage, lastWords } = ending;
      const reason =
        `a process that tried to ${doings[stage ?? "load"]} ${file} was ended by ${how}` +
        (lastWords === "" ? "" : ` (${lastWords})`);
      const isItsFault =
        stage !== null && signal !== null && crashSignals.includes(signal) && !lackOfResources.test(lastWords);
      if (isItsFault) return { ok: false, reason };
      throw new Error(signal === "SIGKILL" ? `${reason}, perhaps for lack of memory` : reason);
    }
  }
}
