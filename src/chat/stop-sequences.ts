// Ends a text before the first of the caller's stop strings, also where one is spread over several pieces. Pure.

export interface StopScan {
  /** Text that can be sent: no part of a stop string, and not the beginning of one. */
  readonly text: string;
  /** The stop string that was met; nothing follows. Null: none so far. */
  readonly stop: string | null;
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
    const first = this.#firstIn(text);
    if (first !== null) {
      this.#held = "";
      return { text: text.slice(0, first.position), stop: first.stop };
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(text, stop)));
    this.#held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep), stop: null };
  }

  /** What was held back because it could have become a stop string, at the end of the text. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  #firstIn(text: string): { readonly stop: string; readonly position: number } | null {
    let first: { readonly stop: string; readonly position: number } | null = null;
    for (const stop of this.#stops) {
      const position = text.indexOf(stop);
      if (position !== -1 && position < (first?.position ?? Infinity)) first = { stop, position };
    }
    return first;
  }
}

/** The length of the longest end of `text` that is a proper beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
