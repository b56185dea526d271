// What a pass of the decode loop costs by the number of its rows, learned from the passes themselves, and how many drafted
// rows are worth their cost. Pure; imports nothing.

/** One row count's cost as it is kept between two loads of a model. */
export interface SavedPassCost {
  readonly rows: number;
  readonly ms: number;
}

interface Entry {
  readonly rows: number;
  /** Logarithms of the latest passes' milliseconds, in order. */
  logMs: number[];
  /** Their median. */
  typical: number;
  lastPass: number;
  /** The costs' common drift when they were last brought up to date. */
  drift: number;
  /** This count's share of the passes up to `lastPass`, the last one weighing as much as all before it. */
  share: number;
}

interface Point {
  readonly rows: number;
  readonly ms: number;
}

/** Of one count: five of eleven may be anything, and a lasting change is believed at the sixth. */
const passesCompared = 11;
/** A count that did not occur in so many passes is known only relative to those that did. */
const staleAfterPasses = 16;
/** Below this, a count's cost is not yet believed against its neighbours'. */
const trustedObservations = 3;
/** An observation is forgotten after so many passes in which its count did not occur, so that a wrong one is tried again. */
const passesRemembered = 256;
/** What a row beyond the largest measured count costs at least, in parts of a measured row's average cost. */
const leastUnmeasuredShare = 0.25;

/**
 * For each count the median of its latest passes, so that stolen time slices leave no trace. What changes the machine's speed
 * (a neighbour on the cores, a longer context) changes all counts: how far those that occur have drifted is applied to those
 * that do not.
 */
export class PassCosts {
  /** By ascending rows. */
  #entries: Entry[] = [];
  #passes = 0;
  /** How the logarithms of the costs have changed, weighted by the counts' shares. */
  #drift = 0;
  #curve: readonly Point[] | null = null;

  /** `saved`: what `save` returned for the same model, machine and thread count; unusable items are left out. */
  constructor(saved: readonly SavedPassCost[] = []) {
    for (const { rows, ms } of saved) {
      if (!isUsable(rows, ms)) continue;
      const entry = this.#entryOf(rows);
      // No more than it takes to be trusted: the machine may be another today.
      entry.logMs = Array<number>(trustedObservations).fill(Math.log(ms));
      entry.typical = Math.log(ms);
      entry.lastPass = -staleAfterPasses;
    }
  }

