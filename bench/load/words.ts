// Prompts of generated words: the same seed gives the same text, other seeds share no prefix worth caching. May import
// generation.ts and statistics.ts.
import { randomNumbers } from "../statistics.ts";
import { generateWhole } from "./generation.ts";

const words =
  "soil water seed leaf root stone river cloud market harvest letter window garden bridge winter copper valley engine paper signal number colour method answer winding quarter simple broken distant heavy early common".split(
    " ",
  );

export function wordsOf(count: number, seed: number): string {
  const random = randomNumbers(seed * 2_654_435_761);
  return Array.from({ length: count }, () => words[Math.floor(random() * words.length)]).join(" ");
}

const calibrationWords = 128;

/** How many tokens a word takes by a model's vocabulary; asking also warms the server up. */
export class Prompts {
  readonly tokensPerWord: number;

  constructor(tokensPerWord: number) {
    this.tokensPerWord = tokensPerWord;
  }

  /** Equal for all servers of the same model: what is asked is. */
  static async calibrate(baseUrl: string, expertId: string): Promise<Prompts> {
    const prompt = wordsOf(calibrationWords, 0);
    const { promptTokens } = await generateWhole(baseUrl, { expertId, prompt, maxTokens: 8 });
    return new Prompts(promptTokens / calibrationWords);
  }

  /** About so many tokens; `seed` from 1. */
  ofTokens(tokens: number, seed: number): string {
    return wordsOf(Math.max(1, Math.round(tokens / this.tokensPerWord)), seed);
  }
}
