// The `model` that each of these endpoints takes although llama-server, with one model, needs none. May import zod,
// experts/ and core/.
import { z } from "zod";
import { modelNotFound } from "../../core/errors.ts";
import type { Expert } from "../../experts/expert.ts";
import type { Services } from "../services.ts";

export const modelParameter = z
  .string()
  .nullish()
  .describe('An expert\'s id or alias. Absent, "" or "auto": the default.');

/** The expert of that name; the default one where none is named. Throws a PublicError (404). */
export function expertNamed(
  services: Pick<Services, "defaultModel" | "experts" | "resolveModel">,
  name: string | null | undefined,
): Expert {
  const isNamed = name !== undefined && name !== null && name !== "" && name !== "auto";
  const wanted = isNamed ? name : services.defaultModel();
  const expert = services.resolveModel(wanted);
  if (expert !== undefined) return expert;
  throw modelNotFound(
    wanted,
    services.experts().map(({ id }) => id),
  );
}
