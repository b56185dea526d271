// GET /props: what clients of llama-server ask before they talk to it. Loads no model. May import zod, experts/, the
// engine's types and core/.
import { basename } from "node:path";
import { z } from "zod";
import type { TextModel } from "../../engine/engine.ts";
import { type Sampling, samplingDefaults } from "../../experts/expert.ts";
import type { Endpoint } from "../endpoint.ts";
import { placementBody, viewExpert } from "../common/expert-view.ts";
import { modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { expertNamed } from "./model-name.ts";

/** What llama-server shows for "drawn at random". */
const randomSeed = 4_294_967_295;

const propsResponse = z.object({
  default_generation_settings: z.object({
    params: z.looseObject({}).describe("Sampling where a request says nothing."),
    n_ctx: z.int().nullable().describe("Tokens of each slot."),
  }),
  total_slots: z.int(),
  model_alias: z.string().describe("The expert's id."),
  model_ftype: z.string().nullable(),
  model_path: z.string().describe("The file's name."),
  modalities: z.object({ vision: z.boolean(), audio: z.boolean() }),
  endpoint_slots: z.boolean(),
  endpoint_props: z.boolean(),
  endpoint_metrics: z.boolean(),
  chat_template: z.string().nullable().describe("Null: the file has none, or the model is not in memory."),
  chat_template_caps: z
    .object({ supports_tools: z.boolean(), supports_tool_calls: z.boolean() })
    .nullable()
    .describe("Null: the model is not in memory."),
  bos_token: z.string().nullable(),
  eos_token: z.string().nullable(),
  build_info: z.string(),
  is_sleeping: z.boolean().describe("The model is not in memory; the next request loads it."),
});

type Needs = Pick<
  Services,
  "chat" | "defaultModel" | "engine" | "experts" | "fileState" | "poolStatus" | "resolveModel" | "version"
>;

export function propsEndpoint(services: Needs): Endpoint {
  return {
    method: "get",
    path: "/props",
    summary: "What a model is and how it generates by default",
    tag: "llama-server",
    query: { model: "an expert's id or alias; absent: the default" },
    response: propsResponse,
    errors: { 404: modelErrors[404] },
    async handle({ query, signal }) {
      const expert = expertNamed(services, query["model"]);
      const view = await viewExpert(services, expert);
      // What is in memory now is asked before anything else can happen, so this loads nothing.
      const facts =
        view.model?.state === "loaded" ? await services.chat.withModel(expert.id, loadedFacts, signal) : null;
      const body: z.output<typeof propsResponse> = {
        default_generation_settings: {
          params: samplingBody(expert.sampling),
          n_ctx: placementBody(view).context_length,
        },
        total_slots: expert.parallel,
        model_alias: expert.id,
        model_ftype: (view.file.state === "present" ? view.file.info.quantization : null) ?? expert.quantization,
        model_path: basename(expert.modelPath),
        modalities: { vision: false, audio: false },
        endpoint_slots: true,
        endpoint_props: false,
        endpoint_metrics: true,
        chat_template: facts?.chat_template ?? null,
        chat_template_caps: facts?.chat_template_caps ?? null,
        bos_token: facts?.bos_token ?? null,
        eos_token: facts?.eos_token ?? null,
        build_info: `gguf-experts ${services.version}, ${services.engine.name}`,
        is_sleeping: facts === null,
      };
      return { kind: "json", body };
    },
  };
}

function loadedFacts({ template, vocabulary }: TextModel) {
  return {
    chat_template: template.source,
    chat_template_caps: { supports_tools: template.takesTools, supports_tool_calls: template.takesToolMessages },
    bos_token: vocabulary.bosText,
    eos_token: vocabulary.eosText,
  };
}

function samplingBody(configured: Sampling): Record<string, unknown> {
  const sampling = { ...samplingDefaults, ...configured };
  return {
    seed: sampling.seed ?? randomSeed,
    temperature: sampling.temperature,
    top_k: sampling.topK,
    top_p: sampling.topP,
    min_p: sampling.minP,
    top_n_sigma: sampling.topNSigma,
    xtc_probability: sampling.xtcProbability,
    xtc_threshold: sampling.xtcThreshold,
    typical_p: sampling.typicalP,
    repeat_last_n: sampling.repeatLastN,
    repeat_penalty: sampling.repeatPenalty,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    dry_multiplier: sampling.dryMultiplier,
    dry_base: sampling.dryBase,
    dry_allowed_length: sampling.dryAllowedLength,
    dry_penalty_last_n: sampling.dryPenaltyLastN,
    ignore_eos: sampling.ignoreEos,
    max_tokens: -1,
    n_predict: -1,
    stream: false,
  };
}
