// Drafts for speculative decoding without a second model: where a text repeats itself, what followed the last time is
// proposed again. Pure; imports only types.
import type { Token } from "../engine.ts";

/** The ends of text that are indexed, in tokens, the longest first: a long one is rare, so the places to compare are few. */
const gramLengths = [3, 1] as const;
/** Among places that agree on this many tokens the latest is taken. */
const longestCompared = 16;
/** Places that are compared for each length of gram, the latest first: bounds the cost in texts of few pieces. */
const placesCompared = 256;

/**
 * Where the proposed token stands: in text whose coming nobody followed (a prompt), or in text that was followed as it came
 * and where it had itself been expected, or had not. What was new the first time (a value among its keys) is often new again.
 */
const origins = ["unfollowed", "expected", "new"] as const;

/**
 * Match lengths that are counted together, by the shortest of each class; and how often, by the origin of the proposed
 * token, such a match names the next token in ordinary code, prose and JSON, with vocabularies of 512 to 150,000 pieces
 * alike: what is believed of a stream before it has shown its own habits.
 */
const matchClasses = [
  { shortest: 1, unfollowed: 0.2, expected: 0.4, new: 0.15 },
  { shortest: 2, unfollowed: 0.4, expected: 0.65, new: 0.3 },
  { shortest: 3, unfollowed: 0.55, expected: 0.75, new: 0.38 },
  { shortest: 4, unfollowed: 0.6, expected: 0.82, new: 0.42 },
  { shortest: 6, unfollowed: 0.75, expected: 0.87, new: 0.5 },
  { shortest: 9, unfollowed: 0.85, expected: 0.9, new: 0.55 },
  { shortest: 14, unfollowed: 0.92, expected: 0.93, new: 0.6 },
  { shortest: 24, unfollowed: 0.96, expected: 0.96, new: 0.65 },
  { shortest: 48, unfollowed: 0.99, expected: 0.98, new: 0.7 },
] as const;
/** What a rate above counts for, in observations. */
const priorWeight = 4;
/** What an observation still counts for when the next of its kind is made. */
const memory = 0.95;

/**
 * One stream's text, with the place in it that is being repeated. Every token that comes is held against the one that
 * would have been drafted, whether a draft was made or not: so what drafts are worth is known without decoding a single
 * wrong one, and a stream that begins or ceases to copy is noticed within a few tokens.
 *
 * Memory: 25 to 55 bytes a token once a draft was asked for, 5 to 10 before. Nothing is indexed until then.
 */
export class PromptLookup {
  #tokens: Int32Array;
  /** For each token its place in `origins`. */
  #origin: Uint8Array;
  #length: number;
  /** By `gramLengths`; null until the first draft is asked for. */
  #indices: readonly GramIndex[] | null = null;
  /** The position whose token is expected next; -1 where the end of the text has not occurred before. */
  #source = -1;
  /** How many tokens before `#source` equal the end of the text. */
  #matchLength = 0;
  /** By origin and class of match, decayed. */
  readonly #hits = new Float64Array(origins.length * matchClasses.length);
  readonly #trials = new Float64Array(origins.length * matchClasses.length);

  /** `tokens`: the prompt. It is copied. */
  constructor(tokens: readonly Token[]) {
    this.#length = tokens.length;
    this.#tokens = new Int32Array(Math.max(64, tokens.length + (tokens.length >> 2)));
    this.#tokens.set(tokens);
    this.#origin = new Uint8Array(this.#tokens.length);
  }

