// Which contexts are offered for a model.
import { describe, expect, it } from "vitest";
import { loadOptions } from "../../src/pool/load-options.ts";

const info = {
  path: "a",
  sizeBytes: 1,
  architecture: "x",
  name: "a",
  trainContextTokens: 8192,
  parameterCount: 1,
  quantization: "F32",
  hasChatTemplate: true,
};

describe("loadOptions", () => {
  it.each([
    { wanted: 4096, least: 3000, withSmaller: true, contexts: [4096, 3000], isComplete: true },
    { wanted: 4096, least: 8000, withSmaller: true, contexts: [4096], isComplete: true },
    { wanted: 4096, least: 1000, withSmaller: true, contexts: [4096, 2048, 1024, 1000], isComplete: true },
    { wanted: 4096, least: 1000, withSmaller: false, contexts: [4096], isComplete: false },
    { wanted: 4096, least: null, withSmaller: false, contexts: [4096], isComplete: true },
    { wanted: 16_384, least: 8192, withSmaller: false, contexts: [8192], isComplete: true },
  ])("$wanted down to $least, smaller ones too: $withSmaller", async ({ wanted, least, withSmaller, ...expected }) => {
    const spec = { path: "a", purpose: "text", contextTokens: wanted, slots: 1 } as const;
    let calls = 0;
    const needBytes = async (tokens: number) => {
      calls += 1;
      if (calls > 50) throw new Error("without end");
      return tokens;
    };
    const found = await loadOptions({ spec, info, minContextTokens: least, withSmaller, needBytes });
    const contexts = found.options.map(({ contextTokens }) => contextTokens);
    expect({ contexts, isComplete: found.isComplete }).toEqual(expected);
  });
});
