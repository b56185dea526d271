// The configured models that are no experts. May import services.ts (types).
import type { Services } from "../services.ts";

export function readingModels(services: Pick<Services, "embedder" | "reranker">): readonly { readonly id: string }[] {
  return [services.embedder(), services.reranker()].filter((model) => model !== null);
}
