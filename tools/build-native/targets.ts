// The machines that the native addon is built for, and the compiler of each: which command, which Debian package, whether
// it is here. Knows nothing of CMake.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./inputs.ts";

export const targets = ["linux-x64", "linux-arm64"] as const;
export type Target = (typeof targets)[number];

/** What is missing on this machine, or what arrived that is not allowed: one line for whoever runs the build. */
export class BuildError extends Error {}

interface Architecture {
  /** As `uname -m` and CMAKE_SYSTEM_PROCESSOR name it. */
  readonly processor: string;
  /** Prefix of a cross-compiler's commands. */
  readonly tuple: string;
}

const architectures: Readonly<Record<Target, Architecture>> = {
  "linux-x64": { processor: "x86_64", tuple: "x86_64-linux-gnu" },
  "linux-arm64": { processor: "aarch64", tuple: "aarch64-linux-gnu" },
};

/** Null on a machine that the addon is not built for. */
export const ownTarget = targets.find((target) => target === `${process.platform}-${process.arch}`) ?? null;

export interface Toolchain {
  readonly target: Target;
  readonly processor: string;
  readonly compiler: string;
  /** First lines of `--version`: they name the distribution's build too. */
  readonly compilerVersion: string;
  readonly linkerVersion: string;
  /** node-llama-cpp's libraries for this target, which the addon is linked against. */
  readonly engineLibraries: string;
}

/** Throws a BuildError that names the Debian package, where something is missing. */
export function findToolchain(target: Target): Toolchain {
  const { processor, tuple } = architectures[target];
  const isOwn = target === ownTarget;
  const compiler = isOwn ? "g++" : `${tuple}-g++`;
  const linker = isOwn ? "ld" : `${tuple}-ld`;
  const engineLibraries = join(repository, "node_modules/@node-llama-cpp", target, "bins", target);
  if (!existsSync(join(engineLibraries, "llama-addon.node"))) {
    throw new BuildError(
      `${target} needs node_modules/@node-llama-cpp/${target}, which npm ci did not install on this machine`,
    );
  }
  requireCommand("cmake", "cmake");
  requireCommand("make", "make");
  requireCommand("git", "git");
  return {
    target,
    processor,
    compiler,
    compilerVersion: requireCommand(compiler, isOwn ? "g++" : `g++-${tuple}`),
    linkerVersion: requireCommand(linker, isOwn ? "binutils" : `binutils-${tuple}`),
    engineLibraries,
  };
}

/** The first line of its `--version`. */
function requireCommand(command: string, debianPackage: string): string {
  const { status, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
  if (status !== 0) throw new BuildError(`${command} is not here (Debian and Ubuntu: apt install ${debianPackage})`);
  return stdout.split("\n")[0] ?? "";
}
