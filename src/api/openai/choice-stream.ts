// One or several answers as the chunks of a stream: each choice is opened by its first event, and what all of them took comes
// at the end. May import the chat contract.
import type { AnswerEvent, AnswerTimings } from "../../chat/contract.ts";
import { endMissing } from "../common/answer-events.ts";
import type { AwaitedStep } from "../common/awaited.ts";
import type { StreamItem } from "../endpoint.ts";
import type { AnswerHead } from "./answer-head.ts";
import type { Answers } from "./choices.ts";
import { choicesTimings } from "./usage.ts";

export interface ChoiceChunks {
  opening(): StreamItem;
  /** Null: nothing is to be told. */
  piece(event: AnswerEvent): StreamItem | null;
}

export interface ChoiceStream {
  readonly head: AnswerHead;
  /** Answers in all. */
  readonly count: number;
  /** Answers to each prompt. */
  readonly candidates: number;
  readonly newChoice: (head: AnswerHead, index: number) => ChoiceChunks;
  /** Null: the usage is not to be told. */
  readonly usageChunk: ((head: AnswerHead, timings: AnswerTimings) => unknown) | null;
}

export async function* choiceItems(
  answers: Answers,
  { head: firstHead, count, candidates, newChoice, usageChunk }: ChoiceStream,
  awaited: AwaitedStep,
): AsyncGenerator<StreamItem, void, void> {
  let head = firstHead;
  const choices: ChoiceChunks[] = [];
  const timings: AnswerTimings[] = [];
  let endedCount = 0;
  for await (const event of answers.events) {
    const index = answers.index();
    if (index === 0) awaited.follow(event);
    if (event.type === "routing") {
      head = { ...head, routing: event.routing };
      continue;
    }
    let choice = choices[index];
    if (choice === undefined) {
      choices[index] = choice = newChoice(head, index);
      yield choice.opening();
    }
    const item = choice.piece(event);
    if (item !== null) yield item;
    if (event.type === "end") {
      timings[index] = event.timings;
      endedCount += 1;
    }
  }
  if (endedCount !== count) throw endMissing();
  if (usageChunk !== null) yield { json: usageChunk(head, choicesTimings(timings, candidates)) };
  yield { raw: "[DONE]" };
}
