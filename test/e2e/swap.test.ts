// Five experts of five architectures under a RAM budget that holds two: everything is served, nothing is exceeded, answers
// do not change with what was evicted in between. The built program, the real engine, stable weights.
import { writeFileSync } from "node:fs";
import path from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, startServer } from "../support/server-process.ts";
import { fileFolder, testFolder } from "../support/temporary-folder.ts";
import { type TinyPresetName, tinyModel } from "../support/tiny-models.ts";

const experts: Readonly<Record<string, TinyPresetName>> = {
  phi4_fast: "tiny-phi3",
  mistral_balanced: "tiny-llama",
  qwen_coder: "tiny-qwen2",
  gemma3_multimodal: "tiny-gemma3",
  aya_expanse_multilingual: "tiny-command-r",
};
const ids = Object.keys(experts);
const contextTokens = 512;
const folder = fileFolder();

let server: RunningServer;
let client: OpenAI;

async function poolStats(): Promise<{ budgetBytes: number; reservedBytes: number; evictions: number }> {
  const metrics = await (await fetch(`${server.baseUrl}/metrics`)).text();
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, "gm"))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  return {
    budgetBytes: sum("gguf_experts_memory_budget_bytes"),
    reservedBytes: sum("gguf_experts_memory_reserved_bytes"),
    evictions: sum("gguf_experts_model_evictions_total"),
  };
}

beforeAll(async () => {
  const list = [];
  for (const [expert_id, preset] of Object.entries(experts)) {
    list.push({ expert_id, model_path: await tinyModel(preset), domain: "general", max_model_len: contextTokens });
  }
  const file = path.join(folder(), "config.json");
  // Each takes 5 to 20 MB.
  writeFileSync(file, JSON.stringify({ experts: list, lazy_loading: { ram_budget: "32MiB" } }));
  server = await startServer({ args: ["--config", file], cwd: folder() });
  client = new OpenAI({ baseURL: `${server.baseUrl}/v1`, apiKey: "none", maxRetries: 0 });
});

afterAll(async () => {
  await server.stop();
});

async function ask(model: string): Promise<string> {
  const completion = await client.chat.completions.create({
    model,
    temperature: 0,
    max_tokens: 16,
    messages: [{ role: "user", content: "Hola, ¿qué tal?" }],
  });
  expect(completion.model).toBe(model);
  return completion.choices[0]?.message.content ?? "";
}

describe("a budget that holds two of five", () => {
  it("serves all of them, in turn and at once, with the same answers, and stays within the budget", async () => {
    const first = new Map<string, string>();
    for (const id of ids) first.set(id, await ask(id));
    for (const id of [...ids, ...ids.toReversed()]) expect(await ask(id)).toBe(first.get(id));
    const crowd = [...ids, ...ids, ...ids];
    const answers = await Promise.all(crowd.map(ask));
    crowd.forEach((id, index) => expect(answers[index]).toBe(first.get(id)));
    const { budgetBytes, reservedBytes, evictions } = await poolStats();
    expect(budgetBytes).toBe(32 * 2 ** 20);
    expect(reservedBytes).toBeGreaterThan(0);
    expect(reservedBytes).toBeLessThanOrEqual(budgetBytes);
    expect(evictions).toBeGreaterThanOrEqual(10);
  });

  it("ends with finish_reason length where max_tokens reaches beyond the context", async () => {
    const completion = await client.completions.create({ model: "qwen_coder", prompt: "uno dos", max_tokens: 4000 });
    expect(completion.choices[0]?.finish_reason).toBe("length");
    expect(completion.usage?.total_tokens).toBe(contextTokens);
  });

  it("a client that leaves while decoding frees the slot at once", async () => {
    const leaving = new AbortController();
    const stream = await client.completions.create(
      { model: "mistral_balanced", prompt: "uno", max_tokens: 400, temperature: 0, stream: true },
      { signal: leaving.signal },
    );
    for await (const chunk of stream) if (chunk.choices[0]?.text) break;
    leaving.abort();
    // With one slot, this one is served only when the first has let go of it; it sees how few tokens were decoded.
    const next = await client.completions.create({ model: "mistral_balanced", prompt: "uno", max_tokens: 1 });
    expect(next.usage?.completion_tokens).toBe(1);
    expect(server.output()).toMatch(/"outcome":"abandoned"/);
  });
});

describe("a model larger than the budget", () => {
  it("gets 507 with the numbers, and no retry", async () => {
    const smallFolder = testFolder();
    const file = path.join(smallFolder, "config.json");
    const config = {
      experts: [{ expert_id: "big", model_path: await tinyModel("tiny-qwen2"), max_model_len: 2048 }],
      lazy_loading: { ram_budget: "2MiB" },
    };
    writeFileSync(file, JSON.stringify(config));
    const small = await startServer({ args: ["--config", file], cwd: smallFolder });
    try {
      const response = await fetch(`${small.baseUrl}/v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify({ messages: [{ role: "user", content: "hi" }] }),
      });
      expect(response.status).toBe(507);
      expect(response.headers.get("x-should-retry")).toBe("false");
      expect(await response.text()).toMatch(/MiB.*2\.0 MiB/);
    } finally {
      await small.stop();
    }
  });
});
