// POST /api/chat. May import the chat contract and core/.
import type { Endpoint } from "../endpoint.ts";
import { modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { chatFields } from "./answer.ts";
import { chatBody, type ChatBody, isPreload, toChatQuestion } from "./chat-request.ts";
import { modelIdOf } from "./names.ts";
import { answerReply, type AnswerServices, loadingReply } from "./reply.ts";
import { chatAnswer } from "./responses.ts";

type Needs = AnswerServices & Pick<Services, "chat">;

export function chatEndpoint(services: Needs): Endpoint<ChatBody> {
  return {
    method: "post",
    path: "/api/chat",
    summary: "Answer a conversation as Ollama does; without messages load the expert, or with keep_alive 0 unload it",
    tag: "Ollama",
    body: chatBody,
    response: chatAnswer,
    errors: modelErrors,
    async handle({ body, signal }) {
      const id = modelIdOf(body.model, services);
      if (isPreload(body)) return loadingReply(id, body, services, chatFields, signal);
      const { request, ignored } = toChatQuestion(body, id, services.dropsParameters);
      return answerReply(id, body, ignored, services, chatFields, services.chat.chat(request, signal));
    },
  };
}
