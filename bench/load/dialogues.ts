// What the demonstration models were trained on: questions whose answers they know by heart. Imports only Node.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { ChatMessage } from "./generation.ts";

const file = fileURLToPath(new URL("../../test/data/demo-dialogues.jsonl", import.meta.url));

export interface Dialogue {
  /** System message, if any, and the turns up to the last question. */
  readonly messages: readonly ChatMessage[];
  readonly answer: string;
}

interface Row {
  readonly model: string;
  readonly split: string;
  readonly system: string | null;
  readonly messages: readonly ChatMessage[];
  readonly answer: string;
}

/** The trained dialogues with the longest answers, one for each answer. */
export async function longestDialogues(model: string, count: number): Promise<Dialogue[]> {
  const rows = (await readFile(file, "utf8")).trimEnd().split("\n");
  const byAnswer = new Map<string, Row>();
  for (const row of rows.map((line) => JSON.parse(line) as Row)) {
    if (row.model === model && row.split === "train" && !byAnswer.has(row.answer)) byAnswer.set(row.answer, row);
  }
  return [...byAnswer.values()]
    .toSorted((left, right) => right.answer.length - left.answer.length)
    .slice(0, count)
    .map(({ system, messages, answer }) => ({
      messages: [...(system === null ? [] : [{ role: "system" as const, content: system }]), ...messages],
      answer,
    }));
}
