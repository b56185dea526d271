// POST /v1/chat/completions. May import the chat contract and core/.
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { ignoredParameters } from "../common/unsupported.ts";
import { newHead } from "./answer-head.ts";
import { AwaitedStep } from "../common/awaited.ts";
import { chatAnswer } from "./chat-answer.ts";
import { ChatChoiceChunks, chatUsageChunk, PromptProgress } from "./chat-chunks.ts";
import { chatBody, toChatQuestion, type ChatBody } from "./chat-request.ts";
import { choiceItems, type ChoiceStream } from "./choice-stream.ts";
import { readAnswers, startAnswers } from "./choices.ts";
import { chatCompletion, chatCompletionChunk } from "./responses.ts";
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
        const stream: ChoiceStream = {
          head,
          count: choices,
          candidates: choices,
          newChoice: (ofChoice, index) => new ChatChoiceChunks(ofChoice, index, isLegacy, newProgress()),
          usageChunk: body.stream_options?.include_usage === true ? chatUsageChunk : null,
        };
        return {
          kind: "stream",
          headers,
          items: choiceItems(answers, stream, awaited),
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
