// The configuration is read again while the server runs: the built program, the real engine, tiny models, real signals. No
// request may be dropped, whatever the new file says.
import { once } from "node:events";
import { copyFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, startServer } from "../support/server-process.ts";
import { fileFolder, testFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";

interface Report {
  readonly source: { readonly path: string; readonly resolved_path: string };
  readonly summary: string;
  readonly experts: number;
  readonly experts_before: number;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly settings: readonly string[];
  readonly warnings: readonly string[];
  readonly restart_needed: readonly string[];
  readonly error?: { readonly message: string; readonly code: string };
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** Ended as a whole answer ends. */
  readonly complete: boolean;
}

const folder = fileFolder();
const at = (name: string) => path.join(folder(), name);

/** Writes a configuration below the test's folder. */
function put(name: string, config: unknown): string {
  writeFileSync(at(name), typeof config === "string" ? config : JSON.stringify(config));
  return at(name);
}

/** As `ln -sfn` does it: there is no moment without a link. */
function link(target: string, name = "config.json"): void {
  symlinkSync(target, at(`${name}.new`));
  renameSync(at(`${name}.new`), at(name));
}

class Client {
  readonly server: RunningServer;
  readonly #key: string;

  constructor(server: RunningServer, key = "none") {
    this.server = server;
    this.#key = key;
  }

  fetch(route: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("x-api-key", this.#key);
    return fetch(this.server.baseUrl + route, { ...init, headers });
  }

  async get<T>(route: string): Promise<T> {
    return (await (await this.fetch(route)).json()) as T;
  }

  async reload(): Promise<{ readonly status: number; readonly report: Report }> {
    const response = await this.fetch("/admin/reload", { method: "POST" });
    return { status: response.status, report: (await response.json()) as Report };
  }

  /** A stream, read to its end. `onStart` is called at its first text. */
  async ask(model: string, maxTokens: number, onStart: () => void = () => {}): Promise<Answer> {
    const response = await this.fetch("/v1/completions", {
      method: "POST",
      body: JSON.stringify({ model, prompt: "uno dos tres", max_tokens: maxTokens, temperature: 0, stream: true }),
    });
    let text = "";
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      if (text === "") onStart();
      text += decoder.decode(bytes as Uint8Array, { stream: true });
    }
    const complete = response.status === 200 && text.endsWith("data: [DONE]\n\n") && !text.includes('"error"');
    return { status: response.status, text, complete };
  }

  async status(): Promise<Record<string, string>> {
    const { experts } = await this.get<{ experts: { expert_id: string; status: string }[] }>("/experts");
    return Object.fromEntries(experts.map(({ expert_id, status }) => [expert_id, status]));
  }
}

/** Asks until it is so; each question is an answer of the server, so that it never spins faster than that. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo()));
}

async function sighup({ server }: Client): Promise<void> {
  const outcome = /configuration reloaded|configuration was not reloaded/g;
  const reloads = server.output().match(outcome)?.length ?? 0;
  server.process.kill("SIGHUP");
  await server.line(new RegExp(outcome.source), reloads + 1);
}

let llama: string;
let qwen: string;
let phi: string;
beforeAll(async () => {
  llama = await tinyModel("tiny-llama");
  qwen = await tinyModel("tiny-qwen2");
  phi = await tinyModel("tiny-phi3");
});

const expert = (expert_id: string, model_path: string, fields: object = {}) => ({
  expert_id,
  model_path,
  max_model_len: 2048,
  ...fields,
});

describe("a link that leads to another file", () => {
  let client: Client;

  beforeAll(async () => {
    put("before.json", { experts: [expert("alpha", llama, { parallel: 4 }), expert("beta", qwen)] });
    put("after.json", {
      experts: [expert("alpha", llama, { parallel: 4, max_model_len: 1024, aliases: ["first"] }), expert("gamma", phi)],
      default_model: "gamma",
    });
    link("before.json");
    client = new Client(await startServer({ cwd: folder() }));
  });
  afterAll(async () => {
    await client.server.stop();
  });

  it("is followed without dropping one request of 20 clients, over and over", async () => {
    // Experts of both files are asked for all the time: a request that came before a reload is served by the old file.
    type File = "before.json" | "after.json";
    const state = { running: true, file: "before.json" as File | "being read", served: 0 };
    const failures: string[] = [];
    const busy = async (model: string, files: readonly File[]) => {
      while (state.running) {
        const sent = state.file;
        const answer = await client.ask(model, 12);
        if (answer.complete) state.served += 1;
        else if (files.length === 2 || (sent !== "being read" && files.includes(sent)) || answer.status !== 404) {
          failures.push(`${model}, asked for with ${sent}: ${answer.status} ${answer.text}`);
        }
      }
    };
    const clients = [
      ...Array.from({ length: 10 }, () => busy("alpha", ["before.json", "after.json"])),
      ...Array.from({ length: 4 }, () => busy("auto", ["before.json", "after.json"])),
      ...Array.from({ length: 3 }, () => busy("beta", ["before.json"])),
      ...Array.from({ length: 3 }, () => busy("gamma", ["after.json"])),
    ];
    for (let round = 0; round < 4; round += 1) {
      const servedBefore = state.served;
      const file = round % 2 === 0 ? "after.json" : "before.json";
      await until(async () => {
        await client.get("/health/live");
        return state.served > servedBefore + 12;
      });
      link(file);
      state.file = "being read";
      const { status, report } = await client.reload();
      state.file = file;
      expect(status).toBe(200);
      expect(report).toMatchObject({
        source: { path: "config.json", resolved_path: at(file) },
        experts: 2,
        experts_before: 2,
        added: [round % 2 === 0 ? "gamma" : "beta"],
        changed: ["alpha"],
        removed: [round % 2 === 0 ? "beta" : "gamma"],
        settings: ["default_model"],
        restart_needed: [],
      });
    }
    state.running = false;
    await Promise.all(clients);
    expect(failures).toEqual([]);
    expect(state.served).toBeGreaterThan(48);
  });

  it("serves a request that was still being sent when its expert was removed; the expert may come back at once", async () => {
    const body = JSON.stringify({ model: "beta", prompt: "uno", max_tokens: 4 });
    const headers = { "content-length": String(Buffer.byteLength(body)), expect: "100-continue" };
    const sending = request(`${client.server.baseUrl}/v1/completions`, { method: "POST", headers });
    sending.flushHeaders();
    // The server has the request, and not its body.
    await once(sending, "continue");
    link("after.json");
    expect((await client.reload()).report.removed).toEqual(["beta"]);
    expect((await client.ask("beta", 4)).status).toBe(404);
    const answered = once(sending, "response") as Promise<[IncomingMessage]>;
    sending.end(body);
    const [response] = await answered;
    response.resume();
    expect(response.statusCode).toBe(200);
    link("before.json");
    expect((await client.reload()).report.added).toEqual(["beta"]);
    expect((await client.ask("beta", 4)).complete).toBe(true);
  });

  it("serves what runs and what waits for an expert that is removed, then lets it go", async () => {
    expect(await client.status()).toHaveProperty("beta");
    let ended = false;
    let started = () => {};
    const hasStarted = new Promise<void>((resolve) => (started = resolve));
    const long = client.ask("beta", 1900, started);
    void long.then(() => (ended = true));
    await hasStarted;
    const waiting = client.ask("beta", 8);
    await until(async () =>
      (await client.fetch("/metrics").then((response) => response.text())).includes(
        'gguf_experts_model_queue_depth{expert="beta"} 1',
      ),
    );
    link("after.json");
    await sighup(client);
    expect(ended).toBe(false);
    expect((await client.ask("beta", 8)).status).toBe(404);
    expect(await client.status()).not.toHaveProperty("beta");
    expect((await client.ask("gamma", 8)).complete).toBe(true);
    for (const answer of await Promise.all([long, waiting])) expect(answer).toMatchObject({ complete: true });
    await until(async () => !(await (await client.fetch("/metrics")).text()).includes('model_loaded{expert="beta"}'));
  });

  it("loads a changed expert anew, and knows it by its new names", async () => {
    const { choices, usage } = await (
      await client.fetch("/v1/completions", {
        method: "POST",
        body: JSON.stringify({ model: "First", prompt: "uno dos", max_tokens: 4000, temperature: 0 }),
      })
    )
      .json()
      .then((body) => body as { choices: { finish_reason: string }[]; usage: { total_tokens: number } });
    expect(choices[0]?.finish_reason).toBe("length");
    expect(usage.total_tokens).toBe(1024);
    expect(client.server.output()).toMatch(
      /configuration reloaded: 2 experts, as before: added gamma; changed alpha; removed beta/,
    );
  });

  it("has the same file read again by all who ask at once", async () => {
    const reports = await Promise.all(Array.from({ length: 12 }, () => client.reload()));
    for (const { status, report } of reports) {
      expect({ status, ...report }).toMatchObject({
        status: 200,
        summary: "2 experts, as before, none of them changed",
      });
    }
  });
});

describe("what a reload changes and what it leaves", () => {
  let client: Client;
  const file = () => at("own.json");
  const own = (experts: readonly object[], rest: object = {}) => put("own.json", { experts, ...rest });

  beforeAll(async () => {
    own([expert("alpha", llama)]);
    client = new Client(await startServer({ args: ["--config", file()], cwd: folder() }));
  });
  afterAll(async () => {
    await client.server.stop();
  });

  it("a broken file changes nothing, and every problem is named", async () => {
    await client.ask("alpha", 1);
    const before = await client.get("/stats").then((stats) => (stats as { lazy_loading: object }).lazy_loading);
    for (const [config, ...messages] of [
      ["{ experts: ", /line 1/],
      [
        { experts: [expert("beta", qwen, { priority: 9, keep: "x" })] },
        /experts\[0\]\.priority: 9/,
        /experts\[0\]\.keep: "x"/,
      ],
    ] as const) {
      put("own.json", config);
      const { status, report } = await client.reload();
      expect(status).toBe(400);
      expect(report.error?.code).toBe("invalid_configuration");
      for (const message of messages) expect(report.error?.message).toMatch(message);
    }
    rmSync(file());
    await sighup(client);
    expect(client.server.output()).toMatch(/own\.json: does not exist/);
    expect(await client.status()).toEqual({ alpha: "loaded" });
    expect(await client.get("/stats")).toMatchObject({ lazy_loading: before });
    expect((await client.ask("alpha", 4)).complete).toBe(true);
  });

  it("another file under the same name is loaded in its place", async () => {
    const model = at("model.gguf");
    copyFileSync(llama, model);
    own([expert("alpha", "model.gguf")]);
    await client.reload();
    const first = await client.ask("alpha", 16);
    copyFileSync(qwen, `${model}.new`);
    renameSync(`${model}.new`, model);
    const { report } = await client.reload();
    expect(report).toMatchObject({ changed: ["alpha"], summary: "1 expert, as before: changed alpha" });
    const second = await client.ask("alpha", 16);
    expect([first.complete, second.complete]).toEqual([true, true]);
    const { models } = await client.get<{ models: { file: { architecture: string } }[] }>("/debug/models");
    expect(models[0]?.file.architecture).toBe("qwen2");
    const events = JSON.stringify(await client.get("/admin/events"));
    expect(events).toMatch(/file_changed|reconfigured/);
  });

  it("an expert without its file is named, and serves when the file has come", async () => {
    own([expert("alpha", llama), expert("late", "late.gguf")]);
    const { report } = await client.reload();
    expect(report.warnings.join("\n")).toMatch(/late is missing: .*late\.gguf does not exist/);
    expect(await client.status()).toMatchObject({ late: "missing" });
    copyFileSync(phi, at("late.gguf"));
    expect((await client.reload()).report).toMatchObject({ changed: ["late"] });
    expect(await client.status()).toMatchObject({ late: "available" });
    expect((await client.ask("late", 2)).complete).toBe(true);
  });

  it("experts that are to be kept are loaded, by warm-up too, and all where loading is not lazy", async () => {
    own([expert("alpha", llama, { priority: 1 }), expert("beta", qwen, { keep: true }), expert("gamma", phi)]);
    await client.reload();
    await until(async () => (await client.status())["beta"] === "loaded");
    expect((await client.status())["gamma"]).toBe("available");
    expect((await client.fetch("/admin/experts/beta/unload", { method: "POST" })).status).toBe(409);
    own([expert("alpha", llama), expert("beta", qwen), expert("gamma", phi, { priority: 1 })], {
      lazy_loading: { warmup_pool_size: 1 },
    });
    await client.reload();
    await until(async () => (await client.status())["gamma"] === "loaded");
    own([expert("alpha", llama), expert("beta", qwen), expert("delta", phi, { max_model_len: 512 })], {
      lazy_loading: { enabled: false },
    });
    await client.reload();
    await until(async () => Object.values(await client.status()).every((status) => status === "loaded"));
  });

  it("limits, origins, keys and the level of the log hold for the next request", async () => {
    own([expert("alpha", llama)], {
      server_config: {
        max_body_size: "1KiB",
        cors_origins: ["https://example.org"],
        api_keys: ["secret-key"],
        log_level: "debug",
      },
    });
    const { report } = await client.reload();
    expect(report.settings).toEqual([
      "lazy_loading.enabled",
      "server_config.log_level",
      "server_config.api_keys",
      "server_config.cors_origins",
      "server_config.max_body_size",
    ]);
    expect((await client.fetch("/experts")).status).toBe(401);
    expect((await client.fetch("/admin/reload", { method: "POST" })).status).toBe(401);
    const holder = new Client(client.server, "secret-key");
    const large = await holder.fetch("/v1/completions", {
      method: "POST",
      body: JSON.stringify({ prompt: "a".repeat(2000) }),
    });
    expect(large.status).toBe(413);
    const shared = await holder.fetch("/experts", { headers: { origin: "https://example.org" } });
    expect(shared.headers.get("access-control-allow-origin")).toBe("https://example.org");
    expect(client.server.output()).toMatch(/"level":"debug".*request served/);
    expect(client.server.output()).not.toContain("secret-key");
    own([expert("alpha", llama)]);
    expect((await holder.reload()).status).toBe(200);
    expect((await client.fetch("/experts")).status).toBe(200);
  });

  it("host and port are left until a restart, and that is said; what the command line set is not spoken of", async () => {
    own([expert("alpha", llama)], { server_config: { host: "0.0.0.0", port: 1 } });
    const { report } = await client.reload();
    expect(report.restart_needed).toEqual([
      'server_config.host is "0.0.0.0", but the server goes on listening on "127.0.0.1": this changes with a restart alone',
    ]);
    expect((await client.ask("alpha", 2)).complete).toBe(true);
    own([expert("alpha", llama)]);
    expect((await client.reload()).report.restart_needed).toEqual([]);
  });
});

describe("the end after a reload", () => {
  it("comes after the new drain time, also for answers that began before", async () => {
    const cwd = testFolder();
    const config = path.join(cwd, "config.json");
    const experts = [expert("alpha", llama, { max_model_len: 16_384 })];
    writeFileSync(config, JSON.stringify({ experts, server_config: { drain_timeout_s: 600 } }));
    const client = new Client(await startServer({ cwd }));
    let started = () => {};
    const hasStarted = new Promise<void>((resolve) => (started = resolve));
    const answer = client.ask("alpha", 16_000, started);
    await hasStarted;
    writeFileSync(config, JSON.stringify({ experts, server_config: { drain_timeout_s: 0 } }));
    expect((await client.reload()).report.settings).toEqual(["server_config.drain_timeout_s"]);
    expect(await client.server.stop()).toBe(0);
    expect((await answer).text).toContain('"draining"');
  });
});

describe("the built-in configuration", () => {
  it("gives way to a config.json that has come, which nothing replaces when it is gone", async () => {
    const cwd = testFolder();
    const config = path.join(cwd, "config.json");
    const client = new Client(await startServer({ cwd }));
    try {
      expect(Object.keys(await client.status())).toHaveLength(5);
      writeFileSync(config, JSON.stringify({ experts: [expert("alpha", llama)] }));
      await sighup(client);
      expect(Object.keys(await client.status())).toEqual(["alpha"]);
      rmSync(config);
      const { status, report } = await client.reload();
      expect(status).toBe(400);
      expect(report.error?.message).toMatch(/config\.json: does not exist any more/);
      expect((await client.ask("alpha", 4)).complete).toBe(true);
    } finally {
      await client.server.stop();
    }
  });
});
