// GET /api/tags, /api/ps and /api/version. May import engine/ and the pool's types.
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { digestOf, fileDigest, modelEntry, modifiedAt, type PresentFile, routerDetails } from "./model-entry.ts";
import { listedName, routerName } from "./names.ts";
import { psAnswer, tagsAnswer, versionAnswer } from "./responses.ts";

/** Clients ask for a smallest version before they use what came with it: the API is that one's. */
const ollamaVersion = "0.12.11";

/** The time at which a model leaves memory where no time is set: clients show a year this far as "never". */
const neverAt = "2300-01-01T00:00:00.000Z";

type Needs = Pick<Services, "embedder" | "experts" | "fileState" | "poolStatus" | "startedAtMs" | "version">;

interface ListedFile {
  readonly id: string;
  readonly file: PresentFile;
}

export function listEndpoints(services: Needs): readonly Endpoint[] {
  return [
    {
      method: "get",
      path: "/api/tags",
      summary: "The models whose file is there, as Ollama lists them, and the router as `auto`",
      tag: "Ollama",
      response: tagsAnswer,
      async handle() {
        const files = await presentFiles(services);
        const models = files.map(({ id, file }) => ({ ...modelEntry(id, file), modified_at: modifiedAt(file) }));
        const expertFiles = files.filter(({ id }) => id !== services.embedder()?.id);
        const router = expertFiles.length === 0 ? [] : [routerEntry(expertFiles, services.startedAtMs)];
        return { kind: "json", body: { models: [...models, ...router] } };
      },
    },
    {
      method: "get",
      path: "/api/ps",
      summary: "The models in memory, as Ollama lists them",
      tag: "Ollama",
      response: psAnswer,
      async handle() {
        const files = await presentFiles(services);
        const models = services.poolStatus().models.flatMap((model) => {
          const listed = files.find(({ id }) => id === model.modelId);
          if (model.state !== "loaded" || listed === undefined) return [];
          return {
            ...modelEntry(listed.id, listed.file),
            size: model.reservedBytes,
            expires_at: neverAt,
            size_vram: 0,
            context_length: model.contextTokens ?? listed.file.info.trainContextTokens,
          };
        });
        return { kind: "json", body: { models } };
      },
    },
    {
      method: "get",
      path: "/api/version",
      summary: "The version of Ollama whose API this is",
      tag: "Ollama",
      response: versionAnswer,
      handle: () => ({ kind: "json", body: { version: ollamaVersion, server: `gguf-experts ${services.version}` } }),
    },
  ];
}

async function presentFiles(services: Needs): Promise<readonly ListedFile[]> {
  const embedder = services.embedder();
  const ids = [...services.experts().map(({ id }) => id), ...(embedder === null ? [] : [embedder.id])];
  const files = await Promise.all(ids.map(async (id) => ({ id, file: await services.fileState(id) })));
  return files.flatMap(({ id, file }) => (file.state === "present" ? [{ id, file }] : []));
}

/** It has no file of its own, and is another one where its experts are. */
function routerEntry(files: readonly ListedFile[], startedAtMs: number) {
  return {
    name: listedName(routerName),
    model: listedName(routerName),
    size: 0,
    digest: digestOf(files.map(({ file }) => fileDigest(file))),
    details: routerDetails,
    modified_at: new Date(startedAtMs).toISOString(),
  };
}
