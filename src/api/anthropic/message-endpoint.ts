// POST /v1/messages. May import the chat contract and core/.
import { randomUUID } from "node:crypto";
import type { Endpoint, StreamItem } from "../endpoint.ts";
import { type AnswerEvents, endMissing, takeRouting } from "../common/answer-events.ts";
import { AwaitedStep } from "../common/awaited.ts";
import { answerHeaders, modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { ignoredParameters } from "../common/unsupported.ts";
import { messageAnswer, messageEvent } from "./bodies.ts";
import { MessageAnswer } from "./message-answer.ts";
import type { MessageHead } from "./message-parts.ts";
import { type MessageBody, messageBody, omitsThinking, toMessageQuestion } from "./message-request.ts";
import { MessageStream } from "./message-stream.ts";

type Needs = Pick<Services, "chat" | "dropsParameters" | "poolStatus">;

export function messageEndpoint(services: Needs): Endpoint<MessageBody> {
  return {
    method: "post",
    path: "/v1/messages",
    summary: "Answer a conversation in the form of Anthropic's Messages API, streamed or whole",
    tag: "Anthropic",
    body: messageBody,
    response: messageAnswer,
    streamItem: messageEvent,
    errors: modelErrors,
    headers: answerHeaders,
    async handle({ body, signal }) {
      const { request, ignored } = toMessageQuestion(body, services.dropsParameters);
      const events = services.chat.chat(request, signal);
      const routing = await takeRouting(events);
      const head = { id: `msg_${randomUUID().replaceAll("-", "")}`, model: routing.expertId };
      if (body.stream === true) {
        const awaited = new AwaitedStep(services, routing);
        return {
          kind: "stream",
          headers: { ...ignoredParameters(ignored), "x-expert": head.model },
          items: messageItems(events, head, body, awaited),
          awaited: () => awaited.text(),
        };
      }
      const answer = await readMessage(events, head, body);
      return { kind: "json", headers: { ...ignoredParameters(ignored), "x-expert": answer.model }, body: answer };
    },
  };
}

async function readMessage(events: AnswerEvents, firstHead: MessageHead, body: MessageBody) {
  let head = firstHead;
  const answer = new MessageAnswer(omitsThinking(body));
  for await (const event of events) {
    switch (event.type) {
      case "routing":
        head = { ...head, model: event.routing.expertId };
        break;
      case "started":
      case "prefill":
        break;
      case "end":
        return answer.body(head, event, body.max_tokens);
      case "text":
      case "reasoning":
      case "tool_call":
      case "tool_arguments":
        answer.add(event);
    }
  }
  throw endMissing();
}

async function* messageItems(
  events: AnswerEvents,
  firstHead: MessageHead,
  body: MessageBody,
  awaited: AwaitedStep,
): AsyncGenerator<StreamItem, void, void> {
  let head = firstHead;
  let started = false;
  const stream = new MessageStream(omitsThinking(body));
  for await (const event of events) {
    awaited.follow(event);
    switch (event.type) {
      case "routing":
        head = { ...head, model: event.routing.expertId };
        break;
      case "started":
        if (!started) yield* stream.start(head, event);
        started = true;
        break;
      case "prefill":
        break;
      case "end":
        yield* stream.end(event, body.max_tokens);
        return;
      case "text":
      case "reasoning":
      case "tool_call":
      case "tool_arguments":
        yield* stream.add(event);
    }
  }
  throw endMissing();
}
