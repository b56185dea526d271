// POST /v1/responses/input_tokens. May import the chat contract.
import type { Endpoint } from "../endpoint.ts";
import { answerHeaders, modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { ignoredParameters } from "../common/unsupported.ts";
import { tokenCount } from "./bodies.ts";
import { countBody, type CountBody, toPromptQuestion } from "./response-request.ts";

export function countEndpoint(services: Pick<Services, "chat" | "dropsParameters">): Endpoint<CountBody> {
  return {
    method: "post",
    path: "/v1/responses/input_tokens",
    summary: "Count the tokens of a response's prompt, without an answer",
    tag: "OpenAI",
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
        body: { object: "response.input_tokens", input_tokens: tokens.length },
      };
    },
  };
}
