// A prompt cache whose memory, clock and log the test can look at; and states whose bytes tell whose they are.
import { readdirSync } from "node:fs";
import type { Logger } from "../../../src/core/log.ts";
import type { StateBuffer } from "../../../src/engine/prompt-cache/held-state.ts";
import {
  type CachedPrompt,
  PromptCache,
  type PromptCacheOptions,
} from "../../../src/engine/prompt-cache/prompt-cache.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/** Memory that is counted, and that fails the test when it is freed twice. */
export class CountedMemory {
  bytes = 0;
  buffers = 0;
  mostBytes = 0;

  allocate = (sizeBytes: number): StateBuffer => {
    const bytes = new Uint8Array(sizeBytes);
    this.bytes += sizeBytes;
    this.buffers += 1;
    this.mostBytes = Math.max(this.mostBytes, this.bytes);
    let isFree = false;
    return {
      bytes,
      free: () => {
        if (isFree) throw new Error("freed twice");
        isFree = true;
        this.bytes -= sizeBytes;
        this.buffers -= 1;
        // Whoever still reads them must not get what was there.
        bytes.fill(0xee);
      },
    };
  };
}

export interface CacheUnderTest {
  readonly cache: PromptCache;
  readonly memory: CountedMemory;
  readonly clock: ManualClock;
  readonly warnings: string[];
}

/** `clock` of the result is the one made here, where none is given. */
export async function openCache(options: Partial<PromptCacheOptions> = {}): Promise<CacheUnderTest> {
  const memory = new CountedMemory();
  const clock = new ManualClock();
  const warnings: string[] = [];
  const unexpected = () => {
    throw new Error("the cache warns, and logs nothing else");
  };
  const log: Logger = {
    debug: unexpected,
    info: unexpected,
    warn: (_, message) => warnings.push(message),
    error: unexpected,
  };
  const cache = await PromptCache.open({
    ramBytes: 1_000_000,
    diskBytes: 1_000_000,
    maxAgeMs: 1e9,
    folder: null,
    allocate: memory.allocate,
    clock,
    log,
    ...options,
  });
  return { cache, memory, clock, warnings };
}

export function tokensOf(...numbers: number[]): Int32Array {
  return Int32Array.from(numbers);
}

/** `count` tokens of a conversation of its own. */
export function conversation(id: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, index) => (index === 0 ? id : id * 1000 + index));
}

/** The bytes that a state of these tokens has in these tests. */
export function fillState(bytes: Uint8Array, tokens: Int32Array): void {
  let word = tokens.reduce((sum, token) => Math.imul(sum ^ token, 0x01000193), 0x811c9dc5) | 1;
  for (let index = 0; index < bytes.length; index += 1) {
    word = (Math.imul(word, 1664525) + 1013904223) | 0;
    bytes[index] = word >>> 24;
  }
}

export function stateOf(tokens: Int32Array, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  fillState(bytes, tokens);
  return bytes;
}

/** Whether the cache took it. */
export function keep(
  cache: PromptCache,
  modelKey: string,
  tokens: Int32Array,
  sizeBytes: number,
  minPrefixTokens = 1,
): boolean {
  const room = cache.reserve(modelKey, tokens, sizeBytes, minPrefixTokens);
  if (room === null) return false;
  fillState(room.bytes, tokens);
  room.keep();
  return true;
}

/** What is found for a prompt, where the test knows that there is something. */
export function entryFor(cache: PromptCache, modelKey: string, prompt: Int32Array | readonly number[]): CachedPrompt {
  const found = cache.find(modelKey, prompt);
  if (found === null) throw new Error("nothing is found for this prompt");
  return found.entry;
}

/** A copy of the bytes that are loaded for this prompt; null where there are none. */
export async function loaded(cache: PromptCache, modelKey: string, prompt: Int32Array): Promise<Uint8Array | null> {
  const found = cache.find(modelKey, prompt);
  const lease = found === null ? null : await cache.load(found.entry);
  if (lease === null) return null;
  const bytes = Uint8Array.from(lease.bytes);
  lease.release();
  return bytes;
}

/** Resolves when the condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

export function stateFilesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".state"))
    .sort();
}
