// Sets of characters as sorted ranges of code points that do not touch. Imports nothing.

export type CodePointSet = readonly (readonly [low: number, high: number])[];

/** All characters that text here may hold: surrogates are none, and U+0000 is left out (databases refuse it). */
export const everyCharacter: CodePointSet = [
  [1, 0xd7ff],
  [0xe000, 0x10ffff],
];

export function setOf(text: string): CodePointSet {
  return unionOf(Array.from(text, (sign) => [sign.codePointAt(0) as number, sign.codePointAt(0) as number] as const));
}

/** Of any ranges, in any order. */
export function unionOf(ranges: CodePointSet): CodePointSet {
  const union: [number, number][] = [];
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = union.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else union.push([low, high]);
  }
  return union;
}

export function intersectionOf(a: CodePointSet, b: CodePointSet): CodePointSet {
  const both: [number, number][] = [];
  let indexA = 0;
  let indexB = 0;
  for (;;) {
    const rangeA = a[indexA];
    const rangeB = b[indexB];
    if (rangeA === undefined || rangeB === undefined) return both;
    const low = Math.max(rangeA[0], rangeB[0]);
    const high = Math.min(rangeA[1], rangeB[1]);
    if (low <= high) both.push([low, high]);
    if (rangeA[1] < rangeB[1]) indexA += 1;
    else indexB += 1;
  }
}

/** The characters that are not in the set. */
export function complementOf(set: CodePointSet): CodePointSet {
  const outside: [number, number][] = [];
  let next = 0;
  for (const [low, high] of set) {
    if (low > next) outside.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= 0x10ffff) outside.push([next, 0x10ffff]);
  return intersectionOf(outside, everyCharacter);
}

export function differenceOf(a: CodePointSet, b: CodePointSet): CodePointSet {
  return intersectionOf(a, complementOf(b));
}

export function hasCodePoint(set: CodePointSet, codePoint: number): boolean {
  return set.some(([low, high]) => low <= codePoint && codePoint <= high);
}
