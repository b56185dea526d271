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
  /** False: only the wanted one, since each costs a prediction. */
  readonly withSmaller: boolean;
  readonly needBytes: (contextTokens: number) => Promise<number>;
}

export interface LoadOptions {
  readonly options: readonly ContextOption[];
  /** There are no others. */
  readonly isComplete: boolean;
}

/** The wanted context, and halves of it down to the smallest allowed. */
export async function loadOptions(query: LoadOptionsQuery): Promise<LoadOptions> {
  const { spec, info, minContextTokens, withSmaller, needBytes } = query;
  const wanted = wantedContextTokens(spec.contextTokens, info.trainContextTokens);
  const least = Math.min(minContextTokens ?? wanted, wanted);
  const options: ContextOption[] = [];
  for (let contextTokens = wanted; ; contextTokens = Math.max(least, Math.floor(contextTokens / 2))) {
    options.push({ contextTokens, needBytes: await needBytes(contextTokens) });
    const isComplete = contextTokens === least;
    if (isComplete || !withSmaller) return { options, isComplete };
  }
}
