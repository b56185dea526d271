// Two hundred clients at once for two experts of which only one fits: everyone is answered or told when to come back, with
// their own answer and nobody else's.
import path from "node:path";
import { expect, it } from "vitest";
import { readDialogues } from "../e2e/demo-dialogues.ts";
import { repositoryRoot } from "../support/server-process.ts";
import { ask, expectCalm, poolFigures, type Question } from "./clients.ts";
import { serve } from "./servers.ts";

const models = ["mistral_balanced", "qwen_coder"];
const clientsPerModel = 100;

/** Of one turn, each with an answer that no other has. */
function questions(model: string): Question[] {
  const seen = new Set<string>();
  const chosen = readDialogues().filter((dialogue) => {
    const isNew = dialogue.model === model && dialogue.system === null && dialogue.messages.length === 1;
    if (!isNew || seen.has(dialogue.answer)) return false;
    seen.add(dialogue.answer);
    return true;
  });
  return Array.from({ length: clientsPerModel }, (_, index) => ({
    model,
    prompt: chosen[index % chosen.length]?.messages[0]?.content ?? "",
    maxTokens: 60,
    stream: index % 2 === 0,
  }));
}

it("answers or refuses two hundred clients at once, each with its own text", async () => {
  const { baseUrl } = await serve({
    default_model: models[0],
    experts: models.map((expert_id) => ({
      expert_id,
      model_path: path.join(repositoryRoot, `models/demo/demo-${expert_id}.gguf`),
      max_model_len: 1024,
    })),
    // Each takes about 30 MiB.
    lazy_loading: { ram_budget: "40MiB" },
  });
  const asked = models.flatMap(questions);
  const calm = new Map<string, string>();
  for (const question of asked) {
    const key = `${question.model} ${question.prompt}`;
    if (calm.has(key)) continue;
    const answer = await ask(baseUrl, question);
    expect(answer.error).toBeNull();
    calm.set(key, answer.text);
  }
  // Otherwise another's answer would not show.
  expect(new Set(calm.values()).size).toBeGreaterThan(40);
  const { loaded_experts: loaded } = await poolFigures(baseUrl);
  expect(loaded).toHaveLength(1);

  const answers = await Promise.all(asked.map((question) => ask(baseUrl, question)));
  const refused = answers.filter(({ status }) => status !== 200);
  for (const { status, retryAfterS } of refused) {
    expect([429, 503]).toContain(status);
    expect(retryAfterS).toBeGreaterThan(0);
  }
  answers.forEach((answer, index) => {
    if (answer.status !== 200) return;
    expect(answer.error).toBeNull();
    expect(answer.text).toBe(calm.get(`${asked[index]?.model} ${asked[index]?.prompt}`));
  });
  // 64 may wait for each expert, beside the one that is served.
  expect(refused.length).toBeLessThanOrEqual(2 * (clientsPerModel - 65));
  await expectCalm(baseUrl);
});
