// What is known of each model file without loading it here: whether it is there and whole, and whether another process
// could load it. May import engine.ts, read-ahead.ts, file-prover.ts, file-memory.ts and core/.
import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { AbandonedError, messageOf } from "../core/errors.ts";
import { isModelFileName } from "../core/gguf-names.ts";
import { asOneLine, plural } from "../core/words.ts";
import type { Engine, LoadSpec, ModelFileInfo } from "./engine.ts";
import type { FileIdentity, FileMemory } from "./file-memory.ts";
import type { FileProver, FileVerdict } from "./file-prover.ts";
import { readAhead } from "./read-ahead.ts";

export type ModelFileState =
  | { readonly state: "present"; readonly info: ModelFileInfo; readonly identity: FileIdentity }
  | { readonly state: "missing"; readonly reason: string }
  | { readonly state: "invalid"; readonly reason: string };

export interface ProofParts {
  readonly prover: Pick<FileProver, "name" | "prove">;
  readonly memory: FileVerdicts;
}

type FileVerdicts = Pick<FileMemory, "verdict" | "rememberVerdict">;
type Purpose = LoadSpec["purpose"];

export class ModelFiles {
  readonly #engine: Pick<Engine, "inspect">;
  readonly #missingAdvice: ((path: string) => string) | null;
  readonly #proof: ProofParts | null;
  /** What the headers say, until a file changes. */
  readonly #known = new Map<string, { readonly identity: FileIdentity; readonly state: Promise<ModelFileState> }>();
  readonly #proofs = new Map<string, SharedProof>();
  /** Brings a file into the page cache. */
  readonly readAhead = readAhead;

  /**
   * `missingAdvice`: what an operator should do about a missing file; ends the reason of that state. `proof`: null where
   * nothing is loaded, so that nothing need be proven.
   */
  constructor(
    engine: Pick<Engine, "inspect">,
    missingAdvice: ((path: string) => string) | null = null,
    proof: ProofParts | null = null,
  ) {
    this.#engine = engine;
    this.#missingAdvice = missingAdvice;
    this.#proof = proof;
  }

  /** Never rejects: what is wrong with a file is its state. A file that failed its proof for this purpose is invalid. */
  async look(path: string, purpose: Purpose = "text"): Promise<ModelFileState> {
    let identity: FileIdentity;
    try {
      const file = await stat(path);
      if (file.isDirectory()) return await lookInFolder(path, this.#adviceFor(path));
      if (!file.isFile()) return { state: "invalid", reason: `${path} is not a file` };
      identity = identityOf(path, file);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT" || code === "ENOTDIR") {
        return { state: "missing", reason: `${path} does not exist${this.#adviceFor(path)}` };
      }
      return { state: "invalid", reason: messageOf(error) };
    }
    const verdict = this.#verdict(identity, purpose);
    if (verdict?.ok === false) return { state: "invalid", reason: verdict.reason };
    const known = this.#known.get(path);
    if (known !== undefined && isSame(known.identity, identity)) return known.state;
    const state = this.#engine.inspect(path).then(
      (info): ModelFileState => ({ state: "present", info, identity }),
      (error: unknown): ModelFileState => ({ state: "invalid", reason: asOneLine(messageOf(error)) }),
    );
    this.#known.set(path, { identity, state });
    return state;
  }

  /**
   * Resolves for a file that a process loaded and used for this purpose, now or once before; all who ask at once share one
   * proof. Rejects with an Error of one line that names the file, and with an AbandonedError when the signal fires; the
   * last who waited for it sees that only when the process has ended and its memory is back.
   */
  async prove(path: string, purpose: Purpose, signal: AbortSignal): Promise<void> {
    const proof = this.#proof;
    if (proof === null) return;
    while (true) {
      if (signal.aborted) throw new AbandonedError();
      const identity = await identityNow(path);
      const known = this.#verdict(identity, purpose);
      if (known?.ok === true) return;
      if (known?.ok === false) throw new Error(known.reason);
      const key = JSON.stringify([identity, purpose]);
      let shared = this.#proofs.get(key);
      if (shared === undefined) {
        const started = new SharedProof((abandoned) => this.#run(proof, identity, purpose, abandoned));
        this.#proofs.set(key, started);
        void started.ended.then(() => this.#proofs.delete(key));
        shared = started;
      }
      if (!shared.isAbandoned) return await shared.join(signal);
      await shared.ended;
    }
  }

  /**
   * Whether `prove` has passed this file before. What is not proven must not come near the engine in this process: even
   * `predictBytes` lets native code read it.
   */
  isProven(identity: FileIdentity, purpose: Purpose): boolean {
    return this.#proof === null || this.#verdict(identity, purpose)?.ok === true;
  }

  /** Null while the file is what it was; else what happened to it, in one line that names it. */
  async stillThere(identity: FileIdentity): Promise<string | null> {
    const { path, sizeBytes } = identity;
    let now: FileIdentity;
    try {
      now = await identityNow(path);
    } catch (error) {
      return messageOf(error);
    }
    if (now.sizeBytes < sizeBytes)
      return `${path} was cut from ${sizeBytes} to ${now.sizeBytes} bytes while it was in use`;
    return isSame(identity, now) ? null : `${path} changed while it was in use`;
  }

  /** A file that failed its proof is proven anew when it is wanted next. */
  async forgetProof(path: string): Promise<void> {
    const proof = this.#proof;
    if (proof === null) return;
    const identity = await identityNow(path).catch(() => null);
    if (identity === null) return;
    for (const purpose of ["text", "embedding", "ranking"] as const) {
      if (this.#verdict(identity, purpose)?.ok === false) {
        proof.memory.rememberVerdict(identity, judgeOf(proof.prover, purpose), null);
      }
    }
  }

  async #run(
    { prover, memory }: ProofParts,
    identity: FileIdentity,
    purpose: Purpose,
    abandoned: AbortSignal,
  ): Promise<void> {
    const { path } = identity;
    const verdict = await prover.prove(path, purpose, abandoned);
    if (!isSame(identity, await identityNow(path))) throw new Error(`${path} changed while it was examined`);
    memory.rememberVerdict(identity, judgeOf(prover, purpose), verdict);
    if (!verdict.ok) throw new Error(verdict.reason);
  }

  #verdict(identity: FileIdentity, purpose: Purpose): FileVerdict | null {
    const proof = this.#proof;
    return proof === null ? null : proof.memory.verdict(identity, judgeOf(proof.prover, purpose));
  }

  #adviceFor(path: string): string {
    return this.#missingAdvice === null ? "" : `. ${this.#missingAdvice(path)}`;
  }
}

