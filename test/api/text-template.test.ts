// The JSON of a chunk, written once for all texts.
import { expect, it } from "vitest";
import { textTemplate } from "../../src/api/common/text-template.ts";

it.each(["", "word", '"quoted"', "$& $1", "two\nlines", "\u2028 \ud800"])(
  "holds %j as JSON.stringify would",
  (text) => {
    const chunkOf = (content: string) => ({
      // Of all that a name can hold, this comes closest to the place itself.
      model: '"content":""',
      choices: [{ index: 0, delta: { content }, finish_reason: null }],
    });
    expect(textTemplate(chunkOf(""), "content")(text)).toBe(JSON.stringify(chunkOf(text)));
  },
);
