// What Ollama's clients call a model: `name` or `name:tag`. May import experts/ (types) and core/.
import { clip, PublicError } from "../../core/errors.ts";
import type { Services } from "../services.ts";

type Needs = Pick<Services, "embedder" | "experts" | "resolveModel">;

/** The name under which the router is listed. */
export const routerName = "auto";

/**
 * How lists name a model. Clients add `:latest` to a name without a tag, and look the result up in the list; a name with a
 * colon has its tag already.
 */
export function listedName(id: string): string {
  return id.includes(":") ? id : `${id}:latest`;
}

/**
 * The id of the expert or the embedder of that name; its tag does not count, as there is one file behind each name. Null:
 * the router is asked for. Throws a PublicError (404) where there is no such model.
 */
export function modelIdOf(name: string | null | undefined, services: Needs): string | null {
  if (name === undefined || name === null || name === "") return null;
  // A configured name may hold a colon itself.
  for (const candidate of [name, name.replace(/:[^:/]*$/, "")]) {
    if (candidate === routerName) return null;
    const id = candidate === services.embedder()?.id ? candidate : services.resolveModel(candidate)?.id;
    if (id !== undefined) return id;
  }
  throw unknownModel(name, services);
}

/** Clients look for the words "not found" in the message. */
function unknownModel(name: string, services: Needs): PublicError {
  const embedder = services.embedder();
  const known = [...services.experts().map(({ id }) => id), ...(embedder === null ? [] : [embedder.id]), routerName];
  return new PublicError(`model '${clip(name)}' not found; known models: ${known.join(", ")}`, {
    status: 404,
    type: "not_found_error",
    code: "model_not_found",
    param: "model",
    shouldRetry: false,
  });
}
