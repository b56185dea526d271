// Builds llama.cpp from the source that node-llama-cpp carries: the same version as the engine's. May import kernels.ts.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { ProgressOutput } from "../progress.ts";
import { libraryFolder, replaceKernels } from "./kernels.ts";

export const peerPrograms = ["llama-server", "llama-bench", "llama-batched-bench"] as const;

/**
 * One generic CPU kernel is enough, because node-llama-cpp's take its place: the others need compilers that know every
 * instruction set.
 */
const cmakeOptions = [
  "-DCMAKE_BUILD_TYPE=Release",
  "-DLLAMA_BUILD_TESTS=OFF",
  "-DLLAMA_BUILD_EXAMPLES=OFF",
  "-DLLAMA_OPENSSL=OFF",
  "-DLLAMA_USE_PREBUILT_UI=OFF",
  "-DGGML_NATIVE=OFF",
  "-DGGML_BACKEND_DL=ON",
];

/** Below `folder`: the source, the build, and in the returned folder the programs. About ten minutes on two cores. */
export async function buildPeer(folder: string, output: ProgressOutput, signal: AbortSignal): Promise<string> {
  const bundle = join(libraryFolder, "llama", "gitRelease.bundle");
  await access(bundle).catch(() => {
    throw new Error(`${bundle} is not there: run npm ci, or name a folder of llama.cpp programs with --peer`);
  });
  const source = join(folder, "llama.cpp");
  const build = join(folder, "build");
  const programs = join(build, "bin");
  const run = (command: string, args: readonly string[]) => runCommand(command, args, output, signal);
  await mkdir(folder, { recursive: true });
  output.write(`building llama.cpp in ${folder}: about ten minutes on two cores\n`);
  await rm(source, { recursive: true, force: true });
  await run("git", ["clone", "--quiet", bundle, source]);
  await run("cmake", ["-S", source, "-B", build, ...cmakeOptions]);
  await run("cmake", ["--build", build, "-j", String(availableParallelism()), "--target", ...peerPrograms]);
  await replaceKernels(programs);
  return programs;
}

const keptCharacters = 2000;

async function runCommand(
  command: string,
  args: readonly string[],
  output: ProgressOutput,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"], signal });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      text = (text + part).slice(-keptCharacters);
      const percent = /\[ *(\d+)%\][^\n]*$/.exec(part.trimEnd())?.[0];
      if (percent !== undefined && output.isTTY === true) output.write(`\r\u001b[K${percent.slice(0, 79)}`);
    });
  }
  const [code] = (await once(child, "close").catch((error: unknown) => {
    throw new Error(`building the peer needs ${command}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  })) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with code ${code}:\n${text}`);
}
