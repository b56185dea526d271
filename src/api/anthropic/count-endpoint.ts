// POST /v1/messages/count_tokens. May import the chat contract.
import type { Endpoint } from "../endpoint.ts";
import { answerHeaders, modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { ignoredParameters } from "../common/unsupported.ts";
import { tokenCount } from "./bodies.ts";
import { countBody, type CountBody, toPromptQuestion } from "./message-request.ts";

export function countEndpoint(services: Pick<Services, "chat" | "dropsParameters">): Endpoint<CountBody> {
  return {
    method: "post",
    path: "/v1/messages/count_tokens",
    summary: "Count the tokens of a conversation's prompt, without an answer",
    tag: "Anthropic",
    body: countBody,
    response: tokenCount,
    errors: modelErrors,
    headers: answerHeaders,
    async handle({ body, signal }) {
      const { request, ignored } = toPromptQuestion(body, services.dropsParameters);
      const { expertId, tokens } = await services.chat.render(request, signal);
      return {
        kind: "json",
        headers: { ...ignoredParameters(ignored), "x-expert": expertId },
        body: { input_tokens: tokens.length },
      };
    },
  };
}
