// The supervisor as a process of its own, over a worker that needs no models: what it holds, whom it suspects, when it ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ConfigurationInForce } from "../../src/supervisor/messages.ts";
import { repositoryRoot, type RunningServer, watch } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";

interface Answer {
  readonly pid: number;
  readonly client: number;
  readonly arenas: string;
  readonly quarantined: readonly (readonly [string, string])[];
  readonly former: ConfigurationInForce | null;
}

const fixture = fileURLToPath(new URL("fixture.ts", import.meta.url));
let server: RunningServer;
let brokenFile: string;

beforeEach(async () => {
  brokenFile = path.join(testFolder(), "broken");
  const child = spawn(process.execPath, ["--import", "tsx", fixture], {
    cwd: repositoryRoot,
    env: { ...process.env, FIXTURE_BROKEN_FILE: brokenFile },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const watched = watch(child);
  const [, baseUrl = ""] = /listening on (http:\S+)/.exec(await watched.line(/listening on http/)) ?? [];
  server = { ...watched, baseUrl };
});

afterEach(async () => {
  await server.stop();
});

/** Over a connection of its own unless an agent keeps one; rejects when it breaks off. */
async function ask(route: string, agent: Agent | false = false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(server.baseUrl + route, { agent }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve(JSON.parse(text) as Answer));
      response.on("error", reject);
    }).on("error", reject);
  });
}

/** The worker ends while it does what the query says. */
async function die(query: string): Promise<void> {
  await expect(ask(`/die?${query}`)).rejects.toThrow(/socket hang up|ECONNRESET/);
}

/** As ask, and resolves once the client is connected; the answer comes later. */
async function connectAndAsk(): Promise<{ readonly socket: Socket; readonly answer: Promise<string> }> {
  const { hostname, port } = new URL(server.baseUrl);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write("GET / HTTP/1.1\r\nhost: fixture\r\nconnection: close\r\n\r\n");
  let text = "";
  socket.setEncoding("utf8").on("data", (part: string) => (text += part));
  const answer = once(socket, "close").then(() => text);
  answer.catch(() => {});
  return { socket, answer };
}

const pidIn = (answer: string) => (JSON.parse(answer.slice(answer.indexOf("{"))) as Answer).pid;

describe("connections", () => {
  it("reach the worker with their client's address, and stay there", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const first = await ask("/", agent);
    const [socket] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
    expect(first.client).toBe(socket?.localPort);
    expect(await ask("/", agent)).toEqual(first);
    expect(first.arenas).toBe(process.env["MALLOC_ARENA_MAX"] ?? "1");
    agent.destroy();
  });

  it("made while no worker lives, or while a dying one does not take them, are answered by the next", async () => {
    const { pid } = await ask("/");
    process.kill(pid, "SIGSTOP");
    const before = await Promise.all(Array.from({ length: 50 }, connectAndAsk));
    process.kill(pid, "SIGKILL");
    const after = await Promise.all(Array.from({ length: 50 }, connectAndAsk));
    const pids = await Promise.all([...before, ...after].map(async ({ answer }) => pidIn(await answer)));
    expect(new Set(pids).size).toBe(1);
    expect(pids[0]).not.toBe(pid);
  });

  it("wait while the worker is stopped, and are answered when it goes on", async () => {
    const { pid } = await ask("/");
    process.kill(pid, "SIGSTOP");
    const { answer } = await connectAndAsk();
    process.kill(pid, "SIGCONT");
    expect(pidIn(await answer)).toBe(pid);
    expect(server.output()).not.toMatch(/was ended/);
  });

  it("beyond 1024 that wait get 503; those are served in the end", async () => {
    const { pid } = await ask("/");
    process.kill(pid, "SIGSTOP");
    const waiting = [];
    for (let index = 0; index < 1024; index++) waiting.push(await connectAndAsk());
    const refused = await connectAndAsk();
    expect(await refused.answer).toMatch(/^HTTP\/1\.1 503 .*\r\nretry-after: 2\r\n.*"code":"restarting"/s);
    process.kill(pid, "SIGCONT");
    const pids = await Promise.all(waiting.map(async ({ answer }) => pidIn(await answer)));
    expect(new Set(pids)).toEqual(new Set([pid]));
  });
});

describe("a model that ends the process", () => {
  it("is known from what was reported at the last instruction, and quarantined at the second kill", async () => {
    await die("signal=SIGSEGV&loading=bad&generating=good");
    expect((await ask("/")).quarantined).toEqual([]);
    await die("signal=SIGKILL&generating=good");
    expect((await ask("/")).quarantined).toEqual([]);
    await die("signal=SIGABRT&loading=bad");
    expect((await ask("/")).quarantined).toEqual([
      ["bad", "the process was ended twice: by SIGSEGV while it was loading, then by SIGABRT while it was loading"],
    ]);
    expect(server.output()).toMatch(/"level":"error".*"modelId":"bad".*bad is quarantined: .*; the others serve/);
  });

  it("is free again once an operator has lifted it, with its count at 0", async () => {
    for (let kill = 0; kill < 2; kill++) await die("signal=SIGSEGV&generating=bad");
    expect((await ask("/lift?id=bad")).quarantined).toHaveLength(1);
    await die("signal=SIGSEGV&generating=bad");
    expect((await ask("/")).quarantined).toEqual([]);
    await die("signal=SIGSEGV&generating=bad");
    expect((await ask("/")).quarantined).toEqual([
      ["bad", "the process was ended by SIGSEGV twice while it was generating"],
    ]);
  });

  it("an exit with a code counts as a death too", async () => {
    const { pid } = await ask("/");
    await expect(ask("/exit?code=7")).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect((await ask("/")).pid).not.toBe(pid);
    expect(server.output()).toMatch(/the worker was ended by an exit with code 7"/);
  });
});

describe("the configuration in force", () => {
  it("comes to the next worker as the one before it reported it last, and to the one after that", async () => {
    expect((await ask("/configure?name=before&repeat=1")).former).toBeNull();
    await ask("/configure?name=secret&repeat=10000");
    // Too large to be kept: the one before stays.
    await ask("/configure?name=vast&repeat=100000");
    const reported = { configuration: "secret".repeat(10_000), readAtMs: 7 };
    await die("signal=SIGKILL");
    expect((await ask("/")).former).toEqual(reported);
    await die("signal=SIGKILL");
    const { pid, former } = await ask("/");
    expect(former).toEqual(reported);
    expect(readFileSync(`/proc/${pid}/environ`, "latin1")).not.toContain("secret");
    expect(server.output()).not.toContain("secret");
  });

  it("is none for a worker after one that reported none", async () => {
    await die("signal=SIGKILL");
    expect((await ask("/")).former).toBeNull();
  });
});

describe("a crash loop", () => {
  it("ends with one clear line and code 1, and whoever waits is let go", async () => {
    writeFileSync(brokenFile, "");
    await die("signal=SIGSEGV");
    const { answer } = await connectAndAsk();
    expect(await server.ended).toBe(1);
    expect(server.output()).toMatch(
      /"msg":"no further worker is started: it ended 3 times in a row before it could serve"\}$/,
    );
    await answer.catch(() => {});
  });
});
