// How far a benchmark is, on standard error: a bar that is drawn anew on a terminal, a line for each tenth anywhere else.
// Imports nothing.

export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const barCells = 24;
const clearLine = "\r\u001b[K";

export class Progress {
  readonly #output: ProgressOutput;
  readonly #label: string;
  #tenths = -1;

  constructor(output: ProgressOutput, label: string) {
    this.#output = output;
    this.#label = label;
  }

  /** `share`: 0 to 1. */
  update(share: number, detail: string): void {
    const percent = Math.floor(share * 100);
    if (this.#output.isTTY === true) {
      const filled = Math.round(share * barCells);
      const bar = `${"#".repeat(filled)}${".".repeat(barCells - filled)}`;
      const line = `${this.#label} [${bar}] ${percent} % ${detail}`;
      this.#output.write(clearLine + line.slice(0, (this.#output.columns ?? 80) - 1));
      return;
    }
    const tenths = Math.floor(share * 10);
    if (tenths === this.#tenths) return;
    this.#tenths = tenths;
    this.#output.write(`${this.#label}: ${percent} % ${detail}\n`);
  }

  /** Removes the bar. */
  end(): void {
    if (this.#output.isTTY === true) this.#output.write(clearLine);
  }
}
