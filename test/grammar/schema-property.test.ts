// Whatever a schema's grammar writes is valid, also when it is cut anywhere and completed: 300 generated schemas.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { completionOf } from "../../src/grammar/completion.ts";
import { GrammarBuilder } from "../../src/grammar/grammar-builder.ts";
import { schemas } from "../support/json-schemas.ts";
import { validatorOf } from "../support/json-judge.ts";
import { randomSentence, seededRandom } from "./random-sentence.ts";

describe("generated schemas", () => {
  it("hold for every sentence, and for every sentence that is cut and completed", () => {
    fc.assert(
      fc.property(schemas, fc.integer(), (schema, seed) => {
        const isValid = validatorOf(schema);
        const builder = new GrammarBuilder();
        const grammar = builder.build(builder.schema(schema));
        const random = seededRandom(seed);
        for (let document = 0; document < 5; document += 1) {
          const sentence = randomSentence(grammar, random);
          const beginning = sentence.slice(0, Math.floor(random() * (sentence.length + 1)));
          const completion = completionOf(grammar, beginning);
          for (const answer of [sentence, beginning + (completion ?? "(no completion)")]) {
            if (!isValid(JSON.parse(answer))) throw new Error(`not valid: ${answer}`);
          }
          expect(completionOf(grammar, sentence)).toBe("");
        }
      }),
      { numRuns: 300, seed: 20_261_121 },
    );
  }, 300_000);
});
