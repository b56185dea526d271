// The loop that keeps one context's sequences in step: each pass decodes a token of every stream, with drafts where the text
// repeats itself, or reads a chunk of a prompt, always by ascending sequence (llama.cpp splits a batch that is not). What is
// in the KV cache already is never read again: a prompt begins in the slot that holds most of it, takes what another slot
// or the prompt cache holds more, and waits where another stream is just reading the same text.
// May import its neighbours, common-prefix.ts, prompt-cache/ (types) and core/.
import { AbandonedError } from "../../core/errors.ts";
import { commonPrefixLength } from "../common-prefix.ts";
import type { ChosenTokenLogprobs, ThreadCounts, Token } from "../engine.ts";
import type { PromptCache, Reservation, StateLease } from "../prompt-cache/prompt-cache.ts";
import type { ComputeTurn } from "./compute-turn.ts";
import type { ChosenTokens, Decoder, PassStream, SequenceStates, StreamSampler } from "./decoder.ts";
import { chooseDraftLengths, PassCosts, type SavedPassCost } from "./pass-costs.ts";
import { mostDrafts, PassPlanner, smallestChunkTokens, type StreamView } from "./pass-plan.ts";
import { PromptLookup } from "./prompt-lookup.ts";
import { exchangeFor, runsOf } from "./sequence-neighbours.ts";
import { chooseSlot } from "./slot-choice.ts";

export interface DecodeLoopOptions {
  readonly decoder: Decoder;
  readonly slots: number;
  /** Tokens that fit in one slot. */
  readonly contextTokens: number;
  /** Largest batch, the context's own. */
  readonly batchTokens: number;
  /** Positions that a sliding-window layer attends to; null where every layer sees all. */
  readonly slidingWindowTokens: number | null;
  readonly threads: ThreadCounts;
  /** Whether a core is left for the event loop while a pass computes. */
  readonly hasSpareCore: boolean;
  /** Where conversations go that lose their slot, and this model's key there; null: nowhere. */
  readonly promptCache: { readonly cache: PromptCache; readonly modelKey: string } | null;
  /** What this model taught when it was in memory the last time. */
  readonly learned: LearnedCosts | null;
  readonly turn: ComputeTurn;
  readonly nowMs: () => number;
}

/** What the loop finds out about a model on this machine, for the next time that it is loaded. */
export interface LearnedCosts {
  readonly chunkTokens: number;
  readonly passes: readonly SavedPassCost[];
}

export interface StreamRequest {
  /** At least one token, fewer than `contextTokens`. */
  readonly promptTokens: readonly Token[];
  /** At least 1. */
  readonly maxTokens: number;
  readonly sampler: StreamSampler;
  isEndOfGeneration(token: Token): boolean;
}

export type StreamEvent =
  | { readonly type: "prefill"; readonly readTokens: number; readonly cachedTokens: number }
  | {
      readonly type: "token";
      readonly token: Token;
      /** Where the sampler was asked for them. */
      readonly logprobs?: ChosenTokenLogprobs;
    }
  | { readonly type: "end"; readonly reason: "stop" | "length" };

interface Slot {
  /** May change while a stream runs: its cells are where this says. */
  sequenceId: number;
  busy: boolean;
  lastUse: number;
  cachedTokens: Token[];
  /** Of the tokens, those of the last prompt that was read here; what follows was generated. */
  promptTokens: number;
}

interface Stream {
  readonly request: StreamRequest;
  readonly slot: Slot;
  readonly arrival: number;
  /** Prompt and generated tokens; those beyond `slot.cachedTokens.length` are still to be decoded. */
  readonly tokens: Token[];
  readonly lookup: PromptLookup | null;
  /** Its state on the way from the prompt cache; null when there is none, or it is here. */
  arriving: Promise<void> | null;
  /** A state of this many tokens that is here and not yet in the slot. */
  arrived: { readonly lease: StateLease; readonly tokens: Int32Array } | null;
  isPrepared: boolean;
  /** Of the prompt, not read by this stream. */
  reusedTokens: number;
  generatedTokens: number;
  cancelled: boolean;
  readonly events: StreamEvent[];
  failure: { readonly error: unknown } | null;
  ended: boolean;
  wake: () => void;
}

