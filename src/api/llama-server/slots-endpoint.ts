// GET /slots: what the models in memory are doing. Loads no model. May import zod and core/.
import { z } from "zod";
import { PublicError } from "../../core/errors.ts";
import type { Endpoint } from "../endpoint.ts";
import { modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { expertNamed } from "./model-name.ts";

const slotsResponse = z.array(
  z.object({
    id: z.int().describe("Of the slot among those of its model, from 0."),
    model: z.string().describe("The expert's id."),
    n_ctx: z.int().nullable(),
    speculative: z.boolean().describe("Another model makes drafts: never."),
    is_processing: z.boolean(),
  }),
);

type Slot = z.output<typeof slotsResponse>[number];
type Needs = Pick<Services, "defaultModel" | "experts" | "poolStatus" | "resolveModel">;

export function slotsEndpoint(services: Needs): Endpoint {
  return {
    method: "get",
    path: "/slots",
    summary: "The slots of the models in memory",
    tag: "llama-server",
    query: {
      model: "an expert's id or alias; absent: all that are in memory",
      fail_on_no_slot: "1: 503 where none of the slots is free",
    },
    response: slotsResponse,
    errors: { 404: modelErrors[404], 503: "With fail_on_no_slot: no slot is free" },
    handle({ query }) {
      const { model } = query;
      const isNamed = model !== undefined && model !== "";
      const experts = isNamed ? [expertNamed(services, model)] : services.experts();
      const { models } = services.poolStatus();
      const slots = experts.flatMap(({ id: expertId, parallel }) => {
        const status = models.find(({ modelId }) => modelId === expertId);
        if (status?.state !== "loaded") return [];
        return Array.from({ length: parallel }, (_, id): Slot => ({
          id,
          model: expertId,
          n_ctx: status.contextTokens,
          speculative: false,
          is_processing: id < status.leases,
        }));
      });
      const failsWhenBusy = (query["fail_on_no_slot"] ?? "") !== "";
      if (failsWhenBusy && slots.every(({ is_processing: isProcessing }) => isProcessing)) {
        throw new PublicError("No slot is free.", {
          status: 503,
          type: "unavailable_error",
          code: "no_slot_available",
          retryAfterS: 1,
        });
      }
      return { kind: "json", body: slots };
    },
  };
}
