// The demo models' own dialogues as an oracle: asked over HTTP at temperature 0, they must come back word for word.
import { readFileSync } from "node:fs";
import path from "node:path";
import type OpenAI from "openai";
import { repositoryRoot } from "../support/server-process.ts";

export interface Dialogue {
  readonly model: string;
  readonly id: string;
  readonly split: "train" | "heldout";
  readonly system: string | null;
  readonly messages: readonly { readonly role: "user" | "assistant"; readonly content: string }[];
  readonly answer: string;
}

export function readDialogues(): Dialogue[] {
  return readFileSync(path.join(repositoryRoot, "test/data/demo-dialogues.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Dialogue);
}

export interface DialogueScore {
  readonly asked: number;
  readonly misses: readonly string[];
}

/** Asks one after the other; an answer is a miss unless it equals the text, white space at the ends apart. */
export async function askDialogues(client: OpenAI, dialogues: readonly Dialogue[]): Promise<DialogueScore> {
  const misses: string[] = [];
  for (const dialogue of dialogues) {
    const completion = await client.chat.completions.create({
      model: dialogue.model,
      temperature: 0,
      max_tokens: 300,
      messages: [
        ...(dialogue.system === null ? [] : [{ role: "system" as const, content: dialogue.system }]),
        ...dialogue.messages,
      ],
    });
    const answer = completion.choices[0]?.message.content ?? "";
    if (answer.trim() !== dialogue.answer.trim()) misses.push(`${dialogue.id}: ${answer}`);
  }
  return { asked: dialogues.length, misses };
}
