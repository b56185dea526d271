// What happened in the pool, the newest of it, in order, and whoever listens. May import core/.
import type { Clock } from "../core/clock.ts";
import type { PoolEvent, PoolEventBody } from "../core/pool-event.ts";

const keptEvents = 1000;

export class EventLog {
  readonly #clock: Pick<Clock, "epochMs">;
  readonly #onEvent: (event: PoolEvent) => void;
  #events: PoolEvent[] = [];
  #sequence = 0;
  /** By model, until something else happens to it. */
  readonly #lastRefusals = new Map<string, string>();

  constructor(clock: Pick<Clock, "epochMs">, onEvent: (event: PoolEvent) => void) {
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  /** Oldest first. */
  get events(): readonly PoolEvent[] {
    return this.#events.slice(-keptEvents);
  }

  add(body: PoolEventBody): void {
    // Grants are only told: at hundreds a second they would push out what explains the memory.
    const isKept = !this.#repeats(body) && body.type !== "granted";
    if (isKept) this.#sequence += 1;
    const event: PoolEvent = { ...body, sequence: this.#sequence, atMs: this.#clock.epochMs() };
    if (isKept) {
      this.#events.push(event);
      // Cut in bulk, so that an event costs no copy of the whole list.
      if (this.#events.length >= 2 * keptEvents) this.#events = this.#events.slice(-keptEvents);
    }
    this.#onEvent(event);
  }

  /** One refusal of a model after the other for the same reason says nothing new. */
  #repeats(body: PoolEventBody): boolean {
    if (!("modelId" in body)) return false;
    if (body.type !== "refused") {
      this.#lastRefusals.delete(body.modelId);
      return false;
    }
    const repeats = this.#lastRefusals.get(body.modelId) === body.code;
    this.#lastRefusals.set(body.modelId, body.code);
    return repeats;
  }
}
