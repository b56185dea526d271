// The `download` command, called as main.ts calls it, against a local server and a manifest of small files.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { download, type DownloadParts } from "../../src/commands/download.ts";
import { ProgressReporter } from "../../src/commands/download-progress.ts";
import type { Clock } from "../../src/core/clock.ts";
import { systemRuntime } from "../../src/experts/download.ts";
import { ggufBytes, serve, sha256, startServer, type FileServer } from "./file-server.ts";
import { writeManifest } from "./small-manifest.ts";

const files: Readonly<Record<string, Buffer>> = {
  "/org/alpha-q4_0.gguf": ggufBytes(5_000, 1),
  "/org/alpha-q4_k_m.gguf": ggufBytes(6_000, 2),
  "/org/beta.gguf": ggufBytes(7_000, 3),
  "/org/beta-mmproj.gguf": ggufBytes(2_000, 4),
  "/org/extra.gguf": ggufBytes(3_000, 5),
};

let folder: string;
let models: string;
let manifest: string;
let server: FileServer;
let output: string;
let progress: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "download command "));
  models = join(folder, "models");
  manifest = join(folder, "manifest.json");
  server = await startServer((request, response) => {
    const file = files[(request.url ?? "").replace(/^\/mirror/, "")];
    if (file === undefined) response.writeHead(404).end("Entry not found");
    else serve(file)(request, response);
  });
  await writeManifest(manifest, server.origin, files);
});

afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function run(args: readonly string[], changes: Partial<DownloadParts> = {}): Promise<number> {
  output = "";
  progress = "";
  return download([...args, "--manifest", manifest, "--dir", models], {
    output: { write: (text) => (output += text) },
    progress: { write: (text) => (progress += text) },
    environment: {},
    cpu: { architecture: "x86-64", features: [] },
    runtime: { ...systemRuntime, sleep: () => Promise.resolve() },
    ...changes,
  });
}

async function expectFile(name: string, source: string): Promise<void> {
  expect(sha256(await readFile(join(models, name)))).toBe(sha256(files[source] ?? Buffer.alloc(0)));
}

describe("what is fetched", () => {
  it("is every default entry's model without arguments, in this CPU's quantisation", async () => {
    expect(await run([])).toBe(0);
    await expectFile("alpha.gguf", "/org/alpha-q4_k_m.gguf");
    await expectFile("beta.gguf", "/org/beta.gguf");
    expect(existsSync(join(models, "beta.mmproj.gguf"))).toBe(false);
    expect(existsSync(join(models, "extra.gguf"))).toBe(false);
    expect(progress).toContain("2 files: 2 fetched, 0 already here\n");
    expect(progress).toContain("alpha: licence MIT, https://example.org/licence\n");
    expect(progress).toContain("beta: licence NC, https://example.org/licence. Non-commercial use only.\n");
    expect(output).toBe("");
  });

  it("has the same name in the quantisation of another CPU", async () => {
    expect(await run(["alpha"], { cpu: { architecture: "arm64", features: ["asimddp"] } })).toBe(0);
    await expectFile("alpha.gguf", "/org/alpha-q4_0.gguf");
  });

  it("is what is named, once", async () => {
    expect(await run(["extra", "alpha", "extra"])).toBe(0);
    expect(server.seen.map(({ url }) => url)).toEqual(["/org/extra.gguf", "/org/alpha-q4_k_m.gguf"]);
  });

  it("leaves a named entry's image projector too", async () => {
    expect(await run(["beta"])).toBe(0);
    expect(server.seen.map(({ url }) => url)).toEqual(["/org/beta.gguf"]);
  });

  it("is every file of every entry with --all", async () => {
    expect(await run(["--all"])).toBe(1);
    await expectFile("beta.mmproj.gguf", "/org/beta-mmproj.gguf");
    expect(progress).toContain("5 files: 4 fetched, 0 already here, 1 failed: missing_at_source\n");
    expect((await readdir(models)).filter((name) => name.endsWith(".gguf"))).toHaveLength(4);
  });

  it("is the quantisation that is asked for, in place of another that is here", async () => {
    await run(["alpha"]);
    expect(await run(["alpha", "--quant", "q4_0"])).toBe(0);
    expect(progress).toContain("is Q4_K_M, not Q4_0; it will be replaced");
    await expectFile("alpha.gguf", "/org/alpha-q4_0.gguf");
    // Without asking, what is here does.
    expect(await run(["alpha"])).toBe(0);
    expect(progress).toContain("is here (Q4_0, SHA-256 as in the manifest)");
    expect(server.seen).toHaveLength(2);
  });

  it("comes from a mirror by option or environment, and the token is not for the mirror", async () => {
    const environment = { HF_TOKEN: "secret", GGUF_EXPERTS_MODEL_BASE_URL: "http://127.0.0.1:1/" };
    expect(await run(["alpha", "--base-url", `${server.origin}/mirror/`], { environment })).toBe(0);
    expect(server.seen[0]).toMatchObject({ url: "/mirror/org/alpha-q4_k_m.gguf", authorization: undefined });
    environment.GGUF_EXPERTS_MODEL_BASE_URL = `${server.origin}/mirror`;
    expect(await run(["extra"], { environment })).toBe(0);
    expect(server.seen[1]?.url).toBe("/mirror/org/extra.gguf");
  });

  it("is asked for with HF_TOKEN at the manifest's own host", async () => {
    expect(await run(["extra"], { environment: { HF_TOKEN: "secret" } })).toBe(0);
    expect(server.seen[0]?.authorization).toBe("Bearer secret");
  });
});

