// Where the KV states of conversations are while they are in no slot: in memory, and from there in files, both bounded,
// those used longest ago leaving first. Decisions are made at once, files are written in the background. May import its
// own folder, common-prefix.ts and core/.
import { formatBytes } from "../../core/bytes.ts";
import type { Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { plural } from "../../core/words.ts";
import { HeldBytes, type HeldState, type StateBuffer } from "./held-state.ts";
import { commonPrefixLength } from "../common-prefix.ts";
import { DamagedStateError, type StateDescription, stateFileBytes } from "./state-file.ts";
import { isMissing, StateFiles, type StoredFile } from "./state-files.ts";

export interface PromptCacheLimits {
  /** States and the tokens that they are found by; 0: nothing is kept, in files neither. */
  readonly ramBytes: number;
  /** 0: no files, and those that are there are removed. */
  readonly diskBytes: number;
  /** A state that was not used for so long is dropped. */
  readonly maxAgeMs: number;
}

export interface PromptCacheOptions extends PromptCacheLimits {
  /** Null: no files. */
  readonly folder: string | null;
  /** Memory for one state. May throw: then the state is not kept or loaded. */
  readonly allocate: (sizeBytes: number) => StateBuffer;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A state that can be loaded, until it is dropped. */
export type CachedPrompt = StateDescription;

/** Memory for a state that is about to be kept; just one of both methods ends it, and later calls do nothing. */
export interface Reservation {
  /** To be filled whole. */
  readonly bytes: Uint8Array;
  keep(): void;
  discard(): void;
}

/** The bytes of a state, which stay until they are released; later calls do nothing. */
export interface StateLease {
  readonly bytes: Uint8Array;
  release(): void;
}

export interface PromptCacheStatus {
  readonly ramBytes: number;
  readonly ramLimitBytes: number;
  readonly diskBytes: number;
  readonly diskLimitBytes: number;
  readonly entries: number;
  /** States loaded. */
  readonly hits: number;
  /** Prompts for which nothing was found, and states that could not be loaded. */
  readonly misses: number;
  /** States written to files. */
  readonly spills: number;
  /** Files that held no whole state of ours. */
  readonly damaged: number;
}

interface Entry extends CachedPrompt {
  held: HeldState | null;
  file: { readonly name: string; readonly sizeBytes: number } | null;
  /** On its way from the file; all who want it meanwhile share that. */
  arriving: { readonly held: HeldState; readonly done: Promise<boolean> } | null;
  usedMs: number;
}

/** Bounds what opening the folder and one search cost. */
const mostEntries = 1024;
/** Of the memory, what the tokens of all states may take. */
const tokenShare = 1 / 8;
/** Of the memory, what may be in no file yet: the rest is ready to be freed when new states arrive. */
const unwrittenShare = 1 / 2;

export class PromptCache {
  readonly #files: StateFiles | null;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #held: HeldBytes;
  #limits: PromptCacheLimits;
  /** The one used longest ago first. */
  readonly #entries = new Set<Entry>();
  /** Of the entries and of what is reserved. */
  #tokenBytes = 0;
  /** Of files there and the one being written. */
  #diskBytes = 0;
  readonly #counts = { hits: 0, misses: 0, spills: 0, damaged: 0 };
  #writing: Promise<void> | null = null;
  #canWrite = true;
  #hasWarnedOfReading = false;
  #hasWarnedOfMemory = false;
  #state: "open" | "flushing" | "closed" = "open";

  private constructor({ folder, allocate, clock, log, ...limits }: PromptCacheOptions) {
    this.#files = folder === null ? null : new StateFiles(folder);
    this.#limits = limits;
    this.#held = new HeldBytes(allocate);
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Never rejects. Takes what earlier processes left in the folder, and removes from it what is damaged, too old or too
   * much. Where states cannot be written it works in memory alone and says so once.
   */
  static async open(options: PromptCacheOptions): Promise<PromptCache> {
    const cache = new PromptCache(options);
    const files = cache.#files;
    if (files === null) return cache;
    try {
      if (cache.#diskLimit() > 0) await files.prepare();
      await cache.#adopt(files, await files.list(options.clock.epochMs()));
      await files.settled();
    } catch (error) {
      cache.#stopWriting(files, error);
    }
    return cache;
  }

  /**
   * Memory for a state of these tokens, whose place is made by dropping others; the tokens are copied. Null where an
   * entry covers them already, and where there is no place. Kept, it supersedes entries of the same model that it covers.
   */
  reserve(
    modelKey: string,
    tokens: Int32Array | readonly number[],
    sizeBytes: number,
    minPrefixTokens: number,
  ): Reservation | null {
    this.#dropAged();
    const state = { modelKey, tokens: new Int32Array(tokens), sizeBytes, minPrefixTokens };
    if (!this.#isUsable(state)) return null;
    const cover = this.#coverOf(state);
    if (cover !== undefined) {
      this.#touch(cover);
      return null;
    }
    if (!this.#canHold(state)) return null;
    // They would go anyway; nothing else need make place for what they hold.
    if (!this.#fits(sizeBytes, state.tokens.byteLength)) for (const entry of this.#coveredBy(state)) this.#drop(entry);
    if (!this.#makeTokenRoom(state.tokens.byteLength)) return null;
    this.#tokenBytes += state.tokens.byteLength;
    const held = this.#take(sizeBytes);
    if (held === null) {
      this.#tokenBytes -= state.tokens.byteLength;
      return null;
    }
    return reservationOf(held, (isKept) => {
      if (isKept) this.#add(state, held);
      else {
        this.#tokenBytes -= state.tokens.byteLength;
        held.free();
      }
      held.unpin();
      this.#settle();
    });
  }

  /**
   * The entry that shares most leading tokens with the prompt, among equals the one that costs least to load. Entries of
   * which less than their `minPrefixTokens` would be used do not count.
   */
  find(
    modelKey: string,
    promptTokens: Int32Array | readonly number[],
  ): { readonly entry: CachedPrompt; readonly prefixTokens: number } | null {
    if (this.#state !== "open") return null;
    this.#dropAged();
    const prompt = new Int32Array(promptTokens);
    let best: { readonly entry: Entry; readonly prefixTokens: number } | null = null;
    for (const entry of this.#entries) {
      if (entry.modelKey !== modelKey) continue;
      if (best !== null && !isCheaper(entry, best.entry)) {
        // It must share more than the best one: where many share a long beginning, one look is enough for most.
        const next = best.prefixTokens;
        if (next >= prompt.length || entry.tokens[next] !== prompt[next]) continue;
      }
      const prefixTokens = commonPrefixLength(entry.tokens, prompt);
      if (prefixTokens >= entry.minPrefixTokens && prefixTokens >= (best?.prefixTokens ?? 1)) {
        best = { entry, prefixTokens };
      }
    }
    if (best === null) this.#counts.misses += 1;
    return best;
  }

  /**
   * The state's bytes. Null where the entry was dropped since it was found, where its file is damaged (it is removed) or
   * cannot be read, and where there is no memory for it at the moment. Never rejects.
   */
  async load(prompt: CachedPrompt): Promise<StateLease | null> {
    const entry = prompt as Entry;
    const held = this.#state === "open" && this.#entries.has(entry) ? await this.#pinnedState(entry) : null;
    if (held === null) {
      this.#counts.misses += 1;
      return null;
    }
    this.#counts.hits += 1;
    return {
      bytes: held.bytes,
      release: once(() => {
        held.unpin();
        this.#settle();
      }),
    };
  }

  /** Drops all states of a model, for example because its file was replaced. */
  forgetModel(modelKey: string): void {
    for (const entry of this.#entries) if (entry.modelKey === modelKey) this.#drop(entry);
  }

  /** What is too much by the new limits goes at once, leased states when they are released. */
  setLimits(limits: PromptCacheLimits): void {
    this.#limits = limits;
    this.#dropAged();
    for (const entry of this.#entries) if (entry.sizeBytes > limits.ramBytes) this.#drop(entry);
    this.#makeTokenRoom(0);
    this.#makeDiskRoom(0);
    this.#settle();
  }

  status(): PromptCacheStatus {
    return {
      ramBytes: this.#held.total + this.#tokenBytes,
      ramLimitBytes: this.#limits.ramBytes,
      diskBytes: this.#diskBytes,
      diskLimitBytes: this.#diskLimit(),
      entries: this.#entries.size,
      ...this.#counts,
    };
  }

  /**
   * Writes the states that are in memory alone, those used last first, for at most `deadlineMs`; then frees the memory. From
   * the first moment on nothing is found or kept any more; what is leased is freed when it is released.
   */
  async close(deadlineMs: number): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "flushing";
    let cancelTimer = (): void => {};
    const deadline = new Promise<void>((resolve) => (cancelTimer = this.#clock.setTimer(deadlineMs, resolve)));
    await Promise.race([this.#flush(), deadline]);
    cancelTimer();
    this.#state = "closed";
    for (const entry of this.#entries) this.#release(entry);
    this.#entries.clear();
  }

  async #flush(): Promise<void> {
    this.#write();
    while (this.#writing !== null) await this.#writing;
    await this.#files?.settled();
  }

  // ---- what is there

  async #adopt(files: StateFiles, found: readonly StoredFile[]): Promise<void> {
    const oldestMs = this.#clock.epochMs() - this.#limits.maxAgeMs;
    const adopted: Entry[] = [];
    let firstProblem: string | null = null;
    let damaged = 0;
    for (const { name, sizeBytes, usedMs } of [...found].reverse()) {
      const fits =
        adopted.length < mostEntries &&
        usedMs >= oldestMs &&
        this.#diskBytes + sizeBytes <= this.#diskLimit() &&
        sizeBytes <= this.#limits.ramBytes;
      if (!fits) {
        files.remove(name);
        continue;
      }
      try {
        const description = await files.describe(name, this.#limits.ramBytes * tokenShare - this.#tokenBytes);
        adopted.push({ ...description, held: null, file: { name, sizeBytes }, arriving: null, usedMs });
        this.#tokenBytes += description.tokens.byteLength;
        this.#diskBytes += sizeBytes;
      } catch (error) {
        if (isMissing(error)) continue;
        if (error instanceof DamagedStateError) {
          damaged += 1;
          files.remove(name);
        }
        firstProblem ??= `${name}: ${messageOf(error)}`;
      }
    }
    this.#counts.damaged += damaged;
    for (const entry of adopted.reverse()) this.#entries.add(entry);
    if (firstProblem !== null) {
      const removed = damaged === 0 ? "" : `; ${plural(damaged, "file")} removed`;
      this.#log.warn({}, `${files.folder}: some conversations are read anew (${firstProblem}${removed})`);
    }
  }

  #isUsable({ tokens, sizeBytes, minPrefixTokens }: StateDescription): boolean {
    return (
      this.#state === "open" &&
      Number.isSafeInteger(sizeBytes) &&
      sizeBytes > 0 &&
      Number.isSafeInteger(minPrefixTokens) &&
      minPrefixTokens > 0 &&
      minPrefixTokens <= tokens.length
    );
  }

  #coverOf(state: StateDescription): Entry | undefined {
    for (const entry of this.#entries) if (covers(entry, state)) return entry;
    return undefined;
  }

  #coveredBy(state: StateDescription): Entry[] {
    return [...this.#entries].filter((entry) => covers(state, entry));
  }

  #add(state: StateDescription, held: HeldState): void {
    // Another state of this conversation may have been kept since the memory was reserved.
    if (this.#state !== "open" || this.#coverOf(state) !== undefined) {
      this.#tokenBytes -= state.tokens.byteLength;
      held.free();
      return;
    }
    for (const entry of this.#coveredBy(state)) this.#drop(entry);
    this.#entries.add({ ...state, held, file: null, arriving: null, usedMs: this.#clock.epochMs() });
  }

  #touch(entry: Entry): void {
    entry.usedMs = this.#clock.epochMs();
    this.#entries.delete(entry);
    this.#entries.add(entry);
    if (entry.file !== null) this.#files?.touch(entry.file.name, entry.usedMs);
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry);
    this.#release(entry);
    this.#removeFile(entry);
  }

  #release(entry: Entry): void {
    this.#tokenBytes -= entry.tokens.byteLength;
    entry.held?.free();
    entry.held = null;
  }

  #removeFile(entry: Entry): void {
    if (entry.file === null) return;
    this.#files?.remove(entry.file.name);
    this.#diskBytes -= entry.file.sizeBytes;
    entry.file = null;
  }

  #dropAged(): void {
    const oldestMs = this.#clock.epochMs() - this.#limits.maxAgeMs;
    for (const entry of this.#entries) {
      if (entry.usedMs >= oldestMs) break;
      this.#drop(entry);
    }
  }

  // ---- memory

  #fits(stateBytes: number, tokenBytes: number): boolean {
    return this.#held.total + this.#tokenBytes + stateBytes + tokenBytes <= this.#limits.ramBytes;
  }

  #canHold({ sizeBytes, tokens: { byteLength } }: StateDescription): boolean {
    const { ramBytes } = this.#limits;
    const neededBytes = this.#held.pinned + this.#tokenBytes + sizeBytes + byteLength;
    return byteLength <= ramBytes * tokenShare && neededBytes <= ramBytes;
  }

  /** Drops entries until there is place for the tokens of one more. False: there is none. */
  #makeTokenRoom(tokenBytes: number): boolean {
    for (const entry of this.#entries) {
      if (this.#tokenBytes + tokenBytes <= this.#limits.ramBytes * tokenShare && this.#entries.size < mostEntries)
        break;
      this.#drop(entry);
    }
    return this.#tokenBytes + tokenBytes <= this.#limits.ramBytes * tokenShare;
  }

  /** Memory for a state, pinned, for which others go: first those that have a file too. Null: there is none. */
  #take(sizeBytes: number): HeldState | null {
    if (this.#held.pinned + this.#tokenBytes + sizeBytes > this.#limits.ramBytes) return null;
    this.#shed(sizeBytes);
    try {
      return this.#held.take(sizeBytes);
    } catch (error) {
      if (!this.#hasWarnedOfMemory) {
        this.#log.warn({}, `no memory for a conversation of ${formatBytes(sizeBytes)}: ${messageOf(error)}`);
      }
      this.#hasWarnedOfMemory = true;
      return null;
    }
  }

  #shed(neededBytes: number): void {
    for (const entry of this.#entries) {
      if (this.#fits(neededBytes, 0)) return;
      if (entry.file === null || entry.held === null || entry.held.isPinned) continue;
      entry.held.free();
      entry.held = null;
    }
    for (const entry of this.#entries) {
      if (this.#fits(neededBytes, 0)) return;
      if (entry.file === null && entry.held !== null && !entry.held.isPinned) this.#drop(entry);
    }
  }

  /** After anything that may have made states free to go, or left too many in no file. */
  #settle(): void {
    this.#shed(0);
    if (this.#state === "open") this.#write();
  }

  /** The caller unpins it. */
  async #pinnedState(entry: Entry): Promise<HeldState | null> {
    this.#touch(entry);
    if (entry.held !== null) {
      entry.held.pin();
      return entry.held;
    }
    const arriving = (entry.arriving ??= this.#fetch(entry));
    if (arriving === null) return null;
    arriving.held.pin();
    if (await arriving.done) return arriving.held;
    arriving.held.unpin();
    return null;
  }

  /** The state stays pinned until its arrival has been noted. */
  #fetch(entry: Entry): Entry["arriving"] {
    const [files, file] = [this.#files, entry.file];
    if (files === null || file === null) return null;
    const held = this.#take(entry.sizeBytes);
    if (held === null) return null;
    const done = files.read(file.name, entry, held.bytes).then(
      () => true,
      (error: unknown) => {
        this.#readFailed(files, file.name, entry, error);
        return false;
      },
    );
    return {
      held,
      done: done.then((isRead) => {
        entry.arriving = null;
        if (isRead && this.#entries.has(entry)) entry.held = held;
        else held.free();
        held.unpin();
        return isRead;
      }),
    };
  }

  #readFailed(files: StateFiles, name: string, entry: Entry, error: unknown): void {
    const isDamaged = error instanceof DamagedStateError;
    if (isDamaged) this.#counts.damaged += 1;
    // Another process that shares the folder may have removed the file: nothing to tell.
    if ((isDamaged || isMissing(error)) && this.#entries.has(entry)) this.#drop(entry);
    if (isMissing(error) || this.#hasWarnedOfReading) return;
    this.#hasWarnedOfReading = true;
    this.#log.warn({}, `${files.folder}: a conversation is read anew (${name}: ${messageOf(error)})`);
  }

  // ---- files

  #diskLimit(): number {
    return this.#limits.ramBytes === 0 ? 0 : this.#limits.diskBytes;
  }

  #write(): void {
    if (this.#files === null || this.#writing !== null || this.#nextToWrite() === null) return;
    this.#writing = this.#writeAll(this.#files);
  }

  /** One file at a time. Never rejects. */
  async #writeAll(files: StateFiles): Promise<void> {
    for (let entry = this.#nextToWrite(); entry !== null; entry = this.#nextToWrite()) {
      const sizeBytes = stateFileBytes(entry);
      this.#makeDiskRoom(sizeBytes);
      this.#diskBytes += sizeBytes;
      const name = await this.#writeOne(files, entry);
      if (name !== null && this.#entries.has(entry)) {
        entry.file = { name, sizeBytes };
        this.#counts.spills += 1;
        // The limit may be a lower one by now.
        this.#makeDiskRoom(0);
        continue;
      }
      this.#diskBytes -= sizeBytes;
      if (name !== null) files.remove(name);
    }
    this.#writing = null;
  }

  async #writeOne(files: StateFiles, entry: Entry): Promise<string | null> {
    try {
      await files.prepare();
      return await files.write(entry, entry.usedMs, (into, offset) => {
        // Dropped or closed meanwhile, or too much by a lower limit.
        if (entry.held === null || this.#diskBytes > this.#diskLimit()) return false;
        into.set(entry.held.bytes.subarray(offset, offset + into.length));
        return true;
      });
    } catch (error) {
      this.#stopWriting(files, error);
      return null;
    }
  }

  #nextToWrite(): Entry | null {
    if (!this.#canWrite || this.#state === "closed") return null;
    const mostBytes = this.#state === "flushing" ? 0 : this.#limits.ramBytes * unwrittenShare;
    if (this.#held.total <= mostBytes) return null;
    const unwritten = [...this.#entries].filter(({ file, held }) => file === null && held !== null);
    if (unwritten.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= mostBytes) return null;
    // At the end there may not be time for all of them.
    if (this.#state === "flushing") unwritten.reverse();
    return unwritten.find((entry) => this.#canMakeDiskRoom(entry)) ?? null;
  }

  /** Files of entries that were used later do not make place for this one: else two entries could drive each other out. */
  #canMakeDiskRoom(wanted: Entry): boolean {
    let bytes = this.#diskBytes + stateFileBytes(wanted);
    for (const entry of this.#entries) {
      if (entry === wanted) break;
      bytes -= entry.file?.sizeBytes ?? 0;
    }
    return bytes <= this.#diskLimit();
  }

  #makeDiskRoom(neededBytes: number): void {
    for (const entry of this.#entries) {
      if (this.#diskBytes + neededBytes <= this.#diskLimit()) return;
      if (entry.file === null) continue;
      if (entry.held === null) this.#drop(entry);
      else this.#removeFile(entry);
    }
  }

  #stopWriting(files: StateFiles, error: unknown): void {
    this.#canWrite = false;
    this.#log.warn({}, `${files.folder}: no conversation is written there until the next start: ${messageOf(error)}`);
  }
}

/** Whether the longer state makes the other one superfluous: it continues it, and is of use from its end at the latest. */
function covers(longer: StateDescription, other: StateDescription): boolean {
  return (
    longer.modelKey === other.modelKey &&
    longer.minPrefixTokens <= other.tokens.length &&
    // Conversations that share a long beginning differ at their ends.
    longer.tokens[other.tokens.length - 1] === other.tokens.at(-1) &&
    commonPrefixLength(longer.tokens, other.tokens) === other.tokens.length
  );
}

/** Memory before files, small before large. */
function isCheaper(one: Entry, other: Entry): boolean {
  const [isHere, isOtherHere] = [one.held !== null, other.held !== null];
  return isHere === isOtherHere ? one.sizeBytes < other.sizeBytes : isHere;
}

function reservationOf(held: HeldState, end: (isKept: boolean) => void): Reservation {
  let isOver = false;
  const endOnce = (isKept: boolean) => {
    if (!isOver) end(isKept);
    isOver = true;
  };
  return { bytes: held.bytes, keep: () => endOnce(true), discard: () => endOnce(false) };
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}
