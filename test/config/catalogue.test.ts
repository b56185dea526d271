// Experts by every name.
import { expect, it } from "vitest";
import { ExpertCatalogue } from "../../src/experts/catalogue.ts";
import { expertOf } from "../support/experts.ts";

it("finds experts by id and alias in any case, and nobody else", () => {
  const catalogue = new ExpertCatalogue([expertOf("phi4_fast", { aliases: ["Phi-4"] }), expertOf("qwen_coder")]);
  expect(catalogue.find("phi4_fast")?.id).toBe("phi4_fast");
  expect(catalogue.find("PHI-4")?.id).toBe("phi4_fast");
  expect(catalogue.find("Qwen_Coder")?.id).toBe("qwen_coder");
  for (const name of ["", "auto", "phi4", " qwen_coder", "__proto__"]) expect(catalogue.find(name)).toBeUndefined();
  expect(catalogue.ids).toEqual(["phi4_fast", "qwen_coder"]);
  expect(catalogue.knownNames).toEqual(["phi4_fast", "Phi-4", "qwen_coder"]);
});
