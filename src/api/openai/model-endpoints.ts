// GET /v1/models and /v1/models/{id}. May import experts/ and core/.
import { modelNotFound } from "../../core/errors.ts";
import type { Expert } from "../../experts/expert.ts";
import type { Endpoint } from "../endpoint.ts";
import { viewExpert, viewExperts } from "../common/expert-view.ts";
import type { Services } from "../services.ts";
import { autoModelBody, modelBody, modelList } from "./models.ts";
import { model, models } from "./responses.ts";
import { modelErrors } from "../common/model-answer.ts";

type Needs = Pick<Services, "experts" | "fileState" | "poolStatus" | "resolveModel" | "startedAtMs">;

export function modelEndpoints(services: Needs): readonly Endpoint[] {
  const created = Math.floor(services.startedAtMs / 1000);
  return [
    {
      method: "get",
      path: "/v1/models",
      aliases: ["/models"],
      summary: "The experts, their aliases, and `auto`",
      tag: "OpenAI",
      response: models,
      async handle() {
        return { kind: "json", body: modelList(await viewExperts(services), created) };
      },
    },
    {
      method: "get",
      path: "/v1/models/{id}",
      summary: "One expert, by its id or an alias",
      tag: "OpenAI",
      response: model,
      errors: { 404: modelErrors[404] },
      async handle({ params }) {
        const id = params["id"] ?? "";
        if (id === "auto") return { kind: "json", body: autoModelBody(await viewExperts(services), created) };
        const expert = services.resolveModel(id);
        if (expert === undefined) throw modelNotFound(id, knownModels(services.experts()));
        return { kind: "json", body: modelBody(id, await viewExpert(services, expert), created) };
      },
    },
  ];
}

function knownModels(experts: readonly Expert[]): string[] {
  return [...experts.map((expert) => expert.id), ...experts.flatMap((expert) => expert.aliases), "auto"];
}