  /** A token that was accepted into the text, drafted or not. Never one that was only proposed. */
  push(token: Token): void {
    const position = this.#length;
    if (position === this.#tokens.length) this.#grow();
    this.#tokens[position] = token;
    this.#length += 1;
    if (this.#indices === null) return;
    const isExpected = this.#source >= 0 && this.#tokens[this.#source] === token;
    if (this.#source >= 0) this.#observe(isExpected);
    this.#origin[position] = origins.indexOf(isExpected ? "expected" : "new");
    if (isExpected) {
      // No other place can match longer now, for it would have matched longer before.
      this.#source += 1;
      this.#matchLength += 1;
    } else this.#search(this.#indices);
  }

  /**
   * At most `maxTokens` tokens that may come next; none where nothing is known. A draft that reaches the end of the text
   * goes on with its own beginning: after "ababab" comes "abab…".
   */
  draft(maxTokens: number): readonly Token[] {
    this.#start();
    if (this.#source < 0 || maxTokens <= 0) return [];
    return Array.from({ length: maxTokens }, (_, offset) => this.#tokens[this.#sourceOf(offset)] ?? 0);
  }

  /**
   * The probability that the draft's token at `position` (0: the first) is accepted if all before it were; 0 where there
   * is no draft. As a match that holds grows longer, later tokens are the surer ones.
   */
  acceptance(position: number): number {
    this.#start();
    if (this.#source < 0) return 0;
    const { kind, prior } = this.#kindOf(position);
    return ((this.#hits[kind] ?? 0) + priorWeight * prior) / ((this.#trials[kind] ?? 0) + priorWeight);
  }

  #start(): void {
    if (this.#indices !== null) return;
    this.#indices = gramLengths.map((gramLength) => new GramIndex(gramLength));
    this.#search(this.#indices);
  }

  #observe(hit: boolean): void {
    const { kind } = this.#kindOf(0);
    this.#hits[kind] = (this.#hits[kind] ?? 0) * memory + (hit ? 1 : 0);
    this.#trials[kind] = (this.#trials[kind] ?? 0) * memory + 1;
  }

  /** The position that the draft's token at `offset` is taken from. */
  #sourceOf(offset: number): number {
    return this.#source + (offset % (this.#length - this.#source));
  }

  #kindOf(offset: number): { readonly kind: number; readonly prior: number } {
    const origin = this.#origin[this.#sourceOf(offset)] ?? 0;
    const matchLength = this.#matchLength + offset;
    const found = matchClasses.findLastIndex(({ shortest }) => matchLength >= shortest);
    return { kind: origin * matchClasses.length + found, prior: matchClasses[found]?.[origins[origin] ?? "new"] ?? 0 };
  }

  #grow(): void {
    const tokens = new Int32Array(2 * this.#length);
    tokens.set(this.#tokens);
    this.#tokens = tokens;
    const origin = new Uint8Array(tokens.length);
    origin.set(this.#origin);
    this.#origin = origin;
  }

  /** Finds the earlier place that agrees longest with the end of the text, the latest of those that agree as long. */
  #search(indices: readonly GramIndex[]): void {
    this.#source = -1;
    this.#matchLength = 0;
    const tokens = this.#tokens;
    const last = this.#length - 1;
    for (const index of indices) {
      index.extend(tokens, this.#length);
      let place = index.before(last);
      for (let compared = 0; place >= 0 && compared < placesCompared; compared++) {
        // Only a place that also agrees one token further back than the best so far can be longer.
        if (tokens[place - this.#matchLength] === tokens[last - this.#matchLength]) {
          const matched = matchedBack(tokens, place, last);
          // A match shorter than the gram is one of its hash alone; shorter grams may know a longer one.
          if (matched > this.#matchLength && matched >= index.gramLength) {
            this.#source = place + 1;
            this.#matchLength = matched;
            if (matched === longestCompared) break;
          }
        }
        place = index.before(place);
      }
      if (this.#source >= 0) return;
    }
  }
}

/** For each position the latest earlier one where the same tokens (or others of their hash) end. */
class GramIndex {
  readonly gramLength: number;
  #heads = new Int32Array(0);
  #previous = new Int32Array(0);
  #indexed = 0;

  constructor(gramLength: number) {
    this.gramLength = gramLength;
  }

  /** Takes in what was appended to `tokens`; amortised constant time a token. */
  extend(tokens: Int32Array, length: number): void {
    if (length > this.#previous.length) {
      // Sized for the tokens' capacity, so that both grow together and seldom.
      this.#previous = new Int32Array(tokens.length);
      this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(tokens.length))).fill(-1);
      this.#indexed = 0;
    }
    const shift = Math.clz32(this.#heads.length) + 1;
    for (let position = this.#indexed; position < length; position++) {
      let hash = 0;
      for (let offset = 0; offset < this.gramLength; offset++)
        hash = Math.imul(hash ^ (tokens[position - offset] ?? -1), 0x9e3779b1) ^ (hash >>> 15);
      const head = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> shift;
      this.#previous[position] = this.#heads[head] ?? -1;
      this.#heads[head] = position;
    }
    this.#indexed = length;
  }

  /** -1 where there is none. */
  before(position: number): number {
    return this.#previous[position] ?? -1;
  }
}

function matchedBack(tokens: Int32Array, left: number, right: number): number {
  let matched = 0;
  while (matched < longestCompared && matched <= left && tokens[left - matched] === tokens[right - matched])
    matched += 1;
  return matched;
}
