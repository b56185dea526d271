// The body of POST /v1/embeddings and its way into an EmbeddingRequest. May import zod, core/ and the chat contract.
import { z } from "zod";
import type { EmbeddingRequest } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import { optionalInteger } from "../validation.ts";
import { toModel } from "./parameters.ts";
import { schedulingParameters, toScheduling } from "./scheduling.ts";
import { inputField, textOrTokens } from "./text-or-tokens.ts";

export const embeddingBody = z.object({
  model: z.string().nullish().describe("Absent: the embedding model of the configuration."),
  input: textOrTokens(2048),
  encoding_format: z.enum(["float", "base64"]).nullish().describe("base64: little-endian 32-bit floats."),
  dimensions: optionalInteger(1).describe("Only the model's own number is accepted."),
  ...schedulingParameters,
  user: z.string().nullish().describe("Ignored."),
});

export type EmbeddingBody = z.output<typeof embeddingBody>;

/** Throws a PublicError (400) for an empty text. */
export function toEmbeddingRequest(body: EmbeddingBody): EmbeddingRequest {
  const empty = body.input.indexOf("");
  if (empty !== -1) {
    const param = inputField("input", empty, body.input.length);
    throw invalidRequest(`${param} must be a non-empty string; received "".`, param);
  }
  return { model: toModel(body.model), inputs: body.input, scheduling: toScheduling(body) };
}
