// Where the peer's programs are: named by the caller, by the environment, built earlier, or built now. May import its
// neighbours.
import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { ProgressOutput } from "../progress.ts";
import { buildPeer, peerPrograms } from "./build.ts";
import { hasSameKernels } from "./kernels.ts";

export interface Peer {
  /** Where llama-server, llama-bench and llama-batched-bench are. */
  readonly folder: string;
  /** As llama-server names itself. */
  readonly version: string;
  /** Whether its CPU kernels are the very files that this project's engine uses. */
  readonly hasSameKernels: boolean;
}

/** Throws an Error of one line where a named folder lacks a program. */
export async function locatePeer(
  named: string | null,
  cacheFolder: string,
  output: ProgressOutput,
  signal: AbortSignal,
): Promise<Peer> {
  const environment = process.env["LLAMA_CPP_BIN"];
  const wanted = named ?? (environment === undefined || environment === "" ? null : environment);
  if (wanted !== null) {
    const missing = await missingProgram(wanted);
    const origin = named === null ? "$LLAMA_CPP_BIN" : "--peer";
    if (missing !== null) throw new Error(`${origin} is ${wanted}, but there is no program ${missing} in it`);
    return describe(resolve(wanted));
  }
  const built = join(resolve(cacheFolder), "peer", "build", "bin");
  if ((await missingProgram(built)) === null) return describe(built);
  return describe(await buildPeer(join(resolve(cacheFolder), "peer"), output, signal));
}

async function missingProgram(folder: string): Promise<string | null> {
  for (const name of peerPrograms) {
    const isThere = await access(join(folder, name), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!isThere) return name;
  }
  return null;
}

async function describe(folder: string): Promise<Peer> {
  const { stdout, stderr } = await promisify(execFile)(join(folder, "llama-server"), ["--version"], {
    env: peerEnvironment(folder),
  });
  const version = /^version: (.*)$/m.exec(`${stdout}\n${stderr}`)?.[1] ?? "unknown";
  return { folder, version, hasSameKernels: await hasSameKernels(folder) };
}

/** The peer's libraries stand beside its programs; settings of the caller's own llama.cpp stay out. */
export function peerEnvironment(folder: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("LLAMA_ARG_"));
  return { ...Object.fromEntries(own), LD_LIBRARY_PATH: folder };
}
