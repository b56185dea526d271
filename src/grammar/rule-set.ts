// Rules that are made apart and put together into one grammar. Imports Node's hash only.
import { createHash } from "node:crypto";

/** Rules by name, and the one to refer to. Two sets have a name in common only where its rule is the same. */
export interface RuleSet {
  readonly root: string;
  readonly rules: ReadonlyMap<string, string>;
}

/** The beginning of the names of all rules that are made from `key`. */
export function rulePrefix(letter: string, key: string): string {
  return `${letter}${createHash("sha256").update(key).digest("hex").slice(0, 12)}`;
}
