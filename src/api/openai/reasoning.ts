// Whether, how hard and how long a model is to think, in the many names that clients have for it. May import zod, core/
// and the chat contract.
import { z } from "zod";
import { defaultReasoning, type ReasoningOptions } from "../../chat/contract.ts";
import { optionalInteger } from "../common/validation.ts";

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;
type Effort = (typeof efforts)[number];
const effort = () => z.enum(efforts).nullish();
const flag = () => z.boolean().nullish();
const budget = () => optionalInteger(-1);

export const reasoningParameters = {
  reasoning_effort: effort().describe(
    "`none` turns thinking off, the others on, where the model's template can; templates that take an effort get " +
      "`low`, `medium` or `high`.",
  ),
  thinking_budget: budget().describe(
    "Tokens after which thinking is ended; 0 turns it off, -1 is no bound. Also read as `thinking_budget_tokens` and " +
      "`reasoning_budget`.",
  ),
  thinking_budget_tokens: budget(),
  reasoning_budget: budget(),
  enable_thinking: flag().describe("Also read in `chat_template_kwargs`."),
  chat_template_kwargs: z
    .object({ enable_thinking: flag(), thinking: flag(), reasoning_effort: effort(), thinking_budget: budget() })
    .nullish()
    .describe("Of what a template can be told, thinking alone."),
  thinking: z
    .object({ type: z.enum(["enabled", "disabled", "adaptive", "auto"]), budget_tokens: budget() })
    .nullish()
    .describe('{"type": "enabled", "budget_tokens": 1024}, as other services have it.'),
  reasoning: z
    .object({ effort: effort(), max_tokens: budget(), enabled: flag() })
    .nullish()
    .describe("Effort and budget as one object, as other services have it."),
} as const;

export type ReasoningParameters = z.output<z.ZodObject<typeof reasoningParameters>>;

export function toReasoning(body: ReasoningParameters): ReasoningOptions {
  const { chat_template_kwargs: template, thinking, reasoning } = body;
  const asked = body.reasoning_effort ?? reasoning?.effort ?? template?.reasoning_effort;
  const budgetTokens =
    body.thinking_budget ??
    body.thinking_budget_tokens ??
    body.reasoning_budget ??
    template?.thinking_budget ??
    thinking?.budget_tokens ??
    reasoning?.max_tokens ??
    -1;
  const switched =
    body.enable_thinking ??
    template?.enable_thinking ??
    template?.thinking ??
    reasoning?.enabled ??
    (thinking?.type === "enabled" ? true : thinking?.type === "disabled" ? false : null) ??
    (asked === undefined || asked === null ? null : asked !== "none");
  if (switched === null && budgetTokens === -1) return defaultReasoning;
  return {
    thinks: budgetTokens === 0 ? false : switched,
    effort: asked === undefined || asked === null ? null : effortNames[asked],
    budgetTokens: budgetTokens <= 0 ? null : budgetTokens,
  };
}

/** By what is asked for: what templates know. */
const effortNames: Readonly<Record<Effort, ReasoningOptions["effort"]>> = {
  none: null,
  minimal: "low",
  low: "low",
  medium: "medium",
  high: "high",
  xhigh: "high",
  max: "high",
};