interface Entry extends PassStream {
  readonly stream: Stream;
}

/** A copy or a load costs a pass's worth of time: for fewer tokens than these, reading them is as quick. */
const leastCopiedTokens = 32;
/** Of the sequence that is copied, what must be of use. */
const leastCopiedShare = 1 / 4;
/** Conversations that are shorter are read again sooner than they are found again. */
const leastKeptTokens = 64;
/** What passes in a row may take together: nobody sees a difference between tokens that come so close. */
const passesTogetherMs = 3;
const mostPassesInARow = 16;
/** How fast a state is saved or loaded, in bytes a millisecond: less than every machine does. */
const stateBytesPerMs = 500_000;
/** What an exchange may take beside the budget, for a moment. */
const mostExchangedBytes = 64 * 2 ** 20;
/** The last tokens of a prompt may be others when text follows: left out where a state must match to its last token. */
const windowMarginTokens = 8;

const nothingChosen: ChosenTokens = { tokens: [], logprobs: null, failure: null };

export class DecodeLoop {
  readonly #options: DecodeLoopOptions;
  readonly #slots: Slot[];
  readonly #streams = new Set<Stream>();
  /** Something has happened to them that their readers have not been told. */
  readonly #toTell = new Set<Stream>();
  readonly #planner: PassPlanner;
  readonly #costs: PassCosts;
  readonly #batchTokens: number;
  #pass: readonly Entry[] = [];
  #running: Promise<void> = Promise.resolve();
  #isRunning = false;
  /** Somebody came or left since the loop last looked. */
  #isWoken = false;
  #wakeLoop: () => void = () => {};
  #uses = 0;
  /** What was lost since the last exchange because streams that decode together are not neighbours. */
  #splitLossMs = 0;

