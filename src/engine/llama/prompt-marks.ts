// Marks that travel through a chat template inside a user's text, so that afterwards it is known which special tokens
// the template wrote and which a user typed. A mark is one private-use character that the conversation does not use.
import { codePointLength, isBarrable, type SpecialTokens } from "./prompt-special-tokens.ts";

/** A private-use character that is none of the used ones. */
export function unusedMark(used: ReadonlySet<string>): string {
  for (let codePoint = 0xe000; ; codePoint += codePoint === 0xf8ff ? 0xf0000 - 0xf8ff : 1) {
    const mark = String.fromCodePoint(codePoint);
    if (!used.has(mark)) return mark;
  }
}

/** Marks wherever a special token could begin in a text, and the text's own beginning; nothing where none could. */
export function markEverything(text: string, specials: SpecialTokens, mark: string): string {
  if (specials.isInert(text)) return text;
  const start = text.search(/\S/u);
  return start === -1 ? text : text.slice(0, start) + mark + specials.marked(text.slice(start), mark);
}

/** Marks only what a whole special token looks like. */
export function markLookAlikes(text: string, specials: SpecialTokens, mark: string): string {
  let marked = "";
  let position = 0;
  for (const { start, special } of specials.occurrences(text)) {
    const inside = start + codePointLength(text, start);
    if (!isBarrable(special) || inside <= position) continue;
    marked += text.slice(position, inside) + mark;
    position = inside;
  }
  return marked + text.slice(position);
}

export interface Unmarked {
  readonly text: string;
  /** True where a mark stood strictly inside this range of the text: a user typed a part of it. */
  readonly isMarked: (start: number, end: number) => boolean;
}

export function unmark(marked: string, mark: string): Unmarked {
  const parts = marked.split(mark);
  // Ascending; a mark stands before the character at its offset.
  const offsets: number[] = [];
  let offset = 0;
  for (const part of parts.slice(0, -1)) offsets.push((offset += part.length));
  return {
    text: parts.join(""),
    isMarked: (start, end) => {
      let low = 0;
      let high = offsets.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((offsets[middle] ?? 0) <= start) low = middle + 1;
        else high = middle;
      }
      return (offsets[low] ?? Number.POSITIVE_INFINITY) < end;
    },
  };
}
