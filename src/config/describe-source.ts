// What the server says at its start about the configuration that it read. May import the rest of this folder.
import type { AppConfig } from "./config.ts";
import { builtInConfigPath, originWords } from "./load.ts";
import { knownExpertIds } from "./schema.ts";

export interface SourceDescription {
  /** The file, where its link leads, and how many experts it holds; for the built-in file, what its models are. */
  readonly lines: readonly string[];
  /** Names those of the five known experts that the file lacks; null where it has them all. */
  readonly warning: string | null;
}

export function describeSource({ source, experts }: AppConfig): SourceDescription {
  const count = experts.length === 1 ? "1 expert" : `${experts.length} experts`;
  const path = source.path === source.resolvedPath ? source.path : `${source.path} → ${source.resolvedPath}`;
  const lines = [`Configuration: ${path} (from ${originWords[source.origin]}), ${count}`];
  if (source.origin === "built-in" || source.resolvedPath === builtInConfigPath) {
    lines.push(
      "These are demonstration models: they know a few hundred short dialogues by heart and nothing else.",
      "For the real ones: ./download-model.sh && ln -sf config/config.five_models_with_aya.json config.json, then start again or send SIGHUP.",
    );
  }
  const ids = new Set(experts.map(({ id }) => id));
  const absent = knownExpertIds.filter((id) => !ids.has(id));
  const warning = absent.length === 0 ? null : `${count}: ${joinWords(absent)} not in this file`;
  return { lines, warning };
}

function joinWords(words: readonly string[]): string {
  return words.length === 1 ? `${words[0]} is` : `${words.slice(0, -1).join(", ")} and ${words.at(-1)} are`;
}
