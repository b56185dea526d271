// How many bytes of weights one token reads. May import src/core.
import { walkGguf } from "../../src/core/gguf-walk.ts";

/**
 * The file's tensors, but for a token embedding beside a separate output head: of that one row is read. (Where there is
 * no head the embedding serves as one, and all of it is read.)
 */
export async function weightBytesOf(path: string): Promise<number> {
  const { sizeBytes, dataOffset, tensors } = await walkGguf(path);
  const all = sizeBytes - dataOffset;
  if (!tensors.some(({ name }) => name === "output.weight")) return all;
  const embedding = tensors.find(({ name }) => name === "token_embd.weight");
  if (embedding === undefined) return all;
  const following = tensors.flatMap(({ offset }) => (offset > embedding.offset ? offset : []));
  return all - (Math.min(all, ...following) - embedding.offset);
}
