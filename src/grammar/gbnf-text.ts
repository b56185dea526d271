// Writes GBNF: text and character classes with their escapes. Imports nothing.

/** `text` in quotes. */
export function gbnfLiteral(text: string): string {
  let literal = '"';
  for (const character of text) literal += escaped(character.codePointAt(0) as number, '"');
  return `${literal}"`;
}

/** A class of the ranges, both ends included. */
export function gbnfClass(ranges: readonly (readonly [number, number])[], isNegated = false): string {
  let text = isNegated ? "[^" : "[";
  for (const [low, high] of ranges) {
    text += escaped(low, "[]-^");
    if (high > low) text += `${high > low + 1 ? "-" : ""}${escaped(high, "[]-^")}`;
  }
  return `${text}]`;
}

function escaped(codePoint: number, special: string): string {
  const character = String.fromCodePoint(codePoint);
  if (character === "\\") return "\\\\";
  if (character === "\n") return "\\n";
  // Escapes of all other signs are not known to llama.cpp.
  if (special.includes(character)) return character === "^" ? "\\x5E" : `\\${character}`;
  if (codePoint > 0x1f && codePoint < 0x7f) return character;
  const hex = codePoint.toString(16).toUpperCase();
  if (codePoint < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return codePoint > 0xffff ? `\\U${hex.padStart(8, "0")}` : `\\u${hex.padStart(4, "0")}`;
}
