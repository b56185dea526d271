// What was learnt of model files, kept on disk across restarts: which of them could be loaded, how much memory each took,
// and with how many threads it is fastest. One JSON file in the state folder, shared by the processes of an installation.
// May import file-prover.ts, engine.ts (types) and core/.
import { randomUUID } from "node:crypto";
import { access, constants, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { messageOf } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { ThreadCounts } from "./engine.ts";
import type { FileVerdict } from "./file-prover.ts";

/** The same bytes, as far as the file system tells without reading them. */
export interface FileIdentity {
  readonly path: string;
  readonly sizeBytes: number;
  /** When its bytes last changed, since the Unix epoch; with a fraction where the file system keeps one. */
  readonly modifiedMs: number;
}

/** More files than this are not kept: those learnt of longest ago go first. */
const mostFiles = 500;
/** Of verdicts (one for each engine and purpose), measured needs (for each way to load) and threads (for each machine) of one file. */
const mostPerFile = 32;
const largestBytes = 16 * 2 ** 20;

const verdictSchema = z.union([
  z.object({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), reason: z.string().max(4000) }),
]);
const threadsSchema = z.object({ decode: z.int().positive(), prefill: z.int().positive() });
const entrySchema = z.object({
  sizeBytes: z.number(),
  modifiedMs: z.number(),
  verdicts: z.record(z.string(), verdictSchema),
  needBytes: z.record(z.string(), z.number().nonnegative()),
  // Absent in files of the first releases.
  threads: z.record(z.string(), threadsSchema).default({}),
});
const documentSchema = z.object({ version: z.literal(1), files: z.record(z.string(), entrySchema) });

type Entry = z.infer<typeof entrySchema>;
/** By path, those learnt of longest ago first. */
type Entries = Map<string, Entry>;
type Change = (entries: Entries) => void;

export class FileMemory {
  readonly #file: string | null;
  readonly #log: Logger;
  #entries: Entries;
  /** Made since the last write began. */
  #unsaved: Change[] = [];
  #saving: Promise<void> | null = null;
  #failedBefore = false;

  private constructor(file: string | null, log: Logger, entries: Entries) {
    this.#file = file;
    this.#log = log;
    this.#entries = entries;
  }

