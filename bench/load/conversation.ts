// A chat that goes on: what was said is sent again with each turn. May import generation.ts.
import { type ChatMessage, type Generation, generateWhole } from "./generation.ts";

export class Conversation {
  readonly #baseUrl: string;
  readonly #expertId: string;
  readonly #messages: ChatMessage[] = [];

  constructor(baseUrl: string, expertId: string, system?: string) {
    this.#baseUrl = baseUrl;
    this.#expertId = expertId;
    if (system !== undefined) this.#messages.push({ role: "system", content: system });
  }

  /** Asks, and keeps the question and its answer. */
  async turn(content: string, maxTokens: number): Promise<Generation> {
    this.#messages.push({ role: "user", content });
    const answer = await generateWhole(this.#baseUrl, {
      expertId: this.#expertId,
      prompt: this.#messages,
      maxTokens,
    });
    this.#messages.push({ role: "assistant", content: answer.text });
    return answer;
  }
}
