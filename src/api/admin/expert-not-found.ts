// The 404 of a path that names an expert. May import core/.
import { clip, PublicError } from "../../core/errors.ts";

export function expertNotFound(id: string, known: readonly { readonly id: string }[]): PublicError {
  const ids = known.map((expert) => expert.id).join(", ");
  return new PublicError(`No expert is called ${JSON.stringify(clip(id))}. Known experts: ${ids}.`, {
    status: 404,
    type: "not_found_error",
    code: "expert_not_found",
    shouldRetry: false,
  });
}
