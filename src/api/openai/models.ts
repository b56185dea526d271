// The entries of GET /v1/models: the experts, their aliases, and `auto`.
import { canServe, placementBody, type ExpertView } from "../common/expert-view.ts";

/** `id`: the expert's own, or the alias under which it is listed. */
export function modelBody(id: string, view: ExpertView, created: number) {
  const { expert, file } = view;
  return {
    id,
    object: "model" as const,
    created,
    owned_by: "gguf-experts",
    domain: expert.domain,
    description: expert.description,
    status: view.status,
    ...(id === expert.id ? { aliases: expert.aliases } : { alias_of: expert.id }),
    meta:
      file.state === "present"
        ? { n_ctx_train: file.info.trainContextTokens, n_params: file.info.parameterCount, size: file.info.sizeBytes }
        : null,
    ...placementBody(view),
  };
}

/** The entry that stands for the router: as good as the best of the experts. */
export function autoModelBody(views: readonly ExpertView[], created: number) {
  const statuses = views.map(({ status }) => status);
  const unservable = statuses.includes("failed") ? "failed" : "missing";
  return {
    id: "auto",
    object: "model" as const,
    created,
    owned_by: "gguf-experts",
    domain: "router",
    description: "The router picks the expert for each request.",
    status: statuses.some(canServe) ? ("available" as const) : unservable,
    aliases: [] as readonly string[],
    meta: null,
  };
}

export function modelList(views: readonly ExpertView[], created: number) {
  const experts = views.map((view) => modelBody(view.expert.id, view, created));
  const aliases = views.flatMap((view) => view.expert.aliases.map((alias) => modelBody(alias, view, created)));
  return { object: "list" as const, data: [...experts, ...aliases, autoModelBody(views, created)] };
}