describe("what is here already", () => {
  it("is neither fetched nor hashed again", async () => {
    await run([]);
    const requests = server.seen.length;
    expect(await run([])).toBe(0);
    expect(server.seen).toHaveLength(requests);
    expect(progress).not.toContain("verifying");
    expect(progress).toContain("2 files: 0 fetched, 2 already here\n");
  });

  it("is hashed again with --verify, and replaced when it is damaged behind an unchanged size and time", async () => {
    await run(["alpha"]);
    expect(await run(["alpha", "--verify"])).toBe(0);
    expect(progress).toContain("verifying");
    expect(server.seen).toHaveLength(1);

    const path = join(models, "alpha.gguf");
    const record = JSON.parse(await readFile(`${path}.verified.json`, "utf8")) as { mtime_ms: number };
    const damaged = await readFile(path);
    damaged[1000] = (damaged[1000] ?? 0) ^ 1;
    await writeFile(path, damaged);
    const timeS = 1_700_000_000;
    await utimes(path, timeS, timeS);
    record.mtime_ms = timeS * 1000;
    await writeFile(`${path}.verified.json`, JSON.stringify(record));
    expect(await run(["alpha"])).toBe(0);
    expect(server.seen).toHaveLength(1);
    expect(await run(["alpha", "--verify"])).toBe(0);
    expect(progress).toContain("is damaged: SHA-256 expected");
    await expectFile("alpha.gguf", "/org/alpha-q4_k_m.gguf");
  });

  it("is recognised by its hash when somebody else brought it", async () => {
    await mkdir(models);
    await writeFile(join(models, "alpha.gguf"), files["/org/alpha-q4_0.gguf"] ?? "");
    expect(await run(["alpha"])).toBe(0);
    expect(progress).toContain("is here (Q4_0, SHA-256 as in the manifest)");
    expect(server.seen).toHaveLength(0);
  });

  it("is kept when the manifest does not know it, until --force", async () => {
    await mkdir(models);
    await writeFile(join(models, "alpha.gguf"), ggufBytes(4_000, 9));
    expect(await run(["alpha", "--quant", "Q4_0"])).toBe(0);
    expect(progress).toContain("is none of the manifest's files; kept as it is (--force replaces it)");
    expect(server.seen).toHaveLength(0);
    expect(await run(["alpha", "--force"])).toBe(0);
    await expectFile("alpha.gguf", "/org/alpha-q4_k_m.gguf");
  });

  it("is replaced when it is no GGUF file, or when the manifest names a newer one", async () => {
    await mkdir(models);
    await writeFile(join(models, "alpha.gguf"), "<html>");
    expect(await run(["alpha"])).toBe(0);
    expect(progress).toContain("is no GGUF file; it will be replaced");
    await expectFile("alpha.gguf", "/org/alpha-q4_k_m.gguf");

    const newer = { ...files, "/org/alpha-q4_k_m.gguf": ggufBytes(6_000, 22) };
    await writeManifest(manifest, server.origin, newer);
    expect(await run(["alpha"])).toBe(1);
    expect(progress).toContain("is not what the manifest names now; it will be replaced");
    expect(progress).toContain("SHA-256 expected");
    await expectFile("alpha.gguf", "/org/alpha-q4_k_m.gguf");
  });
});

