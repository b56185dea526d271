// What Ollama does to its store of models and this server does not: each answer says how models get here.
// May import zod and core/.
import { z } from "zod";
import { PublicError } from "../../core/errors.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { modelIdOf } from "./names.ts";
import { pullAnswer } from "./responses.ts";

type Needs = Pick<Services, "embedder" | "experts" | "fileState" | "resolveModel">;

const howModelsGetHere =
  "The models are those of the configuration file: put a GGUF file there (./download-model.sh fetches those of " +
  "models/manifest.json), name it in experts[].model_path, and POST /admin/reload.";

const pullBody = z.object({ model: z.string().nullish(), name: z.string().nullish() });

type PullBody = z.output<typeof pullBody>;

export function managementEndpoints(services: Needs): readonly Endpoint[] {
  return [
    pullEndpoint(services),
    refused("/api/push", "Models are not pushed from this server."),
    refused("/api/create", "Models are not created through this server."),
    refused("/api/copy", "Models are not copied through this server; experts[].aliases gives one further names."),
    refused("/api/delete", "Models are not deleted through this server.", "delete"),
  ];
}

/** Clients pull a model before they use it: where it is here already, nothing is to be done. */
function pullEndpoint(services: Needs): Endpoint<PullBody> {
  return {
    method: "post",
    path: "/api/pull",
    summary: "Whether a model is here; none is fetched",
    tag: "Ollama",
    body: pullBody,
    response: pullAnswer,
    errors: { 404: "No such model", 501: "Its file is not here, and is not fetched by this server" },
    async handle({ body }) {
      const id = modelIdOf(body.model ?? body.name, services);
      const file = id === null ? null : await services.fileState(id);
      if (file !== null && file.state !== "present") throw notSupported(`${file.reason}. ${howModelsGetHere}`);
      return { kind: "json", body: { status: "success" } };
    },
  };
}

function refused(path: string, what: string, method: Endpoint["method"] = "post"): Endpoint {
  return {
    method,
    path,
    summary: "Not supported: the answer says how models get here",
    tag: "Ollama",
    errors: { 501: "Always" },
    handle: () => {
      throw notSupported(`${what} ${howModelsGetHere}`);
    },
  };
}

function notSupported(message: string): PublicError {
  return new PublicError(message, {
    status: 501,
    type: "not_supported_error",
    code: "not_supported",
    shouldRetry: false,
  });
}
