// The rules that all JSON grammars share: strings, numbers, white space, values of any kind. Imports grammar/ only.
//
// Each is deterministic by the next character, and none lets a model go on without saying anything: white space is one
// blank, or one line break with a bounded indentation; numbers have bounded digits; free values a bounded depth.

/** Levels of arrays and objects in a value that no schema describes. */
export const maxFreeDepth = 16;

const free = Object.fromEntries(
  Array.from({ length: maxFreeDepth }, (_, level) => {
    const inner = level === 0 ? "json-scalar" : `json-value-l${level - 1}`;
    return [
      [
        `json-value-l${level}`,
        `json-string | json-number | json-word | "{" json-ws json-members-l${level} | "[" json-ws json-items-l${level}`,
      ],
      [`json-members-l${level}`, `"}" | json-member-l${level}`],
      [`json-member-l${level}`, `json-string json-colon ${inner} (json-comma json-member-l${level} | json-ws "}")`],
      [`json-items-l${level}`, `"]" | json-item-l${level}`],
      [`json-item-l${level}`, `${inner} (json-comma json-item-l${level} | json-ws "]")`],
    ];
  }).flat(),
) as Record<string, string>;

const top = `l${maxFreeDepth - 1}`;

/** By name. `json-char` is one character of a string, `json-chars` any number of them. */
export const jsonRules: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "json-ws": `" " | "\\n" " "{0,32} | ""`,
    "json-comma": `"," json-ws`,
    "json-colon": `":" " "?`,
    "json-word": `"true" | "false" | "null"`,
    "json-boolean": `"true" | "false"`,
    "json-null": `"null"`,
    "json-scalar": `json-string | json-number | json-word`,
    "json-string": `"\\"" json-chars "\\""`,
    "json-chars": `([^"\\\\\\x00-\\x1F] | "\\\\" json-escape)*`,
    "json-char": `[^"\\\\\\x00-\\x1F] | "\\\\" json-escape`,
    // No U+0000 (databases refuse it) and no half of a surrogate pair.
    "json-escape": `["\\\\/bfnrt] | "u" json-hex4`,
    "json-hex4": `"0" json-hex4-0 | [1-9a-ceA-CEfF] json-hex json-hex json-hex | [dD] json-hex4-d`,
    "json-hex4-0": `"0" json-hex4-00 | [1-9a-fA-F] json-hex json-hex`,
    "json-hex4-00": `[2-9a-fA-F1] json-hex | "0" [1-9a-fA-F]`,
    "json-hex4-d": `[0-7] json-hex json-hex | [89abAB] json-hex json-hex "\\\\u" [dD] [c-fC-F] json-hex json-hex`,
    "json-hex": `[0-9a-fA-F]`,
    "json-integer": `"0" | [1-9] [0-9]{0,14} | "-" [1-9] [0-9]{0,14}`,
    "json-number": `"-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?`,
    ...free,
    "json-value": `json-value-${top}`,
    "json-object": `"{" json-ws json-members-${top}`,
    "json-array": `"[" json-ws json-items-${top}`,
  }),
);
