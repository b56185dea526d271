// The CPU kernels that node-llama-cpp ships, which the peer uses too: then both sides compute alike. Imports only Node.
import { createHash } from "node:crypto";
import { copyFile, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/** The folder of node-llama-cpp itself. */
export const libraryFolder = dirname(dirname(require.resolve("node-llama-cpp")));

/** Where the prebuilt libraries of this machine's architecture are. */
export function kernelFolder(): string {
  const name = `linux-${process.arch}`;
  const resolver = createRequire(join(libraryFolder, "package.json"));
  try {
    return join(dirname(dirname(resolver.resolve(`@node-llama-cpp/${name}`))), "bins", name);
  } catch {
    throw new Error(
      `node-llama-cpp has no prebuilt libraries for ${name}, so a peer with the same kernels is not to be had`,
    );
  }
}

async function kernelFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^libggml-cpu.*\.so$/.test(name));
}

/** Puts the prebuilt kernels in the place of those that were built. */
export async function replaceKernels(peerFolder: string): Promise<void> {
  const from = kernelFolder();
  for (const name of await kernelFiles(peerFolder)) await rm(join(peerFolder, name));
  for (const name of await kernelFiles(from)) await copyFile(join(from, name), join(peerFolder, name));
}

/** Whether the peer would load the same kernels as this project: every prebuilt file is there, byte for byte. */
export async function hasSameKernels(peerFolder: string): Promise<boolean> {
  const from = kernelFolder();
  for (const name of await kernelFiles(from)) {
    const [own, other] = await Promise.all([hashOf(join(from, name)), hashOf(join(peerFolder, name))]);
    if (own !== other) return false;
  }
  return true;
}

async function hashOf(path: string): Promise<string | null> {
  return readFile(path).then(
    (bytes) => createHash("sha256").update(bytes).digest("hex"),
    () => null,
  );
}
