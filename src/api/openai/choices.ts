// One or several answers as one stream of events: the choices of a chat, the prompts of a completion and their choices.
// The first answer decides which expert takes all of them. May import the chat contract.
import type { AnswerEvent, Routing } from "../../chat/contract.ts";
import { AnswerCollector, takeRouting, type AnswerEvents, type WholeAnswer } from "../common/answer-events.ts";

export interface AnswersRequest {
  /** At least 1. */
  readonly count: number;
  /** Asks the chat service for one of them. `expertId`: null for the first, which is routed. */
  readonly start: (index: number, expertId: string | null, signal: AbortSignal) => AnswerEvents;
  /** How many of them the expert answers at the same time. */
  readonly parallel: (expertId: string) => number;
  readonly signal: AbortSignal;
}

export interface Answers {
  /** Of the first answer, which speaks for all. */
  readonly routing: Routing;
  /**
   * Routing events are of the first answer alone. Ends when all have ended; where one fails, the others are ended and its
   * error is thrown.
   */
  readonly events: AnswerEvents;
  /** Of which answer the event is that `events` gave last. */
  readonly index: () => number;
}

/** Resolves when it is known who answers; what fails before is thrown. */
export async function startAnswers(request: AnswersRequest): Promise<Answers> {
  // The usual case pays nothing for the other.
  if (request.count === 1) {
    const events = request.start(0, null, request.signal);
    return { routing: await takeRouting(events), events, index: () => 0 };
  }
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  const first = request.start(0, null, signal);
  const routing = await takeRouting(first);
  const current = { index: 0 };
  const events = mergedEvents({ ...request, signal }, routing, first, stop, current);
  return { routing, events, index: () => current.index };
}

interface Running {
  readonly events: AnswerEvents;
  readonly next: Promise<{ readonly index: number; readonly result: IteratorResult<AnswerEvent, void> }>;
}

async function* mergedEvents(
  { count, start, parallel, signal }: AnswersRequest,
  routing: Routing,
  first: AnswerEvents,
  stop: AbortController,
  current: { index: number },
): AnswerEvents {
  const running = new Map<number, Running>();
  // The one that is set last is the last that is looked at: none is passed over for long.
  const advance = (index: number, events: AnswerEvents): void => {
    running.delete(index);
    running.set(index, { events, next: events.next().then((result) => ({ index, result })) });
  };
  let { expertId } = routing;
  let startedCount = 1;
  let isFirstUnderWay = false;
  try {
    advance(0, first);
    while (running.size > 0) {
      const { index, result } = await Promise.race([...running.values()].map(({ next }) => next));
      const events = running.get(index)?.events;
      if (result.done === true || events === undefined) {
        running.delete(index);
      } else {
        const event = result.value;
        if (event.type === "routing" && index === 0) expertId = event.routing.expertId;
        if (event.type !== "routing") isFirstUnderWay = true;
        if (event.type !== "routing" || index === 0) {
          current.index = index;
          yield event;
        }
        advance(index, events);
      }
      // One more than the expert answers at the same time waits for its turn: in between it is never idle.
      const most = isFirstUnderWay ? parallel(expertId) + 1 : 0;
      while (startedCount < count && running.size < most) {
        advance(startedCount, start(startedCount, expertId, signal));
        startedCount += 1;
      }
    }
  } finally {
    stop.abort();
    await Promise.all(
      [...running.values()].map(async ({ events, next }) => {
        // What fails now was told to end.
        await next.catch(() => {});
        await events.return().catch(() => {});
      }),
    );
  }
}

/** Reads all answers to their end. `routing`: of the expert that gave the first. */
export async function readAnswers(
  answers: Answers,
  count: number,
): Promise<{ readonly routing: Routing; readonly whole: readonly WholeAnswer[] }> {
  let { routing } = answers;
  const collectors = Array.from({ length: count }, () => new AnswerCollector());
  for await (const event of answers.events) {
    if (event.type === "routing") routing = event.routing;
    else collectors[answers.index()]?.add(event);
  }
  return { routing, whole: collectors.map((collector) => collector.whole()) };
}