/** One proof for all who wait for it; abandoned when the last of them leaves. */
class SharedProof {
  readonly #result: Promise<void>;
  readonly #abandon = new AbortController();
  #waiting = 0;
  /** Resolves, however the proof ended. */
  readonly ended: Promise<void>;

  constructor(run: (abandoned: AbortSignal) => Promise<void>) {
    this.#result = run(this.#abandon.signal);
    this.ended = this.#result.catch(() => {});
  }

  get isAbandoned(): boolean {
    return this.#abandon.signal.aborted;
  }

  async join(signal: AbortSignal): Promise<void> {
    this.#waiting += 1;
    let leave = (): void => {};
    const left = new Promise<"left">((resolve) => (leave = () => resolve("left")));
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      if ((await Promise.race([this.#result, left])) !== "left") return;
    } finally {
      signal.removeEventListener("abort", leave);
      this.#waiting -= 1;
    }
    if (this.#waiting === 0) {
      this.#abandon.abort();
      await this.ended;
    }
    throw new AbandonedError();
  }
}

/** The purpose is part of it: what can't serve as an embedder may be a good text model. */
function judgeOf(prover: Pick<FileProver, "name">, purpose: Purpose): string {
  return `${prover.name}, as ${purpose} model`;
}

/** Throws with one line that names the file. */
async function identityNow(path: string): Promise<FileIdentity> {
  let file: Stats;
  try {
    file = await stat(path);
  } catch (error) {
    const gone = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Error(gone ? `${path} does not exist` : `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  if (!file.isFile()) throw new Error(`${path} is not a file`);
  return identityOf(path, file);
}

function identityOf(path: string, file: Stats): FileIdentity {
  return { path, sizeBytes: file.size, modifiedMs: file.mtimeMs };
}

function isSame(one: FileIdentity, other: FileIdentity): boolean {
  return one.sizeBytes === other.sizeBytes && one.modifiedMs === other.modifiedMs;
}

/**
 * The configuration took a folder with one model for that model. What is left holds none, too many to choose from, or
 * one that came after the start.
 */
async function lookInFolder(path: string, missingAdvice: string): Promise<ModelFileState> {
  const models = (await readdir(path)).filter(isModelFileName).sort();
  if (models.length === 0)
    return { state: "missing", reason: `${path} is a folder that holds no GGUF model${missingAdvice}` };
  if (models.length === 1) {
    return { state: "invalid", reason: `${path} holds ${models[0]} since the server started; restart it` };
  }
  return {
    state: "invalid",
    reason: `${path} is a folder of ${plural(models.length, "GGUF model")} (${models.join(", ")}); name one of them in model_path`,
  };
}