  constructor(options: DecodeLoopOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.slots }, (_, sequenceId) => ({
      sequenceId,
      busy: false,
      lastUse: 0,
      cachedTokens: [],
      promptTokens: 0,
    }));
    this.#batchTokens = Math.min(options.batchTokens, options.contextTokens);
    this.#planner = new PassPlanner({
      batchTokens: this.#batchTokens,
      chunkTokens: options.learned?.chunkTokens ?? null,
    });
    this.#costs = new PassCosts(options.learned?.passes ?? []);
  }

  /**
   * Learns how long a prompt chunk may be on this machine, and makes the weights resident on the way (they are mapped, not
   * read, until they are used): decodes chunks of doubling size until one takes half of what a chunk may take. Not where
   * that is known: a request is waiting.
   */
  async warmUp(token: Token): Promise<void> {
    const { decoder, contextTokens, nowMs, threads, learned } = this.#options;
    if (learned !== null) return;
    const round = async (tokens: number) => {
      const startMs = nowMs();
      const chunk = Array<Token>(tokens).fill(token);
      const stream = { sequenceId: 0, firstPosition: 0, tokens: chunk, drafts: 0, sampler: null };
      await decoder.decode([stream], { threads: threads.prefill, passes: 1 });
      decoder.forgetAll(0);
      return nowMs() - startMs;
    };
    await this.#options.turn.take(() => round(1));
    if (smallestChunkTokens > contextTokens) return;
    for (let tokens = 0; tokens !== this.#planner.chunkTokens && this.#planner.chunkTokens < contextTokens;) {
      tokens = this.#planner.chunkTokens;
      await this.#options.turn.take(async () => this.#planner.read(tokens, await round(tokens)));
    }
  }

  /** Lets a calibration decode in an empty sequence, while no pass of any model is under way. Throws where no slot is free. */
  async withFreeSequence<T>(work: (sequenceId: number) => Promise<T>): Promise<T> {
    const slot = this.#slots.find(({ busy }) => !busy);
    if (slot === undefined) throw new Error("no free slot to measure in");
    slot.busy = true;
    try {
      return await this.#options.turn.take(async () => {
        this.#forgetAll(slot);
        return work(slot.sequenceId).finally(() => this.#forgetAll(slot));
      });
    } finally {
      slot.busy = false;
    }
  }

  learned(): LearnedCosts {
    return { chunkTokens: this.#planner.chunkTokens, passes: this.#costs.save() };
  }

  /** Ends within a pass of the loop when the signal fires (AbandonedError) or when the iterator is returned. */
  async *run(request: StreamRequest, signal: AbortSignal): AsyncGenerator<StreamEvent, void, void> {
    if (signal.aborted) throw new AbandonedError();
    const stream = this.#open(request);
    const onAbort = () => this.#cancel(stream);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (true) {
        const event = stream.events.shift();
        if (event !== undefined) {
          yield event;
          continue;
        }
        if (stream.failure !== null) throw stream.failure.error;
        if (stream.ended) {
          if (signal.aborted) throw new AbandonedError();
          return;
        }
        await new Promise<void>((resolve) => (stream.wake = resolve));
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#cancel(stream);
      // The slot is free only when the loop has let go of it: until then its cells may still be written.
      while (!stream.ended) await new Promise<void>((resolve) => (stream.wake = resolve));
    }
  }

  /** Ends the loop's work: what the slots hold goes to the prompt cache. Call it only when no stream is left. */
  async close(): Promise<void> {
    await this.#running;
    const byUse = [...this.#slots].sort((left, right) => left.lastUse - right.lastUse);
    // The one used last is kept last: where there is not room for all, the others make room for it.
    await this.#options.turn.take(async () => {
      for (const slot of byUse) await this.#keep(slot);
    });
  }

  #open(request: StreamRequest): Stream {
    const { decoder } = this.#options;
    const slot = this.#slots[chooseSlot(this.#slots, request.promptTokens)];
    if (slot === undefined) throw new Error("no free slot: more requests than slots were let through");
    slot.busy = true;
    slot.lastUse = ++this.#uses;
    const stream: Stream = {
      request,
      slot,
      arrival: slot.lastUse,
      tokens: [...request.promptTokens],
      lookup: decoder.takesDrafts ? new PromptLookup(request.promptTokens) : null,
      arriving: null,
      arrived: null,
      isPrepared: false,
      reusedTokens: 0,
      generatedTokens: 0,
      cancelled: false,
      events: [],
      failure: null,
      ended: false,
      wake: () => {},
    };
    this.#fetch(stream);
    this.#streams.add(stream);
    this.#wake();
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#running = this.#loop();
    }
    return stream;
  }

  #cancel(stream: Stream): void {
    if (stream.cancelled) return;
    stream.cancelled = true;
    this.#wake();
    if (this.#pass.length > 0 && this.#pass.every((entry) => entry.stream.cancelled)) this.#options.decoder.abort();
  }

  #wake(): void {
    this.#isWoken = true;
    this.#wakeLoop();
  }

  /** Sends for the prompt's state where the prompt cache holds clearly more of it than the slot does. */
  #fetch(stream: Stream): void {
    const { promptCache, decoder } = this.#options;
    if (promptCache === null || decoder.states === null) return;
    const prompt = stream.request.promptTokens;
    const inSlots = Math.max(...this.#slots.map(({ cachedTokens }) => commonPrefixLength(cachedTokens, prompt)));
    // The last prompt token is decoded in any case.
    const found = promptCache.cache.find(promptCache.modelKey, prompt.slice(0, -1));
    if (found === null || found.prefixTokens < inSlots + leastCopiedTokens) return;
    if (found.entry.tokens.length > this.#options.contextTokens) return;
    const { entry } = found;
    const arrive = async () => {
      const lease = await promptCache.cache.load(entry);
      stream.arriving = null;
      if (lease === null) return;
      if (stream.ended) lease.release();
      else stream.arrived = { lease, tokens: entry.tokens };
    };
    stream.arriving = arrive();
  }

  async #loop(): Promise<void> {
    try {
      // Streams that are opened in the same tick start in the same batch.
      await Promise.resolve();
      while (this.#streams.size > 0) {
        let hasAdvanced = false;
        this.#isWoken = false;
        // Another model computes first: what this one has to say is not to wait for that.
        if (!this.#options.turn.isFree) this.#tell();
        try {
          await this.#options.turn.take(async () => {
            // Who left while this loop waited for its turn is dropped before anything is decoded for him.
            for (const stream of this.#streams) if (stream.cancelled) this.#close(stream);
            for (const stream of this.#streams) {
              if (stream.arriving !== null || stream.isPrepared) continue;
              this.#tell();
              await this.#prepare(stream).catch((error: unknown) => this.#fail(stream, error));
            }
            hasAdvanced = await this.#advance();
          });
        } catch (error) {
          try {
            this.#passFailed(error);
          } catch {
            // Their streams have ended; what is left in the cache is found out by who uses it next.
          }
          hasAdvanced = true;
        }
        if (hasAdvanced && this.#streams.size > 0) {
          // Where all cores compute, whoever writes to sockets meanwhile takes one of them in the middle of a pass, and all
          // threads wait for it: that costs more than to compute nothing for the moment that the writing takes.
          if (!this.#options.hasSpareCore) await this.#tellAndYield();
          continue;
        }
        this.#tell();
        if (this.#streams.size === 0) continue;
        // All that is left to do waits for a state, or for a stream that does.
        if (this.#isWoken) continue;
        const woken = new Promise<void>((resolve) => (this.#wakeLoop = resolve));
        await Promise.race([woken, ...[...this.#streams].flatMap(({ arriving }) => arriving ?? [])]);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** Makes the slot ready for the prompt: what is of use in it stays, what somebody may come back to is kept elsewhere. */
  async #prepare(stream: Stream): Promise<void> {
    stream.isPrepared = true;
    const { slot } = stream;
    const prompt = stream.request.promptTokens;
    const { arrived } = stream;
    const stays = arrived === null ? commonPrefixLength(slot.cachedTokens, prompt) : 0;
    if (slot.cachedTokens.length - stays > slot.cachedTokens.length / 2) await this.#keep(slot);
    if (arrived !== null) {
      stream.arrived = null;
      slot.cachedTokens = [];
      try {
        await this.#options.decoder.states?.load(slot.sequenceId, arrived.lease.bytes);
        slot.cachedTokens = Array.from(arrived.tokens);
      } catch {
        // A state that is refused costs what it would have saved, no more.
        this.#forgetAll(slot);
      } finally {
        arrived.lease.release();
      }
    }
    stream.reusedTokens = this.#keepPrefix(slot, prompt);
    slot.promptTokens = prompt.length;
  }

  /** Copies what the slot holds to the prompt cache, if there is one and it has room. The slot may lose its end by that. */
  async #keep(slot: Slot): Promise<void> {
    const { promptCache, decoder } = this.#options;
    const { states } = decoder;
    if (promptCache === null || states === null || slot.cachedTokens.length < leastKeptTokens) return;
    let place: Reservation | null = null;
    try {
      const minPrefixTokens = this.#cutToWindow(slot);
      if (minPrefixTokens === null) return;
      const bytes = states.bytes(slot.sequenceId);
      place = promptCache.cache.reserve(promptCache.modelKey, slot.cachedTokens, bytes, minPrefixTokens);
      if (place === null) return;
      await states.save(slot.sequenceId, place.bytes);
      place.keep();
    } catch {
      // It is a copy for later; the request that is served now does not depend on it.
      place?.discard();
    }
  }

  /**
   * A state holds of a sliding window only its end: it is of use to nobody who parts from it before that. The end of an
   * answer comes back as other tokens often enough, the prompt before it hardly ever: so the state ends there. Returns how
   * many tokens must be the same for the state to be used; null where it would be of no use.
   */
  #cutToWindow(slot: Slot): number | null {
    const { decoder, slidingWindowTokens } = this.#options;
    if (slidingWindowTokens === null || slot.cachedTokens.length <= slidingWindowTokens) return 1;
    const end = Math.min(slot.promptTokens, slot.cachedTokens.length) - windowMarginTokens;
    if (end < leastKeptTokens || !decoder.forget(slot.sequenceId, end)) return null;
    slot.cachedTokens.length = end;
    if (this.#isWhole(slot.sequenceId, end)) return end;
    this.#forgetAll(slot);
    return null;
  }

  /** Whether all that a token after the first `tokens` attends to is there: what a sliding window has dropped is a hole. */
  #isWhole(sequenceId: number, tokens: number): boolean {
    const { decoder, slidingWindowTokens } = this.#options;
    const firstPosition = decoder.firstPosition(sequenceId);
    const needsFrom = slidingWindowTokens === null ? 0 : Math.max(0, tokens - slidingWindowTokens);
    return firstPosition >= 0 && firstPosition <= needsFrom;
  }

  /** Forgets what the slot holds beyond the prompt's prefix; returns how many tokens of the prompt stay. */
  #keepPrefix(slot: Slot, prompt: readonly Token[]): number {
    const { decoder } = this.#options;
    // The last prompt token is decoded again in any case: its logits choose the first token of the answer.
    const prefix = Math.min(commonPrefixLength(slot.cachedTokens, prompt), prompt.length - 1);
    if (prefix < slot.cachedTokens.length) {
      const removed = prefix > 0 && decoder.forget(slot.sequenceId, prefix);
      if (!removed || !this.#isWhole(slot.sequenceId, prefix)) {
        this.#forgetAll(slot);
        return 0;
      }
      slot.cachedTokens.length = prefix;
    }
    return prefix;
  }

  /** One pass, after what other slots have read of the same prompts was taken over. False where every stream waits. */
  async #advance(): Promise<boolean> {
    await this.#gather();
    const streams = [...this.#streams]
      .filter(({ isPrepared }) => isPrepared)
      .sort((left, right) => left.slot.sequenceId - right.slot.sequenceId);
    const views: StreamView[] = [];
    for (const stream of streams) views.push(await this.#viewOf(stream));
    const sizes = this.#planner.plan(views);
    const entries = streams.flatMap((stream, index) => {
      const size = sizes[index] ?? 0;
      return size === 0 ? [] : [this.#entryOf(stream, size)];
    });
    if (entries.length === 0) return false;
    const isDecoding = entries.every(({ stream }) => pendingTokens(stream) === 1);
    await this.#decode(isDecoding ? this.#withDrafts(entries) : entries, isDecoding);
    return true;
  }

  /**
   * Brings streams that decode together next to one another. A move costs time, and the streams may end at any moment: it is
   * made once they have lost as much by standing apart.
   */
  async #gather(): Promise<void> {
    const { states } = this.#options.decoder;
    if (states === null || this.#splitLossMs === 0) return;
    const decoding = [...this.#streams].filter((stream) => stream.isPrepared && pendingTokens(stream) === 1);
    const ids = decoding.map(({ slot }) => slot.sequenceId).sort((left, right) => left - right);
    const free = new Set(this.#slots.flatMap(({ busy, sequenceId }) => (busy ? [] : [sequenceId])));
    const exchange = exchangeFor(ids, free);
    if (exchange === null) {
      this.#splitLossMs = 0;
      return;
    }
    const bytes = states.bytes(exchange.from) + states.bytes(exchange.to);
    // Both are in memory twice meanwhile.
    if (bytes > mostExchangedBytes) {
      this.#splitLossMs = 0;
      return;
    }
    if (this.#splitLossMs < (2 * bytes) / stateBytesPerMs) return;
    this.#splitLossMs = 0;
    const moved = this.#slots.filter(({ sequenceId }) => sequenceId === exchange.from || sequenceId === exchange.to);
    const [left, right] = moved;
    if (left === undefined || right === undefined) return;
    try {
      await exchangeStates(states, this.#options.decoder, left, right);
      [left.sequenceId, right.sequenceId] = [right.sequenceId, left.sequenceId];
    } catch {
      // What was in them is read again.
      for (const slot of moved) this.#forgetAll(slot);
    }
  }

  async #viewOf(stream: Stream): Promise<StreamView> {
    const { arrival, generatedTokens } = stream;
    if (pendingTokens(stream) === 1) return { pendingTokens: 1, readableTokens: 1, generatedTokens, arrival };
    const waits = await this.#takeOver(stream);
    const pending = pendingTokens(stream);
    // Up to where a later stream parts from this one, so that it can take over just what they share.
    const readable = Math.min(pending, ...this.#partings(stream).filter((tokens) => tokens > 0));
    return { pendingTokens: pending, readableTokens: waits ? 0 : readable, generatedTokens, arrival };
  }

  /** Copies what another slot holds of this stream's prompt; true where it pays to wait for one that reads the same now. */
  async #takeOver(stream: Stream): Promise<boolean> {
    const { states } = this.#options.decoder;
    if (states === null) return false;
    const own = stream.slot.cachedTokens.length;
    const prompt = stream.request.promptTokens;
    if (prompt.length - 1 - own < leastCopiedTokens) return false;
    let donor: Slot | null = null;
    let shared = own + leastCopiedTokens - 1;
    for (const slot of this.#slots) {
      if (slot === stream.slot) continue;
      const prefix = Math.min(commonPrefixLength(slot.cachedTokens, prompt), prompt.length - 1);
      const isLonger =
        prefix > shared || (prefix === shared && slot.cachedTokens.length < (donor?.cachedTokens.length ?? 0));
      if (isLonger && this.#canShare(slot, prefix)) {
        donor = slot;
        shared = prefix;
      }
    }
    for (const other of this.#streams) {
      if (other.arrival >= stream.arrival || other.cancelled || !other.isPrepared || pendingTokens(other) === 1)
        continue;
      const common = Math.min(commonPrefixLength(other.tokens, prompt), prompt.length - 1);
      // Under a sliding window there is nothing to take any more once it has read beyond that.
      const canStillShare = this.#options.slidingWindowTokens === null || other.slot.cachedTokens.length <= common;
      if (common > shared && canStillShare) return true;
    }
    if (donor === null) return false;
    const { sequenceId } = stream.slot;
    try {
      await states.copy(donor.sequenceId, sequenceId, shared);
      stream.slot.cachedTokens = donor.cachedTokens.slice(0, shared);
      stream.reusedTokens += shared - own;
      // A window that the file does not name may have moved on: then the copy has a hole.
      if (!this.#isWhole(sequenceId, shared)) throw new Error("the copy lacks what a sliding window has dropped");
    } catch {
      this.#forgetAll(stream.slot);
      stream.reusedTokens = 0;
    }
    return false;
  }

  /**
   * A sliding window's cells are those of the end: a part of such a sequence cannot be used without the rest. And a copy
   * takes the whole sequence before it is cut: for a small part of a long one that costs more memory and time than it saves.
   */
  #canShare(slot: Slot, prefix: number): boolean {
    const { slidingWindowTokens } = this.#options;
    const { length } = slot.cachedTokens;
    if (prefix < length * leastCopiedShare) return false;
    return slidingWindowTokens === null || length === prefix || length <= slidingWindowTokens;
  }

  /** In how many tokens this stream gets to where those part from it that wait for it. */
  #partings(stream: Stream): number[] {
    const { decoder, slidingWindowTokens } = this.#options;
    if (decoder.states === null || slidingWindowTokens === null || this.#streams.size === 1) return [];
    return [...this.#streams]
      .filter((other) => other.arrival > stream.arrival && pendingTokens(other) > 1)
      .map((other) => {
        const common = Math.min(commonPrefixLength(stream.tokens, other.tokens), other.request.promptTokens.length - 1);
        return common - stream.slot.cachedTokens.length;
      });
  }

  #entryOf(stream: Stream, size: number): Entry {
    const start = stream.slot.cachedTokens.length;
    return {
      stream,
      sequenceId: stream.slot.sequenceId,
      firstPosition: start,
      tokens: stream.tokens.slice(start, start + size),
      drafts: 0,
      sampler: start + size === stream.tokens.length ? stream.request.sampler : null,
    };
  }

  #withDrafts(entries: readonly Entry[]): readonly Entry[] {
    const { contextTokens } = this.#options;
    // Each row of a draft takes memory for the logits of a whole vocabulary.
    const room = Math.min(Math.floor(this.#batchTokens / entries.length) - 1, Math.floor(mostDrafts / entries.length));
    const streams = entries.map(({ stream: { lookup, request, generatedTokens, tokens } }) => ({
      maxDraft:
        lookup === null
          ? 0
          : Math.min(room, request.maxTokens - generatedTokens - 1, contextTokens - tokens.length - 1),
      acceptance: (position: number) => lookup?.acceptance(position) ?? 0,
    }));
    const lengths = chooseDraftLengths({ costs: this.#costs, streams, promptRows: 0 });
    return entries.map((entry, index) => {
      const draft = entry.stream.lookup?.draft(lengths[index] ?? 0) ?? [];
      return draft.length === 0 ? entry : { ...entry, tokens: [...entry.tokens, ...draft], drafts: draft.length };
    });
  }

  async #decode(entries: readonly Entry[], isDecoding: boolean): Promise<void> {
    const { decoder, nowMs } = this.#options;
    const rows = entries.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const threads = isDecoding ? this.#options.threads.decode : this.#options.threads.prefill;
    const startMs = nowMs();
    this.#pass = entries;
    const passes = isDecoding ? this.#passesInARow(entries, rows) : 1;
    const decoding = decoder.decode(entries, { threads, passes });
    // What the last pass brought is written to sockets while this one computes.
    this.#tell();
    const chosen = await decoding;
    this.#pass = [];
    const elapsedMs = nowMs() - startMs;
    if (isDecoding) {
      const done = Math.max(1, Math.min(passes, ...chosen.map(({ tokens }) => tokens.length)));
      this.#costs.observe(rows, elapsedMs / done);
      const { length: runs } = runsOf(entries.map(({ sequenceId }) => sequenceId));
      this.#splitLossMs += (elapsedMs * (runs - 1)) / runs;
      for (let pass = 0; pass < done; pass++) this.#planner.decoded(elapsedMs / done);
    } else this.#planner.read(rows, elapsedMs);
    entries.forEach((entry, index) => this.#take(entry, chosen[index] ?? nothingChosen));
  }

  /**
   * Where a pass takes a fraction of a millisecond, coming back from it costs more than the pass: then several follow one
   * another before anybody is told. Not while somebody waits, nor beyond the end that a stream is known to have.
   */
  #passesInARow(entries: readonly Entry[], rows: number): number {
    const expectedMs = this.#costs.expectedMs(rows);
    const isAlone = this.#streams.size === entries.length && this.#options.turn.isAlone;
    if (expectedMs === null || !isAlone || !this.#options.decoder.takesDrafts) return 1;
    if (entries.some(({ drafts }) => drafts > 0)) return 1;
    const left = entries.map(({ stream: { request, generatedTokens, tokens } }) =>
      Math.min(request.maxTokens - generatedTokens, this.#options.contextTokens - tokens.length),
    );
    return Math.max(1, Math.min(mostPassesInARow, Math.floor(passesTogetherMs / expectedMs), ...left));
  }

  /** Takes what a pass brought for one stream: cells in the KV cache, and tokens. */
  #take({ stream, tokens, drafts }: Entry, { tokens: chosen, logprobs, failure }: ChosenTokens): void {
    const { slot, request } = stream;
    for (const token of tokens.slice(0, tokens.length - drafts)) slot.cachedTokens.push(token);
    // All but the last were decoded too, as drafts or by further passes.
    for (const token of chosen.slice(0, -1)) slot.cachedTokens.push(token);
    if (stream.generatedTokens === 0) {
      this.#emit(stream, {
        type: "prefill",
        readTokens: Math.min(slot.cachedTokens.length, request.promptTokens.length),
        cachedTokens: stream.reusedTokens,
      });
    }
    if (stream.cancelled) return;
    for (const [index, token] of chosen.entries()) {
      // No candidate left is the end of the text, as it is for llama-server.
      if (token < 0 || request.isEndOfGeneration(token)) {
        this.#end(stream, "stop");
        return;
      }
      stream.tokens.push(token);
      stream.lookup?.push(token);
      stream.generatedTokens += 1;
      const ofToken = logprobs?.[index];
      this.#emit(
        stream,
        ofToken === undefined ? { type: "token", token } : { type: "token", token, logprobs: ofToken },
      );
      if (stream.generatedTokens >= request.maxTokens || stream.tokens.length >= this.#options.contextTokens) {
        this.#end(stream, "length");
        return;
      }
    }
    if (failure !== null) this.#fail(stream, failure);
  }

  /** After a failed pass nothing is known of its sequences' cells, but for one that was broken off: those before it stay. */
  #passFailed(error: unknown): void {
    const { decoder } = this.#options;
    const entries = this.#pass;
    this.#pass = [];
    if (entries.length === 0) {
      // Not a pass but what comes before it; it would fail again.
      for (const stream of this.#streams) {
        stream.failure = { error };
        this.#close(stream);
      }
      for (const slot of this.#slots) this.#forgetAll(slot);
      return;
    }
    const wasBrokenOff = entries.every(({ stream }) => stream.cancelled);
    for (const { stream } of entries) {
      if (!wasBrokenOff) stream.failure = { error };
      this.#close(stream);
    }
    for (const {
      stream: { slot },
    } of entries) {
      const keeps = wasBrokenOff && slot.cachedTokens.length > 0;
      if (!(keeps && decoder.forget(slot.sequenceId, slot.cachedTokens.length))) this.#forgetAll(slot);
    }
  }

  #fail(stream: Stream, error: unknown): void {
    stream.failure = { error };
    this.#close(stream);
    this.#forgetAll(stream.slot);
  }

  #forgetAll(slot: Slot): void {
    slot.cachedTokens = [];
    this.#options.decoder.forgetAll(slot.sequenceId);
  }

  #end(stream: Stream, reason: "stop" | "length"): void {
    this.#emit(stream, { type: "end", reason });
    this.#close(stream);
  }

  #emit(stream: Stream, event: StreamEvent): void {
    stream.events.push(event);
    this.#toTell.add(stream);
  }

  async #tellAndYield(): Promise<void> {
    this.#tell();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #tell(): void {
    for (const stream of this.#toTell) stream.wake();
    this.#toTell.clear();
  }

  #close(stream: Stream): void {
    this.#streams.delete(stream);
    stream.arrived?.lease.release();
    stream.arrived = null;
    stream.slot.busy = false;
    stream.ended = true;
    this.#toTell.add(stream);
  }
}

async function exchangeStates(
  states: SequenceStates,
  decoder: Pick<Decoder, "forgetAll">,
  left: Slot,
  right: Slot,
): Promise<void> {
  const saved = async (slot: Slot): Promise<Uint8Array | null> => {
    if (slot.cachedTokens.length === 0) return null;
    const state = new Uint8Array(states.bytes(slot.sequenceId));
    await states.save(slot.sequenceId, state);
    return state;
  };
  const ofLeft = await saved(left);
  const ofRight = await saved(right);
  for (const { sequenceId } of [left, right]) decoder.forgetAll(sequenceId);
  if (ofLeft !== null) await states.load(right.sequenceId, ofLeft);
  if (ofRight !== null) await states.load(left.sequenceId, ofRight);
}

/** Known and not decoded: one while it decodes, more while its prompt is read. */
function pendingTokens(stream: Stream): number {
  return stream.tokens.length - stream.slot.cachedTokens.length;
}
