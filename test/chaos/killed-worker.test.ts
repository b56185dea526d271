// The worker dies while twenty clients stream: those who ask again all get their whole answer in the end.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { tinyModel } from "../support/tiny-models.ts";
import { ask, expectCalm, type Question } from "./clients.ts";
import { serve } from "./servers.ts";

const clients = 20;
const attemptsLimit = 50;

/** The whole answer, however often it must be asked for; and how often that was. */
async function askUntilWhole(baseUrl: string, question: Question, onText: () => void) {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask(baseUrl, question, onText);
    if (answer.status === 200 && answer.error === null) return { text: answer.text, attempts: attempt };
    if (attempt === attemptsLimit) throw new Error(`no answer after ${attempt} attempts: ${answer.error}`);
    await sleep((answer.retryAfterS ?? 0.2) * 1000);
  }
}

it("answers all of twenty streaming clients although its worker is killed twice under them", async () => {
  const server = await serve(
    {
      experts: [
        { expert_id: "one", model_path: await tinyModel("tiny-llama"), max_model_len: 1024, parallel: 4 },
        { expert_id: "two", model_path: await tinyModel("tiny-qwen2"), max_model_len: 1024, parallel: 4 },
        { expert_id: "three", model_path: await tinyModel("tiny-gemma3"), max_model_len: 1024, parallel: 4 },
        { expert_id: "four", model_path: await tinyModel("tiny-phi3"), max_model_len: 1024, parallel: 4 },
      ],
    },
    { supervise: true },
  );
  const questionFor = (model: string): Question => ({
    model,
    prompt: "uno dos tres",
    maxTokens: 200,
    stream: true,
    endpoint: "completions",
  });
  // An expert that ended the process twice would be quarantined: each signal meets others.
  const rounds = [
    { models: ["one", "two"], signal: "SIGKILL" },
    { models: ["three", "four"], signal: "SIGSEGV" },
  ] as const;
  for (const [index, { models, signal }] of rounds.entries()) {
    const whole = new Map<string, string>();
    for (const model of models) whole.set(model, (await ask(server.baseUrl, questionFor(model))).text);
    const line = await server.line(/the worker serves|a new worker serves/, index + 1);
    const { pid } = JSON.parse(line) as { pid: number };
    let texts = 0;
    const answers = await Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        const model = models[client % models.length] ?? models[0];
        const answer = await askUntilWhole(server.baseUrl, questionFor(model), () => {
          texts += 1;
          if (texts === 200) process.kill(pid, signal);
        });
        return { model, ...answer };
      }),
    );
    for (const { model, text } of answers) expect(text).toBe(whole.get(model));
    // Some were cut off, or the test shows nothing.
    expect(answers.filter(({ attempts }) => attempts > 1).length).toBeGreaterThan(0);
    expect(server.output()).toContain(`the worker was ended by ${signal}`);
  }
  await expectCalm(server.baseUrl);
});
