// download-model.sh end to end: the built program against a local server, from another folder, with spaces in paths.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ggufBytes, serve, serveBeginning, sha256, startServer, type FileServer } from "./file-server.ts";
import { writeManifest } from "./small-manifest.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const files: Readonly<Record<string, Buffer>> = {
  "/org/alpha-q4_0.gguf": ggufBytes(100_000, 1),
  "/org/alpha-q4_k_m.gguf": ggufBytes(100_000, 2),
  "/org/beta.gguf": ggufBytes(100_000, 3),
  "/org/beta-mmproj.gguf": ggufBytes(2_000, 4),
  "/org/extra.gguf": ggufBytes(3_000, 5),
};

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runScript(
  script: string,
  args: readonly string[],
  { cwd = tmpdir(), environment = process.env }: { cwd?: string; environment?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(script, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "download model "));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("against a server", () => {
  let server: FileServer;
  let models: string;
  let common: readonly string[];
  const script = join(root, "download-model.sh");

  beforeEach(async () => {
    if (!existsSync(join(root, "dist/main.js"))) throw new Error("dist/main.js is missing: run npm run build first");
    models = await mkdtemp(join(folder, "models "));
    server = await startServer((request, response) => {
      const file = files[request.url ?? ""];
      if (file === undefined) {
        response.writeHead(404).end("Entry not found");
      } else if (request.url === "/org/beta.gguf" && request.headers.range === undefined) {
        serveBeginning(file, 50_000)(request, response);
        response.write("", () => response.socket?.end());
      } else serve(file)(request, response);
    });
    const manifest = join(models, "manifest.json");
    await writeManifest(manifest, server.origin, files);
    common = ["--manifest", manifest, "--dir", models, "--quant", "Q4_K_M"];
  });
  afterEach(() => server.close());

  it("fetches several experts over a connection that drops, then becomes the command, where it was called", async () => {
    const command = ["--", "sh", "-c", 'pwd; printf "%s\\n" "$@"; exit 7', "sh", "two words", "--help"];
    const { code, stdout, stderr } = await runScript(script, ["alpha", "beta", ...common, ...command], { cwd: models });
    expect(stderr).toContain("2 files: 2 fetched, 0 already here\n");
    expect(stdout).toBe(`${models}\ntwo words\n--help\n`);
    expect(code).toBe(7);
    for (const [name, source] of [
      ["alpha.gguf", "/org/alpha-q4_k_m.gguf"],
      ["beta.gguf", "/org/beta.gguf"],
    ] as const)
      expect(sha256(await readFile(join(models, name)))).toBe(sha256(files[source]!));
    expect(server.seen.filter(({ url }) => url === "/org/beta.gguf")).toHaveLength(2);
  });

  it("does not run the command when a file is missing", async () => {
    const { code, stdout, stderr } = await runScript(script, [
      "missing_at_source",
      "extra",
      ...common,
      "--",
      "echo",
      "ran",
    ]);
    expect(stderr).toContain("2 files: 1 fetched, 0 already here, 1 failed: missing_at_source\n");
    expect(stdout).toBe("");
    expect(code).toBe(1);
  });

  it("answers wrong arguments with 2 and a good download without a command with 0", async () => {
    expect(await runScript(script, ["nobody", ...common, "--", "echo", "ran"])).toMatchObject({ code: 2, stdout: "" });
    expect(await runScript(script, ["extra", ...common])).toMatchObject({ code: 0, stdout: "" });
    expect(await runScript(script, ["extra", ...common, "--"])).toMatchObject({ code: 0, stdout: "" });
  });

  it("works through a symbolic link", async () => {
    const link = join(models, "fetch models");
    await symlink(script, link);
    expect(await runScript(link, ["extra", ...common])).toMatchObject({ code: 0 });
  });
});

describe("where a build may be older than the source", () => {
  let checkout: string;
  const program = (said: string) => `console.log(${JSON.stringify(said)});`;
  const run = () => runScript(join(checkout, "download-model.sh"), ["phi4_fast"]);

  async function install(compiler: string): Promise<void> {
    await mkdir(join(checkout, "node_modules/.bin"), { recursive: true });
    const path = join(checkout, "node_modules/.bin/tsc");
    await writeFile(path, `#!/bin/sh\n${compiler}\n`);
    await chmod(path, 0o755);
  }

  beforeEach(async () => {
    checkout = await mkdtemp(join(folder, "an updated checkout "));
    await copyFile(join(root, "download-model.sh"), join(checkout, "download-model.sh"));
    await mkdir(join(checkout, "dist"));
    await writeFile(join(checkout, "dist/main.js"), program("old"));
  });

  it("builds first, and keeps the compiler's words off stdout", async () => {
    await install(`echo compiling; echo '${program("new")}' > dist/main.js`);
    await mkdir(join(checkout, "node_modules/@types/node"), { recursive: true });
    expect(await run()).toEqual({ code: 0, stdout: "new\n", stderr: "compiling\n" });
  });

  it("runs nothing when the build fails", async () => {
    await install("exit 2");
    await mkdir(join(checkout, "node_modules/@types/node"), { recursive: true });
    expect(await run()).toEqual({
      code: 1,
      stdout: "",
      stderr: "download-model.sh: the build failed; see above.\n",
    });
  });

  it("takes dist as it is without the development dependencies", async () => {
    await install("exit 2");
    expect(await run()).toEqual({ code: 0, stdout: "old\n", stderr: "" });
  });
});

describe("before anything is built", () => {
  let checkout: string;
  let script: string;

  beforeAll(async () => {
    checkout = join(folder, "a fresh checkout");
    script = join(checkout, "download-model.sh");
    await mkdir(checkout);
    await copyFile(join(root, "download-model.sh"), script);
  });

  it("explains itself", async () => {
    const { code, stdout } = await runScript(script, ["phi4_fast", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: \.\/download-model\.sh \[EXPERT…\]/);
  });

  it("says to run npm ci where the compiler is missing", async () => {
    const { code, stderr } = await runScript(script, ["phi4_fast", "--", "echo", "ran"]);
    expect(stderr).toBe(
      `download-model.sh: not built yet, and the compiler is not there: run 'npm ci' in ${checkout} first.\n`,
    );
    expect(code).toBe(1);
  });

  it("says which program it lacks", async () => {
    const bin = join(folder, "bin without node");
    await mkdir(bin);
    for (const name of ["bash", "cat", "dirname", "readlink"]) {
      const where = ["/bin", "/usr/bin"].map((place) => join(place, name)).find((path) => existsSync(path));
      await symlink(where ?? name, join(bin, name));
    }
    const { code, stderr } = await runScript(script, [], { environment: { PATH: bin } });
    expect(stderr).toBe("download-model.sh: node was not found; install Node 20.19 or later.\n");
    expect(code).toBe(1);
  });
});