describe("failures", () => {
  it("of one file let the others come, and the exit code is 1", async () => {
    await mkdir(join(models, "beta.gguf"), { recursive: true });
    expect(await run(["missing_at_source", "beta", "alpha"])).toBe(1);
    expect(progress).toContain("missing_at_source: failed: ");
    expect(progress).toContain('/org/nowhere.gguf: there is no such file (HTTP 404, "Entry not found")\n');
    expect(progress).toContain("missing_at_source: this model needs HF_TOKEN");
    expect(progress).toContain("beta: failed: EISDIR");
    expect(progress).toContain("3 files: 1 fetched, 0 already here, 2 failed: beta, missing_at_source\n");
    expect(progress).not.toMatch(/\n +at /);
    await expectFile("alpha.gguf", "/org/alpha-q4_k_m.gguf");
  });

  it("by lack of space come before the first byte", async () => {
    const freeBytes = (where: string) => Promise.resolve(where === folder ? 256 * 2 ** 20 + 12_000 : Infinity);
    expect(await run(["alpha", "beta"], { runtime: { ...systemRuntime, freeBytes } })).toBe(1);
    expect(progress).toContain("Not enough space in ");
    expect(progress).toContain("needed for alpha, beta (");
    expect(server.seen).toHaveLength(0);
  });

  it("to reach a host are waited for once, and files of other hosts still come", async () => {
    const gone = await startServer(serve(ggufBytes(100)));
    await gone.close();
    await writeManifest(manifest, gone.origin, files);
    const text = await readFile(manifest, "utf8");
    await writeFile(manifest, text.replace(`${gone.origin}/org/beta.gguf`, `${server.origin}/org/beta.gguf`));
    let waits = 0;
    const sleep = () => Promise.resolve(void (waits += 1));
    expect(await run(["alpha", "extra", "beta"], { runtime: { ...systemRuntime, sleep } })).toBe(1);
    expect(waits).toBe(5);
    const { host } = new URL(gone.origin);
    expect(progress).toMatch(/^alpha: failed: .*gave up after 6 attempts: .*ECONNREFUSED/m);
    expect(progress).toContain(`extra: failed: ${gone.origin}/org/extra.gguf: not tried, ${host} cannot be reached\n`);
    expect(progress).toContain("3 files: 1 fetched, 0 already here, 2 failed: alpha, extra\n");
    await expectFile("beta.gguf", "/org/beta.gguf");
  });

  it("on Ctrl-C say how to go on", async () => {
    const interruptAtFirstRequest = startServer(() => process.emit("SIGINT"));
    const quiet = await interruptAtFirstRequest;
    expect(await run(["alpha", "--base-url", quiet.origin])).toBe(1);
    expect(progress).toContain("Interrupted. What has arrived is kept");
    expect(process.listenerCount("SIGINT")).toBe(0);
    await quiet.close();
  });

  it.each([
    [["nobody"], '"nobody" is no entry of the manifest. Known: alpha, beta, extra, missing_at_source'],
    [["alpha", "--quant", "Q9"], "alpha is not there as Q9. Known: Q4_0, Q4_K_M"],
    [["--all", "alpha"], "--all fetches every entry"],
    [["--base-url", "ftp://x"], 'the base URL must be an http or https URL, got "ftp://x"'],
    [["--colour"], "--colour"],
  ])("of the arguments %j are exit code 2", async (args, message) => {
    expect(await run(args)).toBe(2);
    expect(progress).toContain(message);
    expect(server.seen).toHaveLength(0);
  });

  it("of the manifest are exit code 1 and one line", async () => {
    await writeFile(manifest, "{");
    expect(await run([])).toBe(1);
    expect(progress).toMatch(/^download: The manifest .* is not JSON: .*\n$/);
  });
});

