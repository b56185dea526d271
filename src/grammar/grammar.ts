// What a grammar is to those who only hand it on: its text, and its rules as the native matcher reads them. Types only.

/** Checked and compiled; immutable, made once for many answers. */
export interface Grammar {
  /** GBNF, as llama.cpp reads it; the rule `root` is the whole answer. */
  readonly source: string;
  /**
   * Number of rules, index of the root rule, then for each rule where it starts in this array, then the rules: pairs of
   * type and value as in llama.cpp's `llama_grammar_element` (0 END, 1 ALT, 2 RULE_REF, 3 CHAR, 4 CHAR_NOT, 5 CHAR_RNG_UPPER,
   * 6 CHAR_ALT, 7 CHAR_ANY), each rule ended by END. Values are code points or indices of rules. No rule is left-recursive.
   */
  readonly elements: Int32Array;
}
