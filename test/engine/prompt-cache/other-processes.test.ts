// The cache in processes of their own: a disk that is full, two that share a folder, one that is killed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { conversation, loaded, openCache, stateFilesIn, stateOf } from "./cache-under-test.ts";

const child = fileURLToPath(new URL("./cache-process.ts", import.meta.url));
const stateBytes = 200_000;

/** `limit`: the largest file that it may write, in blocks of 512 bytes. */
function start(folder: string, firstId: number, limit = "unlimited") {
  const script = `ulimit -f ${limit} && exec "$@"`;
  const command = [process.execPath, "--import", "tsx", child, folder, String(firstId), String(stateBytes)];
  const running = spawn("sh", ["-c", script, "sh", ...command], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  running.stdout.on("data", (data: Buffer) => (output += data.toString()));
  const ended = once(running, "close").then(() => output.trim().split("\n"));
  return { running, ended, output: () => output };
}

describe("a disk that takes no more", () => {
  it("is told once, leaves no half file and costs the service nothing", async () => {
    const folder = path.join(testFolder(), "prompt-cache");
    const lines = await start(folder, 1, "100").ended;
    expect(lines).toEqual([
      `warning: ${folder}: no conversation is written there until the next start: EFBIG: file too large, write`,
      "in memory: 4",
      "closed",
    ]);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("processes that share a folder", () => {
  it("find what each of them wrote, whole, also when one is killed at its work", async () => {
    const folder = path.join(testFolder(), "prompt-cache");
    const [one, other, killed] = [start(folder, 100), start(folder, 200), start(folder, 300)];
    while (!killed.output().includes("in memory") && killed.running.exitCode === null) {
      await Promise.race([once(killed.running.stdout, "data"), killed.ended]);
    }
    killed.running.kill("SIGKILL");
    await Promise.all([one.ended, other.ended, killed.ended]);
    expect(one.output()).toBe("in memory: 4\nclosed\n");
    expect(other.output()).toBe("in memory: 4\nclosed\n");
    const { cache, warnings } = await openCache({ folder, ramBytes: 1e7, diskBytes: 1e8, clock: systemClock });
    expect(warnings).toEqual([]);
    expect(readdirSync(folder)).toEqual(stateFilesIn(folder));
    for (const id of [100, 101, 102, 103, 200, 201, 202, 203]) {
      const tokens = conversation(id, 50);
      expect(
        Buffer.compare((await loaded(cache, "m", tokens)) ?? Buffer.of(), stateOf(tokens, stateBytes)),
        `${id}`,
      ).toBe(0);
    }
    await cache.close(1e6);
  });
});
