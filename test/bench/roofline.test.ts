// What decode is bounded by: bytes of weights a token, and what a plain read of memory reaches.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { measureReadBandwidth } from "../../bench/roofline/memory-bandwidth.ts";
import { weightBytesOf } from "../../bench/roofline/weight-bytes.ts";
import { presets } from "../../tools/synthesize/presets.ts";
import { countParameters, synthesize, weightBytes } from "../../tools/synthesize/synthesize.ts";
import { testFolder } from "../support/temporary-folder.ts";

describe("weights", () => {
  it("are all tensors where the embedding is the head, and without it where there is a head", async () => {
    const folder = testFolder();
    const read = async (like: "tiny-gemma3" | "tiny-llama") => {
      const out = join(folder, `${like}.gguf`);
      await synthesize({ like, quant: "f16", out, seed: 0, stable: false });
      return weightBytesOf(out);
    };
    expect(presets["tiny-gemma3"].tied).toBe(true);
    expect(await read("tiny-gemma3")).toBe(weightBytes(presets["tiny-gemma3"], "f16"));
    const { tied, vocabularySize, width } = presets["tiny-llama"];
    expect(tied).toBe(false);
    expect(countParameters(presets["tiny-llama"])).toBeGreaterThan(vocabularySize * width);
    expect(await read("tiny-llama")).toBe(weightBytes(presets["tiny-llama"], "f16") - vocabularySize * width * 2);
  });
});

describe("memory", () => {
  it("is read at some rate, once for each pass", async () => {
    const rates = await measureReadBandwidth(2, 2 ** 24);
    expect(rates).toHaveLength(5);
    for (const rate of rates) expect(rate).toBeGreaterThan(1e6);
  });
});
