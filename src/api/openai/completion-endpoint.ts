// POST /v1/completions: several prompts are answered one after the other, by the expert that took the first.
// May import the chat contract and core/.
import { randomUUID } from "node:crypto";
import type { AnswerTimings } from "../../chat/contract.ts";
import type { Endpoint, StreamItem } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { endMissing, readAnswer, takeRouting, type AnswerEvents } from "./answer-events.ts";
import type { AnswerHead } from "./answer-head.ts";
import { AwaitedStep } from "./awaited.ts";
import {
  completionAnswer,
  completionClosingChunk,
  completionOpeningChunk,
  completionTextChunks,
  completionUsageChunk,
} from "./completion-answer.ts";
import { completionBody, toCompletionRequests, type CompletionBody } from "./completion-request.ts";
import { answerHeaders, completion, completionChunk, modelErrors } from "./responses.ts";
import { addTimings } from "./usage.ts";

/** Starts the answer to a further prompt. */
type StartAnswer = () => AnswerEvents;

type Needs = Pick<Services, "chat" | "clock" | "poolStatus">;

export function completionEndpoint(services: Needs): Endpoint<CompletionBody> {
  return {
    method: "post",
    path: "/v1/completions",
    summary: "Continue a text as it stands, without a chat template",
    tag: "OpenAI",
    body: completionBody,
    response: completion,
    streamItem: completionChunk,
    errors: modelErrors,
    headers: answerHeaders,
    async handle({ body, signal }) {
      const [firstRequest, ...otherRequests] = toCompletionRequests(body);
      const first = services.chat.complete(firstRequest, signal);
      const head: AnswerHead = {
        id: `cmpl-${randomUUID()}`,
        created: Math.floor(services.clock.epochMs() / 1000),
        routing: await takeRouting(first),
      };
      const others = otherRequests.map((request): StartAnswer => {
        return () => services.chat.complete({ ...request, model: head.routing.expertId }, signal);
      });
      if (body.stream === true) {
        const awaited = new AwaitedStep(services, head.routing);
        return {
          kind: "stream",
          headers: { "x-expert": head.routing.expertId },
          items: completionItems(first, others, head, body.stream_options?.include_usage === true, awaited),
          awaited: () => awaited.text(),
        };
      }
      const answers = [await readAnswer(head.routing, first)];
      for (const start of others) answers.push(await readAnswer(head.routing, start()));
      const routing = answers[0]?.routing ?? head.routing;
      return {
        kind: "json",
        headers: { "x-expert": routing.expertId },
        body: completionAnswer(
          { ...head, routing },
          answers,
          answers.map((answer) => answer.timings).reduce(addTimings),
        ),
      };
    },
  };
}

async function* completionItems(
  first: AnswerEvents,
  others: readonly StartAnswer[],
  firstHead: AnswerHead,
  includeUsage: boolean,
  awaited: AwaitedStep,
): AsyncGenerator<StreamItem, void, void> {
  let head = firstHead;
  let opened = false;
  const timings: AnswerTimings[] = [];
  for (const [index, start] of [() => first, ...others].entries()) {
    let writeText = completionTextChunks(head, index);
    for await (const event of start()) {
      awaited.follow(event);
      if (event.type === "routing") {
        head = { ...head, routing: event.routing };
        writeText = completionTextChunks(head, index);
        continue;
      }
      if (!opened) {
        opened = true;
        yield { json: completionOpeningChunk(head) };
      }
      if (event.type === "text" && event.text !== "") yield { raw: writeText(event.text) };
      if (event.type === "end") {
        timings.push(event.timings);
        yield { json: completionClosingChunk(head, index, event.reason, event.timings) };
      }
    }
    if (timings.length !== index + 1) throw endMissing();
  }
  if (includeUsage) yield { json: completionUsageChunk(head, timings.reduce(addTimings)) };
  yield { raw: "[DONE]" };
}
