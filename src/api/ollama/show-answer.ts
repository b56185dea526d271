// The bodies of /api/show, for an expert, the embedder and the router. Pure. May import engine/ and experts/.
import { basename } from "node:path";
import { wantedContextTokens } from "../../engine/context-size.ts";
import type { Embedder, Expert, Sampling } from "../../experts/expert.ts";
import { type ModelDetails, modelDetails, modifiedAt, type PresentFile, routerDetails } from "./model-entry.ts";

/** What only a loaded model tells. */
export interface LoadedFacts {
  readonly template: string;
  readonly capabilities: readonly ("thinking" | "insert")[];
}

export const noFacts: LoadedFacts = { template: "", capabilities: [] };

/** `contextTokens`: of each slot, as loaded or as it would be. */
export function expertShow(expert: Expert, file: PresentFile, contextTokens: number, facts: LoadedFacts) {
  return {
    ...fileFields(expert.id, file, contextTokens),
    parameters: parameterLines({ num_ctx: contextTokens, ...samplingOptions(expert.sampling) }),
    template: facts.template,
    system: expert.systemPrompt ?? "",
    // Where a template knows no tools they are described to the model, and a grammar holds its calls.
    capabilities: ["completion", "tools", ...facts.capabilities],
  };
}

export function embedderShow(embedder: Embedder, file: PresentFile) {
  const contextTokens = wantedContextTokens(embedder.contextTokens, file.info.trainContextTokens);
  return {
    ...fileFields(embedder.id, file, contextTokens),
    parameters: parameterLines({ num_ctx: contextTokens }),
    template: "",
    system: "",
    capabilities: ["embedding"],
  };
}

/** `contextTokens`: what every expert that the router may choose has room for. */
export function routerShow(contextTokens: number, startedAtMs: number) {
  return {
    ...commonFields(routerDetails, { "general.basename": "auto" }, contextTokens),
    modelfile: "# The router picks the expert for each request.\n",
    parameters: "",
    template: "",
    system: "",
    capabilities: ["completion", "tools"],
    modified_at: new Date(startedAtMs).toISOString(),
  };
}

function fileFields(id: string, file: PresentFile, contextTokens: number) {
  const { info } = file;
  const names = { "general.basename": info.name ?? id, "general.parameter_count": info.parameterCount };
  return {
    ...commonFields(modelDetails(file), names, contextTokens),
    modelfile: `FROM ${basename(info.path)}\n`,
    modified_at: modifiedAt(file),
  };
}

/** Clients fit their prompts into the context length told here, so that it is the one in force and not the trained one. */
function commonFields(details: ModelDetails, names: Readonly<Record<string, string | number>>, contextTokens: number) {
  return {
    license: "",
    details,
    model_info: {
      "general.architecture": details.family,
      ...names,
      [`${details.family}.context_length`]: contextTokens,
    },
  };
}

function samplingOptions(sampling: Sampling) {
  return {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    typical_p: sampling.typicalP,
    seed: sampling.seed,
    repeat_last_n: sampling.repeatLastN,
    repeat_penalty: sampling.repeatPenalty,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
  };
}

/** A name and its value a line, in columns. */
function parameterLines(options: Readonly<Record<string, number | undefined>>): string {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(30)} ${value}`)
    .join("\n");
}