describe("--list and --help", () => {
  it("show what there is, and fetch nothing", async () => {
    await run(["alpha"]);
    expect(await run(["--list"], { cpu: { architecture: "arm64", features: ["i8mm"] } })).toBe(0);
    const lines = output.trimEnd().split("\n");
    expect(lines).toHaveLength(6);
    expect(lines[1]).toMatch(/^alpha +Alpha 1B +Q4_0 +4\.9 KiB +MIT +here, 5\.9 KiB Q4_K_M +.*alpha\.gguf$/);
    expect(lines[3]).toMatch(/^beta \(mmproj\) +Beta +F16 +size unknown +NC +missing +/);
    expect(server.seen).toHaveLength(1);
    expect(await run(["--help"])).toBe(0);
    expect(output).toMatch(/^Usage: download /);
  });
});

describe("progress", () => {
  let nowMs: number;
  const clock: Clock = { nowMs: () => nowMs, epochMs: () => nowMs, setTimer: () => () => undefined };
  const at = (
    reporter: ProgressReporter,
    timeMs: number,
    receivedBytes: number,
    totalBytes: number | null = 10_240,
  ) => {
    nowMs = timeMs;
    reporter.update({ receivedBytes, totalBytes, bytesPerSecond: 1024 });
  };

  it("is a line for each 10 % in a log, at most every 5 s, at least every 30 s", () => {
    nowMs = 0;
    let text = "";
    const reporter = new ProgressReporter({ write: (more) => (text += more) }, clock, "x");
    at(reporter, 1_000, 2_048);
    at(reporter, 5_000, 3_072);
    at(reporter, 11_000, 3_100);
    at(reporter, 16_000, 4_096);
    at(reporter, 45_000, 4_200);
    at(reporter, 46_000, 4_300);
    expect(text).toBe(
      "x: 30 %, 3.0 KiB of 10.0 KiB, 1.0 KiB/s, 7 s left\n" +
        "x: 40 %, 4.0 KiB of 10.0 KiB, 1.0 KiB/s, 6 s left\n" +
        "x: 41 %, 4.2 KiB of 10.0 KiB, 1.0 KiB/s, 6 s left\n",
    );
  });

  it("is one bar on a terminal, redrawn ten times a second, cut to its width, gone at the end", () => {
    nowMs = 0;
    const writes: string[] = [];
    const terminal = { isTTY: true, columns: 40, write: (more: string) => writes.push(more) };
    const reporter = new ProgressReporter(terminal, clock, "x");
    at(reporter, 10, 5_120);
    at(reporter, 60, 6_000);
    at(reporter, 130, 6_144, null);
    reporter.note("done");
    expect(writes).toEqual([
      "\r\u001b[Kx [############............] 50 %, 5.0 ",
      "\r\u001b[Kx 6.0 KiB, 1.0 KiB/s",
      "\r\u001b[K",
      "x: done\n",
    ]);
  });
});
