// The ways in which a model may be loaded: with the context that is wanted, and with smaller ones where that can never
// fit. May import engine/ (interfaces) and this folder's types.
import { wantedContextTokens } from "../engine/context-size.ts";
import type { LoadSpec, ModelFileInfo } from "../engine/engine.ts";
import type { ContextOption } from "./context-option.ts";

export interface LoadOptionsQuery {
  readonly spec: LoadSpec;
  readonly info: ModelFileInfo;
  /** Contexts smaller than this are not offered; null: only the wanted one. */
  readonly minContextTokens: number | null;
  /** What a model could have at most if all that can go had gone. */
  readonly roomBytes: number;
  readonly needBytes: (contextTokens: number) => Promise<number>;
}

/** Halves of the wanted context down to the smallest allowed; only the wanted one where that has room. */
export async function loadOptions(query: LoadOptionsQuery): Promise<ContextOption[]> {
  const { spec, info, minContextTokens, roomBytes, needBytes } = query;
  const wanted = wantedContextTokens(spec.contextTokens, info.trainContextTokens);
  const least = Math.min(minContextTokens ?? wanted, wanted);
  const options: ContextOption[] = [];
  for (let contextTokens = wanted; ; contextTokens = Math.max(least, Math.floor(contextTokens / 2))) {
    const option = { contextTokens, needBytes: await needBytes(contextTokens) };
    options.push(option);
    if (option.needBytes <= roomBytes || contextTokens === least) return options;
  }
}
