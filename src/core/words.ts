// Small words for people. Imports nothing.

/** "1 core", "2 cores". */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Text from a file or a library as one line that a log or an answer can carry: no control characters, at most 500 others. */
export function asOneLine(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}\p{Cf}\uFFFD]+/gu, " ").trim();
  return line.length <= 500 ? line : `${line.slice(0, 500)}…`;
}
