// The body of an answer of POST /v1/rerank. May import rerank-request.ts and the chat contract.
import type { RankingAnswer } from "../../chat/contract.ts";
import { type RerankBody, textOf } from "./rerank-request.ts";

/** The best first; of equals the one that came first. */
export function rerankAnswer({ model, scores, promptTokens }: RankingAnswer, body: RerankBody) {
  const best = scores
    .map((score, index) => ({ index, relevance_score: score }))
    .sort((left, right) => right.relevance_score - left.relevance_score)
    .slice(0, body.top_n ?? scores.length);
  const withDocument = (result: (typeof best)[number]) => ({
    ...result,
    document: { text: textOf(body.documents[result.index] ?? "") },
  });
  return {
    object: "list" as const,
    model,
    results: body.return_documents === true ? best.map(withDocument) : best,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  };
}
