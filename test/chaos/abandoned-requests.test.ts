// Clients that leave: in the middle of sending, while they wait, while they are answered. Nothing of them must stay.
import { connect } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { tinyModel } from "../support/tiny-models.ts";
import { ask, expectCalm, poolFigures } from "./clients.ts";
import { serve } from "./servers.ts";

const models = ["one", "two", "three"];

async function config(): Promise<object> {
  const paths = [await tinyModel("tiny-llama"), await tinyModel("tiny-qwen2"), await tinyModel("tiny-gemma3")];
  return {
    experts: models.map((expert_id, index) => ({ expert_id, model_path: paths[index], max_model_len: 1024 })),
    lazy_loading: { max_loaded_experts: 2 },
  };
}

/** One question for each expert: how it was answered. */
async function outcomes(baseUrl: string): Promise<(number | string)[]> {
  const list: (number | string)[] = [];
  for (const model of models) {
    const { status, error } = await ask(baseUrl, { model, prompt: "uno", maxTokens: 4 });
    list.push(error ?? status);
  }
  return list;
}

it("forgets 300 clients that send half a request and leave", async () => {
  const { baseUrl } = await serve(await config());
  const { hostname, port } = new URL(baseUrl);
  const body = JSON.stringify({ model: "one", messages: [{ role: "user", content: "hola ".repeat(50) }] });
  const whole = `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const socket = connect(Number(port), hostname);
      await once(socket, "connect");
      socket.write(whole.slice(0, Math.floor((whole.length * index) / 300)));
      // Half of them say goodbye, half are gone.
      if (index % 2 === 0) socket.end();
      else socket.resetAndDestroy();
      socket.resume();
      await once(socket, "close").catch(() => {});
    }),
  );
  expect(await outcomes(baseUrl)).toEqual([200, 200, 200]);
  await expectCalm(baseUrl);
});

it("is calm after 1,000 requests that were dropped while they loaded, waited and streamed", async () => {
  const { baseUrl } = await serve(await config());
  let left = 1000;
  let droppedMidway = 0;
  const client = async (seed: number) => {
    for (let round = seed; left > 0; round += 7) {
      left -= 1;
      const model = models[round % models.length] ?? "";
      const leaving = new AbortController();
      const question = {
        model,
        prompt: "uno dos tres",
        maxTokens: 500,
        endpoint: "completions",
        stream: true,
      } as const;
      const asked = ask(baseUrl, { ...question, signal: leaving.signal }, () => leaving.abort());
      // One in eight waits until its answer begins, the others leave within 60 ms.
      if (seed % 8 !== 0) await Promise.race([asked, sleep((round * 13) % 60)]).then(() => leaving.abort());
      const { text } = await asked;
      if (text !== "") droppedMidway += 1;
    }
  };
  await Promise.all(Array.from({ length: 40 }, (_, seed) => client(seed)));
  // Some were cut off while they were answered, not all of them before.
  expect(droppedMidway).toBeGreaterThan(0);
  await expectCalm(baseUrl);
  expect(await outcomes(baseUrl)).toEqual([200, 200, 200]);
  const { reserved_bytes: reserved, budget_bytes: budget } = await poolFigures(baseUrl);
  expect(reserved).toBeLessThanOrEqual(budget);
});
