// Puts the grammar of a whole answer together from rules, JSON schemas and free text. Imports grammar/ only.
import { parseGrammar } from "./gbnf.ts";
import { gbnfLiteral } from "./gbnf-text.ts";
import type { Grammar } from "./grammar.ts";
import { jsonRules } from "./json-rules.ts";
import type { RuleSet } from "./rule-set.ts";
import { schemaRules } from "./schema-rules.ts";
import { textWithout } from "./text-without.ts";

export class GrammarBuilder {
  readonly #rules = new Map<string, string>();
  readonly #names = new Map<string, string>();

  /**
   * Adds a rule and returns its name; the same body again gives the same rule.
   * `body`: GBNF, the right side of `::=`; what may be empty ends in `| ""` (after a last `|` llama.cpp reads on in the next line). `hint`: a part of the name, for those who read the grammar.
   */
  rule(body: string, hint = "rule"): string {
    const known = this.#names.get(body);
    if (known !== undefined) return known;
    const name = `${hint.replaceAll(/[^a-zA-Z0-9]+/g, "-").slice(0, 40)}-${this.#names.size}`;
    this.#names.set(body, name);
    this.#rules.set(name, body);
    return name;
  }

  /** The rule for JSON that is valid by a JSON Schema (2020-12); always the same for the same schema. Throws SchemaError. */
  schema(schema: unknown): string {
    return this.#include(schemaRules(schema));
  }

  /** The rule for any JSON object. */
  jsonObject(): string {
    return this.#include({ root: "json-object", rules: jsonRules });
  }

  /** The rule for any text, also none, in which none of `needles` occurs. */
  textWithout(needles: readonly string[]): string {
    return this.#include(textWithout(needles));
  }

  /** `text` as it is written in GBNF, in quotes. */
  literal(text: string): string {
    return gbnfLiteral(text);
  }

  /** `rootBody`: GBNF, the right side of the rule of the whole answer. Throws GrammarError. */
  build(rootBody: string): Grammar {
    const lines = [`root ::= ${rootBody}`];
    for (const [name, body] of this.#rules) lines.push(`${name} ::= ${body}`);
    return parseGrammar(lines.join("\n"));
  }

  #include({ root, rules }: RuleSet): string {
    for (const [name, body] of rules) this.#rules.set(name, body);
    return root;
  }
}
