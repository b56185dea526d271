// A caller's GBNF as a part of a larger grammar. May import grammar/.
import { parseGrammar } from "../grammar/gbnf.ts";

export interface EmbeddedGrammar {
  /** The rule to refer to. */
  readonly root: string;
  /** Lines of GBNF, every name with a prefix of its own. */
  readonly lines: string;
}

const tokens = /"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\{[^}]*\}|#[^\r\n]*|[a-zA-Z0-9-]+/gsu;

/** Throws GrammarError. */
export function embeddedGrammar(source: string): EmbeddedGrammar {
  parseGrammar(source);
  const lines = source.replace(tokens, (token) => (/^[a-zA-Z0-9-]/u.test(token) ? `own-${token}` : token));
  return { root: "own-root", lines };
}
