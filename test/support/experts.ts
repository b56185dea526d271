// An expert as the configuration resolves one that says no more than its id and its file.
import type { Expert } from "../../src/experts/expert.ts";

export function expertOf(id: string, changes: Partial<Expert> = {}): Expert {
  return {
    id,
    aliases: [],
    domain: "general",
    description: "",
    priority: 3,
    useCases: [],
    quantization: null,
    modelPath: `/models/${id}.gguf`,
    contextTokens: null,
    minContextTokens: 2048,
    parallel: 1,
    keep: false,
    fallback: [],
    systemPrompt: null,
    sampling: {},
    ...changes,
  };
}
