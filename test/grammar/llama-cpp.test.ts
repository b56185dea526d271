// The same GBNF, read by llama.cpp's own parser and matcher, takes the same texts.
import { getLlama, LlamaGrammar } from "node-llama-cpp";
import { describe, expect, it } from "vitest";
import { completionOf } from "../../src/grammar/completion.ts";
import { parseGrammar } from "../../src/grammar/gbnf.ts";
import { GrammarBuilder } from "../../src/grammar/grammar-builder.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import { randomSentence, seededRandom } from "./random-sentence.ts";

function ofSchema(schema: unknown): Grammar {
  const builder = new GrammarBuilder();
  const before = `${builder.textWithout(["<call>", "</s>"])} ${builder.literal('\\^-]"😀')}`;
  return builder.build(`${before} ${builder.schema(schema)}`);
}

const grammars: [string, Grammar][] = [
  ["any value", ofSchema({})],
  [
    "an object",
    ofSchema({
      type: "object",
      properties: {
        a: { type: "string", maxLength: 20 },
        b: { type: "string", format: "date-time" },
        c: { enum: ["red", "green", 1, null] },
        d: { type: "number", minimum: 0, maximum: 1 },
      },
      required: ["a"],
      additionalProperties: { type: "integer" },
    }),
  ],
  [
    "a pattern",
    ofSchema({ type: "array", items: { type: "string", pattern: '^[a-z\\]\\-^"\\\\]+$|^[^é😀]x*$' }, maxItems: 5 }),
  ],
  [
    "lists",
    parseGrammar(
      'root ::= item (","\n  # more\n  item){0,3}\nitem ::= [^\\n",-]+ | "\\"" .{2} "\\"" | "(" item? ")" | [a-c\\x41-]{2,}',
    ),
  ],
];

describe("llama.cpp", () => {
  it.each(grammars)("agrees on %s", async (_name, grammar) => {
    const llama = await getLlama({ gpu: false, build: "never", progressLogs: false });
    const peer = new LlamaGrammar(llama, { grammar: grammar.source }) as unknown as Record<
      "_testText",
      (text: string) => boolean
    >;
    const random = seededRandom(17);
    const disagreements: string[] = [];
    let taken = 0;
    for (let round = 0; round < 200; round += 1) {
      const signs = Array.from(randomSentence(grammar, random, 60));
      if (random() < 0.6) {
        const changed = Math.floor(random() * signs.length);
        signs.splice(changed, 1, ["", "a", '"', "{", "1", ",", "\n", "<call>"][Math.floor(random() * 8)] as string);
      }
      const text = signs.join("");
      const isTaken = completionOf(grammar, text) === "";
      if (isTaken) taken += 1;
      if (peer["_testText"](text) !== isTaken) disagreements.push(text);
    }
    expect(disagreements).toEqual([]);
    expect(taken).toBeGreaterThan(50);
    expect(taken).toBeLessThan(200);
  });
});
