// POST /api/embed and the older /api/embeddings. May import zod, the chat contract and core/.
import { z } from "zod";
import type { EmbeddingAnswer, EmbeddingRequest } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import type { Endpoint } from "../endpoint.ts";
import { modelErrors } from "../common/model-answer.ts";
import { schedulingParameters, toScheduling } from "../common/scheduling.ts";
import type { Services } from "../services.ts";
import { anyObject, checked, optionalInteger, type Refusal } from "../common/validation.ts";
import { nanoseconds } from "./answer.ts";
import { modelIdOf } from "./names.ts";
import { embedAnswer, embeddingsAnswer } from "./responses.ts";

type Needs = Pick<Services, "chat" | "clock" | "embedder" | "experts" | "loadExpert" | "resolveModel">;

/** Some clients send all their documents at once. */
const maxInputs = 65_536;
const inputAllowed = `a string or an array of at most ${maxInputs} strings`;

const common = {
  model: z.string().nullish().describe("Absent: the embedding model of the configuration."),
  options: anyObject().nullish().describe("Ignored: how the model is loaded is what the configuration says."),
  ...schedulingParameters,
} as const;

export const embedBody = z.object({
  input: checked(z.union([z.string(), z.array(z.string()).max(maxInputs)]), refuseInput)
    .nullish()
    .describe("Empty or absent: the embedding model is loaded."),
  truncate: z.boolean().nullish().describe("False: a text that is too long is refused. Else it loses its end."),
  dimensions: optionalInteger(1).describe("The vectors' first so many numbers, scaled to length 1."),
  ...common,
});

export const embeddingsBody = z.object({
  prompt: z.string().nullish().describe("Empty or absent: the embedding model is loaded."),
  ...common,
});

type EmbedBody = z.output<typeof embedBody>;
type EmbeddingsBody = z.output<typeof embeddingsBody>;

export function embedEndpoint(services: Needs): Endpoint<EmbedBody> {
  return {
    method: "post",
    path: "/api/embed",
    summary: "Turn texts into vectors with the embedding model, as Ollama does",
    tag: "Ollama",
    body: embedBody,
    response: embedAnswer,
    errors: modelErrors,
    async handle({ body, signal }) {
      const startMs = services.clock.nowMs();
      const inputs = toInputs(body.input);
      const id = modelIdOf(body.model, services);
      const dimensions = body.dimensions ?? undefined;
      const question = {
        model: id,
        inputs,
        truncates: body.truncate !== false,
        ...(dimensions === undefined ? {} : { dimensions }),
        scheduling: toScheduling(body),
      };
      const answer = await embedAll(question, services, signal);
      return {
        kind: "json",
        body: {
          model: id === null ? answer.model : body.model,
          embeddings: answer.vectors.map((vector) => [...vector]),
          total_duration: nanoseconds(services.clock.nowMs() - startMs),
          load_duration: nanoseconds(answer.loadMs),
          prompt_eval_count: answer.promptTokens,
        },
      };
    },
  };
}

export function embeddingsEndpoint(services: Needs): Endpoint<EmbeddingsBody> {
  return {
    method: "post",
    path: "/api/embeddings",
    summary: "Turn one text into a vector, as Ollama once did",
    tag: "Ollama",
    body: embeddingsBody,
    response: embeddingsAnswer,
    errors: modelErrors,
    async handle({ body, signal }) {
      const question = {
        model: modelIdOf(body.model, services),
        inputs: toInputs(body.prompt),
        truncates: true,
        scheduling: toScheduling(body),
      };
      const answer = await embedAll(question, services, signal);
      return { kind: "json", body: { embedding: [...(answer.vectors[0] ?? [])] } };
    },
  };
}

async function embedAll(question: EmbeddingRequest, services: Needs, signal: AbortSignal): Promise<EmbeddingAnswer> {
  const { model, inputs } = question;
  const embedder = services.embedder();
  // Which models are refused is the chat service's to say.
  if (inputs.length > 0 || embedder === null || (model !== null && model !== embedder.id)) {
    return services.chat.embed(question, signal);
  }
  const startMs = services.clock.nowMs();
  await services.loadExpert(embedder.id, signal, question.scheduling.keepAliveMs);
  return { model: embedder.id, vectors: [], promptTokens: 0, loadMs: services.clock.nowMs() - startMs };
}

function toInputs(input: string | readonly string[] | null | undefined): readonly string[] {
  if (input === undefined || input === null || input === "") return [];
  if (typeof input === "string") return [input];
  const empty = input.indexOf("");
  if (empty === -1) return input;
  throw invalidRequest(`input[${empty}] must be a non-empty string; received "".`, `input[${empty}]`);
}

function refuseInput(input: unknown): Refusal | null {
  if (typeof input === "string") return null;
  if (!Array.isArray(input)) return { path: [], code: "invalid_type", allowed: inputAllowed };
  if (input.length > maxInputs) return { path: [], code: "invalid_value", allowed: inputAllowed };
  const wrong = input.findIndex((item) => typeof item !== "string");
  return wrong === -1 ? null : { path: [wrong], code: "invalid_type", allowed: "a string" };
}
