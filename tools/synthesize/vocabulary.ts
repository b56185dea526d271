// Vocabularies of any size in the three tokenizer kinds, grown from the merges that the demonstration models learned
// from Spanish, English and code. May import families.ts, presets.ts and node-llama-cpp's file reader.
import { fileURLToPath } from "node:url";
import { readGgufFileInfo } from "node-llama-cpp";
import { families, tokenTypes, type SpecialToken, type TokenType } from "./families.ts";
import type { ModelShape } from "./presets.ts";

export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly TokenType[];
  /** SentencePiece only: the higher, the earlier two pieces are joined into this one. */
  readonly scores?: readonly number[];
  /** Byte-level BPE only: pairs of pieces in the order in which they are joined. */
  readonly merges?: readonly string[];
  /** Id of each token that has a role (`bos`, `eos`, …). */
  readonly roles: Readonly<Record<string, number>>;
}

type Merge = readonly [left: string, right: string];

const demoModels = ["mistral_balanced", "aya_expanse_multilingual", "qwen_coder", "phi4_fast"];

export async function buildVocabulary(shape: ModelShape): Promise<Vocabulary> {
  const family = families[shape.architecture];
  const size = shape.vocabularySize;
  const placed = placeSpecials(family.specials(size), size);
  const core = await learnedMerges();
  const room = size - placed.size;
  const pieces =
    family.tokenizer === "gpt2"
      ? byteLevelPieces(core, room)
      : family.tokenizer === "llama"
        ? sentencePieces(core, room)
        : wordPieces(core, room);

  const tokens: string[] = [];
  const types: TokenType[] = [];
  const scores: number[] = [];
  let next = 0;
  for (let id = 0; id < size; id += 1) {
    const special = placed.get(id);
    const piece = special === undefined ? pieces.list[next] : undefined;
    if (special === undefined) next += 1;
    tokens.push(special?.text ?? piece?.text ?? "");
    types.push(special?.type ?? piece?.type ?? tokenTypes.unused);
    scores.push(piece?.score ?? 0);
  }
  return {
    tokens,
    types,
    ...(family.tokenizer === "llama" ? { scores } : {}),
    ...(pieces.merges === undefined ? {} : { merges: pieces.merges }),
    roles: Object.fromEntries(Object.entries(family.roles).map(([role, text]) => [role, tokens.indexOf(text)])),
  };
}

/** Specials keep their ids where the vocabulary is large enough; the others are packed at its end. */
function placeSpecials(specials: readonly SpecialToken[], size: number): Map<number, SpecialToken> {
  const outside = specials.filter(({ id }) => id >= size);
  const inside = specials.filter(({ id }) => id < size);
  return new Map([
    ...inside.map((special): [number, SpecialToken] => [special.id, special]),
    ...outside.map((special, index): [number, SpecialToken] => [size - outside.length + index, special]),
  ]);
}

/** The demonstration models' merges, rank by rank; a merge's parts always stand before it. */
async function learnedMerges(): Promise<Merge[]> {
  const lists = await Promise.all(
    demoModels.map(async (name) => {
      const path = fileURLToPath(new URL(`../../models/demo/demo-${name}.gguf`, import.meta.url));
      const { metadata } = await readGgufFileInfo(path, { readTensorInfo: false, logWarnings: false });
      return (metadata.tokenizer.ggml as { readonly merges?: readonly string[] }).merges ?? [];
    }),
  );
  const ranks = Math.max(...lists.map((list) => list.length));
  const union = new Map<string, Merge>();
  for (let rank = 0; rank < ranks; rank += 1) {
    for (const list of lists) {
      const merge = list[rank];
      if (merge === undefined) continue;
      const space = merge.indexOf(" ", 1);
      const [left, right] = [merge.slice(0, space), merge.slice(space + 1)];
      if (!union.has(left + right)) union.set(left + right, [left, right]);
    }
  }
  return [...union.values()];
}

interface Pieces {
  readonly list: readonly { readonly text: string; readonly type: TokenType; readonly score?: number }[];
  readonly merges?: readonly string[];
}

