// The body of POST /api/generate and its way into a ChatRequest, or a CompletionRequest where no template is wanted.
// May import zod, core/ and the chat contract.
import { z } from "zod";
import type { ChatRequest, CompletionRequest } from "../../chat/contract.ts";
import { invalidRequest } from "../../core/errors.ts";
import { toScheduling } from "../common/scheduling.ts";
import { describe, withUnknownNames } from "../common/validation.ts";
import { answerParameters, images, passedOver, refuseImages, toLimits, toReasoning } from "./parameters.ts";

const generateFields = z.object({
  prompt: z.string().nullish().describe("Empty or absent: the expert is loaded, or with keep_alive 0 unloaded."),
  suffix: z.string().nullish().describe("What follows the answer: the middle is filled in, without a template."),
  system: z.string().nullish(),
  raw: z.boolean().nullish().describe("The prompt as it stands, without a template."),
  images,
  ...answerParameters,
});

export const generateBody = withUnknownNames(generateFields);

export type GenerateBody = z.output<typeof generateBody>;

export type GenerateQuestion = (
  | { readonly kind: "chat"; readonly request: ChatRequest }
  | { readonly kind: "completion"; readonly request: CompletionRequest }
) & {
  /** The parameters that were passed over. */
  readonly ignored: readonly string[];
};

/** Whether the body asks for nothing but the model's loading or unloading. */
export function isPreload({ prompt, suffix }: Pick<GenerateBody, "prompt" | "suffix">): boolean {
  return isNothing(prompt) && isNothing(suffix);
}

/**
 * `model`: as `modelIdOf` found it. Throws a PublicError (400) for what this server does not know, where it is not to be
 * dropped.
 */
export function toGenerateQuestion(body: GenerateBody, model: string | null, drops: boolean): GenerateQuestion {
  refuseImages(body.images, "images");
  const ignored = passedOver(body, drops);
  const prompt = body.prompt ?? "";
  const common = { model, ...toLimits(body), scheduling: toScheduling(body) };
  if (body.raw === true || !isNothing(body.suffix)) {
    refuseTemplateFields(body);
    return {
      kind: "completion",
      ignored,
      request: { ...common, prompt, promptField: "prompt", suffix: isNothing(body.suffix) ? null : body.suffix },
    };
  }
  const system = isNothing(body.system) ? [] : [{ role: "system" as const, content: body.system }];
  return {
    kind: "chat",
    ignored,
    request: {
      ...common,
      forceRouting: false,
      messages: [...system, { role: "user", content: prompt }],
      tools: null,
      reasoning: toReasoning(body),
    },
  };
}

/** What only a template can bring into a prompt. */
function refuseTemplateFields(body: GenerateBody): void {
  const why = body.raw === true ? "with raw" : "with a suffix";
  const given = [["system", isNothing(body.system)] as const, ["think", (body.think ?? false) === false] as const];
  for (const [name, isAbsent] of given) {
    if (isAbsent) continue;
    throw invalidRequest(
      `${name} must be absent ${why}, where the prompt is taken without a template; received ${describe(body[name])}.`,
      name,
    );
  }
}

function isNothing(text: string | null | undefined): text is "" | null | undefined {
  return text === undefined || text === null || text === "";
}
