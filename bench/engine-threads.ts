// How many threads the peer gets for a file: as many as this project's engine takes for it. Imports only Node.
import { stat } from "node:fs/promises";

/** Smaller files hold matrices so small that threads only wait for one another; this project's engine takes one for them. */
const singleThreadBelowBytes = 32 * 2 ** 20;

export async function engineThreads(modelPath: string, machineThreads: number): Promise<number> {
  const { size } = await stat(modelPath);
  return size < singleThreadBelowBytes ? 1 : machineThreads;
}
