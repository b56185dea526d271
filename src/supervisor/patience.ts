// How long something may go wrong in a row, counted in ticks of the caller's own timer: time in which this process did not
// run either (a machine that slept, a stopped process) does not count. Imports nothing.

export class Patience {
  readonly #limitTicks: number;
  #ticks = 0;

  constructor(limitTicks: number) {
    this.#limitTicks = limitTicks;
  }

  /** True when it has gone wrong for as many ticks in a row as the limit says. */
  tick(isWell: boolean): boolean {
    this.#ticks = isWell ? 0 : this.#ticks + 1;
    return this.#ticks >= this.#limitTicks;
  }
}
