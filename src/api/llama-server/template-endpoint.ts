// POST /apply-template: a conversation's prompt, not answered. May import zod, the chat contract and
// the engine's types.
import { z } from "zod";
import type { PromptRequest } from "../../chat/contract.ts";
import type { Endpoint } from "../endpoint.ts";
import { messageParameters, toMessages } from "../openai/messages.ts";
import { outputParameters, toOutputFormat } from "../openai/output-format.ts";
import { reasoningParameters, toReasoning } from "../openai/reasoning.ts";
import { modelErrors } from "../common/model-answer.ts";
import { schedulingParameters, toScheduling } from "../common/scheduling.ts";
import { toolParameters, toTools } from "../openai/tools.ts";
import type { Services } from "../services.ts";
import { expertNamed, modelParameter } from "./model-name.ts";

const templateBody = z.object({
  model: modelParameter,
  ...messageParameters,
  ...toolParameters,
  ...outputParameters,
  ...reasoningParameters,
  ...schedulingParameters,
});

const templateResponse = z.object({ prompt: z.string() });

type Needs = Pick<Services, "chat" | "defaultModel" | "dropsParameters" | "experts" | "resolveModel">;

export function templateEndpoint(services: Needs): Endpoint<z.output<typeof templateBody>> {
  return {
    method: "post",
    path: "/apply-template",
    summary: "The prompt of a conversation",
    tag: "llama-server",
    body: templateBody,
    response: templateResponse,
    errors: modelErrors,
    async handle({ body, signal }) {
      // Here alone it may be asked for that nothing opens the answer: nothing is going to be answered.
      const opensAnswer = body.add_generation_prompt !== false || body.messages.at(-1)?.role === "assistant";
      const messages = toMessages(opensAnswer ? body : { ...body, add_generation_prompt: null });
      const request: PromptRequest = {
        model: expertNamed(services, body.model).id,
        forceRouting: false,
        messages,
        tools: toTools(body, services.dropsParameters).use,
        output: toOutputFormat(body),
        reasoning: toReasoning(body),
        scheduling: toScheduling(body),
      };
      const { text, generationPrompt } = await services.chat.render(request, signal);
      const prompt = opensAnswer ? text : text.slice(0, text.length - generationPrompt.length);
      return { kind: "json", body: { prompt } };
    },
  };
}
