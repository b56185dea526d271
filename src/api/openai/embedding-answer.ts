// The body of POST /v1/embeddings. May import the chat contract and core/.
import { endianness } from "node:os";
import type { EmbeddingAnswer } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";

/** Throws a PublicError (400) when `dimensions` is not the model's own number. */
export function embeddingAnswer(answer: EmbeddingAnswer, encoding: "float" | "base64", dimensions: number | null) {
  const own = answer.vectors[0]?.length;
  if (dimensions !== null && own !== undefined && dimensions !== own) {
    throw invalidRequest(
      `dimensions must be ${own}, the number of ${answer.model}, or left out; received ${dimensions}.`,
      "dimensions",
    );
  }
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
