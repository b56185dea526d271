// POST /v1/responses. May import the chat contract and core/.
import { AbandonedError } from "../../core/errors.ts";
import type { Endpoint, StreamItem } from "../endpoint.ts";
import { type AnswerEvents, endMissing, takeRouting } from "../common/answer-events.ts";
import { AwaitedStep } from "../common/awaited.ts";
import { answerHeaders, modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { ignoredParameters } from "../common/unsupported.ts";
import { response, responseEvent } from "./bodies.ts";
import { endedResponse, failedResponse, openResponse, type ResponseHead } from "./response-answer.ts";
import { newId, type OutputEvent, ResponseOutput } from "./response-output.ts";
import { type ResponseBody, responseBody, toResponseQuestion } from "./response-request.ts";

type Needs = Pick<Services, "chat" | "clock" | "dropsParameters" | "poolStatus">;

export function responseEndpoint(services: Needs): Endpoint<ResponseBody> {
  const nowS = (): number => Math.floor(services.clock.epochMs() / 1000);
  return {
    method: "post",
    path: "/v1/responses",
    summary: "Answer in the form of OpenAI's Responses API, streamed or whole; nothing is kept between requests",
    tag: "OpenAI",
    body: responseBody,
    response,
    streamItem: responseEvent,
    errors: modelErrors,
    headers: answerHeaders,
    async handle({ body, signal }) {
      const { request, ignored } = toResponseQuestion(body, services.dropsParameters);
      const events = services.chat.chat(request, signal);
      const createdAt = nowS();
      const head = { id: newId("resp_"), createdAt, routing: await takeRouting(events), body };
      if (body.stream === true) {
        const awaited = new AwaitedStep(services, head.routing);
        return {
          kind: "stream",
          headers: { ...ignoredParameters(ignored), "x-expert": head.routing.expertId },
          items: responseItems(events, head, awaited, nowS),
          awaited: () => awaited.text(),
        };
      }
      const answer = await readResponse(events, head, nowS);
      return { kind: "json", headers: { ...ignoredParameters(ignored), "x-expert": answer.model }, body: answer };
    },
  };
}

async function readResponse(events: AnswerEvents, firstHead: ResponseHead, nowS: () => number) {
  let head = firstHead;
  const output = new ResponseOutput();
  for await (const event of events) {
    switch (event.type) {
      case "routing":
        head = { ...head, routing: event.routing };
        break;
      case "started":
      case "prefill":
        break;
      case "end":
        output.end(event.reason === "length" ? "incomplete" : "completed");
        return endedResponse(head, output.items, event, nowS());
      case "text":
      case "reasoning":
      case "tool_call":
      case "tool_arguments":
        output.add(event);
    }
  }
  throw endMissing();
}

async function* responseItems(
  events: AnswerEvents,
  firstHead: ResponseHead,
  awaited: AwaitedStep,
  nowS: () => number,
): AsyncGenerator<StreamItem, void, void> {
  let head = firstHead;
  let sequenceNumber = 0;
  const output = new ResponseOutput();
  const item = (event: OutputEvent): StreamItem => {
    const json = { ...event, sequence_number: sequenceNumber };
    sequenceNumber += 1;
    return { event: event.type, json };
  };
  try {
    for await (const event of events) {
      awaited.follow(event);
      switch (event.type) {
        case "routing":
          head = { ...head, routing: event.routing };
          break;
        case "started":
          if (sequenceNumber > 0) break;
          yield item({ type: "response.created", response: openResponse(head) });
          yield item({ type: "response.in_progress", response: openResponse(head) });
          break;
        case "prefill":
          break;
        case "end": {
          const isCut = event.reason === "length";
          for (const last of output.end(isCut ? "incomplete" : "completed")) yield item(last);
          const ended = endedResponse(head, output.items, event, nowS());
          yield item({ type: isCut ? "response.incomplete" : "response.completed", response: ended });
          return;
        }
        case "text":
        case "reasoning":
        case "tool_call":
        case "tool_arguments":
          for (const next of output.add(event)) yield item(next);
      }
    }
    throw endMissing();
  } catch (thrown) {
    // While nothing was sent a failure has its own status; whoever left reads no more.
    const isTold = sequenceNumber > 0 && !(thrown instanceof AbandonedError);
    if (isTold) yield item({ type: "response.failed", response: failedResponse(head, output.items, thrown) });
    throw thrown;
  }
}
