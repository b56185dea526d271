// The body of an answer of POST /v1/embeddings. May import the chat contract.
import { endianness } from "node:os";
import type { EmbeddingAnswer } from "../../chat/contract.ts";

export function embeddingAnswer(answer: EmbeddingAnswer, encoding: "float" | "base64") {
  return {
    object: "list" as const,
    data: answer.vectors.map((vector, index) => ({
      object: "embedding" as const,
      index,
      embedding: encoding === "base64" ? toBase64(vector) : [...vector],
    })),
    model: answer.model,
    usage: { prompt_tokens: answer.promptTokens, total_tokens: answer.promptTokens },
  };
}

/** Little-endian 32-bit floats, whatever the machine's own order. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
  return (endianness() === "LE" ? bytes : Buffer.from(bytes).swap32()).toString("base64");
}
