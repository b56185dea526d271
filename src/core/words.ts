// Small words for people. Imports nothing.

/** "1 core", "2 cores". */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
