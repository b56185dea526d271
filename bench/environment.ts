// On what a benchmark ran: processor, cores, versions, commit. May import src/machine, src/core and Node.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadavg, release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readMachine, recommendedThreads, memoryLimitBytes } from "../src/machine/machine.ts";
import { libraryFolder } from "./peer/kernels.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

export interface BenchEnvironment {
  readonly cpu: string;
  readonly architecture: string;
  /** Hardware threads and physical cores that this process may use. */
  readonly logicalCores: number;
  readonly physicalCores: number;
  /** Of the engine, on both sides. */
  readonly threads: number;
  readonly memoryBytes: number;
  /** The kernel's frequency governor; null where it names none. */
  readonly governor: string | null;
  readonly kernel: string;
  /** Tasks that ran or waited in the minute before: above a few tenths the machine was not quiet. */
  readonly loadAverage: number;
  /** With "+changes" where the working copy differs from it; null outside git. */
  readonly commit: string | null;
  readonly node: string;
  readonly nodeLlamaCpp: string;
  /** The release inside node-llama-cpp. */
  readonly llamaCpp: string;
}

export function readEnvironment(): BenchEnvironment {
  const machine = readMachine();
  const { cpu } = machine;
  return {
    cpu: cpu.modelName ?? "unknown",
    architecture: cpu.architecture,
    logicalCores: cpu.allowed.logical,
    physicalCores: cpu.allowed.physical,
    threads: recommendedThreads(cpu, machine.cgroup).threads,
    memoryBytes: memoryLimitBytes(machine),
    governor: textOf("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    kernel: release(),
    loadAverage: loadavg()[0] ?? 0,
    commit: commitOf(root),
    node: process.version,
    nodeLlamaCpp: fieldOf(join(libraryFolder, "package.json"), "version"),
    llamaCpp: fieldOf(join(libraryFolder, "llama", "binariesGithubRelease.json"), "release"),
  };
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}

function fieldOf(path: string, name: string): string {
  const value = (JSON.parse(textOf(path) ?? "{}") as Record<string, unknown>)[name];
  return typeof value === "string" ? value : "unknown";
}

function commitOf(folder: string): string | null {
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", folder, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "-uno") === "" ? "" : "+changes");
  } catch {
    return null;
  }
}
