// Files that look like models and are none, made from a good one: one for each way in which the server has to notice.
// May import gguf-bytes.ts.
import { float32, putTogether, setEntry, takeApart, tensorData, uint32, valueTypes, text } from "./gguf-bytes.ts";

/** Every function takes a good file of the architecture qwen2 and leaves it as it is. */
export const defects = {
  truncated: (good: Buffer) => good.subarray(0, good.length - 10_000),
  wrongMagic: (good: Buffer) => Buffer.concat([Buffer.from("<htm"), good.subarray(4)]),
  /** Its header is in order; a tensor's values are no numbers. */
  fullOfNaN: (good: Buffer) => {
    const parts = takeApart(good);
    tensorData(parts, "output_norm.weight").fill(float32(Number.NaN));
    return putTogether(parts);
  },
  /** Its header is in order; llama.cpp asserts that the rotary width is the heads'. */
  crashing: (good: Buffer) => {
    const parts = takeApart(good);
    setEntry(parts, "qwen2.rope.dimension_count", valueTypes.uint32, uint32(6));
    return putTogether(parts);
  },
  /** It loads and computes; its chat template never ends. */
  looping: (good: Buffer) => {
    const parts = takeApart(good);
    const loop = "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}";
    setEntry(parts, "tokenizer.chat_template", valueTypes.string, text(loop));
    return putTogether(parts);
  },
} as const;
