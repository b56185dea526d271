// The configuration in force survives the worker that read it: the built program, whose file breaks or goes away while it
// runs, and whose worker is then killed.
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { repositoryRoot, type RunningServer, startServer } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";

const apiKey = "key-that-nobody-may-print";
let folder: string;
let server: RunningServer;

/** Writes config.json with these experts. Its port is never listened on: the command line names another. */
async function put(...ids: readonly string[]): Promise<void> {
  const model = await tinyModel("tiny-llama");
  const experts = ids.map((expert_id) => ({ expert_id, model_path: model, max_model_len: 512 }));
  putText(JSON.stringify({ experts, server_config: { port: 9, api_keys: [apiKey] } }));
}

function putText(text: string): void {
  writeFileSync(path.join(folder, "config.json"), text);
}

async function start(...args: readonly string[]): Promise<void> {
  server = await startServer({ args: ["--supervise", ...args], cwd: folder });
}

async function fetchFromServer(route: string, init: RequestInit = {}): Promise<Response> {
  const headers = { "x-api-key": apiKey, connection: "close" };
  return fetch(server.baseUrl + route, { ...init, headers });
}

async function servedExperts(): Promise<readonly string[]> {
  const response = await fetchFromServer("/experts");
  expect(response.status).toBe(200);
  const { experts } = (await response.json()) as { experts: readonly { expert_id: string }[] };
  return experts.map(({ expert_id }) => expert_id);
}

async function sighup(outcome: RegExp, nth = 1): Promise<void> {
  server.process.kill("SIGHUP");
  await server.line(outcome, nth);
}

/** Kills the nth worker; the next one serves. */
async function killWorker(nth: number): Promise<void> {
  const serving = /the worker serves|a new worker serves/;
  const { pid } = JSON.parse(await server.line(serving, nth)) as { pid: number };
  process.kill(pid, "SIGKILL");
  await server.line(serving, nth + 1);
}

const kept = /"level":"error".*the configuration cannot be used: that of \S+Z stays in force/;

describe("a worker that replaces another", () => {
  beforeEach(async () => {
    folder = testFolder();
    await put("alpha");
  });
  afterEach(async () => {
    await server.stop();
  });

  it("serves by the old configuration where the file is broken, says so, and reads the file once it is right", async () => {
    await start("--config", "config.json");
    const broken = { expert_id: "alpha", model_path: "x", priority: 9 };
    putText(JSON.stringify({ experts: [broken], routing_threshold: 7, server_config: { api_keys: [`${apiKey} `] } }));
    await sighup(/the configuration was not reloaded/);
    await killWorker(1);
    expect(await servedExperts()).toEqual(["alpha"]);
    const lines = server.output().split("\n");
    const said = lines.slice(lines.findIndex((line) => line.includes("the worker was ended"))).join("\n");
    expect(said).toMatch(/"level":"error".*config\.json: experts\[0\]\.priority/);
    expect(said).toMatch(/"level":"error".*config\.json: routing_threshold/);
    expect(said).toMatch(/"level":"error".*config\.json: server_config\.api_keys/);
    expect(said).toMatch(kept);

    // The third worker has it from the second, which has read no file; its time is still that of the first.
    await killWorker(2);
    expect(await servedExperts()).toEqual(["alpha"]);
    const times = server.output().match(/that of \S+Z/g) ?? [];
    expect(times).toHaveLength(2);
    expect(new Set(times).size).toBe(1);

    await put("alpha", "beta");
    await sighup(/configuration reloaded/);
    expect(await servedExperts()).toEqual(["alpha", "beta"]);
    // The command line's port wins over the file's in the last worker as in the first.
    expect(server.output()).not.toMatch(/still listening on|this changes with a restart alone/);
    expect(server.output()).not.toContain(apiKey);
  });

  it.each([
    {
      by: "SIGHUP",
      // The second begins when the first has ended and its outcome is reported; a request would be a cause to report too.
      reload: async () => {
        for (const nth of [1, 2]) await sighup(/configuration reloaded/, nth);
      },
    },
    {
      by: "POST /admin/reload",
      reload: async () => {
        expect((await fetchFromServer("/admin/reload", { method: "POST" })).status).toBe(200);
      },
    },
  ])("serves by what a reload by $by has put in force", async ({ reload }) => {
    await start("--config", "config.json");
    await put("beta", "gamma");
    await reload();
    putText("{");
    await killWorker(1);
    expect(await servedExperts()).toEqual(["beta", "gamma"]);
    expect(server.output()).toMatch(kept);
  });

  it.each([
    { found: "by --config", args: ["--config", "config.json"] },
    { found: "in the working directory, in whose place a first start takes the built-in file", args: [] },
  ])("does so where the file is gone that was found $found", async ({ args }) => {
    await start(...args);
    rmSync(path.join(folder, "config.json"));
    await killWorker(1);
    expect(await servedExperts()).toEqual(["alpha"]);
    expect(server.output()).toMatch(/"level":"error".*config\.json: does not exist/);
    expect(server.output()).toMatch(kept);
  });

  it("reads a file that is right", async () => {
    await start("--config", "config.json");
    await put("beta");
    await killWorker(1);
    expect(await servedExperts()).toEqual(["beta"]);
    expect(server.output()).not.toMatch(kept);
  });
});

describe("what a worker leaves to the next", () => {
  it.each(["config.demo.json", "config.five_models_with_aya.json"])(
    "is the same after its way as JSON: %s",
    async (name) => {
      const configPath = path.join(repositoryRoot, "config", name);
      const config = await loadConfig({ configPath, env: {}, workingDirectory: testFolder() });
      expect(JSON.parse(JSON.stringify(config))).toStrictEqual(config);
    },
  );
});
