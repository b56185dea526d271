// How much of its beginning one text shares with another. Pure; imports nothing.

/** Leading tokens that two sequences share. */
export function commonPrefixLength(left: ArrayLike<number>, right: ArrayLike<number>): number {
  const end = Math.min(left.length, right.length);
  let length = 0;
  while (length < end && left[length] === right[length]) length += 1;
  return length;
}
