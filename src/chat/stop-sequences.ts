// Ends a text before the first of the caller's stop strings, also where one is spread over several pieces. Pure.

export interface StopScan {
  /** Text that can be sent: no part of a stop string, and not the beginning of one. */
  readonly text: string;
  /** A stop string was met; nothing follows. */
  readonly stopped: boolean;
}

export class StopScanner {
  readonly #stops: readonly string[];
  #held = "";

  /** Empty stop strings are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  push(piece: string): StopScan {
    const text = this.#held + piece;
    const hits = this.#stops.map((stop) => text.indexOf(stop)).filter((position) => position !== -1);
    if (hits.length > 0) {
      this.#held = "";
      return { text: text.slice(0, Math.min(...hits)), stopped: true };
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(text, stop)));
    this.#held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep), stopped: false };
  }

  /** What was held back because it could have become a stop string, at the end of the text. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** The length of the longest end of `text` that is a proper beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
