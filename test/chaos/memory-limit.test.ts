// A control group that holds fewer experts than the budget says: idle experts go before the kernel kills.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { memoryGroup, whyNoMemoryGroup } from "../support/memory-group.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { ask, expectCalm, poolFigures } from "./clients.ts";
import { longModel } from "./long-model.ts";
import { serve } from "./servers.ts";

const mib = 2 ** 20;
const models = ["one", "two", "three"];

/** Three experts of 309 MiB, most of it for their context, and one of 2 GiB and more. */
async function config(): Promise<object> {
  const folder = testFolder();
  const experts = [];
  for (const expert_id of [...models, "vast"]) {
    const file = path.join(folder, `${expert_id}.gguf`);
    await longModel(file, 2 ** 20);
    const max_model_len = expert_id === "vast" ? 2 ** 20 : 98_304;
    // With a smaller context the group could hold even the vast one.
    experts.push({ expert_id, model_path: file, max_model_len, min_model_len: max_model_len });
  }
  return { experts, lazy_loading: { ram_budget: "8GiB" } };
}

const expectAnswer = async (baseUrl: string, model: string): Promise<void> => {
  expect(await ask(baseUrl, { model, prompt: "uno", maxTokens: 4 })).toMatchObject({ status: 200, error: null });
};

it("unloads idle experts where the budget allows more than the group, and refuses what the group cannot hold", async ({
  skip,
}) => {
  skip(whyNoMemoryGroup() !== null, whyNoMemoryGroup() ?? "");
  const group = memoryGroup(750 * mib);
  const server = await serve(await config(), { launcher: group.launcher });
  for (const model of [...models, ...models, ...models.toReversed()]) {
    await expectAnswer(server.baseUrl, model);
    expect(group.outOfMemoryKills()).toBe(0);
  }
  const vast = await ask(server.baseUrl, { model: "vast", prompt: "uno", maxTokens: 4 });
  expect(vast).toMatchObject({ status: 503, text: "" });
  expect(vast.error).toMatch(/control group has only/);
  const crowd = await Promise.all(
    [...models, ...models, ...models].map((model) => ask(server.baseUrl, { model, prompt: "uno", maxTokens: 4 })),
  );
  expect(crowd.filter(({ status }) => status !== 200)).toEqual([]);
  expect(group.outOfMemoryKills()).toBe(0);
  expect((await poolFigures(server.baseUrl)).evictions).toBeGreaterThan(0);
  await expectCalm(server.baseUrl);
});

it("unloads idle experts when another program of the group takes the memory", async ({ skip }) => {
  skip(whyNoMemoryGroup() !== null, whyNoMemoryGroup() ?? "");
  const group = memoryGroup(1200 * mib);
  const server = await serve(await config(), { launcher: group.launcher });
  await expectAnswer(server.baseUrl, "one");
  await expectAnswer(server.baseUrl, "two");
  expect((await poolFigures(server.baseUrl)).loaded_experts).toHaveLength(2);

  const [program, ...args] = group.launcher;
  const taker = fileURLToPath(new URL("../machine/take-memory.ts", import.meta.url));
  const other = spawn(program, [...args, process.execPath, "--import", "tsx", taker], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(async () => {
    other.kill("SIGKILL");
    if (other.exitCode === null && other.signalCode === null) await once(other, "close");
  });
  const answers = createInterface({ input: other.stdout })[Symbol.asyncIterator]();
  const take = async (amount: number): Promise<number> => {
    other.stdin.write(`take ${amount}\n`);
    const { value } = (await answers.next()) as { value: string };
    return (JSON.parse(value) as { availableBytes: number }).availableBytes;
  };
  let available = await take(0);
  for (let taken = 0; available > 60 * mib && taken < 1500; taken += 50) available = await take(50);
  await expect
    .poll(async () => (await poolFigures(server.baseUrl)).loaded_experts.length, { timeout: 10_000 })
    .toBeLessThan(2);
  expect(group.outOfMemoryKills()).toBe(0);
  expect(other.exitCode).toBeNull();
  await expectCalm(server.baseUrl);
});
