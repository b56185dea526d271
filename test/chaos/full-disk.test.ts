// A disk that is full, and a log that nobody takes: the server serves on.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { repositoryRoot } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { tinyModel } from "../support/tiny-models.ts";
import { ask, expectCalm } from "./clients.ts";
import { serve, writeConfig } from "./servers.ts";

/** A file system of 64 KiB without a free byte; null where none can be mounted. */
function fullDisk(): string | null {
  const folder = path.join(testFolder(), "full");
  mkdirSync(folder);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], { stdio: "ignore" });
  } catch {
    return null;
  }
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", folder]);
  });
  try {
    writeFileSync(path.join(folder, "filler"), Buffer.alloc(2 ** 20));
  } catch {
    // It took what it could.
  }
  return folder;
}

async function config(): Promise<object> {
  const paths = { one: await tinyModel("tiny-llama"), two: await tinyModel("tiny-qwen2") };
  return {
    experts: Object.entries(paths).map(([expert_id, model_path]) => ({ expert_id, model_path, max_model_len: 512 })),
    lazy_loading: { max_loaded_experts: 1 },
  };
}

/** Asks four times, each time for the model that is not in memory. */
async function outcomes(baseUrl: string): Promise<(number | string)[]> {
  const list: (number | string)[] = [];
  for (const model of ["one", "two", "one", "two"]) {
    const { status, error } = await ask(baseUrl, { model, prompt: "uno", maxTokens: 4 });
    list.push(error ?? status);
  }
  return list;
}

const allServed = [200, 200, 200, 200];

it("serves with its state folder on a full disk", async ({ skip }) => {
  const disk = fullDisk();
  if (disk === null) return skip("no file system can be mounted here");
  const server = await serve(await config(), { env: { GGUF_EXPERTS_STATE_DIR: path.join(disk, "state") } });
  expect(await outcomes(server.baseUrl)).toEqual(allServed);
  await expectCalm(server.baseUrl);
});

it.for(["alone", "supervised"] as const)("serves with its log on a full disk, %s", async (way, { skip }) => {
  const disk = fullDisk();
  if (disk === null) return skip("no file system can be mounted here");
  const baseUrl = await serveInto(`${disk}/log`, way);
  expect(await outcomes(baseUrl)).toEqual(allServed);
  await expectCalm(baseUrl);
});

it.for(["alone", "supervised"] as const)("serves when whoever read its log has gone, %s", async (way) => {
  const baseUrl = await serveInto(null, way);
  expect(await outcomes(baseUrl)).toEqual(allServed);
  await expectCalm(baseUrl);
});

/** Serves for the rest of the test with its output in that file, or in a pipe whose reader leaves after the first line. */
async function serveInto(file: string | null, way: "alone" | "supervised"): Promise<string> {
  const folder = testFolder();
  // Nothing that it prints can be read, so its port is chosen here.
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const { port } = holder.address() as AddressInfo;
  holder.close();
  await once(holder, "close");
  const child = spawn(
    "/bin/sh",
    [
      "-c",
      file === null ? 'exec "$@"' : `exec "$@" > ${file} 2>&1`,
      "sh",
      process.execPath,
      path.join(repositoryRoot, "dist/main.js"),
      "serve",
      "--port",
      String(port),
      "--config",
      writeConfig(folder, await config()),
      ...(way === "supervised" ? ["--supervise"] : []),
    ],
    {
      cwd: folder,
      env: { ...process.env, GGUF_EXPERTS_STATE_DIR: path.join(folder, "state") },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const closed = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await closed;
    expect(child.exitCode).toBe(0);
  });
  if (file === null) {
    await once(child.stdout, "data");
    child.stdout.destroy();
    child.stderr.destroy();
  }
  const baseUrl = `http://127.0.0.1:${port}`;
  await expect
    .poll(
      async () =>
        fetch(`${baseUrl}/health/live`).then(
          (response) => response.status,
          () => 0,
        ),
      { timeout: 20_000 },
    )
    .toBe(200);
  return baseUrl;
}