  /** A pass over `rows` tokens, of all sequences together, took `elapsedMs`. */
  observe(rows: number, elapsedMs: number): void {
    if (!isUsable(rows, elapsedMs)) return;
    this.#passes += 1;
    this.#curve = null;
    const entry = this.#entryOf(rows);
    const isKnown = entry.logMs.length > 0;
    const before = this.#typicalNow(entry);
    entry.logMs = [...entry.logMs.map((logMs) => logMs + before - entry.typical), Math.log(elapsedMs)];
    entry.logMs.splice(0, entry.logMs.length - passesCompared);
    entry.typical = lowerMedian(entry.logMs);
    const shareBefore = entry.share * 0.5 ** (this.#passes - 1 - entry.lastPass);
    entry.share = (shareBefore + 1) / 2;
    // The mean of the share before and after, so that counts that take turns add up to one.
    if (isKnown) this.#drift += ((entry.typical - before) * (shareBefore + entry.share)) / 2;
    entry.drift = this.#drift;
    entry.lastPass = this.#passes;
  }

  /**
   * What a pass over `rows` would take now: never less than one over fewer rows. Between measured counts it is interpolated,
   * beyond the largest continued upwards. Null before any observation.
   */
  expectedMs(rows: number): number | null {
    const curve = (this.#curve ??= this.#measure());
    const after = curve.findIndex((point) => point.rows >= rows);
    const above = curve[after];
    const below = after === -1 ? curve.at(-1) : curve[after - 1];
    if (below === undefined) return above?.ms ?? null;
    if (above !== undefined)
      return below.ms + (above.ms - below.ms) * ((rows - below.rows) / (above.rows - below.rows));
    // The slope over the upper half: neighbouring counts alone would give noise.
    const base = curve.findLast((point) => point.rows * 2 <= below.rows) ?? below;
    const slope = base === below ? 0 : (below.ms - base.ms) / (below.rows - base.rows);
    return below.ms + (rows - below.rows) * Math.max(slope, (leastUnmeasuredShare * below.ms) / below.rows);
  }

  /** The largest count that was measured and not forgotten; 0 before any observation. */
  get largestRows(): number {
    return (this.#curve ??= this.#measure()).at(-1)?.rows ?? 0;
  }

  /** For JSON: the counts that are known well. */
  save(): SavedPassCost[] {
    return this.#entries
      .filter(({ logMs }) => logMs.length >= trustedObservations)
      .map((entry) => ({ rows: entry.rows, ms: Math.exp(this.#typicalNow(entry)) }));
  }

  #entryOf(rows: number): Entry {
    const at = this.#entries.findIndex((entry) => entry.rows >= rows);
    const found = this.#entries[at];
    if (found?.rows === rows) return found;
    const entry = { rows, logMs: [], typical: 0, lastPass: this.#passes, drift: this.#drift, share: 0 };
    this.#entries.splice(at === -1 ? this.#entries.length : at, 0, entry);
    return entry;
  }

  #typicalNow({ typical, lastPass, drift }: Entry): number {
    return this.#passes - lastPass > staleAfterPasses ? typical + this.#drift - drift : typical;
  }

  #measure(): Point[] {
    this.#entries = this.#entries.filter(
      ({ logMs, lastPass }) => this.#passes - lastPass <= passesRemembered * logMs.length,
    );
    // Neighbouring counts whose costs would fall with the rows share their mean, weighted by what is known of each.
    const pools: { readonly counts: number; readonly ms: number; readonly weight: number }[] = [];
    let previous: Point | null = null;
    for (const entry of this.#entries) {
      const { rows, logMs } = entry;
      let ms = Math.exp(this.#typicalNow(entry));
      // Rows cost less together than apart: a first measurement above that was disturbed.
      if (previous !== null && logMs.length < trustedObservations)
        ms = Math.min(ms, (previous.ms * rows) / previous.rows);
      previous = { rows, ms };
      let pool = { counts: 1, ms, weight: logMs.length };
      for (let below = pools.at(-1); below !== undefined && below.ms > pool.ms; below = pools.at(-1)) {
        const weight = below.weight + pool.weight;
        pool = {
          counts: below.counts + pool.counts,
          ms: (below.ms * below.weight + pool.ms * pool.weight) / weight,
          weight,
        };
        pools.pop();
      }
      pools.push(pool);
    }
    const levelled = pools.flatMap(({ counts, ms }) => Array<number>(counts).fill(ms));
    return this.#entries.map(({ rows }, index) => ({ rows, ms: levelled[index] ?? 0 }));
  }
}

/** A stream that puts one token into the next pass, and may add a draft. */
export interface DraftingStream {
  /** Draft tokens that it may add; 0 where it has none. */
  readonly maxDraft: number;
  /** The probability that the draft's token at `position` (0: the first) is accepted if all before it were. */
  acceptance(position: number): number;
}

/** Drafts must promise so much more speed before they are made: the estimates are not better than that. */
const leastGain = 1.05;
/** Of the choices within this share of the best the one with the fewest rows is taken. */
const nearBest = 0.99;
/** Rows that will hardly be reached are left out even where they seem to cost nothing: no cost is known that exactly. */
const leastReached = 0.1;

/**
 * How many tokens each stream should draft in the next pass; zeros where drafting does not clearly pay. What is maximised
 * is the streams' mean speed-up, the geometric one: (expected tokens) / (pass's time), in comparison with a pass without
 * drafts. So a stream that copies is not made faster at the others' expense: where it can draft alone, a pass may take so
 * much longer only as all of them together can bear. For one stream, and for streams that are alike, it is the choice with
 * the most tokens per millisecond.
 *
 * `promptRows`: rows of prompts that are read in the same pass. They are no excuse to draft: what the drafts add to the
 * pass is weighed against a pass without them.
 *
 * Row counts that were never measured are approached by doubling: from 1 row known to 3, to 6, to 12.
 */
export function chooseDraftLengths({
  costs,
  streams,
  promptRows,
}: {
  readonly costs: PassCosts;
  readonly streams: readonly DraftingStream[];
  readonly promptRows: number;
}): number[] {
  const none = streams.map(() => 0);
  const plans = streams.map((stream) => ({
    stream,
    length: 0,
    tokens: 1,
    /** The probability that the next token of the draft is reached and accepted. */
    reached: stream.maxDraft > 0 ? stream.acceptance(0) : 0,
  }));
  if (plans.every(({ reached }) => reached < leastReached)) return none;
  const baseRows = streams.length + promptRows;
  const decodeMs = costs.expectedMs(streams.length);
  const baseMs = costs.expectedMs(baseRows);
  if (decodeMs === null || baseMs === null) return none;

  // Row after row to the stream that gains most by it. As each stream gains less and less, no other distribution of as many
  // rows is better; which number of rows is best only the comparison of all tells, for costs go in steps.
  const mostRows = Math.max(3, 2 * Math.max(costs.largestRows, baseRows));
  const choices: { readonly lengths: number[]; readonly gain: number }[] = [];
  let streamsGain = 0;
  for (let rows = baseRows + 1; rows <= mostRows; rows++) {
    let next = null;
    let nextGain = 0;
    for (const plan of plans) {
      const gain = plan.reached < leastReached ? 0 : Math.log(1 + plan.reached / plan.tokens);
      if (gain > nextGain) [next, nextGain] = [plan, gain];
    }
    if (next === null) break;
    next.length += 1;
    next.tokens += next.reached;
    next.reached *= next.length < next.stream.maxDraft ? next.stream.acceptance(next.length) : 0;
    streamsGain += nextGain;
    const addedMs = (costs.expectedMs(rows) ?? baseMs) - baseMs;
    const gain = streamsGain / streams.length - Math.log((decodeMs + addedMs) / decodeMs);
    choices.push({ lengths: plans.map(({ length }) => length), gain });
  }
  const best = Math.max(...choices.map(({ gain }) => gain));
  if (best < Math.log(leastGain)) return none;
  return choices.find(({ gain }) => gain >= best + Math.log(nearBest))?.lengths ?? none;
}

function isUsable(rows: number, ms: number): boolean {
  return Number.isInteger(rows) && rows >= 1 && Number.isFinite(ms) && ms > 0;
}

/** Of an even number the lower of the two in the middle: time is only ever added by what disturbs. */
function lowerMedian(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}
