// One decode step at a time over all loaded models, in the order of asking. ggml's worker threads spin while they wait
// for one another: two models that compute at once on the same cores slow each other down many times over, while taking
// turns step by step costs neither anything. Imports nothing.

export class ComputeTurn {
  #last: Promise<void> = Promise.resolve();
  #steps = 0;

  /** Whether a step asked for now would run at once. */
  get isFree(): boolean {
    return this.#steps === 0;
  }

  /** Whether the step under way is the only one that was asked for. */
  get isAlone(): boolean {
    return this.#steps === 1;
  }

  /** Runs `step` after all steps asked for before it. */
  async take<T>(step: () => Promise<T>): Promise<T> {
    const before = this.#last;
    let done!: () => void;
    this.#last = new Promise((resolve) => (done = resolve));
    this.#steps += 1;
    await before;
    try {
      return await step();
    } finally {
      this.#steps -= 1;
      done();
    }
  }
}
