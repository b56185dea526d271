// POST /api/generate. May import the chat contract and core/.
import type { Endpoint } from "../endpoint.ts";
import { modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { generateFields } from "./answer.ts";
import { generateBody, type GenerateBody, isPreload, toGenerateQuestion } from "./generate-request.ts";
import { modelIdOf } from "./names.ts";
import { answerReply, type AnswerServices, loadingReply } from "./reply.ts";
import { generateAnswer } from "./responses.ts";

type Needs = AnswerServices & Pick<Services, "chat">;

export function generateEndpoint(services: Needs): Endpoint<GenerateBody> {
  return {
    method: "post",
    path: "/api/generate",
    summary: "Answer a prompt as Ollama does; without one load the expert, or with keep_alive 0 unload it",
    tag: "Ollama",
    body: generateBody,
    response: generateAnswer,
    errors: modelErrors,
    async handle({ body, signal }) {
      const id = modelIdOf(body.model, services);
      if (isPreload(body)) return loadingReply(id, body, services, generateFields, signal);
      const question = toGenerateQuestion(body, id, services.dropsParameters);
      const events =
        question.kind === "chat"
          ? services.chat.chat(question.request, signal)
          : services.chat.complete(question.request, signal);
      return answerReply(id, body, question.ignored, services, generateFields, events);
    },
  };
}
