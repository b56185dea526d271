// A model's vocabulary below node-llama-cpp's public types: tokens of raw text, the tokens' attributes and their bytes.
// May import bindings.ts.
import type { LlamaModel } from "node-llama-cpp";
import type { Token, VocabularyFacts } from "../engine.ts";
import { type NativeModel, nativeModelOf } from "./bindings.ts";

/** llama.cpp's `llama_vocab_type`. */
const vocabularyTypes = { spm: 1, bpe: 2, wpm: 3, ugm: 4, rwkv: 5, plamo2: 6 } as const;

/** Bits of llama.cpp's `llama_token_attr`. */
export const tokenAttributes = {
  unknown: 1 << 0,
  normal: 1 << 2,
  control: 1 << 3,
  userDefined: 1 << 4,
  byte: 1 << 5,
  stripLeft: 1 << 7,
  stripRight: 1 << 8,
} as const;

const vocabularies = new WeakMap<LlamaModel, Vocabulary>();

/** One for each model: what it has learnt of the tokens serves every request. */
export function vocabularyOf(model: LlamaModel): Vocabulary {
  let vocabulary = vocabularies.get(model);
  if (vocabulary === undefined) vocabularies.set(model, (vocabulary = new Vocabulary(model)));
  return vocabulary;
}

export class Vocabulary {
  readonly #model: LlamaModel;
  readonly #native: NativeModel;
  readonly #type: number;
  readonly #spacesAreEscaped: boolean;
  /** What `addSpecial` puts in front of a text and behind it. */
  readonly prefixTokens: readonly Token[];
  readonly suffixTokens: readonly Token[];
  readonly addsBos: boolean;
  readonly addsEos: boolean;
  /** These three: null where there is none. */
  readonly bos: Token | null;
  readonly eos: Token | null;
  readonly separator: Token | null;
  /** The text of the BOS and EOS tokens; "" where there is none. */
  readonly bosText: string;
  readonly eosText: string;
  readonly #wholeTexts = new Map<Token, string | null>();

  constructor(model: LlamaModel) {
    this.#model = model;
    this.#native = nativeModelOf(model);
    this.#type = this.#native.getVocabularyType();
    this.#spacesAreEscaped =
      this.#type === vocabularyTypes.bpe &&
      [...this.#native.tokenize("a b", false)].some((token) => this.text(token).includes(escapedSpace));
    this.addsBos = this.#native.shouldPrependBosToken();
    this.addsEos = this.#native.shouldAppendEosToken();
    const bos = this.#boundaryToken("bos_token_id", this.#native.tokenBos());
    const eos = this.#boundaryToken("eos_token_id", this.#native.tokenEos());
    this.bosText = bos === null ? "" : decodeWhole(this.bytes(bos, true));
    this.eosText = eos === null ? "" : decodeWhole(this.bytes(eos, true));
    // As llama_tokenize: WordPiece always writes [CLS] … [SEP]; RWKV and PLaMo-2 never write anything.
    const isWordPiece = this.#type === vocabularyTypes.wpm;
    const hasFlags = this.#type <= vocabularyTypes.ugm && !isWordPiece;
    const separator = this.#native.sepToken();
    this.bos = bos;
    this.eos = eos;
    this.separator = separator >= 0 ? separator : null;
    this.prefixTokens = bos !== null && (isWordPiece || (hasFlags && this.addsBos)) ? [bos] : [];
    this.suffixTokens = isWordPiece
      ? [separator].filter((token) => token >= 0)
      : eos !== null && hasFlags && this.addsEos
        ? [eos]
        : [];
  }

  /** A space is put in front of each piece of raw text, and bytes that no token covers cost quadratic time. */
  get isSentencePiece(): boolean {
    return this.#type === vocabularyTypes.spm;
  }

  /** Token ids run from 0 to this, exclusive. */
  get size(): number {
    return this.#model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? 0;
  }

  /** The tokens around a text whose middle is to be filled in; null where one of them is missing. */
  infillTokens(): VocabularyFacts["infill"] {
    const { prefix, suffix, middle } = this.#model.tokens.infill;
    return prefix === null || suffix === null || middle === null ? null : { prefix, suffix, middle };
  }

  *tokens(): Generator<Token> {
    yield* this.#model.iterateAllTokens();
  }

  /** The entry of the vocabulary as the file spells it: `▁there`, `Ġthere`, `<0x0A>`. */
  text(token: Token): string {
    return this.#native.getTokenString(token);
  }

  attributes(token: Token): number {
    return this.#native.getTokenAttributes(token);
  }

  /** Tokens of a text without BOS and EOS. */
  tokenize(text: string, parseSpecial: boolean): Uint32Array {
    return text === "" ? new Uint32Array() : this.#native.tokenize(text, parseSpecial);
  }

  /** The bytes that a token stands for; none for control and unknown tokens unless `special`. */
  bytes(token: Token, special: boolean): Uint8Array {
    const attributes = this.attributes(token);
    const { control, unknown, userDefined, normal, byte } = tokenAttributes;
    if ((attributes & (control | unknown)) !== 0 && !special) return new Uint8Array();
    if (this.#type > vocabularyTypes.ugm)
      return encoder.encode(this.#native.detokenize(Uint32Array.of(token), special));
    const text = this.text(token);
    if ((attributes & (control | unknown | userDefined)) !== 0) return encoder.encode(text);
    if ((attributes & normal) !== 0) {
      const isByteLevel = this.#type === vocabularyTypes.bpe && !this.#spacesAreEscaped;
      return isByteLevel ? bytesOfByteLevel(text) : encoder.encode(text.replaceAll(escapedSpace, " "));
    }
    return (attributes & byte) === 0 ? new Uint8Array() : Uint8Array.of(Number.parseInt(text.slice(3, 5), 16));
  }

  /** What a token's bytes say by themselves ("" for none); null where they are no whole characters. */
  wholeText(token: Token): string | null {
    let text = this.#wholeTexts.get(token);
    if (text === undefined) this.#wholeTexts.set(token, (text = wholeCharacters(this.bytes(token, false))));
    return text;
  }

  // node-llama-cpp hides a BOS or EOS that the file does not type as control; llama.cpp uses it all the same.
  #boundaryToken(key: "bos_token_id" | "eos_token_id", shown: Token): Token | null {
    if (shown >= 0) return shown;
    const token = this.#model.fileInfo.metadata.tokenizer?.ggml?.[key];
    // Files that say "none" give the largest number there is.
    return token !== undefined && token >= 0 && token < 2 ** 32 - 1 ? token : null;
  }
}

const escapedSpace = "▁";
const encoder = new TextEncoder();

function decodeWhole(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function wholeCharacters(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

// Byte-level BPE spells each byte as one printable character: itself where it is printable in Latin-1, else the next
// free character from U+0100 on.
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const isPrintable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  let next = 0x100;
  return new Map(
    Array.from({ length: 256 }, (_, byte) => [String.fromCodePoint(isPrintable(byte) ? byte : next++), byte]),
  );
})();

function bytesOfByteLevel(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) bytes.push(...encoder.encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
