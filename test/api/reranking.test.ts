// POST /v1/rerank over fakes: what it asks the chat service for, what it answers, what it refuses.
import { describe, expect, it } from "vitest";
import { reranking } from "../../src/api/openai/responses.ts";
import { defaultScheduling } from "../../src/chat/contract.ts";
import { PublicError } from "../../src/core/errors.ts";
import { fakeHttp, post } from "../support/fake-http.ts";
import { fakeServices } from "../support/fake-services.ts";

const path = "/v1/rerank";

function servicesWithScores(scores: readonly number[]) {
  const services = fakeServices();
  services.chat.ranking = () => Promise.resolve({ model: "reranker", scores, promptTokens: 12 });
  return services;
}

describe("POST /v1/rerank", () => {
  it.each([path, "/v1/reranking", "/rerank", "/reranking"])("orders documents, the best first: %s", async (route) => {
    const services = servicesWithScores([-1.5, 3, 0.25]);
    const body = { query: "q", documents: ["a", { text: "b", id: 7 }, "c"] };
    const answer = await post(fakeHttp(services), route, body);
    expect(answer.status).toBe(200);
    expect(reranking.strict().parse(answer.body)).toEqual(answer.body);
    expect(answer.body).toEqual({
      object: "list",
      model: "reranker",
      results: [
        { index: 1, relevance_score: 3 },
        { index: 2, relevance_score: 0.25 },
        { index: 0, relevance_score: -1.5 },
      ],
      usage: { prompt_tokens: 12, total_tokens: 12 },
    });
    const request = { model: null, query: "q", documents: ["a", "b", "c"], scheduling: defaultScheduling };
    expect(services.chat.rankings).toEqual([request]);
  });

  it("gives as many as asked for, with their documents, and of equals the first", async () => {
    const services = servicesWithScores([1, 2, 2, 0]);
    const body = { query: "q", documents: ["a", "b", { text: "c" }, "d"], top_n: 2, return_documents: true };
    expect((await post(fakeHttp(services), path, body)).body.results).toEqual([
      { index: 1, relevance_score: 2, document: { text: "b" } },
      { index: 2, relevance_score: 2, document: { text: "c" } },
    ]);
    const all = await post(fakeHttp(services), path, { ...body, top_n: 99, return_documents: null });
    expect(all.body.results).toHaveLength(4);
  });

  it("passes on the model and how much of a document is to be read", async () => {
    const services = servicesWithScores([1]);
    const body = { model: "bge", query: "q", documents: ["a"], max_tokens_per_doc: 10, priority: 3 };
    expect((await post(fakeHttp(services), path, body)).status).toBe(200);
    expect(services.chat.rankings).toMatchObject([
      { model: "bge", maxDocumentTokens: 10, scheduling: { priority: 3 } },
    ]);
  });

  it.each([
    [{ documents: ["a"] }, "query", "query is missing; it must be a non-empty string."],
    [{ query: "", documents: ["a"] }, "query", "query must be a non-empty string"],
    [{ query: ["q"], documents: ["a"] }, "query", "received an array of 1"],
    [{ query: "q" }, "documents", "documents is missing"],
    [{ query: "q", documents: null }, "documents", "an array of 1 to 2048 strings"],
    [{ query: "q", documents: 123 }, "documents", "received 123"],
    [{ query: "q", documents: [] }, "documents", "received an empty array"],
    [{ query: "q", documents: Array(2049).fill("a") }, "documents", "received an array of 2049"],
    [{ query: "q", documents: Array(5000).fill(1) }, "documents", "received an array of 5000"],
    [{ query: "q", documents: ["a", 1] }, "documents[1]", "documents[1] must be a non-empty string, or an object"],
    [{ query: "q", documents: ["a", ""] }, "documents[1]", 'received the string ""'],
    [{ query: "q", documents: [{ text: 1 }] }, "documents[0]", "received an object"],
    [{ query: "q", documents: [{}] }, "documents[0]", "received an object"],
    [{ query: "q", documents: [["a"]] }, "documents[0]", "received an array of 1"],
    [{ query: "q", documents: ["a"], top_n: 0 }, "top_n", "top_n must be an integer of at least 1; received 0."],
    [{ query: "q", documents: ["a"], top_n: 1.5 }, "top_n", "received 1.5"],
    [{ query: "q", documents: ["a"], max_tokens_per_doc: "x" }, "max_tokens_per_doc", 'received the string "x"'],
    [{ query: "q", documents: ["a"], return_documents: 1 }, "return_documents", "must be true or false"],
  ])("refuses what cannot be ranked (%#)", async (body, param, message) => {
    const answer = await post(fakeHttp(), path, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.param).toBe(param);
    expect(answer.body.error.message).toContain(message);
  });

  it("passes on that no reranker is configured", async () => {
    const services = fakeServices();
    services.chat.ranking = () =>
      Promise.reject(
        new PublicError("No reranking model is configured; set rerank_model.model_path to a GGUF file.", {
          status: 501,
          type: "not_supported_error",
          code: "reranking_not_configured",
        }),
      );
    const answer = await post(fakeHttp(services), path, { query: "q", documents: ["a"] });
    expect(answer.status).toBe(501);
    expect(answer.body.error).toMatchObject({ type: "not_supported_error", code: "reranking_not_configured" });
  });
});
