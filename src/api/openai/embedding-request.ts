// The body of POST /v1/embeddings and its way into an EmbeddingRequest. May import zod, core/ and the chat contract.
import { z } from "zod";
import type { EmbeddingRequest } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import { optionalInteger } from "../common/validation.ts";
import { toModel } from "./parameters.ts";
import { schedulingParameters, toScheduling } from "../common/scheduling.ts";
import { inputField, textOrTokens } from "./text-or-tokens.ts";

const truncationAllowed = "-1 (down to what the model reads), or null or absent (a longer text is refused)";

export const embeddingBody = z.object({
  model: z.string().nullish().describe("Absent: the embedding model of the configuration."),
  input: textOrTokens(2048),
  encoding_format: z.enum(["float", "base64"]).nullish().describe("base64: little-endian 32-bit floats."),
  dimensions: optionalInteger(1).describe(
    "Vectors keep so many of their first values, scaled to length 1 again; at most the model's own number.",
  ),
  truncate: z
    .boolean()
    .nullish()
    .describe("True: a text that is longer than the model reads loses its end. Else it is refused."),
  truncate_prompt_tokens: z
    .literal(-1, truncationAllowed)
    .nullish()
    .describe("-1 is `truncate: true`, as other servers write it."),
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
  const { dimensions } = body;
  return {
    model: toModel(body.model),
    inputs: body.input,
    truncates: body.truncate ?? body.truncate_prompt_tokens === -1,
    ...(dimensions === null || dimensions === undefined ? {} : { dimensions }),
    scheduling: toScheduling(body),
  };
}
