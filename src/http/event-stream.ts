// Writes items as server-sent events or as lines: at the reader's pace, with comment lines while nothing comes, and an end to the
// work behind it as soon as the reader leaves. May import api/ and core/.
import type { StreamForm, StreamItem } from "../api/endpoint.ts";
import type { Clock } from "../core/clock.ts";

export type StreamOutcome = "complete" | "failed" | "left";

export interface EventStreamOptions {
  readonly form: StreamForm;
  readonly items: AsyncGenerator<StreamItem, void, void>;
  /** The first item, already asked for. */
  readonly first: Promise<IteratorResult<StreamItem, void>>;
  /** Whether the reader has left: nothing is written any more. */
  readonly hasLeft: () => boolean;
  /** The reader leaves: the work behind `items` must stop. */
  readonly onLeave: () => void;
  /** Between comment lines while no item comes; 0: none. Lines of JSON have no comments. */
  readonly heartbeatMs: number;
  /** The text of the comment line that is due; null: an empty one. */
  readonly awaited: () => string | null;
  /** How long the reader may take nothing while an item waits for it. */
  readonly stallMs: number;
  readonly clock: Clock;
  /** What ends a failed stream. */
  readonly errorItem: (thrown: unknown) => StreamItem;
  /** The reader stalled for `stallMs`: its connection must be cut, or it holds a slot for good. */
  readonly onStall: () => void;
  /** An item is about to be written. */
  readonly onWrite: () => void;
  /** Called once. */
  readonly onEnd: (outcome: StreamOutcome) => void;
}

const nothing = (): void => {};

function encodeItem(item: StreamItem, form: StreamForm): Uint8Array {
  const data = "raw" in item ? item.raw : JSON.stringify(item.json);
  if (form === "lines") return Buffer.from(`${data}\n`);
  return Buffer.from(item.event === undefined ? `data: ${data}\n\n` : `event: ${item.event}\ndata: ${data}\n\n`);
}

/** A comment, which every reader of events skips. */
function encodeHeartbeat(awaited: string | null): Uint8Array {
  return Buffer.from(awaited === null ? ":\n\n" : `: ${awaited.replaceAll(/[\r\n]+/g, " ")}\n\n`);
}

export interface EventStream {
  readonly body: ReadableStream<Uint8Array>;
  /** Ends the stream with an error event now, without waiting for the item under way. */
  fail(thrown: unknown): void;
}

export function eventStream(options: EventStreamOptions): EventStream {
  const { items, clock, hasLeft, form } = options;
  let fail: EventStream["fail"] = nothing;
  let ended = false;
  let next: Promise<IteratorResult<StreamItem, void>> | undefined = options.first;
  let cancelTimer = nothing;

  const beat = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    if (options.heartbeatMs === 0 || form === "lines") return;
    cancelTimer = clock.setTimer(options.heartbeatMs, () => {
      // A reader that has not taken the last line needs no other.
      if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encodeHeartbeat(options.awaited()));
      beat(controller);
    });
  };

  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      fail = (thrown) => {
        if (ended) return;
        ended = true;
        cancelTimer();
        controller.enqueue(encodeItem(options.errorItem(thrown), form));
        controller.close();
        options.onEnd("failed");
        void items.return().catch(nothing);
      };
    },
    // Called when the reader wants more, and not again before it has resolved: an item is made only when it is wanted.
    async pull(controller) {
      cancelTimer();
      beat(controller);
      let chunk: Uint8Array | undefined;
      let outcome: StreamOutcome | undefined;
      try {
        const result = await (next ?? items.next());
        if (result.done === true) outcome = "complete";
        else chunk = encodeItem(result.value, form);
      } catch (thrown) {
        outcome = "failed";
        if (!hasLeft() && !ended) chunk = encodeItem(options.errorItem(thrown), form);
      }
      next = undefined;
      cancelTimer();
      // Whoever left has cancelled the stream, or is about to: nothing more can be written to it.
      if (hasLeft() || ended) return;
      if (chunk !== undefined) {
        options.onWrite();
        controller.enqueue(chunk);
      }
      if (outcome === undefined) {
        cancelTimer = clock.setTimer(options.stallMs, options.onStall);
        return;
      }
      ended = true;
      controller.close();
      options.onEnd(outcome);
    },
    async cancel() {
      // Cancelled after its end: the last events were not read.
      if (ended) return;
      ended = true;
      cancelTimer();
      options.onLeave();
      options.onEnd("left");
      // Ends the generator where it stands; one that is at work was ended by the signal.
      await items.return().catch(nothing);
    },
  });
  return { body, fail: (thrown) => fail(thrown) };
}