  /** Never rejects. Without a folder, or with one that cannot be written, it works in memory alone and says so once. */
  static async open(folder: string | null, log: Logger): Promise<FileMemory> {
    if (folder === null) {
      log.warn(
        {},
        "no state folder: what is learnt of model files is forgotten at the end. Set GGUF_EXPERTS_STATE_DIR",
      );
      return new FileMemory(null, log, new Map());
    }
    const file = path.join(folder, "model-files.json");
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await access(folder, constants.W_OK);
    } catch (error) {
      log.warn(
        {},
        `${folder} cannot be written, so what is learnt of model files is forgotten at the end: ${messageOf(error)}`,
      );
      return new FileMemory(null, log, new Map());
    }
    let entries: Entries = new Map();
    try {
      entries = await readEntries(file);
    } catch (error) {
      log.warn({}, `${file} is not used and will be replaced: ${messageOf(error)}`);
    }
    return new FileMemory(file, log, entries);
  }

  /** Null: not known of this file as it is now, by this judge. */
  verdict(identity: FileIdentity, judge: string): FileVerdict | null {
    return this.#entryOf(identity)?.verdicts[judge] ?? null;
  }

  /** Null forgets it. */
  rememberVerdict(identity: FileIdentity, judge: string, verdict: FileVerdict | null): void {
    this.#change(identity, (entry) => {
      delete entry.verdicts[judge];
      if (verdict !== null) entry.verdicts[judge] = verdict;
      keepNewest(entry.verdicts);
    });
  }

  /** What a load of this file took; `key` says how it was loaded. Null: not known. */
  needBytes(identity: FileIdentity, key: string): number | null {
    return this.#entryOf(identity)?.needBytes[key] ?? null;
  }

  /** Never throws: a full disk is logged once and lived with. */
  rememberNeedBytes(identity: FileIdentity, key: string, bytes: number): void {
    if (this.needBytes(identity, key) === bytes) return;
    this.#change(identity, (entry) => {
      delete entry.needBytes[key];
      entry.needBytes[key] = bytes;
      keepNewest(entry.needBytes);
    });
  }

  /** With how many threads this file's model is fastest; `machine` says where. Null: not measured there. */
  threads(identity: FileIdentity, machine: string): ThreadCounts | null {
    return this.#entryOf(identity)?.threads[machine] ?? null;
  }

  rememberThreads(identity: FileIdentity, machine: string, { decode, prefill }: ThreadCounts): void {
    this.#change(identity, (entry) => {
      delete entry.threads[machine];
      entry.threads[machine] = { decode, prefill };
      keepNewest(entry.threads);
    });
  }

  /** Resolves when all that was remembered so far is on disk, or could not be written. */
  async saved(): Promise<void> {
    while (this.#saving !== null) await this.#saving;
  }

  #entryOf({ path: file, sizeBytes, modifiedMs }: FileIdentity): Entry | undefined {
    const entry = this.#entries.get(file);
    return entry?.sizeBytes === sizeBytes && entry.modifiedMs === modifiedMs ? entry : undefined;
  }

  #change({ path: file, sizeBytes, modifiedMs }: FileIdentity, edit: (entry: Entry) => void): void {
    const change: Change = (entries) => {
      let entry = entries.get(file);
      if (entry?.sizeBytes !== sizeBytes || entry.modifiedMs !== modifiedMs) {
        entry = { sizeBytes, modifiedMs, verdicts: {}, needBytes: {}, threads: {} };
      }
      edit(entry);
      entries.delete(file);
      entries.set(file, entry);
      const [oldest] = entries.keys();
      if (entries.size > mostFiles && oldest !== undefined) entries.delete(oldest);
    };
    change(this.#entries);
    if (this.#file === null) return;
    this.#unsaved.push(change);
    this.#saving ??= this.#save(this.#file);
  }

  /** One write at a time; what is learnt meanwhile goes with the next. */
  async #save(file: string): Promise<void> {
    // What is learnt in the same tick goes into one write.
    await Promise.resolve();
    while (this.#unsaved.length > 0) {
      const changes = this.#unsaved;
      this.#unsaved = [];
      // Another process may have written since: its findings stay, ours come on top.
      const entries: Entries = await readEntries(file).catch(() => new Map());
      for (const change of changes) change(entries);
      try {
        await replaceFile(file, JSON.stringify({ version: 1, files: Object.fromEntries(entries) }));
      } catch (error) {
        if (!this.#failedBefore)
          this.#log.warn({}, `what is learnt of model files cannot be kept: ${messageOf(error)}`);
        this.#failedBefore = true;
        // Tried again with the next change.
        this.#unsaved = [...changes, ...this.#unsaved].slice(-mostFiles);
        break;
      }
      for (const change of this.#unsaved) change(entries);
      this.#entries = entries;
    }
    this.#saving = null;
  }
}

function keepNewest(record: Record<string, unknown>): void {
  const keys = Object.keys(record);
  for (const key of keys.slice(0, Math.max(0, keys.length - mostPerFile))) delete record[key];
}

/** Throws with a reason of one line for what is there and is not ours. */
async function readEntries(file: string): Promise<Entries> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > largestBytes) throw new Error(`it holds ${size} bytes; allowed: ${largestBytes}`);
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw error;
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error("it holds no JSON");
  }
  const document = documentSchema.safeParse(content);
  if (!document.success) throw new Error("it was not written by this version of gguf-experts");
  return new Map(Object.entries(document.data.files));
}

/** Readers see the old content or the new, never a part. */
async function replaceFile(file: string, text: string): Promise<void> {
  const part = `${file}.${randomUUID()}.part`;
  try {
    await writeFile(part, text, { mode: 0o600 });
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
