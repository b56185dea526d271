// The connections that no worker has acknowledged yet, in the order in which they came: a state machine over any kind of
// connection. Imports nothing.

export class HeldConnections<C> {
  readonly #limit: number;
  #lastId = 0;
  #waiting = new Map<number, C>();
  #sent = new Map<number, C>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Both those that wait for a worker and those that are on their way to one. */
  get size(): number {
    return this.#waiting.size + this.#sent.size;
  }

  /** Those that were given to no worker. */
  get waiting(): ReadonlyMap<number, C> {
    return this.#waiting;
  }

  /** False: there are as many as may be held, and it is not kept. */
  hold(connection: C): boolean {
    if (this.size >= this.#limit) return false;
    this.#lastId += 1;
    this.#waiting.set(this.#lastId, connection);
    return true;
  }

  /** All that wait, oldest first, to be sent to the worker that lives now. */
  send(): ReadonlyMap<number, C> {
    const sent = this.#waiting;
    this.#waiting = new Map();
    for (const [id, connection] of sent) this.#sent.set(id, connection);
    return sent;
  }

  /** The worker has it. Undefined: it is not known here. */
  acknowledge(id: number): C | undefined {
    const connection = this.#sent.get(id);
    this.#sent.delete(id);
    return connection;
  }

  /** The worker is dead: what it has not acknowledged waits for the next, before those who came later. */
  workerDied(): void {
    this.#waiting = new Map([...this.#sent, ...this.#waiting]);
    this.#sent = new Map();
  }

  /** Its client has left, or its worker will not come. Undefined: it does not wait. */
  drop(id: number): C | undefined {
    const connection = this.#waiting.get(id);
    this.#waiting.delete(id);
    return connection;
  }
}