function byteLevelPieces(core: readonly Merge[], room: number): Pieces {
  const pieces = new Set(byteCharacters);
  const merges: string[] = [];
  for (const [left, right] of growMerges(core, room)) {
    if (pieces.size === room) break;
    if (pieces.has(left + right)) continue;
    pieces.add(left + right);
    merges.push(`${left} ${right}`);
  }
  return { list: [...pieces].map((text) => ({ text, type: tokenTypes.normal })), merges };
}

function sentencePieces(core: readonly Merge[], room: number): Pieces {
  const bytes = Array.from({ length: 256 }, (_, byte) => ({
    text: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    type: tokenTypes.byte,
  }));
  const learned = new Set<string>();
  const characters = new Set("\u2581" + printableAscii + latinLetters);
  const capacity = room - bytes.length;
  for (const [left, right] of growMerges(core, room)) {
    if (learned.size + characters.size >= capacity) break;
    const text = textOf(left + right)?.replaceAll(" ", "\u2581");
    if (text === undefined) continue;
    if (!/^.$/su.test(text)) learned.add(text);
    else characters.add(text);
  }
  // A last new character may have taken one place too many: the rarest pieces give way.
  const pieces = [...[...learned].slice(0, capacity - characters.size), ...characters];
  return {
    list: [...bytes, ...pieces.map((text, rank) => ({ text, type: tokenTypes.normal, score: -rank }))],
  };
}

function wordPieces(core: readonly Merge[], room: number): Pieces {
  const pieces = new Set<string>();
  // Every character both as a word's start (marked) and as its continuation, so that no ASCII word is unknown.
  for (const character of printableAscii.toLowerCase()) pieces.add(`\u2581${character}`).add(character);
  for (const [left, right] of growMerges(core, room)) {
    const text = textOf(left + right)
      ?.toLowerCase()
      .normalize("NFD")
      .replaceAll(/\p{Mn}/gu, "");
    if (text === undefined || !/^ ?[a-z0-9]+$/.test(text)) continue;
    pieces.add(text.startsWith(" ") ? `\u2581${text.slice(1)}` : text);
    if (!text.startsWith(" ")) pieces.add(`\u2581${text}`);
    if (pieces.size >= room) break;
  }
  return { list: [...pieces].slice(0, room).map((text) => ({ text, type: tokenTypes.normal })) };
}

/**
 * The learned merges, then as many invented ones as may be needed for `count` different pieces: a word's start joined
 * to a continuation, so that large vocabularies have as many merges as real ones and still spell words.
 */
function* growMerges(core: readonly Merge[], count: number): Generator<Merge> {
  yield* core;
  const letters = core.map(([left, right]) => left + right).filter((piece) => /^Ġ?[a-z]{2,}$/.test(piece));
  const starts = letters.filter((piece) => piece.startsWith("Ġ"));
  const ends = letters.filter((piece) => !piece.startsWith("Ġ"));
  // Walking the diagonals uses common pieces first and each of them with many partners.
  for (let sum = 0, made = 0; sum < starts.length + ends.length && made < 2 * count; sum += 1) {
    for (let index = Math.max(0, sum - ends.length + 1); index <= Math.min(sum, starts.length - 1); index += 1) {
      yield [starts[index] ?? "", ends[sum - index] ?? ""];
      made += 1;
    }
  }
}

const printableAscii = String.fromCodePoint(...Array.from({ length: 94 }, (_, index) => 0x21 + index));
const latinLetters = "¡¿áéíóúüñÁÉÍÓÚÜÑàâçèêëîïôùûäößãõ°·–—“”‘’…€\n";

/** The characters that stand for the bytes 0 to 255 in byte-level BPE: printable ones stand for themselves. */
const byteCharacterList: readonly string[] = (() => {
  let shifted = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCodePoint(printable ? byte : 256 + shifted++);
  });
})();
const byteCharacters: ReadonlySet<string> = new Set(byteCharacterList);
const byteOf: ReadonlyMap<string, number> = new Map(byteCharacterList.map((character, byte) => [character, byte]));

/** The text of a byte-level piece; undefined where its bytes are not whole characters. */
export function textOf(piece: string): string | undefined {
  try {
    const bytes = Uint8Array.from(piece, (character) => byteOf.get(character) ?? 0);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
