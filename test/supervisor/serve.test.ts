// `serve --supervise` as users run it: the built program and the real engine, with two tiny models that never end by themselves.
import { once } from "node:events";
import { get } from "node:http";
import { createServer } from "node:net";
import { writeFileSync } from "node:fs";
import path from "node:path";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RunningServer, runCommand, startServer } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";

let server: RunningServer;
let client: OpenAI;

async function start(): Promise<void> {
  const folder = testFolder();
  const config = path.join(folder, "config.json");
  const experts = [
    { expert_id: "steady", model_path: await tinyModel("tiny-llama"), max_model_len: 4096 },
    { expert_id: "other", model_path: await tinyModel("tiny-qwen2"), max_model_len: 4096 },
  ];
  writeFileSync(config, JSON.stringify({ experts, server_config: { log_level: "debug" } }));
  server = await startServer({ args: ["--supervise", "--config", config], cwd: folder });
  client = new OpenAI({ baseURL: `${server.baseUrl}/v1`, apiKey: "none", maxRetries: 0 });
}

/** Of the nth worker, once it serves. */
async function workerPid(nth = 1): Promise<number> {
  const line = await server.line(/the worker serves|a new worker serves/, nth);
  return (JSON.parse(line) as { pid: number }).pid;
}

/** An answer of 4000 tokens, of which the first text has come. */
async function longAnswer(model = "steady") {
  const stream = await client.completions.create({
    model,
    prompt: "uno",
    max_tokens: 4000,
    temperature: 0,
    stream: true,
  });
  const chunks = stream[Symbol.asyncIterator]();
  for (;;) {
    const chunk = await chunks.next();
    if (chunk.done === true) throw new Error("the answer ended before it had any text");
    if (chunk.value.choices[0]?.text) break;
  }
  /** The finish_reason; rejects when the answer breaks off. */
  const rest = (async () => {
    for (let reason: string | null = null; ;) {
      const chunk = await chunks.next();
      if (chunk.done === true) return reason;
      reason = chunk.value.choices[0]?.finish_reason ?? reason;
    }
  })();
  rest.catch(() => {});
  return { rest };
}

async function ask(model: string): Promise<string> {
  const completion = await client.chat.completions.create({
    model,
    temperature: 0,
    max_tokens: 8,
    messages: [{ role: "user", content: "Hola" }],
  });
  return completion.choices[0]?.message.content ?? "";
}

/** Over a connection of its own. */
async function statusOf(route: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(server.baseUrl + route, { agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    }).on("error", reject);
  });
}

describe("a worker that dies", () => {
  beforeEach(start);
  afterEach(async () => {
    await server.stop();
  });

  it.each(["SIGSEGV", "SIGKILL", "SIGABRT"] as const)(
    "by %s while it generates: the running answer breaks off, every request that comes after is answered",
    async (signal) => {
      const answer = await longAnswer();
      process.kill(await workerPid(), signal);
      const later = Promise.all(Array.from({ length: 200 }, async () => statusOf("/health/live")));
      await expect(answer.rest).rejects.toThrow("terminated");
      expect(new Set(await later)).toEqual(new Set([200]));
      expect(await ask("steady")).not.toBe("");
      expect(server.output()).toContain(`the worker was ended by ${signal} while steady was generating`);
    },
  );

  it("a second time through the same expert: that one is quarantined with the reason, the others serve, and it can be lifted", async () => {
    for (const nth of [1, 2]) {
      const pid = await workerPid(nth);
      const answer = await longAnswer();
      process.kill(pid, "SIGSEGV");
      await expect(answer.rest).rejects.toThrow("terminated");
    }
    await workerPid(3);
    await expect(ask("steady")).rejects.toMatchObject({
      status: 503,
      message: expect.stringMatching(/SIGSEGV twice while it was generating/) as string,
    });
    expect(await ask("other")).not.toBe("");
    const { experts } = (await (await fetch(`${server.baseUrl}/experts`)).json()) as {
      experts: { expert_id: string; status: string; error: string | null }[];
    };
    expect(experts.find(({ expert_id }) => expert_id === "steady")).toMatchObject({
      status: "failed",
      error: expect.stringMatching(/SIGSEGV twice while it was generating/) as string,
    });
    const lifted = await fetch(`${server.baseUrl}/admin/experts/steady/lift`, { method: "POST" });
    expect(lifted.status).toBe(200);
    expect(await ask("steady")).not.toBe("");
    const answer = await longAnswer();
    process.kill(await workerPid(3), "SIGSEGV");
    await expect(answer.rest).rejects.toThrow("terminated");
    await workerPid(4);
    expect(await ask("steady")).not.toBe("");
  });

  it("while it loads an expert: that one is the suspect", async () => {
    // The answer follows its load without a gap, so that it is one or the other that the signal meets.
    const answer = longAnswer("other");
    answer.catch(() => {});
    await server.line(/"loading":\["other"\]/);
    process.kill(await workerPid(), "SIGKILL");
    await expect(answer.then(async ({ rest }) => rest)).rejects.toThrow(/terminated|Connection error/);
    await workerPid(2);
    expect(server.output()).toMatch(/the worker was ended by SIGKILL while other was (loading|generating)/);
    expect(await ask("other")).not.toBe("");
  });
});

