// A process that stands still for ten seconds, as when its virtual machine is paused, goes on where it was.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { tinyModel } from "../support/tiny-models.ts";
import { ask, expectCalm, poolFigures } from "./clients.ts";
import { serve } from "./servers.ts";

const maxTokens = 1500;
const stoppedMs = 10_000;

it("goes on with every stream after SIGSTOP for ten seconds and SIGCONT", async () => {
  const server = await serve({
    experts: [
      { expert_id: "one", model_path: await tinyModel("tiny-llama"), max_model_len: 2048, parallel: 2 },
      { expert_id: "two", model_path: await tinyModel("tiny-qwen2"), max_model_len: 2048 },
    ],
    server_config: { heartbeat_s: 1 },
  });
  let texts = 0;
  let begun!: () => void;
  const allBegan = new Promise<void>((resolve) => (begun = resolve));
  const clients = ["one", "one", "two", "one", "two", "one"].map(async (model) =>
    ask(server.baseUrl, { model, prompt: "uno dos", maxTokens, stream: true, endpoint: "completions" }, () => {
      texts += 1;
      if (texts === 200) begun();
    }),
  );
  await allBegan;
  server.process.kill("SIGSTOP");
  await sleep(stoppedMs);
  const textsWhileStopped = texts;
  server.process.kill("SIGCONT");
  const answers = await Promise.all(clients);
  // Some of it came afterwards, or the test shows nothing.
  expect(texts).toBeGreaterThan(textsWhileStopped);
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 200, error: null, finishReason: "length", tokens: maxTokens });
  }
  const { loads } = await poolFigures(server.baseUrl);
  expect(loads).toBe(2);
  await expectCalm(server.baseUrl);
});
