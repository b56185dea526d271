// The built program as a newcomer runs it: no configuration, five demonstration experts, real engine, real socket, the
// official client.
import { createServer } from "node:net";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import OpenAI, { BadRequestError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, repositoryRoot, runCommand, startServer } from "../support/server-process.ts";
import { fileFolder, testFolder } from "../support/temporary-folder.ts";
import { askDialogues, readDialogues } from "./demo-dialogues.ts";

const expertIds = ["phi4_fast", "mistral_balanced", "qwen_coder", "gemma3_multimodal", "aya_expanse_multilingual"];
const emptyFolder = fileFolder();

let server: RunningServer;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer({ cwd: emptyFolder() });
  client = new OpenAI({ baseURL: `${server.baseUrl}/v1`, apiKey: "none", maxRetries: 0 });
});

afterAll(async () => {
  await server.stop();
});

async function getJson(route: string): Promise<Record<string, never>> {
  const response = await fetch(server.baseUrl + route);
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, never>;
}

describe("the embedded default", () => {
  it("says at the start that these are demonstration models and how to get the real ones", () => {
    expect(server.output()).toMatch(/demonstration models/);
    expect(server.output()).toMatch(/download-model\.sh/);
    expect(server.output()).toMatch(/config\.five_models_with_aya\.json/);
  });

  it("offers the five experts under their real names", async () => {
    const { experts } = (await getJson("/experts")) as unknown as { experts: { expert_id: string; status: string }[] };
    expect(experts.map(({ expert_id }) => expert_id)).toEqual(expertIds);
    expect(await getJson("/health")).toMatchObject({ status: "healthy", models_available: 5 });
    expect(await getJson("/stats")).toMatchObject({
      router_stats: { num_experts: 5 },
      lazy_loading: { total_experts: 5 },
    });
    const models = await client.models.list();
    const ids = models.data.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([...expertIds, "auto"]));
  });

  it.each(expertIds)("%s answers its own dialogues word for word", async (model) => {
    const trained = readDialogues().filter((dialogue) => dialogue.model === model && dialogue.split === "train");
    const score = await askDialogues(client, trained);
    expect(score.asked).toBeGreaterThan(200);
    // The models' card gives 0.999 to 1.000 for what they were trained on.
    expect(score.misses.slice(0, Math.floor(score.asked / 500))).toEqual(score.misses);
  });

  it("streams what it answers without streaming", async () => {
    const request = {
      model: "mistral_balanced",
      temperature: 0,
      max_tokens: 80,
      messages: [{ role: "user" as const, content: "¿Quién eres?" }],
    };
    const whole = await client.chat.completions.create(request);
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let finish: string | null = null;
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish ??= chunk.choices[0]?.finish_reason ?? null;
      usage = chunk.usage;
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(text.length).toBeGreaterThan(10);
    expect(finish).toBe("stop");
    expect(usage?.completion_tokens).toBe(whole.usage?.completion_tokens);
    expect(usage?.prompt_tokens).toBe(whole.usage?.prompt_tokens);
  });

  it("routes a request that names no model and says who answered and why", async () => {
    const response = await fetch(`${server.baseUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        temperature: 0,
        max_tokens: 60,
        messages: [{ role: "user", content: "Write a Python function that reverses a string" }],
      }),
    });
    const body = (await response.json()) as {
      model: string;
      routing: { expert_id: string; source: string; reason: string };
      choices: { message: { content: string } }[];
    };
    expect(response.status).toBe(200);
    expect(body.model).toBe("qwen_coder");
    expect(response.headers.get("x-expert")).toBe("qwen_coder");
    expect(body.routing).toMatchObject({ expert_id: "qwen_coder", source: "keywords" });
    expect(body.routing.reason).not.toBe("");
    expect(body.choices[0]?.message.content).toContain("def ");
  });

  it("takes the prompt of a conversation's earlier turns from the cache", async () => {
    const first = [{ role: "user" as const, content: "Hola, ¿qué tal?" }];
    const answer = await client.chat.completions.create({ model: "phi4_fast", temperature: 0, messages: first });
    const second = await client.chat.completions.create({
      model: "phi4_fast",
      temperature: 0,
      messages: [
        ...first,
        { role: "assistant" as const, content: answer.choices[0]?.message.content ?? "" },
        { role: "user" as const, content: "Gracias" },
      ],
    });
    expect(second.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(answer.usage?.prompt_tokens ?? 0);
  });

  it("embeds texts, near ones nearer than far ones", async () => {
    const { data } = await client.embeddings.create({
      model: "",
      input: ["How do I sort a list in Python?", "Sort an array in JavaScript", "Buenos días, ¿cómo estás?"],
    });
    const dot = (left: number[] = [], right: number[] = []) =>
      left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
    const [sortPython, sortJavaScript, greeting] = data.map(({ embedding }) => embedding);
    expect(dot(sortPython, sortPython)).toBeCloseTo(1, 4);
    expect(dot(sortPython, sortJavaScript)).toBeGreaterThan(dot(sortPython, greeting));
  });

  it("serves concurrent requests for all experts at once", async () => {
    const answers = await Promise.all(
      [...expertIds, ...expertIds].map((model) =>
        client.chat.completions.create({
          model,
          temperature: 0,
          max_tokens: 20,
          messages: [{ role: "user", content: "Hola" }],
        }),
      ),
    );
    expect(answers.map(({ model }) => model)).toEqual([...expertIds, ...expertIds]);
  });
});

describe("bad requests", () => {
  async function post(
    body: string,
  ): Promise<{ status: number; error: { message: string; param: string; code: string } }> {
    const response = await fetch(`${server.baseUrl}/v1/chat/completions`, { method: "POST", body });
    return { status: response.status, ...((await response.json()) as { error: never }) };
  }
  const hello = [{ role: "user", content: "hi" }];

  it.each([
    ["a body that is not JSON", "{not json", 400, /JSON/],
    ["a negative max_tokens", JSON.stringify({ messages: hello, max_tokens: -5 }), 400, /max_tokens.*-5/],
    ["an unknown model", JSON.stringify({ model: "gpt-9", messages: hello }), 404, /gpt-9.*phi4_fast/],
    ["no messages", JSON.stringify({ model: "phi4_fast" }), 400, /messages/],
    ["a role that does not exist", JSON.stringify({ messages: [{ role: "boss", content: "x" }] }), 400, /role.*boss/],
  ])("%s gets one clear message", async (_, body, status, message) => {
    const answer = await post(body);
    expect(answer.status).toBe(status);
    expect(answer.error.message).toMatch(message);
    expect(answer.error.message).not.toMatch(/\n|at .*\.js/);
  });

  it("a prompt longer than the context gets a 400 with both numbers", async () => {
    const error = await client.chat.completions
      .create({ model: "phi4_fast", messages: [{ role: "user", content: "lorem ipsum dolor ".repeat(3000) }] })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadRequestError);
    expect((error as Error).message).toMatch(/\d{4,} tokens.*2048/);
  });
});

describe("a client that leaves", () => {
  it("frees the slot: the next request is served although the first asked for thousands of tokens", async () => {
    const leaving = new AbortController();
    const stream = await client.completions.create(
      {
        model: "mistral_balanced",
        prompt: "Explica",
        max_tokens: 1900,
        temperature: 1.5,
        top_k: 0,
        top_p: 1,
        min_p: 0,
        stream: true,
      } as OpenAI.CompletionCreateParamsStreaming,
      { signal: leaving.signal },
    );
    for await (const chunk of stream) {
      if (chunk.choices[0]?.text !== "") break;
    }
    leaving.abort();
    let busy = true;
    while (busy) {
      const { experts } = (await getJson("/experts")) as unknown as { experts: { expert_id: string }[] };
      expect(experts).toHaveLength(5);
      const stats = await (await fetch(`${server.baseUrl}/debug/models`)).text();
      busy = /"leases":\s*[1-9]/.test(stats);
    }
  });
});

describe("wrong starts", () => {
  it("a port in use: one line that names it, exit code 1", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as { port: number };
    const { code, stdout, stderr } = await runCommand(["serve", "--port", String(port)], { cwd: emptyFolder() });
    holder.close();
    expect(code).toBe(1);
    expect(stdout + stderr).toContain(String(port));
    expect(stdout + stderr).not.toMatch(/^\s+at /m);
  });

  it.each([
    ["JSON that does not parse", "{ experts: ", /line 1/i],
    ["a wrong value", JSON.stringify({ experts: [{ expert_id: "a", model_path: "x.gguf", priority: 9 }] }), /priority/],
    ["no experts", JSON.stringify({ experts: [] }), /experts/],
  ])("a config with %s: one clear message, exit code 1", async (_, text, message) => {
    const file = path.join(testFolder(), "config.json");
    writeFileSync(file, text);
    const { code, stdout, stderr } = await runCommand(["serve", "--config", file, "--port", "0"], {
      cwd: emptyFolder(),
    });
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(message);
    expect(stdout + stderr).not.toMatch(/^\s+at /m);
  });

  it("a missing config and an unknown command: one line each", async () => {
    const missing = await runCommand(["serve", "--config", "/nowhere/config.json"]);
    expect(missing.code).toBe(1);
    expect(missing.stdout + missing.stderr).toContain("/nowhere/config.json");
    const unknown = await runCommand(["srve"]);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toMatch(/srve.*serve/s);
  });
});

describe("damaged model files", () => {
  it("a missing, a truncated and a text file make their expert unavailable; the others serve", async () => {
    const folder = testFolder();
    const good = path.join(repositoryRoot, "models/demo/demo-phi4_fast.gguf");
    writeFileSync(path.join(folder, "truncated.gguf"), readFileSync(good).subarray(0, 1_500_000));
    writeFileSync(path.join(folder, "text.gguf"), "<html>not a model</html>\n".repeat(10));
    const expert = (expert_id: string, model_path: string) => ({ expert_id, model_path, domain: "general" });
    const config = {
      default_model: "good",
      experts: [
        expert("good", good),
        expert("gone", "gone.gguf"),
        expert("truncated", "truncated.gguf"),
        expert("text", "text.gguf"),
      ],
    };
    const file = path.join(folder, "config.json");
    writeFileSync(file, JSON.stringify(config));
    const damaged = await startServer({ args: ["--config", file], cwd: folder });
    try {
      const ask = async (model: string) => {
        const response = await fetch(`${damaged.baseUrl}/v1/chat/completions`, {
          method: "POST",
          body: JSON.stringify({ model, temperature: 0, max_tokens: 8, messages: [{ role: "user", content: "Hola" }] }),
        });
        return { status: response.status, text: await response.text() };
      };
      const gone = await ask("gone");
      expect(gone.status).toBe(404);
      expect(gone.text).toMatch(/gone\.gguf does not exist.*correct its model_path/);
      const truncated = await ask("truncated");
      expect(truncated.status).toBe(503);
      expect(truncated.text).toMatch(/truncated\.gguf is truncated/);
      const text = await ask("text");
      expect(text.status).toBe(503);
      expect(text.text).toMatch(/text\.gguf is not a GGUF file/);
      expect((await ask("good")).status).toBe(200);
      const { experts } = (await (await fetch(`${damaged.baseUrl}/experts`)).json()) as {
        experts: { expert_id: string; status: string }[];
      };
      expect(Object.fromEntries(experts.map(({ expert_id, status }) => [expert_id, status]))).toMatchObject({
        good: "loaded",
        gone: "missing",
        truncated: "failed",
        text: "failed",
      });
    } finally {
      expect(await damaged.stop()).toBe(0);
    }
  });
});

describe("the five-expert configuration before its files are there", () => {
  it("serves all the same, and names the command for each missing file", async () => {
    const config = path.join(repositoryRoot, "config/config.five_models_with_aya.json");
    const five = await startServer({ args: ["--config", config] });
    try {
      const { experts } = (await (await fetch(`${five.baseUrl}/experts`)).json()) as {
        experts: { expert_id: string; status: string; error: string | null }[];
      };
      expect(experts.map(({ expert_id }) => expert_id).toSorted()).toEqual(expertIds.toSorted());
      // A developer may have fetched some of them; each of the others says how it is fetched.
      const unexplained = experts.filter(
        ({ expert_id, status, error }) =>
          status === "missing" && error?.includes(`Fetch it with ./download-model.sh ${expert_id}`) !== true,
      );
      expect(unexplained).toEqual([]);
      expect((await fetch(`${five.baseUrl}/health/live`)).status).toBe(200);
    } finally {
      await five.stop();
    }
  });
});
