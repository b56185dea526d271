// From a prompt to what the rules look at: a bounded excerpt, cut into normalised words. Imports nothing.

/** UTF-16 units of a prompt that are looked at: an instruction stands at its beginning or at its end. */
const headLength = 1500;
const tailLength = 700;

/** Accents stripped, so that "traducción" and "traduccion" are one word; ñ becomes n; vowel signs of Indic scripts stay. */
export function fold(text: string): string {
  return text.normalize("NFD").replace(/[\u0300-\u036f]+/g, "");
}

export interface Word {
  /** Lower case, accents stripped: what rules match. */
  readonly folded: string;
  /** Lower case, accents kept: what tells languages apart. */
  readonly accented: string;
}

export interface PromptText {
  /** Head and tail of the prompt, at most `headLength` + `tailLength` + 1 units. */
  readonly excerpt: string;
  readonly words: readonly Word[];
  /** Words of the whole prompt; beyond the excerpt extrapolated from its density, as nobody reads 10 MB for it. */
  readonly wordCount: number;
}

// A word keeps inner apostrophes and the marks that are part of a language's name (c++, c#); it ends where the script
// changes, as Chinese puts no space around "python".
const wordPattern =
  /[\p{Script=Latin}\p{M}\p{N}]+(?:['’][\p{Script=Latin}\p{M}]+)*(?:\+\+|#)?|(?:[^\P{L}\p{Script=Latin}]\p{M}*)+/gu;
// l'image, dell'acqua, qu'il: the article is a word of its own.
const elision = /^(?:l|d|j|c|n|m|t|s|qu|un|dell|nell|all|sull|dall|quest|lorsqu|jusqu|puisqu)$/;
/** English contractions are read in full, so that rules know "what is" alone. */
const contractions: ReadonlyMap<string, string> = new Map([
  ["m", "am"],
  ["re", "are"],
  ["ve", "have"],
  ["ll", "will"],
  ["d", "would"],
]);
const beforeIs = /^(?:what|who|where|when|how|why|it|that|there|here|he|she|this|everything)$/;
const spaceless = /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Khmer}]/gu;

export function readPrompt(prompt: string): PromptText {
  const excerpt = excerptOf(prompt);
  const words: Word[] = [];
  for (const [match] of excerpt.toLowerCase().matchAll(wordPattern)) {
    const word = match.replaceAll("’", "'");
    const apostrophe = word.indexOf("'");
    if (apostrophe <= 0) {
      addWord(words, word);
      continue;
    }
    const before = word.slice(0, apostrophe);
    const after = word.slice(apostrophe + 1);
    const contraction = contractions.get(after) ?? (after === "s" && beforeIs.test(before) ? "is" : undefined);
    if (contraction !== undefined) {
      addWord(words, before);
      addWord(words, contraction);
    } else if (after === "s") {
      addWord(words, before);
    } else if (elision.test(before) && after.length > 1) {
      addWord(words, `${before}'`);
      addWord(words, after);
    } else {
      addWord(words, word);
    }
  }
  // Two characters of a script without spaces count as one word.
  const seen = words.length + (excerpt.match(spaceless)?.length ?? 0) / 2;
  return { excerpt, words, wordCount: Math.round((seen * prompt.length) / Math.max(1, excerpt.length)) };
}

function addWord(words: Word[], accented: string): void {
  words.push({ accented, folded: fold(accented) });
}

function excerptOf(prompt: string): string {
  if (prompt.length <= headLength + tailLength) return prompt;
  return `${prompt.slice(0, headLength)}\n${prompt.slice(-tailLength)}`;
}
