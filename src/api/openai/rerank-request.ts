// The body of POST /v1/rerank, as Jina and Cohere write it, and its way into a RankingRequest. May import zod and the chat
// contract.
import { z } from "zod";
import type { RankingRequest } from "../../chat/contract.ts";
import { checked, optionalInteger, type Refusal } from "../common/validation.ts";
import { toModel } from "./parameters.ts";
import { schedulingParameters, toScheduling } from "../common/scheduling.ts";

const maxDocuments = 2048;
const documentsAllowed = `an array of 1 to ${maxDocuments} strings or objects with a string text`;
const documentAllowed = "a non-empty string, or an object with a non-empty string text";
const queryAllowed = "a non-empty string";

export type RerankDocument = string | { readonly text: string };

const document = z.union([z.string(), z.object({ text: z.string() })]);

export const rerankBody = z.object({
  model: z.string().nullish().describe("Absent: the reranking model of the configuration."),
  query: z.string(queryAllowed).min(1, queryAllowed),
  documents: checked<readonly RerankDocument[]>(z.array(document).min(1).max(maxDocuments), refuseDocuments),
  top_n: optionalInteger(1).describe("The best so many come back. Absent: all."),
  return_documents: z.boolean().nullish().describe("True: each result carries its document."),
  max_tokens_per_doc: optionalInteger(1).describe(
    "A longer document loses its end. Absent: one that does not fit beside the query is refused.",
  ),
  ...schedulingParameters,
});

export type RerankBody = z.output<typeof rerankBody>;

export function toRankingRequest(body: RerankBody): RankingRequest {
  const maxDocumentTokens = body.max_tokens_per_doc;
  return {
    model: toModel(body.model),
    query: body.query,
    documents: body.documents.map(textOf),
    ...(maxDocumentTokens === null || maxDocumentTokens === undefined ? {} : { maxDocumentTokens }),
    scheduling: toScheduling(body),
  };
}

export function textOf(given: RerankDocument): string {
  return typeof given === "string" ? given : given.text;
}

function refuseDocuments(documents: unknown): Refusal | null {
  if (!Array.isArray(documents)) return { path: [], code: "invalid_type", allowed: documentsAllowed };
  if (documents.length === 0 || documents.length > maxDocuments) {
    return { path: [], code: "invalid_value", allowed: documentsAllowed };
  }
  const wrong = documents.findIndex((given: unknown) => !isDocument(given));
  return wrong === -1 ? null : { path: [wrong], code: "invalid_type", allowed: documentAllowed };
}

function isDocument(given: unknown): given is RerankDocument {
  const text = typeof given === "object" && given !== null && "text" in given ? given.text : given;
  return typeof text === "string" && text !== "";
}
