// POST /v1/chat/completions. May import the chat contract and core/.
import { randomUUID } from "node:crypto";
import type { Endpoint, StreamItem } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { endMissing, readAnswer, takeRouting, type AnswerEvents } from "./answer-events.ts";
import type { AnswerHead } from "./answer-head.ts";
import { AwaitedStep } from "./awaited.ts";
import { chatAnswer } from "./chat-answer.ts";
import { closingChunk, openingChunk, textChunks, usageChunk } from "./chat-chunks.ts";
import { chatBody, toChatRequest, type ChatBody } from "./chat-request.ts";
import { answerHeaders, chatCompletion, chatCompletionChunk, modelErrors } from "./responses.ts";

type Needs = Pick<Services, "chat" | "clock" | "poolStatus">;

export function chatEndpoint(services: Needs): Endpoint<ChatBody> {
  return {
    method: "post",
    path: "/v1/chat/completions",
    summary: "Answer a conversation, streamed or whole; without `model` the router picks the expert",
    tag: "OpenAI",
    body: chatBody,
    response: chatCompletion,
    streamItem: chatCompletionChunk,
    errors: modelErrors,
    headers: answerHeaders,
    async handle({ body, signal }) {
      const events = services.chat.chat(toChatRequest(body), signal);
      const id = `chatcmpl-${randomUUID()}`;
      const created = Math.floor(services.clock.epochMs() / 1000);
      const head = { id, created, routing: await takeRouting(events) };
      if (body.stream === true) {
        const awaited = new AwaitedStep(services, head.routing);
        return {
          kind: "stream",
          headers: { "x-expert": head.routing.expertId },
          items: chatItems(events, head, body.stream_options?.include_usage === true, awaited),
          awaited: () => awaited.text(),
        };
      }
      const answer = await readAnswer(head.routing, events);
      return {
        kind: "json",
        headers: { "x-expert": answer.routing.expertId },
        body: chatAnswer({ ...head, routing: answer.routing }, answer.text, answer.reason, answer.timings),
      };
    },
  };
}

async function* chatItems(
  events: AnswerEvents,
  firstHead: AnswerHead,
  includeUsage: boolean,
  awaited: AwaitedStep,
): AsyncGenerator<StreamItem, void, void> {
  let head = firstHead;
  let writeText = textChunks(head);
  let opened = false;
  for await (const event of events) {
    awaited.follow(event);
    if (event.type === "routing") {
      head = { ...head, routing: event.routing };
      writeText = textChunks(head);
      continue;
    }
    if (!opened) {
      opened = true;
      yield { json: openingChunk(head) };
    }
    if (event.type === "text" && event.text !== "") yield { raw: writeText(event.text) };
    if (event.type === "end") {
      yield { json: closingChunk(head, event.reason, event.timings) };
      if (includeUsage) yield { json: usageChunk(head, event.timings) };
      yield { raw: "[DONE]" };
      return;
    }
  }
  throw endMissing();
}