describe("signals", () => {
  beforeEach(start);
  afterEach(async () => {
    await server.stop();
  });

  it("SIGTERM: no new connection, the running answer ends, exit code 0", async () => {
    const answer = await longAnswer();
    server.process.kill("SIGTERM");
    await server.line(/draining/);
    await expect(statusOf("/health/live")).rejects.toThrow(/ECONNREFUSED/);
    expect(await answer.rest).toBe("length");
    expect(await server.ended).toBe(0);
    expect(server.output()).toMatch(/stopped"\}$/);
  });

  it("a second signal ends both processes at once, with code 130", async () => {
    const answer = await longAnswer();
    server.process.kill("SIGINT");
    await server.line(/draining/);
    server.process.kill("SIGINT");
    await expect(answer.rest).rejects.toThrow("terminated");
    expect(await server.ended).toBe(130);
  });

  it("SIGHUP reloads; SIGTERM to the worker alone, as a terminal or a service manager may send it, does nothing", async () => {
    process.kill(await workerPid(), "SIGTERM");
    process.kill(await workerPid(), "SIGHUP");
    server.process.kill("SIGHUP");
    await server.line(/configuration reloaded/);
    expect(await statusOf("/health/live")).toBe(200);
    expect(server.output().match(/configuration reloaded/g)).toHaveLength(1);
  });

  it("a supervisor that is killed takes its worker along, after the running answer", async () => {
    const answer = await longAnswer();
    server.process.kill("SIGKILL");
    expect(await answer.rest).toBe("length");
    // The output closes when the last process that holds it has ended.
    await server.ended;
    expect(server.output()).toMatch(/the supervisor is gone.*stopped"\}$/s);
  });
});

describe("wrong starts end at once, with the server's own message and code", () => {
  it("a port in use", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as { port: number };
    const { code, stdout, stderr } = await runCommand(["serve", "--supervise", "--port", String(port)], {
      cwd: testFolder(),
    });
    holder.close();
    expect(code).toBe(1);
    expect(stderr).toBe(
      `gguf-experts: Port ${port} on 127.0.0.1 is already in use by another program; stop it, or choose another with --port or server_config.port.\n`,
    );
    expect(stdout).toBe("");
  });

  it("a configuration with a mistake", async () => {
    const file = path.join(testFolder(), "config.json");
    writeFileSync(file, JSON.stringify({ experts: [{ expert_id: "a", model_path: "x.gguf", priority: 9 }] }));
    const { code, stderr } = await runCommand(["serve", "--supervise", "--config", file]);
    expect(code).toBe(1);
    expect(stderr.match(/priority/g)).toHaveLength(1);
  });

  it("an argument that is not known", async () => {
    const { code, stderr } = await runCommand(["serve", "--supervise", "--colour"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--colour.*\nUsage: serve \[--supervise\]/s);
  });
});
