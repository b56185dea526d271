// POST /v1/chat/completions. May import the chat contract and core/.
import type { AnswerTimings } from "../../chat/contract.ts";
import type { Endpoint, StreamItem } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { ignoredParameters } from "../common/unsupported.ts";
import { endMissing } from "../common/answer-events.ts";
import { newHead, type AnswerHead } from "./answer-head.ts";
import { AwaitedStep } from "../common/awaited.ts";
import { chatAnswer } from "./chat-answer.ts";
import { ChatChoiceChunks, chatUsageChunk, PromptProgress } from "./chat-chunks.ts";
import { chatBody, toChatQuestion, type ChatBody } from "./chat-request.ts";
import { readAnswers, startAnswers, type Answers } from "./choices.ts";
import { chatCompletion, chatCompletionChunk } from "./responses.ts";
import { choicesTimings } from "./usage.ts";
import { answerHeaders, modelErrors } from "../common/model-answer.ts";

type Needs = Pick<Services, "chat" | "clock" | "dropsParameters" | "poolStatus" | "resolveModel" | "version">;

export function chatEndpoint(services: Needs): Endpoint<ChatBody> {
  return {
    method: "post",
    path: "/v1/chat/completions",
    aliases: ["/chat/completions"],
    summary: "Answer a conversation, streamed or whole; without `model` the router picks the expert",
    tag: "OpenAI",
    body: chatBody,
    response: chatCompletion,
    streamItem: chatCompletionChunk,
    errors: modelErrors,
    headers: answerHeaders,
    async handle({ body, signal }) {
      const { request, choices, isLegacy, ignored } = toChatQuestion(body, services.dropsParameters);
      const answers = await startAnswers({
        count: choices,
        start: (index, expertId, answerSignal) => {
          const named = expertId === null ? {} : { model: expertId, forceRouting: false };
          return services.chat.chat({ ...request, ...named, choice: index }, answerSignal);
        },
        parallel: (expertId) => services.resolveModel(expertId)?.parallel ?? 1,
        signal,
      });
      const head = newHead("chatcmpl", services, answers.routing);
      const headers = { "x-expert": head.routing.expertId, ...ignoredParameters(ignored) };
      if (body.stream === true) {
        const awaited = new AwaitedStep(services, head.routing);
        const newProgress = () =>
          body.return_progress === true ? new PromptProgress(() => services.clock.nowMs()) : null;
        const includesUsage = body.stream_options?.include_usage === true;
        return {
          kind: "stream",
          headers,
          items: chatItems(answers, { head, choices, isLegacy, includesUsage, newProgress }, awaited),
          awaited: () => awaited.text(),
        };
      }
      const { routing, whole } = await readAnswers(answers, choices);
      return {
        kind: "json",
        headers: { ...headers, "x-expert": routing.expertId },
        body: chatAnswer({ ...head, routing }, whole, isLegacy),
      };
    },
  };
}

interface ChatStreamForm {
  readonly head: AnswerHead;
  readonly choices: number;
  readonly isLegacy: boolean;
  readonly includesUsage: boolean;
  /** Null: progress is not to be told. */
  readonly newProgress: () => PromptProgress | null;
}

async function* chatItems(
  answers: Answers,
  form: ChatStreamForm,
  awaited: AwaitedStep,
): AsyncGenerator<StreamItem, void, void> {
  let { head } = form;
  const chunks: ChatChoiceChunks[] = [];
  const timings: AnswerTimings[] = [];
  let endedCount = 0;
  for await (const event of answers.events) {
    const index = answers.index();
    if (index === 0) awaited.follow(event);
    if (event.type === "routing") {
      head = { ...head, routing: event.routing };
      continue;
    }
    let choice = chunks[index];
    if (choice === undefined) {
      chunks[index] = choice = new ChatChoiceChunks(head, index, form.isLegacy, form.newProgress());
      yield choice.opening();
    }
    const item = choice.piece(event);
    if (item !== null) yield item;
    if (event.type === "end") {
      timings[index] = event.timings;
      endedCount += 1;
    }
  }
  if (endedCount !== form.choices) throw endMissing();
  if (form.includesUsage) yield { json: chatUsageChunk(head, choicesTimings(timings, form.choices)) };
  yield { raw: "[DONE]" };
}
